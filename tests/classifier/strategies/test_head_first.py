import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from skorch.callbacks import Callback

from sktransfer.classifier.network.transformer import TransformerBody


@pytest.fixture
def first(make):
    """Classifiers all of whose layers learn, after the head."""

    def first(**parameters):
        defaults = {"strategy": "fine_tune", "head_first": True}
        return make(**defaults | parameters)

    return first


@pytest.fixture
def still(first):
    """The same, but what comes after the head changes nothing."""

    def still(**parameters):
        rates = {"encoder_learning_rate": 0.0, "head_learning_rate": 0.0}
        return first(**rates | parameters)

    return still


def pretrained(model):
    """Body of `model` before it learnt."""
    return TransformerBody(model.net_.module_.body.checkpoint, pooling=("mean",))


class TestHead:
    def test_a_linear_one_begins_as_logistic_regression(self, still, sentiment_texts):
        texts, labels = sentiment_texts
        model = still(hidden_layer_sizes=()).fit(texts[:32], labels[:32])
        features = torch.from_numpy(model.net_.encode(model._input.rows(texts[:32])))
        scaled = model.net_.module_.scaler(features).numpy() / np.sqrt(32)
        peer = LogisticRegression(C=10, tol=1e-9, max_iter=500).fit(scaled, labels[:32])
        expected = log_loss(labels[:32], peer.predict_proba(scaled))
        assert model.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-3)

    def test_one_with_hidden_layers_is_trained_as_on_frozen_features(
        self, still, sentiment_texts
    ):
        texts, labels = sentiment_texts
        model = still(hidden_layer_sizes=(8,)).fit(texts[:64], labels[:64])
        losses = [line["train_loss"] for line in model.history_]
        # Its 200 steps of 32, whatever max_epochs and the rates say of the layers.
        assert [line["part"] for line in model.history_] == ["head"] * 100 + ["all"] * 2
        assert losses[99] < 0.7 * losses[0]

    def test_rows_to_validate_on_do_not_teach_it(self, still, sentiment_texts):
        texts, labels = sentiment_texts
        alone = still(hidden_layer_sizes=()).fit(texts[:48], labels[:48])
        held_out = {"X_val": texts[48:], "y_val": labels[48:]}
        model = still(hidden_layer_sizes=(), early_stopping=True)
        model.fit(texts[:48], labels[:48], **held_out)
        np.testing.assert_allclose(
            model.decision_function(texts), alone.decision_function(texts), rtol=1e-4
        )
        assert "valid_loss" in model.history_[-1]
        assert "valid_loss" not in model.history_[0]

    @pytest.mark.slow
    def test_weights_count(self, still, sentiment_texts):
        texts, labels = sentiment_texts
        heavy = still(class_weight={"pos": 5, "neg": 1}).fit(texts[:32], labels[:32])
        plain = still().fit(texts[:32], labels[:32])
        shift = heavy.decision_function(texts) - plain.decision_function(texts)
        assert shift.mean() > 0.1

    def test_without_scaling_too(self, still, sentiment_texts):
        texts, labels = sentiment_texts
        model = still(scale_features=False).fit(texts[:32], labels[:32])
        assert model.history_[0]["part"] == "head"
        assert not model.net_.module_.scaler.mean.any()


