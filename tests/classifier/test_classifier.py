import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import get_tags

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

LABELS = {
    "str": np.array(["neg", "pos"]),
    "object": np.array(["neg", "pos"], dtype=object),
    "int": np.array([-3, 7]),
    "float": np.array([0.0, 1.0]),
    "bool": np.array([False, True]),
    "three": np.array(["a", "b", "c"]),
    "many": np.arange(100, 105),
}


@pytest.fixture(scope="module")
def rows():
    """Numbers whose class is the column of their largest entry."""
    return np.random.default_rng(0).normal(size=(80, 5))


def fast(**parameters):
    """A linear head that learns in few steps."""
    defaults = {
        "hidden_layer_sizes": (),
        "max_epochs": 60,
        "batch_size": 100,
        "head_learning_rate": 0.1,
        "early_stopping": False,
        "random_state": 0,
        "device": "cpu",
    }
    return TransferSentimentClassifier(**defaults | parameters)


class TestLabels:
    @pytest.mark.parametrize("kind", LABELS)
    def test_answers_are_the_user_s_labels(self, rows, kind):
        names = LABELS[kind]
        y = names[rows[:, : len(names)].argmax(axis=1)]
        model = fast().fit(rows, y)
        assert model.classes_.tolist() == names.tolist()
        assert model.predict(rows).dtype == model.classes_.dtype
        assert model.classes_.dtype.kind == names.dtype.kind
        assert model.score(rows, y) > 0.9

    @pytest.mark.parametrize("kind", LABELS)
    def test_the_three_answers_agree(self, rows, kind):
        names = LABELS[kind]
        model = fast().fit(rows, names[rows[:, : len(names)].argmax(axis=1)])
        logits, chances = model.decision_function(rows), model.predict_proba(rows)
        assert chances.shape == (80, len(names))
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        logs = model.predict_log_proba(rows)
        np.testing.assert_allclose(logs, np.log(chances), atol=1e-12)
        assert np.isfinite(model.predict_log_proba(1e4 * rows)).all()
        predicted = model.predict(rows)
        assert (predicted == names[chances.argmax(axis=1)]).all()
        if len(names) == 2:
            assert logits.shape == (80,)
            assert (predicted == names[(logits > 0).astype(int)]).all()
            np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp(-logits)))
        else:
            assert logits.shape == chances.shape
            assert (predicted == names[logits.argmax(axis=1)]).all()

    @pytest.mark.parametrize(("kind", "n"), [("str", 1), ("three", 3), ("many", 5)])
    def test_two_classes_have_one_logit(self, rows, kind, n):
        names = LABELS[kind]
        model = fast().fit(rows, names[rows[:, : len(names)].argmax(axis=1)])
        assert model.net_.module_.head.output.out_features == n

    @pytest.mark.parametrize(
        "container",
        [
            list,
            tuple,
            pd.Series,
            pd.Categorical,
            lambda y: pd.Series(y, dtype="category"),
            lambda y: pd.Series(y, index=range(100, 180)),
            pl.Series,
            lambda y: pl.Series(y, dtype=pl.Categorical),
        ],
    )
    def test_any_container_of_labels(self, rows, container):
        y = np.where(rows[:, 0] > 0, "pos", "neg")
        expected = fast().fit(rows, y).decision_function(rows)
        model = fast().fit(rows, container(y.tolist()))
        np.testing.assert_array_equal(model.decision_function(rows), expected)
        assert set(model.predict(rows)) == {"pos", "neg"}

    @pytest.mark.slow
    def test_a_thousand_classes(self):
        rows = np.random.default_rng(0).normal(size=(3000, 2))
        model = fast(max_epochs=1, weight_decay=0.01)
        model.fit(rows, np.arange(3000) % 1000)
        assert model.predict_proba(rows[:2]).shape == (2, 1000)


