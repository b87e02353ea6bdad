"""What skorch documents of callbacks, of the history and of a net, on our nets."""

import copy
import functools
import inspect
import pickle
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import f1_score, get_scorer, make_scorer
from skorch import callbacks as of_skorch
from skorch.dataset import Dataset
from skorch.history import History
from torch.utils.data import Subset

from sktransfer import load, save
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

KINDS = ["numbers", "frozen texts", "tuned texts"]


@pytest.fixture
def kind(request):
    return request.param


@pytest.fixture
def parts(kind, numbers, sentiment_texts):
    """Rows to learn from and rows to validate on, with their labels."""
    X, y = numbers if kind == "numbers" else sentiment_texts
    return (X[:32], y[:32]), (X[32:60], y[32:60])


@pytest.fixture
def fit(kind, parts, make):
    """Fit two epochs on a kind of rows, with callbacks and others to validate on."""
    how = {
        "numbers": {"encoder": None},
        "frozen texts": {},
        "tuned texts": {"strategy": "partial", "n_trainable_layers": 1},
    }[kind]

    def fit(*callbacks, **parameters):
        model = make(callbacks=list(callbacks), **how | parameters)
        (X, y), (X_val, y_val) = parts
        return model.fit(X, y, X_val=X_val, y_val=y_val)

    return fit


class Norms(of_skorch.Callback):
    """Lengths of gradients, as they are when it is this callback's turn."""

    def initialize(self):
        self.seen = []
        return self

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grads = [p.grad for _, p in named_parameters if p.grad is not None]
        self.seen.append(float(torch.cat([g.ravel() for g in grads]).norm()))


def right_share(net, X, y):
    return float(np.mean(net.predict(X) == y))


def own_loss(net, X, y):
    chances = net.predict_proba(X)[np.arange(len(y)), np.searchsorted(net.classes_, y)]
    return float(-np.log(chances).mean())


def scored(name, scoring, **options):
    return lambda at: [of_skorch.EpochScoring(scoring, name=name, **options)]


def equals(name, other, factor=1.0):
    def check(model, at):
        found, wanted = model.history_[:, name], model.history_[:, other]
        np.testing.assert_allclose(found, factor * np.array(wanted), rtol=1e-5)
        assert f"{name}_best" in model.history_[-1]

    return check


def stops_early(model, at):
    assert model.n_iter_ == 2


def has(*names):
    def check(model, at):
        for line in model.history_:
            assert set(names) <= set(line)

    return check


def has_files(*names):
    def check(model, at):
        assert {path.name for path in at.iterdir()} == set(names)

    return check


def is_in_a_pickle(model, at):
    has_files(*FILES, "net.pkl")(model, at)
    net = pickle.loads(at.joinpath("net.pkl").read_bytes())
    assert net.train_split is None
    assert net.module_.layout == model.net_.module_.layout
    assert (
        net.history[:, "valid_acc"] == model.history_[: len(net.history), "valid_acc"]
    )


def is_share(name):
    def check(model, at):
        assert all(0 <= value <= 1 for value in model.history_[:, name])

    return check


def never_patient(*monitor, **options):
    """Early stopping that no improvement satisfies."""
    options = {"patience": 1, "threshold": 10.0, "sink": print} | options
    return lambda at: [of_skorch.EarlyStopping(*monitor, **options)]