class TestLayers:
    @pytest.mark.parametrize("strategy", ["partial", "gradual", "lora", "fine_tune"])
    def test_those_learn_after_it_that_learn_without_it(
        self, first, sentiment_texts, strategy
    ):
        if strategy == "lora":
            pytest.importorskip("peft")
        texts, labels = sentiment_texts
        options = {"strategy": strategy, "n_trainable_layers": 1, "max_epochs": 4}
        found = []
        for head_first in (False, True):
            model = first(head_first=head_first, **options).fit(texts[:32], labels[:32])
            body = model.net_.module_.body
            before = dict(pretrained(model).named_parameters())
            learnt = {
                name
                for name, tensor in body.merged_tensors().items()
                if not torch.equal(tensor, before[name])
            }
            found.append((learnt, set(body.tuned), model.n_trainable_parameters_))
        assert found[0] == found[1]
        assert found[0][0]

    @pytest.mark.slow
    def test_they_rest_until_then(self, first, sentiment_texts):
        seen = []

        class Look(Callback):
            def on_train_begin(self, net, **kwargs):
                body = net.module_.body
                seen.append((body.learns(), dict(body.named_parameters())))

            def on_train_end(self, net, **kwargs):
                before = pretrained_parameters
                now = net.module_.body.named_parameters()
                seen.append(all(torch.equal(p, before[name]) for name, p in now))

        texts, labels = sentiment_texts
        pretrained_parameters = dict(
            pretrained(first().fit(texts[:8], labels[:8])).named_parameters()
        )
        first(callbacks=[Look()]).fit(texts[:32], labels[:32])
        assert [seen[0][0], seen[1], seen[2][0], seen[3]] == [False, True, True, False]

    @pytest.mark.parametrize(("given", "used"), [("auto", 1e-4), (1e-2, 1e-2)])
    def test_the_head_goes_on_at_their_rate(self, first, sentiment_texts, given, used):
        texts, labels = sentiment_texts
        model = first(head_learning_rate=given).fit(texts[:8], labels[:8])
        assert model.net_.rates["head_learning_rate"] == used
        model = first(encoder_learning_rate=1e-5).fit(texts[:8], labels[:8])
        assert model.net_.rates["head_learning_rate"] == 1e-5

    def test_windows_of_long_texts_count_as_one_text(self, first, bert):
        texts = ["the film is good " * 9, "bad", "the plot is bad " * 9, "good"] * 2
        encoder = bert(long_text="window", max_length=16)
        model = first(encoder=encoder, hidden_layer_sizes=())
        assert model.fit(texts, [1, 0, 0, 1] * 2).score(texts, [1, 0, 0, 1] * 2) == 1.0

    def test_it_learns_from_windows_as_it_decides_over_them(self, still, bert):
        # The last window of a long text is shorter than the others.
        texts = ["the film is good " * 9 + "bad", "bad", "bad plot " * 9, "good"] * 2
        labels = [1, 0, 0, 1] * 2
        encoder = bert(long_text="window", max_length=16)

        class Measure(Callback):
            def on_epoch_begin(self, net, **kwargs):
                with torch.no_grad():
                    rows = reader._input.rows(texts)
                    logits = net.module_.eval()(**rows.batch(np.arange(8)))
                seen.append(log_loss(labels, torch.sigmoid(logits[:, 0]).numpy()))

        seen = []
        options = {"encoder": encoder, "hidden_layer_sizes": ()}
        reader = still(**options).fit(texts, labels)
        model = still(**options, callbacks=[Measure()]).fit(texts, labels)
        # When the layers begin, what the head has reached is the loss of whole texts.
        assert model.history_[0]["train_loss"] == pytest.approx(seen[1], rel=1e-4)

    def test_word_vectors_learn_after_it(self, first, words, sentiment_texts):
        texts, labels = sentiment_texts
        model = first(encoder=words()).fit(texts[:48], labels[:48])
        assert {line["part"] for line in model.history_} == {"head", "all"}
        # The table's rate is higher than any that a head is used to.
        assert model.net_.rates["head_learning_rate"] == 1e-3
        assert model.net_.rates["encoder_learning_rate"] == 5e-3