class TestKindsOfInput:
    @pytest.mark.parametrize(
        "container", [tuple, np.array, pd.Series, pl.Series, iter, pd.array]
    )
    def test_all_containers_of_texts_give_the_same(
        self, make, sentiment_texts, container
    ):
        texts, labels = sentiment_texts
        expected = make().fit(texts, labels).decision_function(texts)
        model = make().fit(container(texts), labels)
        found = model.decision_function(container(texts))
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize(
        "container",
        [
            np.ndarray.tolist,
            pd.DataFrame,
            lambda X: pl.DataFrame(X.tolist(), orient="row"),
            sparse.csr_array,
            sparse.csr_matrix,
            sparse.coo_array,
            np.asfortranarray,
        ],
    )
    def test_all_containers_of_numbers_give_the_same(self, numbers, container):
        X, y = numbers
        dense = fast(scale_features=False).fit(X, y).decision_function(X)
        found = fast(scale_features=False).fit(container(X), y)
        np.testing.assert_allclose(
            found.decision_function(container(X)), dense, atol=1e-5
        )

    def test_sparse_numbers_are_scaled_and_not_centred(self, numbers):
        X, y = numbers
        scaler = fast().fit(sparse.csr_array(X + 3), y).net_.module_.scaler
        assert not scaler.mean.any()
        assert scaler.scale > 2

    @pytest.mark.parametrize("strategy", ["feature_extraction", "partial", "fine_tune"])
    def test_order_and_company_do_not_change_a_row(
        self, make, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy).fit(texts[:40], labels[:40])
        logits = model.decision_function(texts)
        order = np.random.default_rng(0).permutation(96)[:50]
        found = model.decision_function([texts[row] for row in order])
        np.testing.assert_allclose(found, logits[order], atol=1e-5)

    def test_the_empty_string_is_a_text(self, make, words):
        for encoder in (make().encoder, words()):
            for strategy in ("feature_extraction", "fine_tune"):
                model = make(encoder=encoder, strategy=strategy, max_epochs=1)
                model.fit(["", "good", "bad"], [0, 1, 0])
                assert np.isfinite(model.decision_function([""])).all()

    def test_texts_all_alike(self, make):
        model = make(strategy="fine_tune").fit(["good"] * 4, [0, 1, 0, 1])
        assert np.isfinite(model.predict_proba(["good"])).all()

    def test_any_transformer_of_texts_will_do(self, sentiment_texts):
        texts, labels = sentiment_texts
        model = fast(encoder=TfidfVectorizer()).fit(texts, labels)
        assert model.score(texts, labels) == 1
        assert model.encoder_.vocabulary_

    def test_frozen_encoders_read_each_text_once(self, make, bert, sentiment_texts):
        texts, labels = sentiment_texts
        before = n_texts_encoded()
        make(encoder=bert(cache=None), max_epochs=5).fit(texts, labels)
        assert n_texts_encoded() - before == len(set(texts))

    def test_names_of_columns_are_kept_and_compared(self, numbers):
        X, y = numbers
        table = pd.DataFrame(X, columns=list("abcde"))
        model = fast().fit(table, y)
        assert model.feature_names_in_.tolist() == list("abcde")
        assert model.n_features_in_ == 5
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[list("edcba")])


TEXT_ERRORS = [
    ("one text", "X is a single str.*pass \\['one text'\\]"),
    (np.array([["a", "b"]]), "X has 2 dimensions"),
    (pd.DataFrame({"text": ["a"]}), "pass one of them, as in X\\['text'\\]"),
    (None, "X is .*NoneType"),
    ([], "X holds no texts"),
    (["a", None], "X\\[1\\] is None"),
    ([None, "a"], "X\\[0\\] is None"),
    (["a", float("nan")], "X\\[1\\] is nan"),
    ([float("nan"), "a"], "X\\[0\\] is nan"),
    (["a", b"b"], "X\\[1\\] is bytes"),
    (["a", 3], "X\\[1\\] is 3 of type int"),
    ([3, "a"], "X\\[0\\] is 3 of type int"),
]


