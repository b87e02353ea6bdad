"""What each set of bound texts contributes to a score, from predictions out of fold.

A score is computed again with each set left out (the jackknife). As the sets are the
same for all models of a comparison, differences of two models follow pair by pair. For
accuracy, with sets of one text, a contribution is 1 where the label is right, else 0.

Shapes: n predictions, over all repeats; c classes; G sets.

References
----------
Efron and Stein (1981). "The Jackknife Estimate of Variance". Annals of Statistics 9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["COUNTED", "Contributions", "Metric", "Predictions", "contributions"]

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]
# From the positions of some predictions to their score; NaN where it has no value.
Metric = Callable[[Numbers], float]

_N_DIGITS = 12  # behind them is rounding

# Metrics that come from tables of true and predicted classes.
COUNTED = ("accuracy", "balanced_accuracy", "f1_macro")


@dataclass(frozen=True)
class Predictions:
    """What a model said out of fold, as numbers.

    Attributes
    ----------
    true, predicted : ndarray of int of shape (n,)
        Classes, from 0.
    sets : ndarray of int of shape (n,)
        Number of the set that a text belongs to, from 0 without a gap.
    repeats, folds : ndarray of int of shape (n,)
        Where it was predicted.
    n_classes : int
        c.
    """

    true: Numbers
    predicted: Numbers
    sets: Numbers
    repeats: Numbers
    folds: Numbers
    n_classes: int


@dataclass(frozen=True)
class Contributions:
    """A score, and what each set of texts contributes to it.

    Attributes
    ----------
    score : float
        Of all predictions of a repeat together, averaged over repeats.
    values : ndarray of shape (G,)
        Their mean is the score; their spread tells how far chance moves it.
    """

    score: float
    values: Floats


def contributions(
    said: Predictions, metric: str | Metric, *, by_fold: bool = False
) -> Contributions | None:
    """Score a model, and tell what each set of texts contributes.

    Parameters
    ----------
    said : Predictions
        Of one model.
    metric : str or callable
        One of `COUNTED`, or a function of positions in `said`.
    by_fold : bool, default=False
        Whether a callable scores each fold by itself, and their mean counts. That is
        right for metrics of an order, as ROC AUC: models of two folds have scales of
        their own.

    Returns
    -------
    found : Contributions or None
        None where there is one set only, or the score has no value without one of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics.jackknife import Predictions, contributions
    >>> true, predicted = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    >>> once = np.zeros(4, dtype=int)
    >>> said = Predictions(true, predicted, np.arange(4), once, once, 2)
    >>> contributions(said, "accuracy").score
    0.75
    """
    n_sets = int(said.sets.max()) + 1
    if n_sets < 2:
        return None
    scores, left_out = [], []
    for repeat in np.unique(said.repeats):
        rows = np.flatnonzero(said.repeats == repeat)
        if isinstance(metric, str):
            score, without = _from_counts(said, rows, metric, n_sets)
        elif by_fold:
            score, without = _by_fold(said, rows, metric, n_sets)
        else:
            sets = said.sets[rows]
            score = metric(rows)
            without = np.array([metric(rows[sets != out]) for out in range(n_sets)])
        scores.append(score)
        left_out.append(without)
    score, without = float(np.mean(scores)), np.mean(left_out, axis=0)
    if not (math.isfinite(score) and np.isfinite(without).all()):
        return None
    # Their own mean is the jackknife's estimate of the score without its bias. The
    # score stays what is reported, so only the spread is taken from them.
    values = score - (n_sets - 1) * (without - without.mean())
    return Contributions(score, values.round(_N_DIGITS))


def _by_fold(
    said: Predictions, rows: Numbers, metric: Metric, n_sets: int
) -> tuple[float, Floats]:
    """Mean over the folds of a repeat; a set concerns the folds that it is in."""
    parts = [rows[said.folds[rows] == fold] for fold in np.unique(said.folds[rows])]
    whole = np.array([metric(part) for part in parts])
    without = np.tile(whole, (n_sets, 1))
    for place, part in enumerate(parts):
        sets = said.sets[part]
        for out in np.unique(sets):
            without[out, place] = metric(part[sets != out])
    return float(whole.mean()), without.mean(axis=1)


def _from_counts(
    said: Predictions, rows: Numbers, metric: str, n_sets: int
) -> tuple[float, Floats]:
    """Score, and that without each set, from tables of true and predicted classes."""
    c = said.n_classes
    place = (said.sets[rows] * c + said.true[rows]) * c + said.predicted[rows]
    counts = np.bincount(place, minlength=n_sets * c**2).reshape(n_sets, c, c)
    table = counts.sum(axis=0)
    scores = _score_tables(np.concatenate([table[None], table - counts]), metric)
    return float(scores[0]), scores[1:]


def _score_tables(counts: npt.NDArray[np.int_], metric: str) -> Floats:
    """Score of tables of shape (k, c, c), true classes in the rows."""
    tables = counts.astype(np.float64)
    right = np.diagonal(tables, axis1=1, axis2=2)
    actual, told = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(invalid="ignore"):
        if metric == "accuracy":
            return np.asarray(right.sum(axis=1) / actual.sum(axis=1))
        if metric == "balanced_accuracy":
            return _mean_of_known(right / actual)
        return _mean_of_known(2 * right / (actual + told))


def _mean_of_known(by_class: Floats) -> Floats:
    """Mean over the classes that occur; a class without texts is NaN."""
    known = ~np.isnan(by_class)
    sums = np.where(known, by_class, 0.0).sum(axis=1)
    return np.asarray(sums / known.sum(axis=1))
