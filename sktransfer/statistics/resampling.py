"""Scores over folds: a test of their difference, an interval of their mean.

The folds of a cross-validation share most of their training rows, so their scores vary
together and less than scores on fresh data would. The usual t-test takes that for
certainty. Both functions here widen the variance as Nadeau and Bengio do.

Letter in shapes: J, the number of folds over all repeats.

References
----------
Nadeau and Bengio (2003). "Inference for the Generalization Error". Machine Learning 52.

Bouckaert and Frank (2004). "Evaluating the Replicability of Significance Tests for
Comparing Learning Algorithms". PAKDD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sktransfer.exceptions import InvalidInputError, InvalidParameterError

__all__ = [
    "MeanInterval",
    "ResampledTTest",
    "corrected_resampled_ttest",
    "mean_interval",
]

ALTERNATIVES = ("two-sided", "greater", "less")

# Scores are of the order of 1, so this is what their last digits amount to.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class ResampledTTest:
    """What `corrected_resampled_ttest` found.

    Attributes
    ----------
    statistic : float
        Corrected t.
    pvalue : float
        In [0, 1].
    df : int
        Degrees of freedom, J - 1.
    mean_difference : float
        In the unit of the scores.
    confidence_interval : tuple of (float, float)
        Of the mean difference; one bound is infinite where the test has one side.
    """

    statistic: float
    pvalue: float
    df: int
    mean_difference: float
    confidence_interval: tuple[float, float]


@dataclass(frozen=True)
class MeanInterval:
    """What `mean_interval` found.

    Attributes
    ----------
    mean : float
        In the unit of the scores.
    low, high : float
        Bounds of the interval; NaN for a single score, whose spread nobody knows.
    """

    mean: float
    low: float
    high: float


def corrected_resampled_ttest(
    differences: ArrayLike,
    n_train: ArrayLike,
    n_test: ArrayLike,
    *,
    alternative: str = "two-sided",
    confidence_level: float = 0.95,
) -> ResampledTTest:
    r"""Test whether two models score the same, from one cross-validation of both.

    With the differences :math:`d_1, \dots, d_J`, their mean :math:`\bar d` and their
    variance :math:`s^2` (divisor J - 1),

    .. math::

        t = \frac{\bar d}
                 {\sqrt{\left(\frac 1 J + \frac{n_{test}}{n_{train}}\right) s^2}}

    is compared with Student's distribution of J - 1 degrees of freedom. Without the
    second term, which stands for the rows that training sets share, this is the paired
    t-test, and it would find differences in noise.

    Parameters
    ----------
    differences : array-like of shape (J,)
        Score of one model minus score of the other, fold by fold, on the same folds.
    n_train, n_test : int, or array-like of shape (J,)
        Rows that a fold trains and is tested on; where they differ, their mean counts.
    alternative : {"two-sided", "greater", "less"}, default="two-sided"
        What is held against a mean of zero.
    confidence_level : float in (0, 1), default=0.95
        Of the interval.

    Returns
    -------
    result : ResampledTTest
        Where all differences are the same, there is no variance to judge by: if they
        are zero, t is 0 and p is 1; else t is infinite, and p is 0, or 1 where the
        difference points away from the alternative.

    Raises
    ------
    InvalidInputError
        If there are fewer than two differences, or one is no finite number.
    InvalidParameterError
        If a parameter is out of range.

    References
    ----------
    Nadeau and Bengio (2003). "Inference for the Generalization Error". Machine
    Learning 52.

    Examples
    --------
    >>> from sktransfer.statistics import corrected_resampled_ttest
    >>> found = corrected_resampled_ttest([0.08, 0.05, 0.07, 0.09, 0.06], 80, 20)
    >>> round(found.statistic, 3), round(found.pvalue, 4)
    (6.6, 0.0027)
    """
    if alternative not in ALTERNATIVES:
        raise InvalidParameterError(
            f"alternative={alternative!r}, but one of {list(ALTERNATIVES)} is expected."
        )
    values = _check_folds(differences, "differences", at_least=2)
    mean, error = _mean_and_error(values, n_train, n_test)
    reach = _reach(confidence_level, len(values), two_sided=alternative == "two-sided")
    low, high = mean - reach * error, mean + reach * error
    t = _divide(mean, error)
    if alternative == "two-sided":
        pvalue = 2 * stats.t.sf(abs(t), len(values) - 1)
    elif mean == 0 and error == 0:
        pvalue = 1.0
    elif alternative == "greater":
        pvalue, high = stats.t.sf(t, len(values) - 1), np.inf
    else:
        pvalue, low = stats.t.cdf(t, len(values) - 1), -np.inf
    return ResampledTTest(
        statistic=t,
        pvalue=float(pvalue),
        df=len(values) - 1,
        mean_difference=mean,
        confidence_interval=(float(low), float(high)),
    )


def mean_interval(
    scores: ArrayLike,
    n_train: ArrayLike,
    n_test: ArrayLike,
    *,
    confidence_level: float = 0.95,
) -> MeanInterval:
    """Mean score over folds, and how far it may be from the truth.

    The variance of the mean is that of `corrected_resampled_ttest`: the sample variance
    times 1/J + n_test/n_train.

    Parameters
    ----------
    scores : array-like of shape (J,)
        One score a fold.
    n_train, n_test : int, or array-like of shape (J,)
        Rows that a fold trains and is tested on; where they differ, their mean counts.
    confidence_level : float in (0, 1), default=0.95
        How often such an interval holds the expected score.

    Returns
    -------
    interval : MeanInterval
        It may reach beyond what a score can be, as those of accuracies near 1 do.

    Raises
    ------
    InvalidInputError
        If there is no score, or one is no finite number.
    InvalidParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> from sktransfer.statistics import mean_interval
    >>> found = mean_interval([0.80, 0.84, 0.82, 0.86, 0.78], 80, 20)
    >>> round(found.low, 3), round(found.mean, 3), round(found.high, 3)
    (0.761, 0.82, 0.879)
    """
    values = _check_folds(scores, "scores", at_least=1)
    reach = _reach(confidence_level, len(values), two_sided=True)
    mean, error = _mean_and_error(values, n_train, n_test)
    return MeanInterval(mean, mean - reach * error, mean + reach * error)


def _check_folds(values: ArrayLike, name: str, *, at_least: int) -> NDArray[np.float64]:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1:
        raise InvalidInputError(
            f"{name} has shape {checked.shape}, but one number a fold, in 1 dimension, "
            "is expected."
        )
    wrong = np.flatnonzero(~np.isfinite(checked))
    if len(wrong):
        raise InvalidInputError(
            f"{name}[{wrong[0]}] is {checked[wrong[0]]}, but a finite number is "
            "expected: leave out folds that failed, for both models."
        )
    if len(checked) < at_least:
        raise InvalidInputError(
            f"{name} holds {len(checked)} numbers, but at least {at_least} are needed: "
            "use more folds, or repeat them."
        )
    return checked


def _mean_and_error(
    values: NDArray[np.float64], n_train: ArrayLike, n_test: ArrayLike
) -> tuple[float, float]:
    """Mean, and the corrected standard error of it (NaN for one value)."""
    sizes = [float(np.asarray(rows, float).mean()) for rows in (n_train, n_test)]
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        raise InvalidParameterError(
            f"n_train={n_train!r} and n_test={n_test!r}, but positive numbers of rows "
            "are expected."
        )
    if len(values) == 1:
        return float(values[0]), np.nan
    mean = float(values.mean())
    tiny = _ROUNDING * max(1.0, float(np.abs(values).max()))
    if np.ptp(values) <= tiny:
        # 0.3 in one fold and 0.1 + 0.2 in another are the same score.
        return (0.0 if abs(mean) <= tiny else mean), 0.0
    factor = 1 / len(values) + sizes[1] / sizes[0]
    return mean, float(np.sqrt(factor * values.var(ddof=1)))


def _divide(mean: float, error: float) -> float:
    if error > 0:
        return mean / error
    return 0.0 if mean == 0 else float(np.copysign(np.inf, mean))


def _reach(confidence_level: float, n_folds: int, *, two_sided: bool) -> float:
    """Standard errors from the mean to a bound of its interval."""
    if not 0 < confidence_level < 1:
        raise InvalidParameterError(
            f"confidence_level={confidence_level}, but a number between 0 and 1 is "
            "expected, as 0.95."
        )
    if n_folds < 2:
        return float("nan")
    level = (1 + confidence_level) / 2 if two_sided else confidence_level
    return float(stats.t.ppf(level, n_folds - 1))
