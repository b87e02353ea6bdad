"""What scikit-learn wraps around a classifier answers the same in another process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.discovery import all_estimators

from sktransfer.comparison.comparing import compare_strategies
from sktransfer.exceptions import ModelFolderError
from sktransfer.persistence import load, save
from tests.bundles.proving.zoo import find_objects
from tests.persistence_cases import CASES, LABELS, METADATA, ROWS, counts, tune, vote

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "get_feature_names_out",
)
ATTRIBUTES = ("classes_", "feature_names_in_", "n_features_in_", "best_threshold_")
X, Y = ROWS["numbers"], LABELS["two"]
ALL = np.arange(len(X))

ASK = """
import sys
from pathlib import Path
from tests.test_persistence_of_wrappers import answer_all
answer_all(Path(sys.argv[1]), sys.argv[2])
"""


def settings(case):
    """Those of scikit-learn that a case is for; what it warns of is its own affair."""
    warnings.simplefilter("ignore")
    return sklearn.config_context(enable_metadata_routing=case.metadata is not None)


def fit(model, case):
    given = {name: METADATA[name] for name in (case.metadata or {}).get("fit", ())}
    return model.fit(ROWS[case.rows], LABELS[case.labels], **given)


def saved_part(model):
    """Of a search the best estimator, which is what is saved."""
    return model.best_estimator_ if isinstance(model, BaseSearchCV) else model


def questions(model, case):
    """What a model can be asked, by name, and how."""
    rows, labels = ROWS[case.rows], LABELS[case.labels]
    weights = {name: METADATA[name] for name in (case.metadata or {}).get("score", ())}
    found = {
        "parameters": lambda: whole_repr(model),
        "routing": lambda: json.dumps(
            model.get_metadata_routing()._serialize(), sort_keys=True
        ),
    }
    for name in filter(lambda name: hasattr(model, name), ATTRIBUTES):
        found[name] = lambda name=name: getattr(model, name)
    for name in filter(lambda name: hasattr(model, name), METHODS):
        given = [] if name == "get_feature_names_out" else [rows]
        found[name] = lambda name=name, given=given: getattr(model, name)(*given)
    if hasattr(model, "score"):
        found["score"] = lambda: model.score(rows, labels, **weights)
    if case.labels == "stars":
        found["spread"] = lambda: model.predict(rows, return_std=True)
    if hasattr(model, "inverse_transform"):
        found["inverse"] = lambda: model.inverse_transform(model.transform(rows))
    return found


def whole_repr(model):
    """All parameters of all estimators in a model."""
    with sklearn.config_context(print_changed_only=False):
        return model.__repr__(N_CHAR_MAX=10**6)


def answers(model, case):
    """What a model says, errors included, as arrays by name."""
    found = {}
    for name, ask in questions(model, case).items():
        try:
            said = ask()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        found |= as_arrays(name, said)
    return found


def as_arrays(name, value):
    if isinstance(value, (list, tuple)):
        parts = [as_arrays(f"{name} {i}", item) for i, item in enumerate(value)]
        return {key: array for part in parts for key, array in part.items()}
    if isinstance(value, pd.DataFrame):
        return {name: value.to_numpy(), f"{name} columns": np.array(value.columns, "U")}
    if sparse.issparse(value):
        value = value.toarray()
    elif isinstance(value, str):  # the places of objects in memory are others
        value = re.sub("0x[0-9A-Fa-f]+", "", value)
    array = np.asarray(value)
    return {name: array.astype("U") if array.dtype == object else array}


def answer_all(folder, file):
    """Load all models of a folder, and write what they say, fitted again as well."""
    found = {}
    for name, case in CASES.items():
        with warnings.catch_warnings(), settings(case):
            model = load(folder / name)
            found |= {f"{name}/{k}": v for k, v in answers(model, case).items()}
            again = fit(clone(model), case) if case.refits else model
            labels = as_arrays("again", first_answer(again, case))
            found |= {f"{name}/{k}": v for k, v in labels.items()}
    np.savez(file, **found)


def first_answer(model, case):
    name = "predict" if hasattr(model, "predict") else "transform"
    return getattr(model, name)(ROWS[case.rows])


# One test, as one new process answers for all.
@pytest.mark.slow
def test_another_process_says_the_same(tmp_path, tiny_bert):
    before = {}
    for name, case in CASES.items():
        with warnings.catch_warnings(), settings(case):
            model = saved_part(fit(case.build(tiny_bert), case))
            found = answers(model, case)
            found |= as_arrays("again", first_answer(model, case))
            before |= {f"{name}/{k}": v for k, v in found.items()}
            save(model, tmp_path / "models" / name)
    file = tmp_path / "said.npz"
    subprocess.run([sys.executable, "-c", ASK, tmp_path / "models", file], check=True)
    after = dict(np.load(file))
    assert after.keys() == before.keys()
    assert min(Counter(key.partition("/")[0] for key in before).values()) > 3
    assert [k for k in before if not np.array_equal(after[k], before[k])] == []


# Wrappers of regressors, whose rules nobody has asked for.
WITHOUT_CASE = {
    "AdaBoostRegressor",
    "BaggingRegressor",
    "MultiOutputRegressor",
    "RANSACRegressor",
    "RegressorChain",
    "StackingRegressor",
    "VotingRegressor",
}


def test_each_wrapper_of_scikit_learn_is_among_the_cases():
    wraps = {"estimator", "estimators", "regressor", "steps", "transformers"}
    there = {
        name for name, cls in all_estimators() if wraps & {*cls._get_param_names()}
    }
    seen = set()
    for case in CASES.values():
        with warnings.catch_warnings(), settings(case):
            model = case.build("weights")
        seen |= {type(one).__name__ for one in find_objects(model)}
    # Chains have had another name for what they wrap before scikit-learn 1.7.
    assert there - seen == WITHOUT_CASE & there


@pytest.mark.slow
def test_what_a_comparison_has_tuned_comes_back(tmp_path):
    found = compare_strategies(
        ROWS["texts"] * 2, np.tile(Y, 2), strategies={"counts": counts()}, cv=2
    )
    model = found.estimator("counts", tune_threshold=True)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    case = CASES["tuned"]
    for key, value in answers(model, case).items():
        np.testing.assert_array_equal(answers(loaded, case)[key], value)


def test_callbacks_stay_behind(tmp_path):
    callback = pytest.importorskip("sklearn.callback")
    model = LogisticRegression().fit(X, Y).set_callbacks(callback.ProgressBar())
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert "_skl_callbacks" not in vars(loaded)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def own_function(rows):
    return rows + 1.0


def own_metric(true, predicted):
    return float(np.mean(true == predicted))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            lambda: tune(LogisticRegression(), scoring=make_scorer(own_metric)),
            "calls own_metric, which is no metric of sklearn.metrics",
        ),
        (
            lambda: vote(RandomForestClassifier(2)),
            r"estimators_\.0.*tree_ is .*of the type Tree, which cannot be saved",
        ),
        (lambda: vote(KNeighborsClassifier()), r"_tree is .*of the type KDTree"),
        (
            lambda: make_pipeline(
                FunctionTransformer(lambda X: X), LogisticRegression()
            ),
            r"func is <function .*of the type function",
        ),
        (
            lambda: CalibratedClassifierCV(
                make_pipeline(FunctionTransformer(own_function), LogisticRegression()),
                cv=2,
            ),
            r"func is <function own_function",
        ),
        (
            lambda: make_pipeline(
                StandardScaler(),
                GridSearchCV(
                    LogisticRegression(), {"C": [1]}, cv=2, refit=lambda results: 0
                ),
            ),
            r"refit is <function .*of the type function",
        ),
        (
            lambda: StackingClassifier(
                [("a", LogisticRegression())],
                cv=(folds for folds in [(ALL[:12], ALL[12:]), (ALL[12:], ALL[:12])]),
            ),
            r"cv is <generator .*of the type generator",
        ),
    ],
)
def test_what_would_not_come_back_is_refused(tmp_path, build, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build().fit(X, Y)
    with pytest.raises(ModelFolderError, match=reason):
        save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()