FILES = ("params.pt", "optimizer.pt", "criterion.pt", "history.json")
# Callbacks, made for a folder, and what of a fitted model shows that they were called.
CASES = {
    "EpochScoring by name": (
        scored("mine", "accuracy", lower_is_better=False),
        equals("mine", "valid_acc"),
    ),
    "EpochScoring by name without caching": (
        scored("mine", "accuracy", lower_is_better=False, use_caching=False),
        equals("mine", "valid_acc"),
    ),
    "EpochScoring by a function": (
        scored("mine", right_share, lower_is_better=False),
        equals("mine", "valid_acc"),
    ),
    "EpochScoring by a function without caching": (
        scored("mine", own_loss, use_caching=False),
        equals("mine", "valid_loss"),
    ),
    "EpochScoring by the score of the net": (
        scored("mine", None, lower_is_better=False),
        equals("mine", "valid_acc"),
    ),
    "EpochScoring by probabilities": (
        scored("mine", "neg_log_loss", lower_is_better=False),
        equals("mine", "valid_loss", -1),
    ),
    "EpochScoring by a metric of scikit-learn": (
        scored("mine", make_scorer(f1_score, pos_label="pos")),
        is_share("mine"),
    ),
    "EpochScoring while it learns": (
        scored("mine", "accuracy", on_train=True),
        is_share("mine"),
    ),
    "EpochScoring while it learns without caching": (
        scored("mine", "f1_macro", on_train=True, use_caching=False),
        is_share("mine"),
    ),
    "several EpochScorings without names": (
        lambda at: [
            of_skorch.EpochScoring("roc_auc"),
            of_skorch.EpochScoring("f1_micro"),
        ],
        has("roc_auc", "roc_auc_best", "f1_micro"),
    ),
    "BatchScoring": (
        lambda at: [of_skorch.BatchScoring("accuracy", lower_is_better=False)],
        equals("accuracy", "valid_acc"),
    ),
    "BatchScoring without caching": (
        lambda at: [of_skorch.BatchScoring(right_share, use_caching=False)],
        equals("right_share", "valid_acc"),
    ),
    "BatchScoring while it learns": (
        lambda at: [of_skorch.BatchScoring("accuracy", name="mine", on_train=True)],
        is_share("mine"),
    ),
    "PassthroughScoring": (
        lambda at: [of_skorch.PassthroughScoring("valid_loss")],
        has("valid_loss", "valid_loss_best"),
    ),
    "EarlyStopping": (never_patient(), stops_early),
    "EarlyStopping by accuracy": (
        never_patient("valid_acc", lower_is_better=False),
        stops_early,
    ),
    "EarlyStopping by what it learns from": (never_patient("train_loss"), stops_early),
    "EarlyStopping by the user's score": (
        lambda at: [
            *scored("mine", own_loss)(at),
            *never_patient("mine", load_best=True)(at),
        ],
        stops_early,
    ),
    "Checkpoint": (
        lambda at: [of_skorch.Checkpoint(dirname=str(at), load_best=True)],
        has_files(*FILES),
    ),
    "Checkpoint by accuracy, in safetensors": (
        lambda at: [
            of_skorch.Checkpoint(
                "valid_acc_best",
                dirname=str(at),
                fn_prefix="best_",
                f_optimizer=None,
                use_safetensors=True,
                load_best=True,
            )
        ],
        has_files(*(f"best_{name}" for name in FILES if name != "optimizer.pt")),
    ),
    "Checkpoint of the whole net": (
        lambda at: [of_skorch.Checkpoint(dirname=str(at), f_pickle="net.pkl")],
        is_in_a_pickle,
    ),
    "TrainEndCheckpoint": (
        lambda at: [of_skorch.TrainEndCheckpoint(dirname=str(at))],
        has_files(*(f"train_end_{name}" for name in FILES)),
    ),
    "ProgressBar": (lambda at: [of_skorch.ProgressBar()], has("dur")),
    "PrintLog": (
        lambda at: [of_skorch.PrintLog(sink=(at / "log").write_text)],
        has_files("log"),
    ),
    "EpochTimer": (lambda at: [of_skorch.EpochTimer()], has("dur")),
    "LRScheduler": (
        lambda at: [of_skorch.LRScheduler("StepLR", step_size=1)],
        has("event_lr"),
    ),
    "LRScheduler by plateaus": (
        lambda at: [of_skorch.LRScheduler("ReduceLROnPlateau", monitor="valid_loss")],
        has("event_lr"),
    ),
    "WarmRestartLR": (
        lambda at: [of_skorch.LRScheduler("WarmRestartLR", max_lr=1e-3)],
        has("event_lr"),
    ),
    "pairs, classes and both": (
        lambda at: [
            ("again", of_skorch.EpochScoring("accuracy", name="mine")),
            of_skorch.EarlyStopping,
            ("clock", of_skorch.EpochTimer),
        ],
        equals("mine", "valid_acc"),
    ),
}


