"""When to trust the labels of a strategy, from its predictions out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sktransfer.exceptions import InvalidParameterError
from sktransfer.statistics.selective import (
    ConfidenceTable,
    LabelSets,
    confidence_table,
    label_sets,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_sets", "list_confidences", "tabulate_confidences"]

_SHARES = np.arange(0.1, 1.05, 0.1)

Rows = npt.NDArray[np.intp]


def tabulate_confidences(
    predictions: pd.DataFrame, classes: Sequence[object], bound: Rows | None
) -> ConfidenceTable:
    """How often labels of each confidence are right.

    `predictions` are a strategy's, as in `StrategyComparison.predictions`, with columns
    of probabilities in the order of `classes`; `bound` are the sets of texts (n,) that
    belong together, and None is each on its own.
    """
    given, sets = _read(predictions, classes, bound)
    said = _number(predictions["predicted"].tolist(), classes)
    right = (predictions["predicted"] == predictions["label"]).to_numpy(bool)
    return confidence_table(given[np.arange(len(said)), said], right, sets=sets)


def list_confidences(table: ConfidenceTable, level: float) -> pd.DataFrame:
    """Rows of a table of confidences that have about each tenth of the labels."""
    import pandas as pd

    shares = table.shares()
    # Of the first with so many: there may be few, if many confidences are the same.
    rows = np.unique(np.searchsorted(shares, _SHARES - 1e-9).clip(max=len(shares) - 1))
    return pd.DataFrame(
        {
            "confidence": np.array(table.thresholds)[rows],
            "share": shares[rows],
            "accuracy": table.accuracies()[rows],
            "least_accuracy": table.least_accuracies(level)[rows],
        }
    )


def find_sets(
    predictions: pd.DataFrame,
    classes: Sequence[object],
    bound: Rows | None,
    coverage: float,
    by_class: bool,
) -> LabelSets:
    """Sets of labels that hold the right one; see `tabulate_confidences`."""
    given, sets = _read(predictions, classes, bound)
    labels = _number(predictions["label"].tolist(), classes)
    return label_sets(labels, given, coverage, by_class=by_class, sets=sets)


def _read(
    predictions: pd.DataFrame, classes: Sequence[object], bound: Rows | None
) -> tuple[npt.NDArray[np.float64], Rows]:
    """Probabilities, and the set that each prediction belongs to."""
    columns = [f"probability_{label}" for label in classes]
    given = predictions[columns].to_numpy(float)
    if not np.isfinite(given).all():
        raise InvalidParameterError(
            "this strategy gave no probabilities, so nobody knows how sure it is of a "
            "label: take another strategy."
        )
    rows = predictions["row"].to_numpy(np.intp)
    # Networks in single precision exceed 1 by rounding.
    return given.clip(0, 1), rows if bound is None else bound[rows]


def _number(labels: Sequence[Any], classes: Sequence[object]) -> Rows:
    place = {label: number for number, label in enumerate(classes)}
    return np.array([place[label] for label in labels], dtype=np.intp)
