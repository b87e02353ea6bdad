"""Predictions out of fold of four cheap strategies, on vectors that are encoded once.

They are made as a comparison makes them: the same folds for all, copies and groups of
texts kept together. Sets are those of labelled_sets.py; arrays are kept in the cache's
folder of benchmarks, so that a run which was stopped goes on where it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from labelled_sets import Array, LabelledSet
from skewed import vectors_of
from sklearn.exceptions import ConvergenceWarning

from sktransfer import TransferSentimentClassifier
from sktransfer.baselines import nbsvm_baseline, tfidf_baseline
from sktransfer.comparison.run.evaluation import predict
from sktransfer.comparison.setup.folds import bind_rows, make_folds
from sktransfer.storage import cache_folder

STRATEGIES = ("tfidf", "nbsvm", "MiniLM", "E5")
N_FOLDS = 5
FOLDER = cache_folder("benchmarks", "out_of_fold")

Fitted = Callable[[Array], Array]


def fit(name: str, texts: LabelledSet, rows: Array, labels: Array, seed: int) -> Fitted:
    """Fit a strategy on rows of a set; it gives probabilities of any rows."""
    classes = np.unique(labels)
    if name in ("MiniLM", "E5"):
        vectors = vectors_of(name, texts.name)
        head = TransferSentimentClassifier(hidden_layer_sizes=(), random_state=seed)
        head.fit(vectors[rows], labels)
        return lambda asked: head.predict_proba(vectors[asked]).astype(np.float64)
    chosen = texts.take(rows)
    make = tfidf_baseline if name == "tfidf" else nbsvm_baseline
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model: Any = make(chosen).fit(chosen, labels)
    return lambda asked: predict(model, texts.take(asked), classes).probabilities


def predict_out_of_fold(
    texts: LabelledSet,
    rows: Array,
    labels: Array,
    seed: int,
    strategies: Sequence[str] = STRATEGIES,
) -> dict[str, Array]:
    """Probabilities (n, classes) of rows of a set, each by a model without its fold."""
    bound = bind_rows(texts.take(rows), [str(group) for group in texts.groups[rows]])
    found = {
        name: np.full((len(rows), len(np.unique(labels))), np.nan)
        for name in strategies
    }
    for fold in make_folds(labels, bound, cv=N_FOLDS, groups=bound, seed=seed):
        for name in strategies:
            said = fit(name, texts, rows[fold.train], labels[fold.train], seed)
            found[name][fold.test] = said(rows[fold.test])
    return found


def kept(name: str, make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """Arrays of that name, made where they are not there yet."""
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez_compressed(file, **make())
        part.replace(path)
    with np.load(path) as file:
        return dict(file)
