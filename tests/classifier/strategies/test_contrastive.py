import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.datasets.loading import load_mini_reviews
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    TrainingError,
)


@pytest.fixture
def pairs(make):
    """Contrastive classifiers: three passes of the encoder, and a linear head."""

    def pairs(**parameters):
        defaults = {
            "strategy": "contrastive",
            "hidden_layer_sizes": (),
            "max_epochs": 3,
            "encoder_learning_rate": 1e-2,
        }
        return make(**defaults | parameters)

    return pairs


@pytest.fixture(scope="module")
def three_classes():
    """Texts of three unbalanced classes, one of which has a single text."""
    texts = [f"the film is {word}" for word in ("good", "great", "lovely", "fine")]
    texts += [f"the plot is {word}" for word in ("bad", "awful", "poor")] + ["so so"]
    return texts, np.array(["pos"] * 4 + ["neg"] * 3 + ["neutral"])


def cosines(model, texts):
    """Cosines of the features that the model's body gives."""
    rows = model._input.rows(texts)
    features = model.net_.encode(rows)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features @ features.T


class TestEncoder:
    @pytest.mark.slow
    def test_texts_of_a_class_come_together_and_others_part(
        self, pairs, sentiment_texts
    ):
        texts, labels = sentiment_texts
        same = labels[:32, None] == labels[:32]
        found = []
        for rate in (0.0, 1e-2):
            model = pairs(encoder_learning_rate=rate, max_epochs=40)
            inside = cosines(model.fit(texts[:32], labels[:32]), texts[:32])
            found.append(inside[same].mean() - inside[~same].mean())
        assert found[1] > found[0] + 0.3

    @pytest.mark.parametrize("train_embeddings", [False, True])
    def test_all_of_it_learns_but_the_tokens(
        self, pairs, sentiment_texts, train_embeddings
    ):
        texts, labels = sentiment_texts
        model = pairs(train_embeddings=train_embeddings).fit(texts[:16], labels[:16])
        body = model.net_.module_.body
        pretrained = TransformerBody(body.checkpoint, pooling=("mean",))
        before = dict(pretrained.named_parameters())
        same = {n for n, p in body.named_parameters() if torch.equal(p, before[n])}
        tables = {n for n in before if "word_embeddings" in n}
        # What it does not read (a pooler) never learns.
        assert tables.isdisjoint(same) == train_embeddings
        assert {n for n in same - tables if "pooler" not in n} == set()
        learnt = sum(p.numel() for n, p in body.named_parameters() if n in body.tuned)
        assert model.n_trainable_parameters_ == learnt + 32 + 1
        assert set(body.tuned) == set(before) - (set() if train_embeddings else tables)

    def test_word_vectors_learn_too(self, pairs, words, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs(encoder=words(), encoder_learning_rate=0.1, max_epochs=20)
        model.fit(texts[:48], labels[:48])
        vocabulary = model._input.vocabulary
        table = model.net_.module_.body.table.weight
        before = torch.from_numpy(model.encoder_.vectors_[["good"]])
        assert not torch.allclose(table[[vocabulary["good"]]], before, atol=1e-3)
        assert model.score(texts[48:], labels[48:]) > 0.95

    def test_the_other_strategies_steps_follow_on_it(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs(warm_start=True).fit(texts[:16], labels[:16])
        adapted = cosines(model, texts[:16])
        model.set_params(strategy="feature_extraction").fit(texts[:16], labels[:16])
        np.testing.assert_array_equal(cosines(model, texts[:16]), adapted)
        assert model.n_trainable_parameters_ == 33


class TestHead:
    def test_a_linear_one_is_logistic_regression_on_what_the_body_gives(
        self, pairs, sentiment_texts
    ):
        from sklearn.linear_model import LogisticRegression

        texts, labels = sentiment_texts
        model = pairs().fit(texts[:32], labels[:32])
        network = model.net_.module_
        features = torch.from_numpy(model.net_.encode(model._input.rows(texts)))
        scaled = network.scaler(features).numpy() / np.sqrt(32)
        np.testing.assert_allclose(scaled[:32].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose((scaled[:32] ** 2).sum(axis=1).mean(), 1, rtol=1e-4)
        peer = LogisticRegression(C=10, tol=1e-9, max_iter=500).fit(
            scaled[:32], labels[:32]
        )
        np.testing.assert_allclose(
            model.predict_proba(texts), peer.predict_proba(scaled), atol=1e-3
        )

    @pytest.mark.slow
    def test_one_with_hidden_layers_is_trained_as_on_frozen_features(
        self, pairs, sentiment_texts
    ):
        texts, labels = sentiment_texts
        model = pairs(hidden_layer_sizes=(8,)).fit(texts[:64], labels[:64])
        parts = [line["part"] for line in model.history_]
        # max_epochs is the encoder's; the head takes its own 200 steps of 32.
        assert parts == ["encoder"] * 3 + ["head"] * 100
        assert [line["epoch"] for line in model.history_] == list(range(1, 104))
        losses = [line["train_loss"] for line in model.history_[3:]]
        assert losses[-1] < 0.7 * losses[0]

    @pytest.mark.slow
    def test_sizes_make_other_models(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        found = {
            tuple(
                pairs(hidden_layer_sizes=sizes)
                .fit(texts[:16], labels[:16])
                .decision_function(texts[:3])
            )
            for sizes in [(), (4,), (8, 4)]
        }
        assert len(found) == 3

    def test_without_scaling_features_stay_as_they_are(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs(scale_features=False).fit(texts[:16], labels[:16])
        assert not model.net_.module_.scaler.mean.any()


class TestData:
    def test_three_unbalanced_classes_one_of_a_single_text(self, pairs, three_classes):
        texts, labels = three_classes
        model = pairs(max_epochs=20).fit(texts, labels)
        assert model.predict_proba(texts).shape == (8, 3)
        assert model.score(texts, labels) == 1.0

    def test_two_texts(self, pairs):
        model = pairs().fit(["good", "bad"], [1, 0])
        assert model.predict(["good", "bad"]).tolist() == [1, 0]

    def test_equal_texts_of_two_classes(self, pairs):
        model = pairs().fit(["good"] * 6, [0, 1] * 3)
        np.testing.assert_allclose(model.predict_proba(["good"]), 0.5, atol=1e-3)

    def test_one_text_has_nothing_to_be_compared_with(self, pairs):
        weight = [1, 0, 0, 0]
        with pytest.raises(InvalidInputError, match="only 1 has a weight"):
            pairs().fit(["a", "b", "c", "d"], [0, 1, 0, 1], sample_weight=weight)

    def test_windows_of_long_texts_count_as_one_text(self, pairs, bert):
        texts = ["the film is good " * 9, "bad", "the plot is bad " * 9, "good"] * 2
        encoder = bert(long_text="window", max_length=16)
        model = pairs(encoder=encoder).fit(texts, [1, 0, 0, 1] * 2)
        assert model.score(texts, [1, 0, 0, 1] * 2) == 1.0
        deep = pairs(encoder=encoder, hidden_layer_sizes=(4,))
        assert deep.fit(texts, [1, 0, 0, 1] * 2).predict_proba(texts).shape == (8, 2)

    def test_what_a_class_weighs_is_for_the_head_alone(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts[0][:16], sentiment_texts[1][:16]
        plain = pairs().fit(texts, labels)
        heavy = pairs(class_weight={"pos": 5, "neg": 1}).fit(texts, labels)
        np.testing.assert_array_equal(cosines(plain, texts), cosines(heavy, texts))
        shift = heavy.decision_function(texts) - plain.decision_function(texts)
        assert shift.mean() > 0.1

    def test_what_a_row_weighs_within_its_class_is_for_both(
        self, pairs, sentiment_texts
    ):
        texts, labels = sentiment_texts[0][:16], sentiment_texts[1][:16]
        plain = pairs().fit(texts, labels)
        weighted = pairs().fit(texts, labels, sample_weight=np.arange(16) + 1.0)
        assert not np.allclose(cosines(plain, texts), cosines(weighted, texts))


class TestTraining:
    @pytest.mark.slow
    def test_the_seed_makes_the_model(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        torch_state = torch.get_rng_state()
        found = [
            pairs(random_state=seed, hidden_layer_sizes=sizes, max_epochs=1)
            .fit(texts[:40], labels[:40])
            .decision_function(texts[:5])
            .tolist()
            for sizes in ((), (4,))
            for seed in (0, 0, 1)
        ]
        assert found[0] == found[1] != found[2]
        assert found[3] == found[4] != found[5]
        assert torch.equal(torch.get_rng_state(), torch_state)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("n", "n_epochs"), [(16, 20), (40, 10), (64, 20), (96, 14)]
    )
    def test_it_takes_20_steps_and_40_from_32_texts_a_class(
        self, pairs, sentiment_texts, n, n_epochs
    ):
        rows = slice(None, None, 96 // n) if n in (16,) else slice(n)
        texts, labels = sentiment_texts[0][rows], sentiment_texts[1][rows]
        model = pairs(max_epochs="auto").fit(texts[:n], labels[:n])
        assert [line["part"] for line in model.history_] == ["encoder"] * n_epochs + [
            "head"
        ]
        losses = model.history_[:, "train_loss"]
        assert np.isfinite(losses).all()
        assert losses[-2] < losses[0]

    def test_validation_rows_are_the_heads(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        given = {"X_val": texts[48:], "y_val": labels[48:]}
        model = pairs(calibrate=True).fit(texts[:48], labels[:48], **given)
        assert "valid_loss" in model.history_[-1]
        assert "valid_loss" not in model.history_[0]
        assert model.temperature_ != 1.0
        options = {"early_stopping": True, "hidden_layer_sizes": (8,)}
        model = pairs(**options, n_iter_no_change=2).fit(texts, labels)
        assert "valid_loss_best" in model.history_[-1]

    def test_a_pickle_predicts_the_same(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs().fit(texts[:16], labels[:16])
        opened = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(
            opened.predict_proba(texts), model.predict_proba(texts), atol=1e-6
        )

    def test_progress_and_table(self, pairs, sentiment_texts, capsys):
        texts, labels = sentiment_texts
        pairs(verbose=1).fit(texts[:16], labels[:16])
        assert "contrastive" in capsys.readouterr().err
        pairs(verbose=2).fit(texts[:16], labels[:16])
        assert "train_loss" in capsys.readouterr().out

    @pytest.mark.parametrize("sizes", [(), (4,)])
    def test_an_interrupt_keeps_the_encoder_and_trains_the_head(
        self, pairs, sentiment_texts, sizes
    ):
        class Interrupt(Callback):
            def on_batch_end(self, net, **kwargs):
                if len(net.history) == 2 and "part" in net.history[-1]:
                    raise KeyboardInterrupt

        texts, labels = sentiment_texts
        model = pairs(callbacks=[Interrupt()], hidden_layer_sizes=sizes)
        with pytest.raises(KeyboardInterrupt):
            model.fit(texts[:32], labels[:32])
        assert [line["part"] for line in model.history_].count("encoder") == 2
        assert model.history_[-1]["part"] == "head"
        assert model.predict(texts[:3]).shape == (3,)

    def test_a_loss_that_is_no_number_stops(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs(encoder_learning_rate=1e30, max_grad_norm=None)
        with pytest.raises(TrainingError, match="the loss became nan"):
            model.fit(texts[:32], labels[:32])


class TestSourceAndMore:
    def test_a_source_gives_body_scale_and_where_the_head_is_drawn(
        self, pairs, sentiment_texts
    ):
        texts, labels = sentiment_texts
        source = pairs().fit(texts[:32], labels[:32])
        theirs = copy.deepcopy(source.net_.module_.own_tensors())
        options = {"init_from": FrozenEstimator(source), "encoder_learning_rate": 0.0}
        target = pairs(**options).fit(texts[32:48], labels[32:48])
        np.testing.assert_allclose(
            cosines(target, texts[:9]), cosines(source, texts[:9]), atol=1e-6
        )
        ours = target.net_.module_.own_tensors()
        assert torch.equal(ours["scaler.mean"], theirs["scaler.mean"])
        ours = ours["head.output.weight"]
        alone = pairs(encoder_learning_rate=0.0).fit(texts[32:48], labels[32:48])
        alone = alone.net_.module_.own_tensors()["head.output.weight"]
        similarity = torch.nn.functional.cosine_similarity
        near = similarity(ours, theirs["head.output.weight"]).item()
        assert near > similarity(alone, theirs["head.output.weight"]).item()

    def test_l2_sp_holds_the_encoder_back(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        source = pairs().fit(texts[:32], labels[:32])
        moved = []
        for strength in (0.0, 500.0):
            model = pairs(init_from=FrozenEstimator(source), l2_sp=strength)
            model.fit(texts[32:], labels[32:])
            theirs = source.net_.module_.body.tuned_tensors()
            ours = model.net_.module_.body.tuned_tensors()
            moved.append(sum((ours[n] - theirs[n]).norm().item() for n in theirs))
        assert moved[1] < 0.7 * moved[0]

    @pytest.mark.slow
    def test_a_warm_start_goes_on(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        model = pairs(warm_start=True, max_epochs=40).fit(texts[:32], labels[:32])
        first = model.history_[0, "train_loss"]
        model.fit(texts[:32], labels[:32])
        assert model.history_[0, "train_loss"] < 0.6 * first
        assert len(model.history_) == 41

    def test_partial_fit_is_refused_with_the_way_out(self, pairs, sentiment_texts):
        texts, labels = sentiment_texts
        with pytest.raises(InvalidParameterError, match="warm_start=True to go on"):
            pairs().partial_fit(texts[:8], labels[:8], classes=["neg", "pos"])
        model = pairs().fit(texts[:16], labels[:16])
        model.set_params(strategy="fine_tune").partial_fit(texts[:8], labels[:8])

    @pytest.mark.parametrize("batch_size", [1, 2, 3])
    def test_batches_without_pairs_are_refused(
        self, pairs, sentiment_texts, batch_size
    ):
        message = f"batch_size={batch_size}, but"
        with pytest.raises(InvalidParameterError, match=message):
            pairs(batch_size=batch_size).fit(*sentiment_texts)

    def test_an_encoder_that_cannot_learn_is_refused(self, pairs, sentiment_texts):
        from sklearn.feature_extraction.text import TfidfVectorizer

        with pytest.raises(InvalidParameterError, match="does not offer"):
            pairs(encoder=TfidfVectorizer()).fit(*sentiment_texts)


@pytest.mark.real
def test_thirty_two_reviews_teach_more_than_they_do_a_frozen_encoder():
    texts, labels = load_mini_reviews("en", return_X_y=True)
    train, test, y_train, y_test = train_test_split(
        texts, labels, train_size=32, stratify=labels, random_state=0
    )
    scores = {}
    for strategy in ("feature_extraction", "contrastive"):
        model = TransferSentimentClassifier(
            BertFeaturizer("all-MiniLM-L6-v2"),
            strategy=strategy,
            hidden_layer_sizes=(),
            random_state=0,
        )
        scores[strategy] = model.fit(train, y_train).score(test, y_test)
    assert scores["contrastive"] > scores["feature_extraction"]
