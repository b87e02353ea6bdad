"""What estimators hold comes back, and files may name no functions of others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom, loguniform, randint, rv_histogram, uniform
from sklearn.compose import make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score, get_scorer, get_scorer_names, make_scorer
from sklearn.model_selection import (
    GroupKFold,
    LeavePOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.exceptions import ModelFolderError

X = np.arange(12.0).reshape(-1, 1)
Y = np.array(["a", "b"] * 6)


def there_and_back(value):
    packer = Packer()
    packed, objects = json.loads(json.dumps([packer.pack(value), packer.objects]))
    return Unpacker(objects, packer.tensors, packer.parts).unpack(packed)


@pytest.mark.parametrize(
    "splitter",
    [
        StratifiedKFold(3, shuffle=True, random_state=1),
        GroupKFold(2),
        LeavePOut(2),
        TimeSeriesSplit(3, gap=1),
        StratifiedShuffleSplit(2, test_size=0.5, random_state=1),
        RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=1),
        PredefinedSplit([0, 1, -1] * 4),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_splitters_make_the_same_folds(splitter):
    again = there_and_back(splitter)
    assert type(again) is type(splitter)
    groups = np.repeat([0, 1, 2], 4) if isinstance(splitter, GroupKFold) else None
    folds, expected = ([*one.split(X, Y, groups)] for one in (again, splitter))
    assert repr(folds) == repr(expected)


@pytest.mark.parametrize("name", get_scorer_names())
def test_every_named_scorer_comes_back(name):
    assert vars(there_and_back(get_scorer(name))) == vars(get_scorer(name))


def test_arguments_of_a_metric_come_along():
    scorer = make_scorer(f1_score, greater_is_better=False, pos_label="b")
    model = DummyClassifier(strategy="constant", constant="b").fit(X, Y)
    assert there_and_back(scorer)(model, X, Y) == scorer(model, X, Y) < 0


def test_a_function_of_others_is_refused_with_its_name():
    with pytest.raises(ModelFolderError, match="calls len, which is no metric of"):
        Packer().pack(make_scorer(len))


@pytest.mark.parametrize("metric", ["system", "os.system", "eval", "len", ""])
def test_a_file_may_name_no_other_function(metric):
    name = "sklearn.metrics._scorer:_Scorer"
    none = {"is": "dict", "items": []}
    fields = {"metric": metric, "sign": 1, "kwargs": none, "response_method": None}
    unpacker = Unpacker([{"type": name, "fields": fields}], {}, {})
    with pytest.raises(ModelFolderError, match=f"the metric {metric!r} is asked for"):
        unpacker.unpack({"is": "object", "number": 0})


def test_random_numbers_that_a_stack_gave_its_splitter_come_along():
    splitter = StratifiedKFold(2)
    splitter.random_state = np.random.RandomState(3)
    again = there_and_back(splitter)
    assert (again.shuffle, again.n_splits) == (False, 2)
    assert again.random_state.random() == np.random.RandomState(3).random()


@pytest.mark.parametrize(
    "distribution",
    [loguniform(1e-3, 1e3), uniform(loc=1, scale=2), randint(1, 9), binom(3, p=0.5)],
    ids=lambda one: one.dist.name,
)
def test_distributions_draw_the_same(distribution):
    again = there_and_back(distribution)
    draws, expected = (one.rvs(9, random_state=0) for one in (again, distribution))
    np.testing.assert_array_equal(draws, expected)


def test_a_distribution_of_others_is_refused():
    own = rv_histogram(np.histogram([1.0, 2.0, 3.0]))
    with pytest.raises(ModelFolderError, match="is none of scipy"):
        Packer().pack(own())


DISTRIBUTION = "scipy.stats._distn_infrastructure:rv_continuous_frozen"
SELECTOR = "sklearn.compose._column_transformer:make_column_selector"


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (DISTRIBUTION, {"distribution": "norm", "args": [[1]]}, "with numbers"),
        (DISTRIBUTION, {"distribution": "gaussian_kde"}, "'gaussian_kde' is asked for"),
        (DISTRIBUTION, {"distribution": "rv_continuous"}, "'rv_continuous' is asked"),
        (DISTRIBUTION, {"distribution": "__class__"}, "'__class__' is asked for"),
        (SELECTOR, {"pattern": r"(\w+)+!"}, "repeats do not overlap"),
        (SELECTOR, {"dtype_include": {"is": "path", "value": "/"}}, "names of types"),
    ],
)
def test_a_file_may_ask_for_no_other_objects(kind, fields, reason):
    if kind == DISTRIBUTION:
        none = {"is": "dict", "keys": [], "values": []}
        fields = {"args": [], "kwds": none} | fields
    unpacker = Unpacker([{"type": kind, "fields": fields}], {}, {})
    with pytest.raises(ModelFolderError, match=reason):
        unpacker.unpack({"is": "object", "number": 0})


@pytest.mark.parametrize("types", ["number", np.number, [object, "category"], None])
def test_selectors_of_columns_come_back(types):
    selector = make_column_selector("^a", dtype_include=types)
    assert vars(there_and_back(selector)) == vars(selector)
