"""What scikit-learn wraps around a classifier predicts the same in another process."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.exceptions import ModelFolderError
from sktransfer.persistence import load, save

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.where(X[:, 0] > 0.2, "pos", "neg")
TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot"] * 10
METHODS = ("predict", "predict_proba", "decision_function")
# Some rows without a label.
SOME = np.where(np.arange(40) % 4, Y == "pos", -1).astype(int)

BASES = {
    "ours": functools.partial(
        TransferSentimentClassifier,
        hidden_layer_sizes=(),
        max_epochs=1,
        random_state=0,
        device="cpu",
    ),
    "theirs": functools.partial(LogisticRegression, random_state=0),
}
GRID = {"random_state": [1, 0]}
F1 = make_scorer(f1_score, pos_label="neg")


def tune(one, **parameters):
    """A classifier with the better of five thresholds."""
    return TunedThresholdClassifierCV(one, **{"cv": 2, "thresholds": 5} | parameters)


def vote(one, **parameters):
    """One classifier and another one, with a voice each."""
    return VotingClassifier([("a", one), ("b", LogisticRegression())], **parameters)


WRAPPERS = {
    "tuned": lambda base: tune(base()),
    "tuned by another label": lambda base: tune(
        base(), cv=StratifiedKFold(2, shuffle=True, random_state=0), scoring=F1
    ),
    "tuned afterwards": lambda base: tune(
        base().fit(X, Y), cv="prefit", refit=False, thresholds=np.linspace(0.1, 0.9, 5)
    ),
    "fixed": lambda base: FixedThresholdClassifier(
        base(), threshold=0.7, pos_label="pos", response_method="predict_proba"
    ),
    "sigmoid": lambda base: CalibratedClassifierCV(base(), cv=2),
    "isotonic": lambda base: CalibratedClassifierCV(base(), cv=2, method="isotonic"),
    "grid": lambda base: GridSearchCV(base(), GRID, cv=2),
    "random": lambda base: RandomizedSearchCV(base(), GRID, n_iter=1, cv=2),
    "voting": lambda base: vote(base(), voting="soft"),
    "stacking": lambda base: StackingClassifier(
        [("a", base()), ("b", GaussianNB())], cv=2
    ),
    "one against the rest": lambda base: OneVsRestClassifier(base()),
    "codes": lambda base: OutputCodeClassifier(base(), random_state=1),
    "bagging": lambda base: BaggingClassifier(base(), 2, random_state=0),
    "self-training": lambda base: SelfTrainingClassifier(base(), max_iter=1),
    "frozen": lambda base: FrozenEstimator(base().fit(X, Y)),
    "pipeline": lambda base: make_pipeline(StandardScaler(), base()),
    "columns": lambda base: make_pipeline(
        make_column_transformer((StandardScaler(), [0]), remainder=MinMaxScaler()),
        base(),
    ),
    "union": lambda base: make_pipeline(
        make_union(StandardScaler(), MinMaxScaler()), base()
    ),
    "tuned and calibrated": lambda base: tune(CalibratedClassifierCV(base(), cv=2)),
    "tuned in a search": lambda base: GridSearchCV(
        tune(base()), {"scoring": ["accuracy"]}, cv=2
    ),
    "voting of searches": lambda base: vote(
        GridSearchCV(base(), GRID, cv=2, scoring=["accuracy"], refit="accuracy")
    ),
    "texts": lambda base: tune(make_pipeline(TfidfVectorizer(), base())),
}

ANSWER = """
import sys
from pathlib import Path
import numpy as np
from sktransfer import load
from tests.test_persistence_of_wrappers import answer
folder = Path(sys.argv[1])
names = [path.name for path in folder.iterdir()]
found = {f"{n}/{k}": v for n in names for k, v in answer(load(folder / n), n).items()}
np.savez(sys.argv[2], **found)
"""


def answer(model, name):
    """What each method of a model answers, errors included."""
    found = {}
    for method in METHODS:
        if hasattr(model, method):
            try:
                found[method] = getattr(model, method)(rows(name))
            except Exception as error:
                found[method] = np.array(repr(error))
    return found


def rows(name):
    return TEXTS if "texts" in name else X


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """By model and method, before saving and in another process."""
    before = {}
    folder = tmp_path_factory.mktemp("models")
    for whose, base in BASES.items():
        for wrapper, build in WRAPPERS.items():
            name = f"{whose} {wrapper}"
            model = build(base).fit(rows(name), SOME if "self" in name else Y)
            try:
                save(model, folder / name)
            except ModelFolderError as error:  # for the test of this one to tell
                before[f"{name}/save"] = np.array(repr(error))
            before |= {f"{name}/{k}": v for k, v in answer(model, name).items()}
    found = tmp_path_factory.mktemp("answers") / "found.npz"
    subprocess.run([sys.executable, "-c", ANSWER, folder, found], check=True)
    return before, dict(np.load(found))


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("whose", BASES)
def test_another_process_predicts_the_same(answers, whose, wrapper):
    before, after = (
        {key: value for key, value in found.items() if key.startswith(start)}
        for found in answers
        for start in [f"{whose} {wrapper}/"]
    )
    assert before
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)


@pytest.mark.parametrize("whose", BASES)
def test_a_search_within_keeps_its_results_and_its_score(tmp_path, whose):
    search = GridSearchCV(BASES[whose](), GRID, cv=StratifiedKFold(2), scoring=F1)
    model = make_pipeline(StandardScaler(), search).fit(X, Y)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.score(X, Y) == model.score(X, Y)
    tried = loaded[-1].cv_results_["param_random_state"]
    assert type(tried) is np.ma.MaskedArray
    assert tried.tolist() == [1, 0]
    clone(loaded).fit(X, Y)


def own_metric(true, predicted):
    return float(np.mean(true == predicted))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            lambda base: tune(base(), scoring=make_scorer(own_metric)),
            "calls own_metric, which is no metric of sklearn.metrics",
        ),
        (
            lambda base: vote(RandomForestClassifier(2)),
            r"estimators_\.0.*tree_ is .*of the type Tree, which cannot be saved",
        ),
        (lambda base: vote(KNeighborsClassifier()), r"_tree is .*of the type KDTree"),
        (
            lambda base: make_pipeline(FunctionTransformer(lambda X: X), base()),
            r"func is <function .*of the type function",
        ),
    ],
)
@pytest.mark.parametrize("whose", BASES)
def test_what_would_not_come_back_is_refused(tmp_path, whose, build, reason):
    model = build(BASES[whose]).fit(X, Y)
    with pytest.raises(ModelFolderError, match=reason):
        save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()