class TestElsewhere:
    @pytest.mark.slow
    @pytest.mark.parametrize("strategy", ["feature_extraction", "contrastive"])
    def test_where_the_head_is_alone_anyway_it_changes_nothing(
        self, first, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts[0][:24], sentiment_texts[1][:24]
        one, other = (
            first(strategy=strategy, head_first=way).fit(texts, labels)
            for way in (False, True)
        )
        np.testing.assert_array_equal(
            one.predict_proba(texts), other.predict_proba(texts)
        )

    def test_numbers_have_no_layers_to_wait_for(self, first, numbers):
        alone = {"encoder": None, "strategy": "feature_extraction"}
        one, other = (
            first(**alone, head_first=way).fit(*numbers) for way in (False, True)
        )
        assert (one.predict_proba(numbers[0]) == other.predict_proba(numbers[0])).all()

    def test_a_fit_that_goes_on_has_a_head_already(self, first, sentiment_texts):
        texts, labels = sentiment_texts
        model = first(warm_start=True).fit(texts[:16], labels[:16])
        model.fit(texts[:16], labels[:16])
        assert "part" not in model.history_[-1]
        model.partial_fit(texts[:16], labels[:16])
        assert model.predict(texts).shape == (len(texts),)

    def test_partial_fit_has_all_learn_at_once(self, first, sentiment_texts):
        texts, labels = sentiment_texts
        model = first().partial_fit(texts[:16], labels[:16], classes=["neg", "pos"])
        assert len(model.history_) == 1
        # Five times the usual one, for features this narrow.
        assert model.net_.rates["head_learning_rate"] == 5e-3

    def test_the_pull_is_towards_the_source(self, first, sentiment_texts):
        texts, labels = sentiment_texts
        source = first(hidden_layer_sizes=()).fit(texts[:32], labels[:32])
        far, near = (
            first(
                init_from=FrozenEstimator(source),
                l2_sp=strength,
                hidden_layer_sizes=(),
                encoder_learning_rate=1e-3,
            ).fit(texts[32:], ["neg" if y == "pos" else "pos" for y in labels[32:]])
            for strength in (0.0, 1e4)
        )
        source, far, near = (
            model.net_.module_.own_tensors()["head.output.weight"]
            for model in (source, far, near)
        )
        gaps = [(weight - source).abs().max() for weight in (near, far)]
        # A linear head is solved for at first, and that takes it far away.
        assert gaps[0] < 0.1 * gaps[1]


class TestTraining:
    @pytest.mark.slow
    def test_the_seed_makes_the_model(self, first, sentiment_texts):
        texts, labels = sentiment_texts
        torch_state = torch.get_rng_state()
        found = [
            first(random_state=seed)
            .fit(texts[:24], labels[:24])
            .decision_function(texts[:5])
            .tolist()
            for seed in (0, 0, 1)
        ]
        assert found[0] == found[1] != found[2]
        assert torch.equal(torch.get_rng_state(), torch_state)

    @pytest.mark.parametrize("sizes", [(4,), (8, 4)])
    def test_an_interrupt_keeps_the_head_and_leaves_the_layers(
        self, first, sentiment_texts, sizes
    ):
        class Interrupt(Callback):
            def on_batch_end(self, net, **kwargs):
                if len(net.history) == 3:
                    raise KeyboardInterrupt

        texts, labels = sentiment_texts
        model = first(callbacks=[Interrupt()], hidden_layer_sizes=sizes)
        with pytest.raises(KeyboardInterrupt):
            model.fit(texts[:32], labels[:32])
        assert {line["part"] for line in model.history_} == {"head"}
        before = dict(pretrained(model).named_parameters())
        now = model.net_.module_.body.named_parameters()
        assert all(torch.equal(p, before[name]) for name, p in now)
        assert model.predict(texts[:3]).shape == (3,)

    def test_a_saved_one_predicts_the_same(self, first, sentiment_texts, tmp_path):
        from sktransfer import load, save

        texts, labels = sentiment_texts
        model = first().fit(texts[:16], labels[:16])
        save(model, tmp_path / "model")
        opened = load(tmp_path / "model")
        np.testing.assert_allclose(
            opened.predict_proba(texts), model.predict_proba(texts), atol=1e-6
        )
        assert opened.head_first
        assert opened.history_[0]["part"] == "head"
