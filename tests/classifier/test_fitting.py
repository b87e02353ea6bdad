import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, EarlyStopping

from sktransfer.classifier.network.network import find_temperature
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

CLASSES = ["neg", "pos"]


def body_of(model):
    return {n: p.clone() for n, p in model.net_.module_.body.named_parameters()}


class TestAnotherStrategyLater:
    """What was only read from learns, once the strategy says so."""

    @pytest.mark.parametrize(
        "strategy", ["partial", "gradual", "lora", "fine_tune", "contrastive"]
    )
    def test_in_a_warm_start(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        model = make().fit(texts, labels)
        head = model.n_trainable_parameters_
        model.set_params(strategy=strategy, warm_start=True, max_epochs=3)
        model.fit(texts[:32], labels[:32])
        assert model.net_.module_.body.tuned
        if strategy != "contrastive":
            assert model.n_trainable_parameters_ > head

    @pytest.mark.parametrize("kind", ["bert", "words"])
    def test_scale_and_head_are_those_of_the_first_fit(
        self, make, words, sentiment_texts, kind
    ):
        texts, labels = sentiment_texts
        encoder = {"encoder": words()} if kind == "words" else {}
        model = make(**encoder, head_learning_rate=0.01).fit(texts, labels)
        before = model.net_.module_.own_tensors()
        still = {"encoder_learning_rate": 0.0, "head_learning_rate": 0.0}
        model.set_params(strategy="fine_tune", warm_start=True, **still)
        now = model.fit(texts[:20], labels[:20]).net_.module_.own_tensors()
        assert before.keys() == now.keys()
        assert all(torch.equal(before[name], tensor) for name, tensor in now.items())

    def test_in_partial_fit(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make().partial_fit(texts, labels, classes=CLASSES)
        model.set_params(strategy="fine_tune").partial_fit(texts, labels)
        first = body_of(model)
        model.partial_fit(texts, labels)
        assert any((first[n] != p).any() for n, p in body_of(model).items())

    def test_what_an_encoder_does_not_offer_is_refused(
        self, make, words, sentiment_texts
    ):
        texts, labels = sentiment_texts
        for encoder, strategy in ((words(), "partial"), (TfidfVectorizer(), "lora")):
            model = make(encoder=encoder).fit(texts, labels)
            before = model.decision_function(texts)
            model.set_params(strategy=strategy, warm_start=True)
            with pytest.raises(InvalidParameterError, match=f"strategy='{strategy}'"):
                model.fit(texts, labels)
            np.testing.assert_array_equal(model.decision_function(texts), before)


class Fail(Callback):
    """An error of somebody's own, in the second epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise OSError("no space left")


class TestFailures:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "lora", "fine_tune"])
    def test_any_error_leaves_the_model_as_it_was(
        self, make, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, encoder_learning_rate=0.01).fit(texts, labels)
        before = model.decision_function(texts)
        model.set_params(warm_start=True, callbacks=[Fail()])
        with pytest.raises(OSError, match="no space left"):
            model.fit(texts, labels)
        np.testing.assert_allclose(model.decision_function(texts), before, atol=1e-5)


class TestEarlyStoppingOfSkorch:
    def test_it_ends_a_training_and_not_the_program(self, make, numbers):
        patient = EarlyStopping("train_loss", patience=2, threshold=10.0, sink=print)
        model = make(encoder=None, max_epochs=20, callbacks=[patient]).fit(*numbers)
        assert len(model.history_) == 3

    @pytest.mark.parametrize(
        "options",
        [{"strategy": "fine_tune", "head_first": True}, {"strategy": "contrastive"}],
    )
    @pytest.mark.parametrize("monitor", ["valid_loss", "train_loss"])
    def test_where_parts_learn_in_turn(self, make, sentiment_texts, options, monitor):
        texts, labels = sentiment_texts
        patient = ("patient", EarlyStopping(monitor, patience=1, threshold=10.0))
        model = make(callbacks=[patient], max_epochs=9, **options)
        model.fit(texts[:40], labels[:40], X_val=texts[40:], y_val=labels[40:])
        parts = [line["part"] for line in model.history_]
        assert len(set(parts)) == 2
        assert parts.count(parts[-1]) == 2
        assert (parts.count(parts[0]) == 2) is (monitor == "train_loss")

    def test_a_score_that_does_not_exist_is_an_error(self, make, numbers):
        model = make(encoder=None, callbacks=[EarlyStopping("valid_loss")])
        with pytest.raises(InvalidParameterError, match="pass early_stopping=True"):
            model.fit(*numbers)


class TestRowsToValidateOn:
    @pytest.fixture
    def model(self, make):
        return make(encoder=None, calibrate=True, dropout=0.0)

    def test_their_weights_count_in_losses_and_in_the_temperature(self, model, numbers):
        X, y = numbers
        given = {"X_val": X[40:], "y_val": y[40:]}
        plain = model.fit(X[:40], y[:40], **given)
        losses, temperature = plain.history_[:, "valid_loss"], plain.temperature_
        equal = {"sample_weight_val": np.full(20, 3.0)}
        model.fit(X[:40], y[:40], **given, **equal)
        assert model.history_[:, "valid_loss"] == losses
        assert model.temperature_ == temperature
        uneven = {"sample_weight_val": np.arange(20.0)}
        model.fit(X[:40], y[:40], **given, **uneven)
        assert model.history_[:, "valid_loss"] != losses
        assert model.temperature_ != temperature

    def test_those_of_weight_0_are_left_out(self, model, numbers):
        X, y = numbers
        weight = np.repeat([1.0, 0.0], 10)
        given = {"X_val": X[40:], "y_val": y[40:], "sample_weight_val": weight}
        found = model.fit(X[:40], y[:40], **given).history_[:, "valid_loss"]
        model.fit(X[:40], y[:40], X_val=X[40:50], y_val=y[40:50])
        assert model.history_[:, "valid_loss"] == found

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            ([1.0], r"sample_weight_val=\[1.0\] cannot be used"),
            ([-1.0] * 20, r"sample_weight_val\[0\] is -1.0"),
            # In the words of scikit-learn, or, before 1.7, in ours.
            ([0.0] * 20, r"sample_weight_val(=\[0.* cannot be| is 0 for every row)"),
        ],
    )
    def test_weights_that_cannot_be_used(self, model, numbers, weight, message):
        X, y = numbers
        given = {"X_val": X[40:], "y_val": y[40:], "sample_weight_val": weight}
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X[:40], y[:40], **given)

    def test_weights_of_no_rows(self, model, numbers):
        with pytest.raises(InvalidInputError, match="given without X_val and y_val"):
            model.fit(*numbers, sample_weight_val=[1.0] * 60)

    def test_they_go_by_their_names(self, model, numbers):
        X, y = numbers
        with pytest.raises(TypeError, match="positional arguments"):
            model.fit(X, y, None, X, y)


class TestTemperatureOfTunedLayers:
    """Asked for by calibrate=True, without rows to validate on."""

    @pytest.fixture
    def noisy(self, sentiment_texts):
        texts, labels = sentiment_texts[0][:20], sentiment_texts[1][:20].copy()
        labels[::4] = labels[::-4]
        return texts, labels

    def test_networks_that_lacked_a_fold_tell_it(self, make, noisy):
        texts, labels = noisy
        model = make(strategy="partial", n_trainable_layers=1, max_epochs=1)
        rough = clone(model).fit(texts, labels)
        folds = np.zeros(20, dtype=int)
        for name in CLASSES:
            folds[labels == name] = np.arange((labels == name).sum()) % 5
        logits = np.zeros(20)
        for fold in range(5):
            part = [texts[row] for row in np.flatnonzero(folds != fold)]
            found = clone(model).fit(part, labels[folds != fold])
            rest = [texts[row] for row in np.flatnonzero(folds == fold)]
            logits[folds == fold] = found.decision_function(rest)
        wanted = find_temperature(
            logits[:, None], (labels == "pos").astype(int), np.ones(20)
        )
        model.set_params(calibrate=True).fit(texts, labels)
        assert model.temperature_ == pytest.approx(wanted, rel=1e-2)
        assert model.temperature_ != pytest.approx(rough.temperature_, rel=0.05)
        # The model itself is the same.
        np.testing.assert_allclose(
            model.decision_function(texts), rough.decision_function(texts), atol=1e-6
        )

    @pytest.mark.parametrize(
        "changed", [{"hidden_layer_sizes": ()}, {"warm_start": True}]
    )
    def test_others_do_without(self, make, noisy, changed, monkeypatch):
        model = make(strategy="partial", n_trainable_layers=1, max_epochs=1, **changed)
        model.fit(*noisy).set_params(calibrate=True)
        monkeypatch.setattr("sktransfer.classifier.fitting._calibrate_by_folds", None)
        model.fit(*noisy)

    def test_an_interrupt_leaves_what_the_head_has_by_itself(
        self, make, noisy, monkeypatch
    ):
        def interrupt(rows, fit):
            raise KeyboardInterrupt

        monkeypatch.setattr(
            "sktransfer.classifier.fitting.temperature_from_folds", interrupt
        )
        model = make(strategy="partial", n_trainable_layers=1)
        expected = model.fit(*noisy).temperature_
        with pytest.raises(KeyboardInterrupt):
            model.set_params(calibrate=True).fit(*noisy)
        assert model.temperature_ == expected


class TestUpdates:
    def test_they_are_pulled_to_the_source_in_each_call(self, make, numbers):
        X, y = numbers
        source = make(encoder=None, hidden_layer_sizes=()).fit(X, y)
        wanted = source.decision_function(X)
        drift = {}
        for l2_sp in (0.0, 1e4):
            model = make(
                encoder=None,
                hidden_layer_sizes=(),
                init_from=FrozenEstimator(source),
                l2_sp=l2_sp,
                head_learning_rate=0.1,
            )
            for _ in range(5):
                model.partial_fit(X, y, classes=CLASSES)
            drift[l2_sp] = np.abs(model.decision_function(X) - wanted).max()
        # A pull this strong leaves the last step alone.
        assert drift[1e4] < 0.5 * drift[0.0]
        n_groups = len(model.net_.optimizer_.param_groups)
        model.partial_fit(X, y)
        assert len(model.net_.optimizer_.param_groups) == n_groups

    @pytest.mark.parametrize(
        "changed", [{"head_learning_rate": 0.0}, {"max_grad_norm": 1e-30}]
    )
    def test_changed_parameters_hold_from_the_next_call(self, make, numbers, changed):
        X, y = numbers
        # Plain gradient descent shows the length of a step, which AdamW makes up for.
        model = make(
            encoder=None,
            weight_decay=0.0,
            net_params={"optimizer": torch.optim.SGD},
        )
        model.partial_fit(X, y, classes=CLASSES)
        before = model.decision_function(X)
        model.set_params(**changed).partial_fit(X, y)
        np.testing.assert_allclose(model.decision_function(X), before, atol=1e-6)

    def test_a_callback_that_joins_later_is_called(self, make, numbers):
        class Count(Callback):
            n_epochs = 0

            def on_epoch_end(self, net, **kwargs):
                self.n_epochs += 1

        count, callbacks = Count(), []
        model = make(encoder=None, callbacks=callbacks)
        model.partial_fit(*numbers, classes=CLASSES)
        optimizer = model.net_.optimizer_
        model.partial_fit(*numbers)
        assert model.net_.optimizer_ is optimizer
        callbacks.append(count)
        model.partial_fit(*numbers)
        assert count.n_epochs == 1

    def test_one_class_is_not_enough(self, make, numbers):
        X, _ = numbers
        with pytest.raises(InvalidParameterError, match=r"classes=\['neg'\] names 1"):
            make(encoder=None).partial_fit(X, ["neg"] * 60, classes=["neg"])

    def test_rows_that_weigh_nothing_teach_nothing(self, make, numbers):
        X, y = numbers
        model = make(encoder=None, class_weight={"neg": 0, "pos": 1})
        model.partial_fit(X, y, classes=CLASSES)
        before = model.decision_function(X)
        only = y == "neg"
        with pytest.raises(InvalidInputError, match="leaves no row with a weight"):
            model.partial_fit(X[only], y[only])
        np.testing.assert_array_equal(model.decision_function(X), before)


def test_a_fitted_model_holds_no_rows_to_validate_on(make, sentiment_texts):
    texts, labels = sentiment_texts
    options = {"strategy": "partial", "n_trainable_layers": 1, "early_stopping": True}
    model = make(**options).fit(texts, labels)
    many = make(**options, validation_fraction=0.6).fit(texts, labels)
    given = {"X_val": texts * 20, "y_val": np.tile(labels, 20)}
    held_out = make(**options).fit(texts, labels, **given)
    assert model.net_.train_split is None
    small = len(pickle.dumps(model))
    # The losses of their batches stay in the history.
    assert abs(len(pickle.dumps(many)) - small) < 5000
    assert abs(len(pickle.dumps(held_out)) - small) < 5000
