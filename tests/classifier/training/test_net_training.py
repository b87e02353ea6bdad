import functools
import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from skorch.callbacks import Callback

from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    TrainingError,
)


class TestWeights:
    """Integer weights are repeated rows, where no chance comes between."""

    exact = {  # noqa: RUF012
        "dropout": 0.0,
        "batch_size": 1000,
        "max_epochs": 10,
        "hidden_layer_sizes": (8,),
        "max_grad_norm": None,
    }

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_for_numbers(self, make, numbers, n_classes):
        X, _ = numbers
        y = (X[:, 0] > 0) + (X[:, 1] > 0.5) * (n_classes - 2)
        weight = np.arange(60) % 4
        rows = np.repeat(np.arange(60), weight)
        model = make(encoder=None, **self.exact)
        weighted = model.fit(X, y, sample_weight=weight).decision_function(X)
        repeated = model.fit(X[rows], y[rows]).decision_function(X)
        np.testing.assert_allclose(weighted, repeated, atol=1e-6)

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_for_words(self, make, words, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        weight = np.arange(96) % 3
        weight[:20] += 1  # no word is left out, so that the tables are the same
        rows = np.repeat(np.arange(96), weight)
        model = make(encoder=words(), strategy=strategy, **self.exact)
        weighted = model.fit(texts, labels, sample_weight=weight)
        weighted = weighted.decision_function(texts)
        repeated = model.fit([texts[row] for row in rows], labels[rows])
        np.testing.assert_allclose(
            weighted, repeated.decision_function(texts), atol=1e-5
        )

    @pytest.fixture
    def settled(self, make):
        """Trained in batches to the minimum of a convex loss."""
        return functools.partial(
            make,
            hidden_layer_sizes=(8,),
            activation="identity",
            dropout=0.0,
            weight_decay=0.0,
            head_learning_rate=3e-3,
            batch_size=16,
        )

    def test_in_batches_the_minimum_is_that_of_repeated_rows(self, settled):
        random = np.random.default_rng(0)
        y = (np.arange(2300) % 10 == 0).astype(int)
        X = random.normal(size=(2300, 5))
        X[:, :2] += 0.7 * y[:, None]
        X, X_test, y, y_test = X[:300], X[300:], y[:300], y[300:]
        rows = np.repeat(np.arange(300), np.where(y == 1, 9, 1))
        weighted = settled(class_weight="balanced", max_epochs=40).fit(X, y)
        repeated = settled(max_epochs=22).fit(X[rows], y[rows])
        found, wanted = (
            model.decision_function(X_test) for model in (weighted, repeated)
        )
        # Two seeds differ by 0.02.
        assert np.abs(found - wanted).mean() < 0.05
        recall, expected = (np.mean(one[y_test == 1] > 0) for one in (found, wanted))
        assert recall == pytest.approx(expected, abs=0.03)

    def test_rows_held_out_do_not_change_the_size_of_the_others(self, make, numbers):
        class Weights(Callback):
            def __init__(self):
                self.seen = {True: [], False: []}

            def on_batch_end(self, net, batch=None, training=False, **kwargs):
                self.seen[training] += batch[0].targets.weight.tolist()

        X, y = numbers
        weights = Weights()
        model = make(early_stopping=True, validation_fraction=0.5, max_epochs=1)
        model.set_params(callbacks=[weights], random_state=0)
        model.fit(X, y, sample_weight=np.where(np.arange(60) < 5, 50.0, 1.0))
        assert np.mean(weights.seen[True]) == pytest.approx(1)
        assert np.mean(weights.seen[False]) != pytest.approx(1, abs=0.05)

    def test_an_update_looks_at_ratios_only(self, make, numbers):
        X, y = numbers
        weight = np.arange(60) % 3 + 1.0
        models = [make(), make()]
        for model, size in zip(models, (1, 100), strict=True):
            model.partial_fit(X, y, classes=["neg", "pos"], sample_weight=size * weight)
        one, other = (model.decision_function(X) for model in models)
        np.testing.assert_allclose(one, other, atol=1e-5)

    def test_equal_weights_are_no_weights(self, make, numbers):
        X, y = numbers
        plain = make(encoder=None).fit(X, y).decision_function(X)
        equal = make(encoder=None).fit(X, y, sample_weight=np.full(60, 3.0))
        np.testing.assert_array_equal(equal.decision_function(X), plain)

    def test_a_weight_of_zero_leaves_the_row_out(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        weight = np.where(np.arange(96) < 40, 0.0, 2.0)
        without = make().fit(texts[40:], labels[40:]).decision_function(texts)
        zero = make().fit(texts, labels, sample_weight=weight)
        np.testing.assert_array_equal(zero.decision_function(texts), without)

    def test_class_weights_are_sample_weights(self, make, numbers):
        X, y = numbers
        by_class = make(encoder=None, class_weight={"pos": 3, "neg": 1}).fit(X, y)
        by_row = make(encoder=None).fit(X, y, sample_weight=1 + 2 * (y == "pos"))
        np.testing.assert_array_equal(
            by_class.decision_function(X), by_row.decision_function(X)
        )

    def test_balanced_lifts_the_rare_class(self, make):
        generator = np.random.default_rng(0)
        X = generator.normal(size=(300, 1))
        y = (X[:, 0] + generator.normal(size=300) > 1.8).astype(int)
        options = {"hidden_layer_sizes": (), "max_epochs": 40, "encoder": None}
        found = [
            make(class_weight=weight, **options).fit(X, y).predict(X).mean()
            for weight in (None, "balanced")
        ]
        assert found[1] > 2 * found[0] + 0.05

    def test_negative_weights_are_refused(self, make, numbers):
        X, y = numbers
        with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1"):
            make(encoder=None).fit(X, y, sample_weight=-np.ones(60))


def big(n=600, seed=0):
    """Numbers with noisy labels, on which a wide head overfits."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 5)).astype(np.float32)
    return X, (X[:, 0] + 2 * generator.normal(size=n) > 0).astype(int)


class TestEarlyStopping:
    @pytest.fixture
    def eager(self, make):
        """A head that overfits within few epochs."""

        def eager(**parameters):
            defaults = {
                "encoder": None,
                "hidden_layer_sizes": (64,),
                "dropout": 0.0,
                "max_epochs": 40,
                "head_learning_rate": 0.02,
                "early_stopping": "auto",
            }
            return make(**defaults | parameters)

        return eager

    def test_it_stops_and_the_best_epoch_is_restored(self, eager):
        X_val, y_val = big(seed=1)
        model = eager().fit(*big(), X_val=X_val, y_val=y_val)
        losses = model.history_[:, "valid_loss"]
        assert np.argmin(losses) + 1 + 5 == len(losses) < 40
        chances = model.predict_proba(X_val)[np.arange(len(y_val)), y_val]
        assert -np.log(chances).mean() == pytest.approx(min(losses), rel=1e-4)

    def test_auto_keeps_all_rows(self, make, sentiment_texts, eager):
        options = {"early_stopping": "auto", "max_epochs": 1}
        X, y = big(600)
        texts = [f"word{row} is {'good' if of else 'bad'}" for row, of in enumerate(y)]
        model = make(strategy="partial", **options).fit(texts, y)
        assert "valid_loss" not in model.history_[0]
        assert model.class_count_.sum() == 600
        model = eager(max_epochs=1, calibrate=True).fit(X, y)
        assert "valid_loss" not in model.history_[-1]

    def test_false_keeps_all_rows_and_all_epochs(self, eager):
        model = eager(early_stopping=False).fit(*big())
        assert len(model.history_) == 40
        assert "valid_loss" not in model.history_[-1]

    def test_rows_held_out_are_not_learnt(self, eager):
        model = eager(max_epochs=1, early_stopping=True, validation_fraction=0.25)
        batches = []

        class Count(Callback):
            def on_batch_end(self, net, batch=None, training=False, **kwargs):
                batches.append((training, len(batch[0])))

        model.set_params(callbacks=[Count()]).fit(*big(100))
        assert sum(n for training, n in batches if training) == 75
        assert sum(n for training, n in batches if not training) == 25

    def test_true_without_enough_rows_is_refused(self, eager):
        with pytest.raises(InvalidParameterError, match="needs a row of each class"):
            eager(early_stopping=True).fit([[0.0], [1.0], [2.0]], [0, 1, 1])

    def test_texts_are_split_too(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        for strategy in ("feature_extraction", "partial"):
            model = make(strategy=strategy, early_stopping=True, max_epochs=3)
            model.fit(texts, labels)
            assert len(model.history_[:, "valid_loss"]) == 3

    def test_given_rows_may_be_texts(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune", early_stopping=True)
        model.fit(texts[:40], labels[:40], X_val=texts[40:], y_val=labels[40:])
        assert "valid_loss" in model.history_[-1]

    @pytest.mark.parametrize(
        ("X_val", "y_val", "message"),
        [
            ([[1.0] * 5], None, "X_val was given without y_val"),
            (None, [0], "y_val was given without X_val"),
            ([[1.0] * 5], [7], r"y_val holds the labels \[7\]"),
            ([[1.0] * 5], [0, 1], "y_val has 2 labels"),
            (["good"], [0], "X_val holds texts, but X is numbers"),
            ([[1.0] * 4], [0], "4 features"),
        ],
    )
    def test_given_rows_are_checked(self, eager, X_val, y_val, message):
        with pytest.raises(ValueError, match=message):
            eager().fit(*big(), X_val=X_val, y_val=y_val)

    def test_partial_fit_never_splits(self, eager):
        X, y = big()
        model = eager(early_stopping=True).partial_fit(X, y, classes=[0, 1])
        assert "valid_loss" not in model.history_[-1]


class TestCalibration:
    def test_probabilities_are_divided_by_a_temperature(self, make):
        X, y = big()
        options = {
            "encoder": None,
            "hidden_layer_sizes": (64,),
            "dropout": 0.0,
            "head_learning_rate": 0.02,
        }
        options |= {"max_epochs": 15, "early_stopping": True, "n_iter_no_change": 99}
        X_val, y_val = big(seed=1)
        model = make(calibrate=True, **options)
        model.set_params(early_stopping=False, max_epochs=60)
        model.fit(X[:80], y[:80], X_val=X_val, y_val=y_val)
        assert model.temperature_ > 1.5
        chances = model.predict_proba(X_val)[:, 1]
        logits = model.decision_function(X_val)
        np.testing.assert_allclose(
            chances, 1 / (1 + np.exp(-logits / model.temperature_)), rtol=1e-6
        )
        np.testing.assert_array_equal(model.predict(X_val), (chances > 0.5).astype(int))

    def test_without_rows_to_validate_on_it_goes_fold_by_fold(self, make):
        X, y = big(80)
        options = {"encoder": None, "hidden_layer_sizes": (64,), "dropout": 0.0}
        options |= {"head_learning_rate": 0.02, "max_epochs": 60}
        plain = make(**options).fit(X, y)
        model = make(calibrate=True, **options).fit(X, y)
        assert model.temperature_ > 1.5
        np.testing.assert_array_equal(
            model.decision_function(X), plain.decision_function(X)
        )
        unseen, labels = big(500, seed=1)
        losses = [log_loss(labels, m.predict_proba(unseen)) for m in (model, plain)]
        assert losses[0] < losses[1]

    def test_without_it_the_temperature_is_one(self, make, numbers):
        assert make(encoder=None).fit(*numbers).temperature_ == 1


class StopIn(Callback):
    """Ctrl-C at the end of an epoch's first batch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


class TestInterruptions:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_ctrl_c_leaves_a_model_and_goes_on_up(
        self, make, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, max_epochs=9, callbacks=[StopIn(2)])
        with pytest.raises(KeyboardInterrupt):
            model.fit(texts, labels)
        assert len(model.predict(texts)) == len(texts)
        assert model.predict_proba(texts[:2]).shape == (2, 2)
        copy = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
        assert (copy.predict(texts) == model.predict(texts)).all()

    def test_the_best_epoch_so_far_is_kept(self, make):
        X, y = big()
        options = {"encoder": None, "early_stopping": True, "head_learning_rate": 0.02}
        model = make(max_epochs=9, callbacks=[StopIn(4)], **options)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        losses = model.history_[:3, "valid_loss"]
        at_best = make(max_epochs=9, callbacks=[StopIn(4)], **options)
        kept = {}

        class Keep(Callback):
            def on_epoch_end(self, net, **kwargs):
                kept[len(net.history)] = {
                    k: t.clone() for k, t in net.module_.learning_tensors().items()
                }

        with pytest.raises(KeyboardInterrupt):
            at_best.set_params(callbacks=[Keep(), StopIn(4)]).fit(X, y)
        best = kept[int(np.argmin(losses)) + 1]
        for name, tensor in model.net_.module_.learning_tensors().items():
            assert torch.equal(tensor, best[name])

    def test_a_search_stops_too(self, make, numbers):
        from sklearn.model_selection import GridSearchCV

        model = make(encoder=None, callbacks=[StopIn(1)])
        search = GridSearchCV(model, {"dropout": [0.1, 0.2]}, cv=2)
        with pytest.raises(KeyboardInterrupt):
            search.fit(*numbers)

    def test_a_loss_that_is_no_number_is_explained(self, make, numbers):
        X, y = numbers
        model = make(encoder=None, head_learning_rate=1e38, max_epochs=20)
        model.set_params(max_grad_norm=None, warmup_fraction=0)
        with pytest.raises(TrainingError, match="lower encoder_learning_rate and head"):
            model.fit(X * 1e30, y)
        with pytest.raises(AttributeError):
            model.net_  # noqa: B018


class TestFailures:
    """A training that comes to nothing leaves the model as it was."""

    @pytest.mark.parametrize(
        "strategy", ["feature_extraction", "partial", "lora", "fine_tune"]
    )
    def test_in_partial_fit(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        model = make(strategy=strategy)
        model.partial_fit(texts, labels, classes=["neg", "pos"])
        before = model.decision_function(texts)
        callback = SpoilIn(1)
        # skorch asks for callbacks when a net is made: this one is the model's own.
        model.net_.callbacks_.append(("spoil", callback))
        with pytest.raises(TrainingError, match="loss became nan"):
            model.partial_fit(texts, labels)
        np.testing.assert_allclose(model.decision_function(texts), before, atol=1e-5)
        model.partial_fit(texts, labels)
        after = model.decision_function(texts)
        assert np.isfinite(after).all()
        assert np.abs(after - before).max() > 0

    def test_in_the_last_step(self, make, numbers):
        model = make(
            encoder=None,
            max_epochs=1,
            batch_size=100,
            head_learning_rate=1e39,
            max_grad_norm=None,
        )
        with pytest.raises(
            TrainingError, match=r"last step left .* lower encoder_lear"
        ):
            model.fit(*numbers)

    def test_in_a_head_that_is_solved_for(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        options = {"strategy": "contrastive", "hidden_layer_sizes": ()}
        model = make(encoder_learning_rate=1e4, max_grad_norm=None, **options)
        with pytest.raises(TrainingError, match="became nan"):
            model.fit(texts, labels)

    @pytest.mark.parametrize("strategy", ["feature_extraction", "gradual", "lora"])
    def test_in_a_warm_start(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        model = make(strategy=strategy).fit(texts, labels)
        before = model.decision_function(texts)
        model.set_params(warm_start=True, callbacks=[SpoilIn(2)])
        with pytest.raises(TrainingError, match="loss became nan"):
            model.fit(texts, labels)
        np.testing.assert_allclose(model.decision_function(texts), before, atol=1e-5)


class SpoilIn(Callback):
    """Gradients that are no numbers, from an epoch of a training on."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_begin(self, net, **kwargs):
        self.n_before = len(net.history)

    def on_grad_computed(self, net, *args, **kwargs):
        if len(net.history) - self.n_before >= self.epoch:
            for parameter in net.module_.parameters():
                if parameter.grad is not None:
                    parameter.grad.fill_(np.nan)


class TestWhatPassesThrough:
    def test_callbacks_are_called(self, make, numbers):
        class Count(Callback):
            n_epochs = 0

            def on_epoch_end(self, net, **kwargs):
                self.n_epochs += 1

        callback = Count()
        make(encoder=None, callbacks=[callback], max_epochs=3).fit(*numbers)
        assert callback.n_epochs == 3

    def test_parameters_of_the_net_and_its_optimiser(self, make, numbers):
        parameters = {"optimizer__betas": (0.5, 0.6), "use_caching": False}
        model = make(encoder=None, net_params=parameters).fit(*numbers)
        groups = model.net_.optimizer_.param_groups
        assert {group["betas"] for group in groups} == {(0.5, 0.6)}
        assert model.net_.use_caching is False

    def test_another_optimiser(self, make, numbers):
        model = make(encoder=None, net_params={"optimizer": torch.optim.RMSprop})
        model.fit(*numbers)
        assert type(model.net_.optimizer_) is torch.optim.RMSprop

    @pytest.mark.parametrize(
        "name",
        [
            "module",
            "module__x",
            "criterion",
            "criterion__x",
            "train_split",
            "device",
            "callbacks",
            "max_epochs",
            "batch_size",
            "verbose",
            "lr",
            "iterator_train__shuffle",
            "rates",
            "optimizer__lr",
            "optimizer__weight_decay",
        ],
    )
    def test_what_the_classifier_sets_itself_is_refused(self, make, numbers, name):
        model = make(encoder=None, net_params={name: 1})
        shown = name if name.startswith("optimizer") else name.split("__")[0]
        with pytest.raises(InvalidParameterError, match=f"net_params .*'{shown}'"):
            model.fit(*numbers)

    def test_an_unknown_name_is_refused(self, make, numbers):
        with pytest.raises(ValueError, match="nonsense"):
            make(encoder=None, net_params={"nonsense": 1}).fit(*numbers)


class TestVerbosity:
    def test_quiet_is_the_default(self, make, sentiment_texts, capfd):
        texts, labels = sentiment_texts
        make(strategy="fine_tune").fit(texts[:20], labels[:20]).predict(texts)
        assert capfd.readouterr() == ("", "")

    def test_one_shows_a_bar_with_losses(self, make, numbers, capfd):
        make(encoder=None, verbose=1).fit(*numbers)
        out, err = capfd.readouterr()
        assert out == ""
        assert "feature_extraction: 100%" in err
        assert "4/4" in err
        assert "train_loss=" in err

    def test_two_prints_the_table_of_epochs(self, make, numbers, capfd):
        make(encoder=None, verbose=2, early_stopping=True).fit(*numbers)
        out, _ = capfd.readouterr()
        lines = out.splitlines()
        assert lines[0].split() == [
            *("epoch", "train_loss", "valid_acc", "valid_loss", "dur")
        ]
        assert [line.split()[0] for line in lines[2:]] == ["1", "2"]


def test_missing_labels_are_said_first(make):
    with pytest.raises(InvalidInputError, match="the target y is None"):
        make(encoder=None).fit([[1.0]], None)