@pytest.mark.parametrize("kind", KINDS, indirect=True)
class TestCallbacks:
    @pytest.mark.parametrize("case", CASES)
    def test_they_work(self, fit, tmp_path, case, capfd):
        callbacks, check = CASES[case]
        model = fit(*callbacks(tmp_path), max_epochs=2 if "Early" not in case else 9)
        check(model, tmp_path)
        assert {"train_loss", "valid_loss", "valid_acc"} <= set(model.history_[-1])

    def test_a_scorer_says_of_the_last_epoch_what_it_says_of_the_model(
        self, kind, fit, parts
    ):
        names = ("roc_auc", "f1_macro", "neg_log_loss")
        model = fit(*(of_skorch.EpochScoring(name) for name in names))
        for name in names if kind != "tuned texts" else ():
            wanted = get_scorer(name)(model, *parts[1])
            assert model.history_[-1, name] == pytest.approx(wanted, rel=1e-5)

    def test_gradients_are_clipped(self, fit):
        norms = Norms()
        fit(of_skorch.GradientNormClipping(1e-3), norms)
        assert 0 < max(norms.seen) <= 1.001e-3

    def test_parameters_are_frozen_and_set(self, fit):
        seen = {}

        class Look(of_skorch.Callback):
            def on_epoch_end(self, net, **kwargs):
                for name, parameter in net.get_all_learnable_params():
                    seen.setdefault(name, []).append(parameter.detach().clone())

        ones = torch.nn.init.ones_
        fit(
            of_skorch.Freezer("head.hidden_1.*"),
            of_skorch.Initializer("head.hidden_1.bias", fn=ones),
            of_skorch.Unfreezer("head.hidden_1.bias", at=2),
            of_skorch.ParamMapper("head.output.bias", fn=torch.nn.init.zeros_, at=2),
            Look(),
        )
        assert torch.equal(*seen["head.hidden_1.weight"])
        assert torch.equal(seen["head.hidden_1.bias"][0], torch.ones(4))
        assert not torch.equal(*seen["head.hidden_1.bias"])
        assert float(seen["head.output.bias"][1].abs()) < 0.01

    def test_all_hooks_are_called(self, fit):
        seen = []

        class All(of_skorch.Callback):
            def on_train_begin(self, net, X=None, y=None, **kwargs):
                seen.append(("train begin", len(X), sorted(set(y))))

            def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
                seen.append(("epoch begin", len(dataset_train), len(dataset_valid)))

            def on_batch_begin(self, net, batch, training, **kwargs):
                seen.append(("batch begin", len(batch[0]), len(batch[1]), training))

            def on_grad_computed(self, net, named_parameters, **kwargs):
                seen.append(("gradients", len(dict(named_parameters)) > 3))

            def on_batch_end(self, net, batch, training, loss, y_pred, **kwargs):
                assert set(batch[1]) <= {"neg", "pos"}
                seen.append(("batch end", *y_pred.shape, training))

            def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
                X, y = dataset_valid[0]
                assert (
                    list(net.predict(X[None] if X.ndim == 1 else X))
                    if (isinstance(X, np.ndarray))
                    else len(net.predict(X)) == 1
                )
                seen.append(("epoch end", str(np.ravel(y)[0]) in {"neg", "pos"}))

            def on_train_end(self, net, X=None, y=None, **kwargs):
                seen.append(("train end", len(X), len(y)))

        fit(All, max_epochs=1, batch_size=32)
        assert seen == [
            ("train begin", 32, ["neg", "pos"]),
            ("epoch begin", 32, 28),
            ("batch begin", 32, 32, True),
            ("gradients", True),
            ("batch end", 32, 1, True),
            ("batch begin", 28, 28, False),
            ("batch end", 28, 1, False),
            ("epoch end", True),
            ("train end", 32, 32),
        ]

    def test_a_later_fit_goes_on_from_a_checkpoint(self, fit, tmp_path):
        saved = of_skorch.TrainEndCheckpoint(dirname=str(tmp_path))
        first = fit(saved)
        again = fit(of_skorch.LoadInitState(saved))
        assert again.history_[:2, "train_loss"] == first.history_[:, "train_loss"]
        assert again.n_iter_ == 4

    def test_the_history_is_that_of_skorch(self, fit, tmp_path):
        model = fit(of_skorch.EpochScoring("accuracy"), batch_size=16)
        assert len(model.history_[-1, "batches", :, "train_loss"]) == 2
        assert model.history_[:, "batches", 0, "train_batch_size"] == [16, 16]
        assert model.net_.history is model.history_
        model.history_.to_file(tmp_path / "history.json")
        read = History.from_file(tmp_path / "history.json")
        assert (
            read[:, ("valid_acc", "accuracy")]
            == model.history_[:, ("valid_acc", "accuracy")]
        )

    def test_the_net_answers_as_the_classifier(self, fit, parts):
        (X, y), _ = parts
        model = fit()
        net = model.net_
        np.testing.assert_array_equal(net.predict(X), model.predict(X))
        np.testing.assert_array_equal(net.predict_proba(X), model.predict_proba(X))
        assert net.score(X, y) == model.score(X, y)
        logits = net.forward(X)
        np.testing.assert_allclose(logits[:, 0], model.decision_function(X), rtol=1e-6)
        data = net.get_dataset(X, y)
        chosen = [5, 2]
        for same in (Subset(data, chosen), data.take(np.array(chosen))):
            np.testing.assert_array_equal(net.predict(same), model.predict(X)[chosen])
        with torch.random.fork_rng():
            assert net.forward(X, training=True).requires_grad
        with pytest.raises(InvalidInputError, match="this model was fitted on"):
            net.predict([[1.0]] if isinstance(X, list) else ["good"])
        with pytest.raises(InvalidInputError, match="target y is None"):
            net.partial_fit(X)

    def test_the_net_is_an_estimator(self, fit, parts, tmp_path):
        model = fit(of_skorch.EpochScoring("accuracy"))
        X, net = parts[0][0], model.net_
        assert net.get_params()["max_epochs"] == 2
        assert "callbacks__EpochScoring__scoring" in net.get_params()
        net.set_params(max_epochs=1, callbacks__EpochScoring__name="mine")
        assert clone(net).get_params()["max_epochs"] == 1
        before = net.predict_proba(X)
        file = str(tmp_path / "net.safetensors")
        net.save_params(file, use_safetensors=True)
        with torch.no_grad():
            net.module_.output.weight.add_(1.0)
        assert np.abs(net.predict_proba(X) - before).max() > 1e-4
        net.load_params(file, use_safetensors=True)
        np.testing.assert_array_equal(net.predict_proba(X), before)
        for made in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            np.testing.assert_array_equal(made.net_.predict_proba(X), before)
            assert made.history_[-1, "accuracy"] == model.history_[-1, "accuracy"]

    def test_the_net_learns_on_when_it_is_told_to(self, fit, parts):
        model = fit()
        before = model.history_[-1, "train_loss"]
        model.net_.partial_fit(*parts[0])
        assert model.n_iter_ == 4
        assert model.history_[-1, "train_loss"] < before + 0.1

    def test_a_score_that_nothing_records_is_explained(self, fit):
        stopping = of_skorch.EarlyStopping("valid_f1")
        with pytest.raises(
            InvalidParameterError, match=r"'valid_f1', but an epoch has"
        ):
            fit(stopping)

    def test_what_multi_layer_perceptrons_tell(self, fit):
        model = fit()
        assert model.n_iter_ == 2
        assert model.loss_curve_ == model.history_[:, "train_loss"]
        assert model.best_validation_score_ == max(model.history_[:, "valid_acc"])

    def test_a_saved_model_has_all_of_it(self, fit, parts, tmp_path):
        model = fit(
            of_skorch.EpochScoring("roc_auc"), of_skorch.BatchScoring("accuracy")
        )
        save(model, tmp_path / "model")
        again = load(tmp_path / "model")
        X, y = parts[0]
        assert again.best_validation_score_ == model.best_validation_score_
        assert again.history_[:, "roc_auc"] == model.history_[:, "roc_auc"]
        np.testing.assert_array_equal(again.net_.predict(X), model.predict(X))
        assert again.net_.score(X, y) == model.score(X, y)