class TestBadInput:
    @pytest.mark.parametrize(("X", "message"), TEXT_ERRORS)
    def test_texts_in_fit(self, make, X, message):
        with pytest.raises(InvalidInputError, match=message) as caught:
            make().fit(X, [0, 1])
        assert isinstance(caught.value, (TypeError, ValueError))

    @pytest.mark.parametrize(("X", "message"), TEXT_ERRORS)
    def test_texts_in_predict(self, make, X, message):
        model = make(max_epochs=1).fit(["good", "bad"], [1, 0])
        for method in (model.predict, model.predict_proba, model.decision_function):
            with pytest.raises(InvalidInputError, match=message):
                method(X)

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            (["a", "b"], [0], "X has 2 rows but y has 1 labels"),
            (["a", "b"], ["x", "x"], "y holds 1 class only, .*'x'.*, in all 2 rows"),
            (["a", "b"], None, "the target y is None"),
            (["a", "b"], [0, None], "y contains a missing value, first at position 1"),
            ([[1.0], [2.0]], [0, 0], "y holds 1 class only"),
            ([1.0, 2.0], [0, 1], "Expected 2D array, got 1D array"),
            (np.array([1, 2]), [0, 1], "X is an array of numbers of shape"),
            ([[1.0], [np.nan]], [0, 1], "Input X contains NaN"),
            ([[1.0], [1e300]], [0, 1], "infinity|too large"),
            (np.zeros((0, 2)), [], "0 sample"),
            (np.zeros((2, 0)), [0, 1], "0 feature"),
        ],
    )
    def test_what_fit_cannot_use(self, make, X, y, message):
        with pytest.raises(ValueError, match=message):
            make().fit(X, y)

    def test_numbers_to_a_model_of_texts(self, make):
        model = make(max_epochs=1).fit(["good", "bad"], [1, 0])
        with pytest.raises(
            InvalidInputError, match="X holds numbers, but this model was fitted on tex"
        ):
            model.predict([[1.0, 2.0]])

    def test_texts_to_a_model_of_numbers(self, numbers):
        model = fast(max_epochs=1).fit(*numbers)
        with pytest.raises(
            InvalidInputError, match="X holds texts, but this model was fitted on numbe"
        ):
            model.predict(["good"])

    def test_a_failed_fit_leaves_the_last_one_usable(self, numbers):
        X, y = numbers
        model = fast(max_epochs=1).fit(X, y)
        expected = model.predict_proba(X)
        with pytest.raises(InvalidInputError, match="1 class only"):
            model.fit(["good", "bad"], ["x", "x"])
        np.testing.assert_array_equal(model.predict_proba(X), expected)

    @pytest.mark.parametrize(
        ("given", "sizes"),
        [
            (3, (3,)),
            (np.int64(3), (3,)),
            (np.array([3, 2]), (3, 2)),
            (np.array(3), (3,)),
            ([3], (3,)),
            (np.array([], dtype=int), ()),
        ],
    )
    def test_heads_as_scikit_learn_s_networks_take_them(self, numbers, given, sizes):
        model = fast(hidden_layer_sizes=given, max_epochs=1)
        assert (
            clone(model).fit(*numbers).net_.module_.layout.hidden_layer_sizes == sizes
        )

    @pytest.mark.parametrize("X", [3.0, 3, True, np.array(3.0), np.float32(3), 1j])
    def test_a_single_number(self, numbers, X):
        message = r"X is the single number \S+ of type \w+, but rows are expected"
        fitted = fast(max_epochs=1).fit(*numbers)
        for call in (fitted.predict, lambda X: fast().fit(X, [0])):
            with pytest.raises(InvalidInputError, match=message):
                call(X)

    @pytest.mark.parametrize(
        "sizes", [(0,), (4, -1), (2.5,), ("a",), (True,), 0, True, ((1, 2), 3)]
    )
    def test_impossible_heads(self, numbers, sizes):
        message = re.escape(f"hidden_layer_sizes={sizes!r}, but ")
        message += r".*a number of units, at least 1"
        with pytest.raises(InvalidParameterError, match=message):
            fast(hidden_layer_sizes=sizes).fit(*numbers)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("strategy", "magic"),
            ("hidden_layer_sizes", 64.0),
            ("hidden_layer_sizes", {64}),
            ("encoder", ""),
            ("encoder", "cc-cedict"),
            ("encoder", 3),
            ("activation", "step"),
            ("dropout", 1.0),
            ("max_epochs", 0),
            ("max_epochs", "long"),
            ("batch_size", 2.5),
            ("head_learning_rate", -1),
            ("layer_decay", 0),
            ("early_stopping", "maybe"),
            ("validation_fraction", 1.0),
            ("class_weight", "fair"),
            ("dtype", "float64"),
            ("l2_sp", -1.0),
            ("n_trainable_layers", 0),
        ],
    )
    def test_parameters_out_of_range_are_named(self, numbers, name, value):
        with pytest.raises(InvalidParameterError, match=f"^{name}=.* is expected"):
            fast(**{name: value}).fit(*numbers)

    def test_an_unknown_device(self, numbers):
        with pytest.raises(InvalidParameterError, match="device is 'nowhere'"):
            fast(device="nowhere").fit(*numbers)


