import inspect
import math
import operator
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sktransfer
import sktransfer.statistics
from sktransfer.baselines.majority import BASELINE as MAJORITY
from sktransfer.baselines.nbsvm import NBSVMClassifier
from sktransfer.baselines.tfidf import TunedLogisticRegression
from sktransfer.comparison.setup.candidates import PooledClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
from sktransfer.exceptions import (
    FileError,
    InvalidInputError,
    InvalidParameterError,
    MissingFileError,
)
from sktransfer.validation import (
    CALLBACK,
    CLASS_WEIGHT,
    FLAG,
    PATH,
    RANDOM_STATE,
    VERBOSE,
    check_parameters,
    did_you_mean,
    exactly,
    explained,
    instance,
    number,
    on_disk,
    one_of,
    show,
    whole,
)
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (exactly(None), [None], [False, 0, "None", np.zeros(2)]),
        (one_of("a", None), ["a", None], ["b", ["a"], 0, np.array(["a", "b"])]),
        (whole(1), [1, np.int64(7)], [0, True, 1.0, "1", None, math.nan]),
        (
            number(0),
            [0, 0.5, np.float32(3), 10**9],
            [-1e-9, math.inf, math.nan, "0", True],
        ),
        (number(0, 1), [0, 0.999], [1, -0.1, None]),
        (number(0, 1, ends="(]"), [1e-9, 1], [0, 1.1]),
        (number(0, ends="()"), [1e-9], [0, math.nan]),
        (instance((list, tuple), "a list"), [[], ()], [{}, "ab"]),
        (FLAG, [True, np.False_, 0, np.int64(1)], ["False", None, 2, [], 1.0]),
        (CLASS_WEIGHT, [None, "balanced", {}], ["fair", [1], np.ones(2)]),
        (
            RANDOM_STATE,
            [None, 0, np.random.RandomState(0)],
            [-1, 2**32, 1.5, "0", True],
        ),
        (VERBOSE, [0, 3, True], [-1, 1.5, None]),
        (exactly("auto") | whole(2), ["auto", 2], [1, "Auto", None]),
        (PATH, ["a", Path("a")], [None, 3, b"a", "", "a\0b", ["a"]]),
        (CALLBACK, [None, print], [3, "print"]),
    ],
)
def test_a_rule_accepts_what_its_words_say(rule, right, wrong):
    assert all(rule.accepts(value) for value in right)
    assert not any(rule.accepts(value) for value in wrong)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (number(0, 1), r"a number in \[0, 1\)"),
        (number(0), "a number of at least 0"),
        (number(0, ends="()"), "a number above 0"),
        (one_of("a", "b"), r"one of \['a', 'b'\]"),
        (exactly("auto") | whole(1, "rows"), "'auto' or a whole number of rows, at "),
    ],
)
def test_the_message_says_what_came_and_what_is_expected(rule, words):
    with pytest.raises(InvalidParameterError, match=f"^size=-1, but {words}"):
        check_parameters({"size": -1}, {"size": rule})


def test_long_values_are_cut_and_other_parameters_left_alone():
    with pytest.raises(InvalidParameterError) as caught:
        check_parameters({"size": "x" * 999, "other": 3}, {"size": whole(0)})
    assert len(str(caught.value)) < 150
    check_parameters({"other": 3}, {"size": whole(0)})


def test_what_cannot_be_shown_is_named_by_its_type():
    assert show(Unspeakable()) == "<Unspeakable>"
    with pytest.raises(InvalidParameterError, match=r"^size=<Unspeakable>, but"):
        check_parameters({"size": Unspeakable()}, {"size": whole(1)})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("finetune", " Did you mean 'fine_tune'?"),
        ("Fine-Tune", " Did you mean 'fine_tune'?"),
        ("nothing like it", ""),
        (3, ""),
    ],
)
def test_names_that_are_like_it_are_suggested(given, said):
    assert did_you_mean(given, ["fine_tune", "frozen", None]) == said


def test_a_rule_of_names_suggests_one():
    with pytest.raises(InvalidParameterError, match="Did you mean 'frozen'"):
        check_parameters({"s": "Frozen"}, {"s": one_of("frozen") | exactly(None)})


def test_errors_of_libraries_become_our_own():
    with (
        pytest.raises(InvalidInputError, match=r"^X is odd \(could .*'x'\): pass 1.$"),
        explained("X is odd", "pass 1"),
    ):
        float("x")


def test_so_do_those_of_the_system(tmp_path):
    with (
        pytest.raises(MissingFileError, match=r"^path='.*nowhere' cannot be used"),
        on_disk("path", str(tmp_path / "nowhere")),
    ):
        (tmp_path / "nowhere").read_bytes()
    with pytest.raises(FileError, match="Is a directory"), on_disk("path", tmp_path):
        tmp_path.open("w")
    with pytest.raises(InvalidParameterError, match=r"^path=3"), on_disk("path", 3):
        pass