class TestWithoutValidation:
    @pytest.mark.parametrize(
        "callback", [of_skorch.EarlyStopping, of_skorch.Checkpoint(f_params=None)]
    )
    def test_what_validates_is_refused(self, make, numbers, callback):
        model = make(encoder=None, callbacks=[("mine", callback)])
        message = r"'mine' follows 'valid_loss\w*', but no rows .* early_stopping=True"
        with pytest.raises(InvalidParameterError, match=message):
            model.fit(*numbers)
        with pytest.raises(InvalidParameterError, match=message):
            model.partial_fit(*numbers, classes=["neg", "pos"])

    def test_no_score_is_told(self, make, numbers):
        model = make(encoder=None).fit(*numbers)
        assert model.best_validation_score_ is None
        assert len(model.loss_curve_) == model.n_iter_ == 2
        assert not hasattr(make(), "n_iter_")

    def test_another_shape_is_refused(self, make, numbers):
        model = make(encoder=None, callbacks=[of_skorch.InputShapeSetter])
        with pytest.raises(InvalidParameterError, match="InputShapeSetter"):
            model.fit(*numbers)


class TestSolvedHeads:
    """A linear head on what rests has one epoch of one step."""

    def test_all_that_follows_epochs_has_one(self, make, numbers, tmp_path):
        seen = []

        class Hooks(of_skorch.Callback):
            def on_batch_end(self, net, batch, training, **kwargs):
                seen.append((len(batch[0]), training))

            def on_train_end(self, net, **kwargs):
                seen.append("end")

        scoring = of_skorch.EpochScoring
        callbacks = [
            Hooks(),
            scoring("accuracy", on_train=True, name="train_acc"),
            scoring(right_share, on_train=True, use_caching=False),
            scoring("neg_log_loss", name="valid_nll"),
            of_skorch.BatchScoring("accuracy", on_train=True, name="batch_acc"),
            of_skorch.PassthroughScoring("train_loss", on_train=True),
            of_skorch.LRScheduler("StepLR", step_size=1),
            of_skorch.LRScheduler("StepLR", step_size=1, step_every="batch"),
            of_skorch.ProgressBar(),
            of_skorch.Checkpoint(dirname=str(tmp_path), load_best=True),
            of_skorch.EarlyStopping(),
        ]
        X, y = numbers
        model = make(encoder=None, hidden_layer_sizes=(), callbacks=callbacks)
        model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        assert seen == [(40, True), (20, False), "end"]
        (line,) = model.history_
        accuracy = model.score(X[:40], y[:40])
        for name in ("train_acc", "right_share", "batch_acc"):
            assert line[name] == pytest.approx(accuracy)
        assert line["valid_acc"] == pytest.approx(model.score(X[40:], y[40:]))
        assert line["valid_nll"] == pytest.approx(-line["valid_loss"], rel=1e-5)
        assert model.n_iter_ == len(model.loss_curve_) == 1

    def test_early_stopping_ends_it_as_any_training(self, make, numbers):
        ended = []

        class End(of_skorch.Callback):
            def on_train_end(self, net, **kwargs):
                ended.append(len(net.history))

        stopping = of_skorch.EarlyStopping("train_loss", patience=1)
        stopping.on_train_begin = lambda *args, **kwargs: vars(stopping).update(
            misses_=0, dynamic_threshold_=-np.inf, best_epoch_=0
        )
        model = make(encoder=None, hidden_layer_sizes=(), callbacks=[stopping, End()])
        model.fit(*numbers)
        assert ended == [1]