class TestContract:
    def test_not_fitted_is_said_before_anything_is_looked_for(self):
        model = TransferSentimentClassifier()
        for method in (model.predict, model.predict_proba, model.decision_function):
            with pytest.raises(NotFittedError, match="Classifier instance is not fit"):
                method(["good"])

    def test_the_constructor_only_stores(self):
        model = TransferSentimentClassifier(3, strategy=4, dropout="x")
        assert clone(model).get_params(deep=False) == model.get_params(deep=False)
        assert "dropout='x'" in repr(model)

    def test_fitting_twice_is_the_same(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune").fit(texts[:30], labels[:30])
        first = model.decision_function(texts)
        second = model.fit(texts[:30], labels[:30]).decision_function(texts)
        np.testing.assert_array_equal(first, second)

    def test_fit_does_not_touch_parameters_or_data(self, make, sentiment_texts):
        texts, labels = list(sentiment_texts[0]), sentiment_texts[1].copy()
        model = make(strategy="partial")
        encoder, before = model.encoder, repr(model)
        model.fit(texts, labels)
        assert model.encoder is encoder
        assert not hasattr(encoder, "checkpoint_")
        assert repr(model) == before
        assert (texts, labels.tolist()) == (sentiment_texts[0], labels.tolist())

    def test_texts_after_numbers_and_numbers_after_texts(self, make, numbers):
        X, y = numbers
        model = make()
        assert model.fit(pd.DataFrame(X, columns=list("abcde")), y).encoder_ is None
        model.fit(["good", "bad"], [1, 0])
        assert not hasattr(model, "n_features_in_")
        assert not hasattr(model, "feature_names_in_")
        assert model.classes_.tolist() == [0, 1]
        assert model.fit(X, y).encoder_ is None
        assert model.n_features_in_ == 5
        assert not hasattr(model, "feature_names_in_")

    def test_tags(self):
        tags = get_tags(TransferSentimentClassifier())
        assert tags.input_tags.string
        assert tags.input_tags.sparse
        assert tags.input_tags.two_d_array
        assert not tags.input_tags.one_d_array
        assert tags.estimator_type == "classifier"

    def test_history_tells_of_each_epoch(self, make, numbers):
        model = make(encoder=None, max_epochs=3).fit(*numbers)
        assert len(model.history_) == 3
        assert model.history_[-1, "train_loss"] > 0
        assert model.history_[-1, "dur"] > 0

    def test_threads_are_given_back(self, make, numbers):
        torch.set_num_threads(2)
        make(encoder=None).fit(*numbers).predict(numbers[0])
        assert torch.get_num_threads() == 2


class TestContinuing:
    def test_the_first_partial_fit_needs_the_classes(self, make, numbers):
        with pytest.raises(
            InvalidParameterError, match="classes must be passed on the"
        ):
            make(encoder=None).partial_fit(*numbers)

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_each_call_is_a_pass_over_its_rows(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, head_learning_rate=0.01, dropout=0.0)
        model.set_params(hidden_layer_sizes=(16,), encoder_learning_rate=1e-3)
        model.partial_fit(texts[:12], labels[:12], classes=["pos", "neg"])
        for _ in range(30):
            model.partial_fit(texts[:12], labels[:12])
        assert len(model.history_) == 31
        losses = model.history_[:, "train_loss"]
        # The encoder's own dropout blurs each of them.
        assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.02

    def test_rows_of_one_class_will_do(self, make, numbers):
        X, _ = numbers
        model = make(encoder=None)
        model.partial_fit(X[:3], ["c"] * 3, classes=["a", "b", "c"])
        assert model.predict_proba(X).shape == (60, 3)

    def test_classes_must_stay(self, make, numbers):
        X, y = numbers
        model = make(encoder=None).partial_fit(X, y, classes=["neg", "pos"])
        with pytest.raises(InvalidParameterError, match="not the same as on last call"):
            model.partial_fit(X, y, classes=["neg", "pos", "new"])
        with pytest.raises(InvalidInputError, match=r"y holds the labels \['new'\]"):
            model.partial_fit(X, ["new"] * 60)

    def test_the_kind_of_input_must_stay(self, make, numbers):
        model = make().partial_fit(*numbers, classes=["neg", "pos"])
        with pytest.raises(InvalidInputError, match="was fitted on numbers"):
            model.partial_fit(["good"], ["pos"])

    def test_it_goes_on_after_a_fit_and_after_a_pickle(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        for strategy in ("feature_extraction", "partial"):
            model = make(strategy=strategy).fit(texts[:20], labels[:20])
            for _ in range(2):
                before = model.decision_function(texts)
                model = pickle.loads(pickle.dumps(model))
                model.partial_fit(texts[20:], labels[20:])
                change = np.abs(model.decision_function(texts) - before).max()
                assert 0 < change < 1

    def test_a_weight_that_is_nothing_in_float32_is_nothing(self, make, numbers):
        X, y = numbers
        weight = np.ones(60)
        weight[7] = 1e-60
        model = make(encoder=None, batch_size=1)
        found = model.fit(X, y, sample_weight=weight).decision_function(X)
        weight[7] = 0
        expected = model.fit(X, y, sample_weight=weight).decision_function(X)
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_warm_start_goes_on_from_the_last_fit(
        self, make, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, warm_start=True).fit(texts, labels)
        first = model.decision_function(texts)
        still = {"encoder_learning_rate": 0, "head_learning_rate": 0, "max_epochs": 1}
        model.set_params(**still).fit(texts[:30], labels[:30])
        np.testing.assert_allclose(model.decision_function(texts), first, atol=1e-5)
        model.set_params(warm_start=False).fit(texts, labels)
        assert not np.allclose(model.decision_function(texts), first, atol=1e-3)

    def test_warm_start_goes_on_after_a_pickle(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="partial", warm_start=True).fit(texts, labels)
        copy = pickle.loads(pickle.dumps(model)).fit(texts, labels)
        assert copy.n_trainable_parameters_ == model.n_trainable_parameters_
        np.testing.assert_allclose(
            copy.decision_function(texts),
            model.fit(texts, labels).decision_function(texts),
            atol=1e-5,
        )


class TestPickles:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "partial", "fine_tune"])
    @pytest.mark.parametrize("kind", ["bert", "words"])
    def test_a_copy_gives_the_same(self, make, words, sentiment_texts, kind, strategy):
        if (kind, strategy) == ("words", "partial"):
            strategy = "fine_tune"
        texts, labels = sentiment_texts
        encoder = {"encoder": words()} if kind == "words" else {}
        model = make(strategy=strategy, **encoder).fit(texts[:40], labels[:40])
        copy = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(
            copy.predict_proba(texts), model.predict_proba(texts)
        )
        assert copy.history_[:, "train_loss"] == model.history_[:, "train_loss"]
        assert copy.n_parameters_ == model.n_parameters_

    @pytest.mark.slow
    def test_a_fresh_process_opens_them(self, make, sentiment_texts, tmp_path):
        texts, labels = sentiment_texts
        chances = {}
        for strategy in ("feature_extraction", "fine_tune"):
            model = make(strategy=strategy).fit(texts[:20], labels[:20])
            chances[strategy] = model.predict_proba(texts[:4])[:, 1]
            joblib.dump(model, tmp_path / f"{strategy}.joblib")
            (tmp_path / f"{strategy}.pickle").write_bytes(pickle.dumps(model))
        code = """
import joblib, pickle, sys, pathlib, torch
torch.set_num_threads(1)
for strategy in ("feature_extraction", "fine_tune"):
    path = pathlib.Path(sys.argv[1], strategy)
    for model in (
        joblib.load(path.with_suffix(".joblib")),
        pickle.loads(path.with_suffix(".pickle").read_bytes()),
    ):
        print(*model.predict_proba(sys.argv[2:])[:, 1].tolist())
"""
        result = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(tmp_path), *texts[:4]],
            capture_output=True,
            text=True,
            timeout=120,
        )
        found = [list(map(float, x.split())) for x in result.stdout.splitlines()]
        assert len(found) == 4, result.stderr
        expected = [chances["feature_extraction"]] * 2 + [chances["fine_tune"]] * 2
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_a_frozen_fit_is_small(self, make, bert, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(early_stopping=True).fit(texts * 20, np.tile(labels, 20))
        numbers = make(early_stopping=True, encoder=None)
        numbers.fit(bert().fit_transform(texts * 20), np.tile(labels, 20))
        for fitted in (model, numbers):
            assert len(pickle.dumps(fitted)) < 40_000

    def test_a_tuned_one_holds_what_it_learnt_and_no_more(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune", early_stopping=True).fit(texts, labels)
        learnt = 4 * model.n_trainable_parameters_
        table = 4 * model.net_.module_.body.token_table().numel()
        size = len(pickle.dumps(model))
        assert learnt < size < learnt + 40_000
        model.set_params(train_embeddings=True).fit(texts, labels)
        assert size + table - 5000 < len(pickle.dumps(model)) < size + table + 5000


def test_a_parameter_that_skorch_does_not_know_is_named():
    model = TransferSentimentClassifier(net_params={"nonsense": 1})
    with pytest.raises(InvalidParameterError, match=r"net_params=.*nonsense"):
        model.fit(np.eye(4), [0, 1, 0, 1])
