"""Temperatures without rows that are held back for them.

Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2, divide all
logits by one number that rows decide on which nobody has learnt from. A head on
features that rest can be trained without a fold of its rows. Layers cannot, in the time
that there is, and once they have learnt, no part of the rows is new to them: but a
linear head under the right penalty is about as sure as it should be, and tells it to
others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from sktransfer.classifier.data.rows import LabelledRows
from sktransfer.classifier.network.network import (
    find_temperature,
    to_log_probabilities,
    to_probabilities,
)

__all__ = ["temperature_from_folds", "temperature_like"]

Logits = npt.NDArray[np.floating]

N_FOLDS = 5


def temperature_from_folds(
    rows: LabelledRows, fit: Callable[[LabelledRows, LabelledRows], Logits]
) -> float:
    """Temperature from rows that a head has not learnt from, fold by fold.

    `fit` trains a new head on some rows and returns its logits (n, k) of others. Rows
    of a class that has only one of them decide nothing; where no class has more, the
    temperature is 1.
    """
    classes, weight = rows.classes.numpy(), rows.weight.numpy()
    folds = np.full(len(rows), -1)
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        if len(members) > 1:
            folds[members] = np.arange(len(members)) % N_FOLDS
    parts = [np.flatnonzero(folds == fold) for fold in range(max(folds) + 1)]
    if not parts:
        return 1.0
    found = [
        fit(rows.take(np.setdiff1d(np.arange(len(rows)), part)), rows.take(part))
        for part in parts
    ]
    tested = np.concatenate(parts)
    return find_temperature(np.concatenate(found), classes[tested], weight[tested])


def temperature_like(logits: Logits, others: Logits) -> float:
    """Temperature from 0.05 to 20 that makes logits (n, k) as sure as others (n, k)."""
    wanted = to_probabilities(others)

    def loss(log_temperature: float) -> float:
        found = to_log_probabilities(logits, np.exp(log_temperature))
        return -float((wanted * found).sum(axis=1).mean())

    bounds = (np.log(0.05), np.log(20.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