class TestLabels:
    """Scorers are given the labels that the user wrote."""

    @pytest.mark.parametrize("use_caching", [True, False])
    def test_numbers_have_a_positive_one(self, make, numbers, use_caching):
        X, y = numbers
        scoring = of_skorch.EpochScoring("f1", use_caching=use_caching)
        model = make(encoder=None, callbacks=[scoring], early_stopping=True)
        model.fit(X, (y == "pos").astype(int))
        assert 0 <= model.history_[-1, "f1"] <= 1

    def test_of_many_classes(self, make, numbers):
        X, _ = numbers
        y = np.array(["a", "b", "c"])[np.arange(60) % 3]
        names = ("accuracy", "roc_auc_ovr", "neg_log_loss")
        callbacks = [of_skorch.EpochScoring(name) for name in names]
        model = make(encoder=None, callbacks=callbacks)
        model.fit(X, y, X_val=X, y_val=y)
        for name in names:
            wanted = get_scorer(name)(model, X, y)
            assert model.history_[-1, name] == pytest.approx(wanted, rel=1e-5)

    def test_weights_count_in_what_the_net_records(self, make, numbers):
        X, y = numbers
        options = {"encoder": None, "early_stopping": True, "validation_fraction": 0.5}
        plain = of_skorch.EpochScoring("accuracy")
        model = make(callbacks=[plain], class_weight={"neg": 0.1, "pos": 9}, **options)
        model.fit(X, y)
        assert model.history_[-1, "accuracy"] != model.history_[-1, "valid_acc"]