class TestSkipping:
    """``skip_parameter_validation`` means rules, as with scikit-learn's estimators."""

    def test_rules_do_not_count(self):
        with config_context(skip_parameter_validation=True):
            check_parameters({"size": -1}, {"size": whole(1)})
        with pytest.raises(InvalidParameterError):
            check_parameters({"size": -1}, {"size": whole(1)})

    def test_what_must_be_safe_is_proved_all_the_same(self):
        with (
            config_context(skip_parameter_validation=True),
            pytest.raises(InvalidParameterError, match=r"^path=3, but a path"),
            on_disk("path", 3),
        ):
            pass

    def test_pickles_are_opened_for_nobody(self, tmp_path):
        with (
            config_context(skip_parameter_validation=True),
            pytest.raises(InvalidParameterError, match=r"^format='pickle', but"),
        ):
            WordVectors.load(tmp_path, format="pickle")

    def test_it_is_so_in_an_estimator(self):
        model = NBSVMClassifier(C=True)
        X, y = [[1, 0], [0, 1]], ["a", "b"]
        with config_context(skip_parameter_validation=True):
            assert model.fit(X, y).predict(X).tolist() == y
        with pytest.raises(InvalidParameterError, match=r"^C=True"):
            model.fit(X, y)


class Strange:
    """What no parameter may be."""

    def __repr__(self):
        return "<strange>"


ESTIMATORS = {
    name: value
    for name in sktransfer.__all__
    if inspect.isclass(value := getattr(sktransfer, name))
    and issubclass(value, BaseEstimator)
}
ESTIMATORS |= {
    each.__name__: each
    for each in (TunedLogisticRegression, BalancedThresholdClassifier)
}
# The first argument of those that have no default for it.
GIVEN = {"BalancedThresholdClassifier": {"estimator": MAJORITY.make([])}}
# Of a parameter whose default is of a type, what else is not of that type.
WRONG = {
    bool: ["False", 2, 1.0, None],
    int: [True, "1", 1.5, math.nan, None],
    float: [True, np.True_, "0.1", math.nan, math.inf, -1.0, None],
    str: [3, True, b"auto", {"nothing": 3}],
    tuple: [3.5, "nothing"],
    type(None): [Strange(), b"x"],
}
# Values among these that one parameter or another takes.
RIGHT = {
    ("BertFeaturizer", "verbose"): [True],
    ("TransferSentimentClassifier", "max_grad_norm"): [None],
    ("TransferSentimentClassifier", "verbose"): [True],
    ("TransferSentimentClassifier", "calibrate"): [True],
    ("TransferSentimentClassifier", "early_stopping"): [True],
    ("TransferSentimentClassifier", "scale_features"): [True],
    ("WordVectorTrainer", "verbose"): [True],
}
TAKES_NUMBERS = {"batch_tokens", "layers", "C", "hidden_layer_sizes", "max_epochs"}
TAKES_NUMBERS |= {"batch_size", "encoder_learning_rate", "head_learning_rate"}
TAKES_NUMBERS |= {"weight_decay"}


def _is_taken(owner, name, value):
    right = RIGHT.get((owner, name), [])
    return any(value is one for one in right) or (
        name in TAKES_NUMBERS and value == 3 and value is not True
    )


def wrong_values(owner, model):
    """Names of parameters, each with what it may not be."""
    for name, default in model.get_params(deep=False).items():
        kind = type(None) if name in GIVEN.get(owner, {}) else type(default)
        for value in [Strange(), *WRONG[kind]]:
            if not _is_taken(owner, name, value):
                yield name, value


def fault_of(model, name, value):
    """What is amiss with the error that a fit raises for a value."""
    model = clone(model).set_params(**{name: value})
    fit = getattr(model, "fit", None) or (lambda X, y: model.learn(X))
    try:
        fit(["good film", "bad film"], [1, 0])
    except InvalidParameterError as error:
        told = str(error)
        named = told.startswith(f"{name}={show(value)}, but ")
        return None if named and " is expected." in told else told
    except Exception as error:
        return f"{name}={show(value)}: {type(error).__name__}({error})"
    return f"{name}={show(value)} is taken"


