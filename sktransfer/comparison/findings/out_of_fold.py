"""How far chance in the test texts moves a score, from predictions out of fold.

Folds may agree by accident, or because they are stratified; texts then still differ.
The score of all predictions is computed again with each set of bound texts left out
(the jackknife). As the sets are the same for all strategies of a comparison, the error
of a difference follows from the difference of what two strategies score so, pair by
pair. For accuracy this is the standard error of the mean over texts.

Shapes: B sets that are left out, c classes.

References
----------
Efron and Stein (1981). "The Jackknife Estimate of Variance". Annals of Statistics 9.

Agresti and Min (2005). "Simple Improved Confidence Intervals for Comparing Matched
Proportions". Statistics in Medicine 24.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics._scorer import _BaseScorer

from sktransfer.comparison.run.evaluation import METRICS, Prediction, rescore
from sktransfer.comparison.run.schedule import Data

__all__ = ["LeastError", "jackknife_error", "least_error", "score_without"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Outcomes = Sequence[Mapping[str, Any]]

# More sets are joined at random into so many: of metrics that come from counts, and of
# others, for which the scorer is called each time.
_MOST_COUNTED, _MOST_CALLED = 1000, 100

_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LeastError:
    """Standard error that a score, or a difference of two, has at least."""

    error: float  # 0 where nobody knows
    df: float  # degrees of freedom: one less than there are sets


def jackknife_error(left_out: npt.ArrayLike) -> float:
    """Standard error of a statistic, from its values with one set left out each.

    It is 0 where the values, of which there are two at least, differ by rounding only.

    Examples
    --------
    >>> from sktransfer.comparison.findings.out_of_fold import jackknife_error
    >>> round(jackknife_error([2.5, 2.0, 1.5]), 3)  # of the mean of 1, 2 and 3
    0.577
    """
    values = np.asarray(left_out, dtype=np.float64)
    if np.ptp(values) <= _ROUNDING * max(1.0, float(np.abs(values).max())):
        return 0.0
    return float(np.sqrt((len(values) - 1) * values.var()))


def score_without(data: Data, outcomes: Outcomes) -> Floats | None:
    """Score a strategy with each set of bound texts left out: an array of shape (B,).

    All predictions of a repeat are scored together, and repeats averaged. None where
    predictions were not kept, do not suffice for the metric, or are bound to one set.
    `outcomes` are those of all folds of a row.
    """
    scoring = data.scoring
    if not all("predictions" in outcome for outcome in outcomes):
        return None
    if not isinstance(scoring.scorer, _BaseScorer):
        return None  # a function of the model
    counted = scoring.name in METRICS
    rows = np.concatenate([outcome["predictions"]["rows"] for outcome in outcomes])
    sets = _number_sets(data.bound[rows], _MOST_COUNTED if counted else _MOST_CALLED)
    n_sets = int(sets.max()) + 1
    if n_sets < 2:
        return None
    said = [outcome["predictions"] for outcome in outcomes]
    repeats = np.repeat(
        [outcome["repeat"] for outcome in outcomes],
        [len(part["rows"]) for part in said],
    )
    predicted = np.concatenate([part["predicted"] for part in said]).astype(np.intp)
    given = np.concatenate([_columns(part, len(data.classes)) for part in said])
    scores = []
    for repeat in np.unique(repeats):
        mine = repeats == repeat
        part = (rows[mine], predicted[mine], sets[mine])
        if counted:
            scores.append(_from_counts(data, *part, n_sets))
        else:
            scores.append(np.array(list(_called(data, *part, given[mine], n_sets))))
    mean: Floats = np.mean(scores, axis=0)
    return mean if np.isfinite(mean).all() else None


def least_error(
    data: Data, scores: Sequence[float], without: Sequence[Floats | None]
) -> LeastError:
    """Standard error that a score, or the difference of two, has at least.

    `scores` are of one strategy, or of two that are subtracted, and `without` is what
    `score_without` has for each. Where predictions do not tell, scores that are shares
    count as shares of texts, and of different texts for each strategy, which is the
    cautious guess. Where no set of texts makes a difference, a share is known to one
    set and no better. What is no share, and has no predictions, has an error of 0.
    """
    tested = np.concatenate([fold.test for fold in data.folds])
    n_sets = len(np.unique(data.bound[tested]))
    known = [values for values in without if values is not None]
    error, df = 0.0, float(n_sets - 1)
    if len(known) == len(without):
        error = jackknife_error(known[0] - (known[1] if len(known) > 1 else 0.0))
        df = float(len(known[0]) - 1)
    elif data.scoring.is_share:
        shares = np.clip(scores, 0.0, 1.0)
        error = float(np.sqrt((shares * (1 - shares)).sum() / n_sets))
    if data.scoring.is_share and error == 0:
        error = 1 / n_sets
    return LeastError(error, max(df, 1.0))


def _number_sets(bound: Rows, at_most: int) -> Rows:
    """Sets to leave out: what is bound, joined at random where there is too much."""
    found, sets = np.unique(bound, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(found)) % at_most
    return np.asarray(sets if len(found) <= at_most else shuffled[sets], np.intp)


def _columns(said: Mapping[str, Any], n_classes: int) -> Floats:
    given = np.asarray(said["probabilities"], dtype=np.float64)
    return given.reshape(len(said["rows"]), n_classes)


def _from_counts(
    data: Data, rows: Rows, predicted: Rows, sets: Rows, n_sets: int
) -> Floats:
    """Metrics of `METRICS`, from tables of true and predicted classes."""
    n_classes = len(data.classes)
    true = np.searchsorted(data.classes, data.labels[rows])
    place = (sets * n_classes + true) * n_classes + predicted
    counts = np.bincount(place, minlength=n_sets * n_classes**2)
    tables = counts.reshape(n_sets, n_classes, n_classes).astype(np.float64)
    left = tables.sum(axis=0) - tables
    right = np.diagonal(left, axis1=1, axis2=2)
    actual, told = left.sum(axis=2), left.sum(axis=1)
    with np.errstate(invalid="ignore"):
        if data.scoring.name == "accuracy":
            return np.asarray(right.sum(axis=1) / actual.sum(axis=1))
        if data.scoring.name == "balanced_accuracy":
            return _mean_of_known(right / actual)
        return _mean_of_known(2 * right / (actual + told))


def _mean_of_known(by_class: Floats) -> Floats:
    """Mean over the classes that occur; a class without texts is NaN."""
    known = ~np.isnan(by_class)
    sums = np.where(known, by_class, 0.0).sum(axis=1)
    return np.asarray(sums / known.sum(axis=1))


def _called(
    data: Data, rows: Rows, predicted: Rows, sets: Rows, given: Floats, n_sets: int
) -> Iterator[float]:
    """Any other metric of predictions; NaN where it has no value."""
    for left_out in range(n_sets):
        kept = sets != left_out
        prediction = Prediction(
            data.classes[predicted[kept]], given[kept], None, data.classes, 0.0
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield rescore(
                    prediction, data.labels[rows[kept]], data.classes, data.scoring
                )
        except ValueError:
            # Such as a class that is left with no text.
            yield math.nan