class TestPartsInTurn:
    def test_scores_while_it_learns_are_those_of_labels(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        callbacks = [
            of_skorch.EpochScoring("accuracy", on_train=True, name="mine"),
            of_skorch.EarlyStopping,
            of_skorch.EpochScoring("accuracy"),
        ]
        options = {"strategy": "contrastive", "hidden_layer_sizes": ()}
        model = make(callbacks=callbacks, max_epochs=2, **options)
        model.fit(texts[:32], labels[:32], X_val=texts[32:], y_val=labels[32:])
        assert all(0 <= value <= 1 for value in model.history_[:, "mine"])
        assert "accuracy" not in model.history_[0]
        assert model.history_[-1, "accuracy"] == model.history_[-1, "valid_acc"]
        assert model.n_iter_ == len(model.history_) > 2

    def test_what_was_saved_is_loaded_once(self, make, sentiment_texts, tmp_path):
        texts, labels = sentiment_texts[0][:32], sentiment_texts[1][:32]
        saved = of_skorch.TrainEndCheckpoint(dirname=str(tmp_path))
        options = {"strategy": "fine_tune", "head_first": True}
        options["hidden_layer_sizes"] = ()
        first = make(callbacks=[saved], **options).fit(texts, labels)
        again = make(callbacks=[of_skorch.LoadInitState(saved)], **options)
        again.fit(texts, labels)
        n_first = [line["part"] for line in first.history_].count("head")
        assert again.history_[n_first, "train_loss"] == pytest.approx(
            first.history_[n_first, "train_loss"]
        )
        assert again.n_iter_ == first.n_iter_ + 2


class TestLayersThatRest:
    """What callbacks set or load in them is kept, and shared with nobody."""

    @pytest.mark.parametrize("pattern", ["*layer.0*dense.weight", "*word_embeddings*"])
    def test_a_parameter_that_was_set(self, make, sentiment_texts, pattern):
        texts, labels = sentiment_texts
        spread = functools.partial(torch.nn.init.normal_, std=0.5)
        callback = of_skorch.Initializer(f"body.{pattern}", fn=spread)
        options = {"strategy": "partial", "n_trainable_layers": 1}
        model = make(callbacks=[callback], **options).fit(texts[:32], labels[:32])
        plain = make(**options).fit(texts[:32], labels[:32])
        found = model.decision_function(texts)
        assert np.abs(found - plain.decision_function(texts)).max() > 1e-3
        again = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
        np.testing.assert_allclose(again.decision_function(texts), found, atol=1e-5)

    def test_parameters_that_were_loaded(self, make, sentiment_texts, tmp_path):
        texts, labels = sentiment_texts[0][:32], sentiment_texts[1][:32]
        options = {"encoder_learning_rate": 0.01}
        tuned = make(strategy="fine_tune", **options).fit(texts, labels)
        file = str(tmp_path / "net.pt")
        tuned.net_.save_params(file)
        model = make(strategy="partial", n_trainable_layers=1).fit(texts, labels)
        body = model.net_.module_.body
        model.net_.load_params(file)
        assert not body.transformer.get_input_embeddings().owned
        wanted = tuned.decision_function(texts)
        for one in (model, pickle.loads(pickle.dumps(model))):
            np.testing.assert_allclose(one.decision_function(texts), wanted, atol=1e-5)

    def test_adapters_are_saved_beside_the_weights(
        self, make, sentiment_texts, tmp_path
    ):
        pytest.importorskip("peft")
        texts, labels = sentiment_texts[0][:32], sentiment_texts[1][:32]
        file = str(tmp_path / "net.pt")
        model = make(strategy="lora", encoder_learning_rate=0.05).fit(texts, labels)
        wanted = model.net_.forward(texts)
        model.net_.save_params(file)
        other = make(strategy="lora", random_state=1).fit(texts, labels)
        for _ in range(2):
            other.net_.load_params(file)
            torch.testing.assert_close(other.net_.forward(texts), wanted)

    def test_parameters_of_another_structure_are_refused(self, make, sentiment_texts):
        texts, labels = sentiment_texts[0][:32], sentiment_texts[1][:32]
        network = make(strategy="partial").fit(texts, labels).net_.module_
        state = network.state_dict()
        del state["head.output.bias"]
        with pytest.raises(RuntimeError, match=r"head\.output\.bias"):
            network.load_state_dict(state)


def test_the_example_of_the_guide_runs(make, sentiment_texts, tmp_path, monkeypatch):
    guide = Path(__file__).parents[3].joinpath("docs", "transferring.rst")
    section = guide.read_text("utf-8").partition("skorch's callbacks\n---")[2]
    lines = section.partition("::\n")[2].partition("\nEach epoch")[0]
    monkeypatch.chdir(tmp_path)
    texts, labels = sentiment_texts
    data = {"X": texts[:32], "X_val": texts[32:60]}
    data |= {"y": labels[:32], "y_val": labels[32:60]}
    exec(textwrap.dedent(lines), {"TransferSentimentClassifier": make, **data})
    assert tmp_path.joinpath("best", "params.pt").is_file()


def test_no_callback_of_skorch_was_forgotten():
    # Loggers to services, what sets another shape, and bases are left out.
    told = str(inspect.getsource(inspect.getmodule(right_share)))
    known = {name for name in of_skorch.__all__ if not name.endswith("Logger")}
    assert {name for name in known - {"TensorBoard"} if name not in told} == set()


def test_a_net_without_its_classifier_says_so(make, numbers):
    net = make(encoder=None).fit(*numbers).net_
    net.reader = None
    with pytest.raises(AttributeError, match="ask the classifier"):
        net.predict(numbers[0])


def test_data_sets_of_skorch_are_read(make, numbers):
    X, y = numbers
    model = make(encoder=None).fit(X, y)
    data = Dataset(X, y)
    np.testing.assert_array_equal(model.net_.predict(data), model.predict(X))
    model.net_.partial_fit(data)
    assert model.n_iter_ == 4


def test_a_net_from_a_pickle_trains_on(make, numbers):
    X, y = numbers
    model = make(encoder=None, hidden_layer_sizes=(4,), max_epochs=2).fit(X, y)
    net = pickle.loads(pickle.dumps(model.net_))
    before = net.predict_proba(X)
    assert len(net.partial_fit(X, y).history_) == 4
    assert np.abs(net.predict_proba(X) - before).max() > 1e-4
