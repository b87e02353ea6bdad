"""Labels and weights, checked, without the rows that teach nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.classifier.data.checks import check_labels, check_weights, number_labels
from sktransfer.exceptions import InvalidInputError

__all__ = ["Targets", "check_targets"]


@dataclass(frozen=True)
class Targets:
    """What a classifier learns, for the rows that weigh more than nothing.

    Attributes
    ----------
    rows : ndarray of int, shape (n_kept,)
        Which rows of X these are.
    classes : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    numbers : ndarray of int, shape (n_kept,)
        Place of each row's label in `classes`.
    weight : ndarray of shape (n_kept,)
        Positive, with a mean of 1.
    """

    rows: NDArray[np.intp]
    classes: NDArray[Any]
    numbers: NDArray[np.int64]
    weight: NDArray[np.float64]


def check_targets(
    y: Any, n_rows: int, sample_weight: Any, class_weight: Any
) -> Targets:
    """Check labels and weights against each other, and that there are two classes."""
    labels = check_labels(y, n_rows)
    given = np.unique(labels)
    rows = np.empty((n_rows, 1))
    weight = check_weights(sample_weight, class_weight, rows, labels, given)
    weight = np.ones(n_rows) if weight is None else weight
    kept = np.flatnonzero(weight)
    classes = np.unique(labels[kept])
    if len(classes) < 2:
        raise InvalidInputError(
            f"y holds 1 class only, {classes.tolist()[0]!r}, in all {len(kept)} rows "
            "that weigh more than nothing, but 2 or more are needed to learn a "
            "difference: add rows of another class."
        )
    weight = weight[kept]
    # Rows that are left out must not count in the mean that weights are scaled to.
    if len(kept) < n_rows:
        weight = weight / weight.mean()
    return Targets(kept, classes, number_labels(labels[kept], classes), weight)
