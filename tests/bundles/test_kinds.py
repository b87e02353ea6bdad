"""Classes have names in a folder, and what a save leaves out or changes is told."""

from __future__ import annotations

from collections import UserList

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sktransfer.baselines.vader import VaderClassifier
from sktransfer.bundles.kinds import (
    estimator_kind,
    kind_named,
    kind_of,
    take_estimator_apart,
)
from sktransfer.bundles.packing import Packer
from sktransfer.exceptions import ModelFolderError

X = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    "value", [LogisticRegression(C=2), StratifiedKFold(3), VaderClassifier()]
)
def test_a_kind_is_found_by_the_name_that_it_has(value):
    name, kind = kind_of(value)
    again = kind_named(name).put_together(kind.take_apart(value))
    assert type(again) is type(value)
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "name",
    [
        "sklearn.utils:Bunch",
        "sklearn.pipeline:make_pipeline",
        "sklearn.model_selection._split:check_cv",
        "os:system",
        "baselines.VaderLexicon",
        "",
    ],
)
def test_no_other_name_has_a_kind(name):
    with pytest.raises(ModelFolderError, match="only estimators of"):
        kind_named(name)


def test_a_cache_stays_on_this_machine(tmp_path):
    model = Pipeline([("one", StandardScaler())], memory=str(tmp_path))
    assert take_estimator_apart(model)["parameters"]["memory"] is None


def test_names_of_frames_become_arrays():
    union = make_union(StandardScaler(), MinMaxScaler()).set_output(transform="pandas")
    union.fit_transform(pd.DataFrame(X, columns=["a", "b"]))
    # Not in every version of scikit-learn.
    union._transformers_feature_names_out = [pd.Index(["a", "b"])] * 2
    (names, _) = take_estimator_apart(union)["fitted"][
        "_transformers_feature_names_out"
    ]
    assert type(names) is np.ndarray
    assert names.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (LogisticRegression, {"C": 2.0, "multi_class": "deprecated"}),
        (StandardScaler, {"with_mean": "warn"}),
        (ColumnTransformer, {"transformers": [], "force_int_remainder_cols": True}),
    ],
)
def test_what_another_version_leaves_open_is_left_open(cls, parameters):
    fields = {"parameters": parameters, "fitted": {}}
    made = estimator_kind(cls).put_together(fields)
    known = {"C", "transformers"}.intersection(parameters)
    assert repr(made) == repr(cls(**{name: parameters[name] for name in known}))


def test_a_parameter_that_says_something_to_another_version_is_refused():
    fields = {"parameters": {"of_another": "ovr"}, "fitted": {}}
    with pytest.raises(TypeError, match="of_another"):
        estimator_kind(LogisticRegression).put_together(fields)


def test_a_list_that_warns_becomes_a_list():
    columns = type("_RemainderColsList", (UserList,), {"__iter__": None})([1, 2])
    assert Packer().pack(columns) == [1, 2]


class Forgetful:
    """What loses an attribute on its way to a folder and back."""

    def __init__(self, kind):
        self.put_together = kind.put_together
        self.prove = kind.prove
        self._take_apart = kind.take_apart

    def take_apart(self, value):
        fields = self._take_apart(value)
        del fields["fitted"]["n_iter_"]
        return fields


def test_an_attribute_that_would_be_lost_is_refused(monkeypatch):
    model = LogisticRegression().fit(X, [0, 1] * 3)
    name, kind = kind_of(model)
    forgetful = name, Forgetful(kind)
    monkeypatch.setattr("sktransfer.bundles.packing.kind_of", lambda value: forgetful)
    with pytest.raises(ModelFolderError, match="its attribute n_iter_ would be lost"):
        Packer().pack(model)


def test_what_a_constructor_would_refuse_is_not_written():
    splitter = StratifiedKFold(3)
    splitter.n_splits = 1
    with pytest.raises(ModelFolderError, match=r"cannot be saved.*n_splits=1"):
        Packer().pack(splitter)
