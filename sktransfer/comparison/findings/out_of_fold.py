"""What each set of bound texts contributes to a strategy's score, from its outcomes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer._compat import _BaseScorer
from sktransfer.comparison.run.evaluation import Prediction, rescore
from sktransfer.comparison.run.schedule import Data
from sktransfer.statistics.jackknife import (
    COUNTED,
    Contributions,
    Predictions,
    contributions,
)

__all__ = ["contributions_of", "pooled_scores", "read_predictions"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Outcomes = Sequence[Mapping[str, Any]]

# More sets are joined into so many: of metrics that come from counts, and of
# others, for which the scorer is called each time.
_MOST_COUNTED, _MOST_CALLED = 1000, 100

# Of the order of texts within a fold: models of two folds have scales of their own.
_OF_ORDER = ("roc_auc", "average_precision")


def read_predictions(
    data: Data, outcomes: Outcomes, at_most: int = _MOST_COUNTED
) -> tuple[Predictions, Rows, Floats] | None:
    """Predictions of all folds, the rows of their texts, and probabilities (n, c).

    None where a fold has kept none. At most so many sets are told apart.
    """
    if not outcomes or not all("predictions" in outcome for outcome in outcomes):
        return None
    said = [outcome["predictions"] for outcome in outcomes]
    rows = np.concatenate([np.asarray(part["rows"], np.intp) for part in said])
    lengths = [len(part["rows"]) for part in said]
    given = [
        np.asarray(part["probabilities"], np.float64).reshape(n, len(data.classes))
        for part, n in zip(said, lengths, strict=True)
    ]
    found = Predictions(
        true=np.searchsorted(data.classes, data.labels[rows]),
        predicted=np.concatenate([part["predicted"] for part in said]).astype(np.intp),
        sets=_number_sets(data.bound[rows], at_most),
        repeats=np.repeat([outcome["repeat"] for outcome in outcomes], lengths),
        folds=np.repeat([outcome.get("fold", 0) for outcome in outcomes], lengths),
        n_classes=len(data.classes),
    )
    return found, rows, np.concatenate(given)


def contributions_of(data: Data, outcomes: Outcomes) -> Contributions | None:
    """What each set of bound texts contributes to the main metric.

    None where predictions were not kept, do not suffice for the metric, or are bound to
    one set. `outcomes` are those of all folds of a row.
    """
    scoring = data.scoring
    if not isinstance(scoring.scorer, _BaseScorer):
        return None  # a function of the model
    is_counted = scoring.name in COUNTED
    read = read_predictions(
        data, outcomes, _MOST_COUNTED if is_counted else _MOST_CALLED
    )
    if read is None:
        return None
    said, rows, given = read
    if is_counted:
        return contributions(said, scoring.name)

    def score(chosen: Rows) -> float:
        prediction = Prediction(
            data.classes[said.predicted[chosen]],
            given[chosen],
            None,
            data.classes,
            0.0,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return rescore(
                    prediction, data.labels[rows[chosen]], data.classes, scoring
                )
        except ValueError:
            return math.nan  # such as of a class that is left with no text

    return contributions(said, score, by_fold=scoring.name.startswith(_OF_ORDER))


def pooled_scores(data: Data, outcomes: Outcomes) -> dict[str, float]:
    """Metrics of `COUNTED` of all predictions of a repeat together, over repeats.

    A mean over folds is too low for macro F1, the more so the rarer a class is.
    """
    read = read_predictions(data, outcomes)
    if read is None:
        return {}
    found = {name: contributions(read[0], name) for name in COUNTED}
    return {name: each.score for name, each in found.items() if each is not None}


def _number_sets(bound: Rows, at_most: int) -> Rows:
    """Sets to leave out: what is bound, joined where there is too much.

    Rows come fold by fold, and neighbours are joined: they were tested together, so
    that few folds have to be scored again without them.
    """
    found, first, sets = np.unique(bound, return_index=True, return_inverse=True)
    if len(found) <= at_most:
        return np.asarray(sets, np.intp)
    place = np.empty(len(found), np.intp)
    place[np.argsort(first)] = np.arange(len(found)) * at_most // len(found)
    return np.asarray(place[sets], np.intp)
