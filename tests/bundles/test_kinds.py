"""Scorers and splitters come back, and files may name no other functions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn
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


def test_a_request_for_metadata_is_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(f1_score).set_score_request(sample_weight=True)
    with pytest.raises(ModelFolderError, match="fit without the request"):
        Packer().pack(scorer)


@pytest.mark.parametrize("metric", ["system", "os.system", "eval", "len", ""])
def test_a_file_may_name_no_other_function(metric):
    name = "sklearn.metrics._scorer:_Scorer"
    none = {"is": "dict", "items": []}
    fields = {"metric": metric, "sign": 1, "kwargs": none, "response_method": None}
    unpacker = Unpacker([{"type": name, "fields": fields}], {}, {})
    with pytest.raises(ModelFolderError, match=f"the metric {metric!r} is asked for"):
        unpacker.unpack({"is": "object", "number": 0})
