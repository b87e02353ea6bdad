"""Several tests at once: p-values that allow for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sktransfer.exceptions import InvalidInputError

__all__ = ["holm_correction"]


def holm_correction(pvalues: ArrayLike) -> NDArray[np.float64]:
    r"""Adjust p-values so that any false alarm among them stays improbable.

    With the p-values in ascending order, :math:`p_{(1)} \le \dots \le p_{(m)}`, the
    adjusted ones are :math:`\max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})`. Comparing
    them with 0.05 keeps the probability of one or more false alarms at 5 %, whatever
    the tests have in common.

    Parameters
    ----------
    pvalues : array-like of shape (n_tests,)
        NaN stands for a test that was not made: it counts for nothing.

    Returns
    -------
    adjusted : ndarray of shape (n_tests,)
        In the order given, never smaller than `pvalues`; NaN stays NaN.

    Raises
    ------
    InvalidInputError
        If a p-value is not in [0, 1].

    References
    ----------
    Holm (1979). "A Simple Sequentially Rejective Multiple Test Procedure".
    Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> from sktransfer.statistics import holm_correction
    >>> holm_correction([0.01, 0.04, float("nan"), 0.03])
    array([0.03, 0.06,  nan, 0.06])
    """
    given = np.asarray(pvalues, dtype=np.float64)
    if given.ndim != 1:
        raise InvalidInputError(
            f"pvalues has shape {given.shape}, but one number a test, in 1 dimension, "
            "is expected."
        )
    wrong = np.flatnonzero((given < 0) | (given > 1))
    if len(wrong):
        raise InvalidInputError(
            f"pvalues[{wrong[0]}] is {given[wrong[0]]}, but a number in [0, 1], or NaN "
            "for a test that was not made, is expected."
        )
    made = np.flatnonzero(~np.isnan(given))
    order = made[np.argsort(given[made], kind="stable")]
    multiples = given[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(len(given), np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiples), 1.0)
    return adjusted
