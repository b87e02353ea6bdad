from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.datasets import load_mini_reviews
from sktransfer.exceptions import MissingExtraError
from sktransfer.explanation import explain

TEXT = "the film is greatly boring, but quite fun!"


def complete(explanation):
    """The contributions are the difference of the margins, to a hundredth."""
    difference = explanation.value - explanation.base_value
    tolerance = 0.011 * max(abs(difference), 0.1)
    return abs(explanation.residual) <= tolerance


class TestTransformers:
    @pytest.mark.parametrize(
        "strategy", ["feature_extraction", "partial", "gradual", "lora", "fine_tune"]
    )
    @pytest.mark.parametrize("label", ["pos", "neg"])
    def test_contributions_add_up(
        self, bert, network, sentiment_texts, strategy, label
    ):
        model = network(bert(), strategy=strategy, max_epochs=1)
        model.fit(sentiment_texts[0][:32], sentiment_texts[1][:32])
        found = explain(model, TEXT, label=label)
        assert found.method == "gradients"
        assert complete(found)
        logit = model.decision_function([TEXT])[0]
        expected = logit if label == "pos" else -logit
        assert found.value == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"pooling": ("cls", "max"), "layers": (-1, -2)},
            {"normalize": True},
            {"prefix": "film: "},
            {"max_length": 6},
            {"max_length": 6, "long_text": "head_tail"},
        ],
        ids=str,
    )
    def test_they_do_with_any_features_and_a_linear_model(
        self, bert, sentiment_texts, parameters
    ):
        model = make_pipeline(
            bert(**parameters), StandardScaler(), LogisticRegression()
        )
        model.fit(*sentiment_texts)
        found = explain(model, TEXT, label="pos")
        assert found.method == "gradients"
        assert complete(found)
        decision = model.decision_function([TEXT])[0]
        assert found.value == pytest.approx(decision, abs=1e-2)

    def test_a_network_on_features_in_a_pipeline_does_too(
        self, bert, network, sentiment_texts
    ):
        model = make_pipeline(bert(), network()).fit(*sentiment_texts)
        found = explain(model, TEXT)
        assert found.method == "gradients"
        assert complete(found)

    def test_words_that_are_cut_off_count_for_nothing(self, bert, sentiment_texts):
        model = make_pipeline(bert(max_length=6), LogisticRegression())
        found = explain(model.fit(*sentiment_texts), "good film the end of it")
        assert found.words == ["good", "film", "the", "end", "of", "it"]
        assert (found.contributions[:4] != 0).all()
        assert (found.contributions[4:] == 0).all()

    def test_sub_words_are_put_together(self, bert, sentiment_texts):
        model = make_pipeline(bert(), LogisticRegression()).fit(*sentiment_texts)
        found = explain(model, "greatly xyz!")
        assert found.words == ["greatly", "xyz", "!"]
        assert complete(found)

    def test_three_classes_have_a_logit_each(self, bert, network, sentiment_texts):
        texts, labels = sentiment_texts
        three = np.where(np.arange(len(texts)) % 3 == 0, "mid", labels)
        model = network(bert(), strategy="fine_tune", max_epochs=1)
        model.fit(texts[:30], three[:30])
        found = explain(model, TEXT, label="mid")
        column = model.classes_.tolist().index("mid")
        logits = model.decision_function([TEXT])[0]
        assert found.value == pytest.approx(logits[column], abs=1e-4)
        assert complete(found)

    def test_text_in_windows_is_occluded(self, bert, sentiment_texts):
        model = make_pipeline(
            bert(max_length=5, long_text="window"), LogisticRegression()
        )
        model.fit(*sentiment_texts)
        assert explain(model, TEXT).method == "occlusion"
        assert explain(model, "good").method == "gradients"

    def test_the_model_stays_as_it_was(self, bert, network, sentiment_texts):
        model = network(bert(), strategy="fine_tune", max_epochs=1)
        model.fit(*sentiment_texts)
        before = model.decision_function(sentiment_texts[0][:5])
        grads = [parameter.grad for parameter in model.net_.module_.parameters()]
        state = torch.get_rng_state()
        one = explain(model, TEXT)
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(
            model.decision_function(sentiment_texts[0][:5]), before
        )
        module = model.net_.module_
        after = [parameter.grad for parameter in module.parameters()]
        assert all(one is other for one, other in zip(grads, after, strict=True))
        assert not any(part._forward_hooks for part in module.modules())
        np.testing.assert_array_equal(
            explain(model, TEXT).contributions, one.contributions
        )

    def test_it_works_where_gradients_are_switched_off(self, bert, sentiment_texts):
        model = make_pipeline(bert(), LogisticRegression()).fit(*sentiment_texts)
        with torch.inference_mode():
            assert complete(explain(model, TEXT))

    @pytest.mark.parametrize("text", ["", " "])
    def test_a_text_without_words_has_no_contributions(
        self, bert, network, sentiment_texts, text
    ):
        model = network(bert(), strategy="fine_tune", max_epochs=1)
        found = explain(model.fit(*sentiment_texts), text)
        assert found.words == []
        assert found.value == found.base_value

    def test_a_missing_extra_is_named(self, bert, sentiment_texts, monkeypatch):
        model = make_pipeline(bert(), LogisticRegression()).fit(*sentiment_texts)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"sktransfer\[explain\]"):
            explain(model, TEXT)


class TestWordVectors:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_contributions_through_a_deep_head_add_up(
        self, words, network, sentiment_texts, strategy
    ):
        model = network(words(), strategy=strategy).fit(*sentiment_texts)
        found = explain(model, TEXT, label="pos")
        assert found.method == "gradients"
        assert complete(found)
        logit = model.decision_function([TEXT])[0]
        assert found.value == pytest.approx(logit, abs=1e-4)
        empty = model.decision_function([""])[0]
        assert found.base_value == pytest.approx(empty, abs=1e-4)

    def test_a_linear_head_gives_what_arithmetic_gives(
        self, words, network, sentiment_texts
    ):
        model = network(words(), hidden_layer_sizes=()).fit(*sentiment_texts)
        exact, integrated = (
            explain(model, TEXT, method=method) for method in ("exact", "gradients")
        )
        np.testing.assert_allclose(
            integrated.contributions, exact.contributions, atol=1e-4
        )

    def test_a_text_without_known_words_has_no_contributions(
        self, words, network, sentiment_texts
    ):
        model = network(words()).fit(*sentiment_texts)
        found = explain(model, "xyz")
        assert found.contributions.tolist() == [0]


@pytest.mark.real
def test_a_pretrained_network_is_explained_by_words_that_matter():
    texts, labels = load_mini_reviews("en", return_X_y=True)
    model = TransferSentimentClassifier(random_state=0).fit(texts, labels)
    found = explain(model, "I love it, a wonderful film", label=1)
    assert complete(found)
    best = found.words[found.contributions.argmax()]
    assert best in {"love", "wonderful"}