# A call of each public function that is answered at once, and what is wrong for it.
TEXTS, LABELS = ["good", "bad"] * 6, [1, 0] * 6
VECTORS = WordVectors(["good", "bad"], [[1.0, 0.0], [-1.0, 0.0]])
SCORES = np.random.default_rng(0).normal(size=(12, 3))
FLAGS, WHOLE, SHARES = ["False", 2], [True, 1.5, 0], [True, math.nan, 1.0, "0.5"]
FUNCTIONS = {
    "align_word_vectors": (
        (VECTORS, VECTORS, [("good", "good")]),
        {"center": FLAGS, "scale": FLAGS, "n_frequent": WHOLE, "n_refinements": [1.5]},
    ),
    "compare_strategies": (
        (TEXTS, LABELS),
        {"race": FLAGS, "n_jobs": [0, True], "threshold": ["fair", np.zeros(2)]}
        | {"n_repeats": WHOLE, "time_budget": [-1, True], "random_state": [True, -1]},
    ),
    "fetch_reviews": (
        (),
        {"download_if_missing": FLAGS, "return_X_y": FLAGS, "as_frame": FLAGS}
        | {"language": ["fr", np.zeros(2)], "labels": ["stars", ["binary"]]},
    ),
    "load_mini_reviews": ((), {"return_X_y": FLAGS, "as_frame": FLAGS}),
    "pool_domains": (
        ((TEXTS, LABELS), (TEXTS, LABELS)),
        {"target_weight": [*SHARES, 0]},
    ),
    "suggest": ((MAJORITY.make([]), TEXTS), {"n": WHOLE, "random_state": [True]}),
    "WordVectors.distill": (
        (CountVectorizer(), ["good"]),
        {"center": FLAGS, "n_components": WHOLE},
    ),
    "WordVectors.load": (
        ("nowhere.txt",),
        {"limit": WHOLE, "dtype": ["int8", []], "format": ["pickle", np.zeros(2)]},
    ),
    "statistics.best_after_choice": (
        (SCORES,),
        {"is_share": FLAGS, "confidence_level": SHARES, "n_bootstraps": WHOLE},
    ),
    "statistics.calibration_error": (
        ([0, 1], [0.5, 0.5]),
        {"n_bins": WHOLE, "debiased": FLAGS},
    ),
    "statistics.corrected_resampled_ttest": (
        ([0.1, 0.2, 0.1], 80, 20),
        {"alternative": ["both", ["less"]], "confidence_level": SHARES}
        | {"least_df": [0, True, "1"], "least_error": [-1.0, math.nan, "0"]},
    ),
    "statistics.could_be_best": ((SCORES,), {"level": SHARES, "widening": [0, True]}),
    "statistics.family_test": ((SCORES,), {"alpha": SHARES, "n_flips": WHOLE}),
    "statistics.label_sets": (
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]]),
        {"coverage": SHARES, "by_class": FLAGS},
    ),
    "statistics.verdict": (("a", "b", 0.1, 0.1), {"alpha": SHARES, "margin": [0, "1"]}),
}


class TestEveryFunction:
    """The same form of message for what a function is given by name."""

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_a_wrong_value_is_named(self, name):
        call = operator.attrgetter(name)(sktransfer)
        given, table = FUNCTIONS[name]
        for parameter, wrong in table.items():
            for value in [Strange(), *wrong]:
                with pytest.raises(InvalidParameterError) as caught:
                    call(*given, **{parameter: value})
                told = str(caught.value)
                assert told.startswith(f"{parameter}={show(value)}, but ")
                assert " is expected." in told


class TestEveryEstimator:
    """One class of error, one form of message, for every parameter there is."""

    @pytest.mark.parametrize("owner", ESTIMATORS)
    def test_a_wrong_value_is_named_when_it_is_fitted(self, owner):
        model = ESTIMATORS[owner](**GIVEN.get(owner, {}))
        found = [fault_of(model, *wrong) for wrong in wrong_values(owner, model)]
        assert len(found) >= len(model.get_params(deep=False))
        assert [fault for fault in found if fault is not None] == []

    def test_a_search_stops_at_it_too(self):
        vectors = WordVectors(["good", "bad"], [[1.0], [-1.0]])
        featurizer = WordVectorFeaturizer(vectors)
        pipeline = make_pipeline(featurizer, NBSVMClassifier())
        grid = {"wordvectorfeaturizer__normalize": ["False"]}
        search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
        with pytest.raises(InvalidParameterError, match=r"^normalize='False', but"):
            search.fit(["good", "bad"] * 2, [1, 0] * 2)

    def test_numpys_numbers_and_flags_are_as_good(self):
        vectors = WordVectors(["good", "bad"], [[1.0], [-1.0]])
        featurizer = WordVectorFeaturizer(
            vectors, normalize=np.True_, lowercase=0, max_length=np.int64(1)
        )
        found = clone(featurizer).fit_transform(["good bad", "Bad"])
        assert found.tolist() == [[1.0], [0.0]]

    def test_a_pooled_classifier_says_so_of_what_it_wraps(self):
        pooled = PooledClassifier(Strange(), ["good"], [1])
        with pytest.raises(InvalidParameterError, match=r"^estimator=<strange>, but a"):
            pooled.fit(["bad"], [0])
