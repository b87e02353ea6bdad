from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer.baselines import nbsvm_baseline, tfidf_baseline
from sktransfer.explanation import explain
from sktransfer.explanation.linear_parts import probe_linear

TEXT = "The film is great, not bad; great fun"


def adds_up(explanation, estimator):
    """The contributions and the base are the margin of the label."""
    total = explanation.base_value + explanation.contributions.sum()
    decision = estimator.decision_function([explanation.text])[0]
    if np.ndim(decision):
        decision = decision[list(estimator.classes_).index(explanation.label)]
    elif explanation.label == estimator.classes_[0]:
        decision = -decision
    return total == pytest.approx(decision, abs=1e-4)


class TestCounts:
    def test_contributions_are_what_a_hand_computes(self, sentiment_texts):
        model = make_pipeline(CountVectorizer(), LogisticRegression())
        model.fit(*sentiment_texts)
        found = explain(model, TEXT, label="pos")
        vocabulary, coef = model[0].vocabulary_, model[1].coef_[0]
        by_hand = {
            "great": coef[vocabulary["great"]],
            "bad": coef[vocabulary["bad"]],
            "film": coef[vocabulary["film"]],
            "not": 0.0,
            ",": 0.0,
        }
        for word, value in by_hand.items():
            assert found.contributions[found.words.index(word)] == pytest.approx(value)
        # A word that stands twice has its own share each time.
        greats = [
            c
            for w, c in zip(found.words, found.contributions, strict=True)
            if w == "great"
        ]
        assert greats == pytest.approx([by_hand["great"]] * 2)
        assert found.base_value == pytest.approx(model[1].intercept_[0])
        assert found.method == "exact"

    @pytest.mark.parametrize(
        "make",
        [
            lambda: tfidf_baseline(["good"]),
            lambda: nbsvm_baseline(["good"]),
            lambda: make_pipeline(
                TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)), LinearSVC()
            ),
            lambda: make_pipeline(
                CountVectorizer(), TfidfTransformer(), RidgeClassifier()
            ),
            lambda: make_pipeline(
                TfidfVectorizer(), TruncatedSVD(5, random_state=0), LinearSVC()
            ),
            lambda: make_pipeline(
                TfidfVectorizer(), StandardScaler(with_mean=False), LinearSVC()
            ),
        ],
    )
    def test_they_add_up_to_the_decision(self, make, sentiment_texts):
        model = make().fit(*sentiment_texts)
        for label in ("pos", "neg"):
            found = explain(model, TEXT, label=label)
            assert found.method == "exact"
            assert adds_up(found, model)
            assert found.residual == pytest.approx(0, abs=1e-9)

    def test_naive_bayes_is_linear_in_its_odds(self, sentiment_texts):
        model = make_pipeline(CountVectorizer(), MultinomialNB()).fit(*sentiment_texts)
        found = explain(model, "great film", label="pos")
        odds = np.diff(model[1].feature_log_prob_, axis=0)[0]
        great = odds[model[0].vocabulary_["great"]]
        assert found.method == "exact"
        assert found.contributions[0] == pytest.approx(great)

    def test_three_classes_have_a_decision_each(self, sentiment_texts):
        texts, labels = sentiment_texts
        three = np.where(np.arange(len(texts)) % 3 == 0, "mid", labels)
        model = tfidf_baseline(texts).fit(texts, three)
        assert all(
            adds_up(explain(model, TEXT, label=k), model) for k in model.classes_
        )

    def test_chinese_characters_become_words(self):
        texts = [
            f"{thing}{word}" for thing in "酒店房间服务" for word in ("很好", "不好")
        ]
        model = tfidf_baseline(texts).fit(texts, [1, 0] * 6)
        found = explain(model, "酒店不好", label=1)
        assert found.words == ["酒店", "不好"]
        assert found.contributions[1] < 0
        assert adds_up(found, model)

    def test_a_network_without_hidden_layers_is_linear(self, network, sentiment_texts):
        model = make_pipeline(TfidfVectorizer(), network(hidden_layer_sizes=()))
        model.fit(*sentiment_texts)
        found = explain(model, TEXT)
        assert found.method == "exact"
        assert adds_up(found, model)


class TestWordVectors:
    def test_contributions_are_what_a_hand_computes(self, words, sentiment_texts):
        model = make_pipeline(words(), LogisticRegression()).fit(*sentiment_texts)
        text = "A GREAT, xyz film"
        found = explain(model, text, label="pos")
        assert found.words == ["A", "GREAT", ",", "xyz", "film"]
        coef, vectors = model[1].coef_[0], model[0].vectors_
        by_hand = [
            vectors[word] @ coef / 3 if word in vectors else 0
            for word in ("a", "great", ",", "xyz", "film")
        ]
        np.testing.assert_allclose(found.contributions, by_hand, atol=1e-5)
        assert found.base_value == pytest.approx(model[1].intercept_[0], abs=1e-5)
        assert found.method == "exact"

    @pytest.mark.parametrize(
        "parameters",
        [
            {"pooling": "sum"},
            {"pooling": ("mean", "sum"), "weighting": "idf"},
            {"weighting": "sif", "n_components_removed": 1},
            {"oov": "zero"},
            {"oov": "random", "random_state": 0},
            {"max_length": 3},
            {"lowercase": False},
        ],
        ids=str,
    )
    def test_they_add_up_whatever_the_pooling(self, words, parameters, sentiment_texts):
        model = make_pipeline(words(**parameters), LogisticRegression())
        model.fit(*sentiment_texts)
        found = explain(model, "the film is GREAT, xyz is not well-made")
        assert found.method == "exact"
        assert adds_up(found, model)

    @pytest.mark.parametrize("parameters", [{"pooling": "max"}, {"normalize": True}])
    def test_what_is_no_sum_is_occluded(self, words, parameters, sentiment_texts):
        model = make_pipeline(words(**parameters), LogisticRegression())
        assert explain(model.fit(*sentiment_texts), TEXT).method == "occlusion"

    def test_a_bare_network_with_a_linear_head_is_exact(
        self, words, network, sentiment_texts
    ):
        model = network(words(), hidden_layer_sizes=()).fit(*sentiment_texts)
        found = explain(model, TEXT)
        assert found.method == "exact"
        assert adds_up(found, model)

    @pytest.mark.parametrize("weighting", [None, "idf"])
    def test_so_is_a_table_that_has_learnt(
        self, words, network, sentiment_texts, weighting
    ):
        model = network(
            words(weighting=weighting), strategy="fine_tune", hidden_layer_sizes=()
        ).fit(*sentiment_texts)
        # camera stands in the training texts, quite only in the vectors, xyz nowhere.
        found = explain(model, "great camera, quite bad xyz")
        assert found.method == "exact"
        assert adds_up(found, model)


class TestProbing:
    def test_only_what_is_linear_is_taken_for_it(self, sentiment_texts):
        model = make_pipeline(
            TfidfVectorizer(), RandomForestClassifier(5, random_state=0)
        ).fit(*sentiment_texts)
        assert explain(model, TEXT).method == "occlusion"

    def test_sparse_rows_stay_sparse(self):
        row = sparse.csr_array(([1.0, 2.0], ([0, 0], [3, 999_999])), (1, 1_000_000))
        seen = []

        def decide(features):
            seen.append(features)
            return features[:, [3]].toarray()[:, 0] * 2 + 1

        coefficients, base = probe_linear(decide, row)
        assert (coefficients[3], coefficients[999_999], base) == (2, 0, 1)
        assert sparse.issparse(seen[0])
