"""Scores over folds: a test of their difference, an interval of their mean.

The folds of a cross-validation share most of their training rows, so their scores vary
together and less than scores on fresh data would. The usual t-test takes that for
certainty. Both functions here widen the variance as Nadeau and Bengio do.

Folds may also agree by chance, or because they are stratified, and then show less
variance than there is, or none. Both functions therefore take the least standard error
that other evidence asks for, as that of paired predictions.

Letter in shapes: J, the number of folds over all repeats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.validation import (
    POSITIVE,
    SHARE,
    Rule,
    check_parameters,
    exactly,
    number,
    one_of,
)

__all__ = [
    "MeanInterval",
    "ResampledTTest",
    "corrected_resampled_ttest",
    "holm_correction",
    "mean_interval",
]

ALTERNATIVES = ("two-sided", "greater", "less")


def _is_df(value: object) -> bool:
    return POSITIVE.accepts(value) or (isinstance(value, float) and value == math.inf)


_RULES = {
    "alternative": one_of(*ALTERNATIVES),
    "confidence_level": SHARE,
    "least_error": number(0),
    # Infinity is the normal distribution.
    "least_df": exactly(None) | Rule(_is_df, "a number above 0"),
}

# Scores are of the order of 1, so this is what their last digits amount to.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


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


@dataclass(frozen=True)
class ResampledTTest:
    """What `corrected_resampled_ttest` found.

    Attributes
    ----------
    statistic : float
        Corrected t; NaN where there is no variance to judge by.
    pvalue : float
        In [0, 1], or NaN as well.
    df : float
        Degrees of freedom, J - 1, or those of `least_error` where that counts.
    mean_difference : float
        In the unit of the scores.
    confidence_interval : tuple of (float, float)
        Of the mean difference, NaN without variance; one bound is infinite where the
        test has one side.
    """

    statistic: float
    pvalue: float
    df: float
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
        Bounds of the interval; NaN where nobody knows the spread: for a single score,
        and for scores that are all the same, without `least_error`.
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
    least_error: float = 0.0,
    least_df: float | None = None,
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
    least_error : float >= 0, default=0
        Standard error of the mean difference by other evidence, as by paired
        predictions; 0 stands for none.
    least_df : float > 0, default=None
        Its degrees of freedom; None is J - 1.

    Returns
    -------
    result : ResampledTTest
        Each of the two errors makes a test with its own degrees of freedom, and the one
        with the greater p-value counts; the interval is the wider one. A difference is
        thus shown only where both show it, which is no more often than by either.
        Where all differences are the same and there is no `least_error`, there is no
        variance to judge by: t, p and the interval are NaN. Where they are all zero,
        t is 0 and p is 1, and only the interval is NaN.

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

    Bouckaert and Frank (2004). "Evaluating the Replicability of Significance Tests for
    Comparing Learning Algorithms". PAKDD.

    Examples
    --------
    >>> from sktransfer.statistics import corrected_resampled_ttest
    >>> found = corrected_resampled_ttest([0.08, 0.05, 0.07, 0.09, 0.06], 80, 20)
    >>> round(found.statistic, 3), round(found.pvalue, 4)
    (6.6, 0.0027)
    """
    check_parameters(
        {
            "alternative": alternative,
            "confidence_level": confidence_level,
            "least_error": least_error,
            "least_df": least_df,
        },
        _RULES,
    )
    values = _check_folds(differences, "differences", at_least=2)
    mean, errors = _mean_and_errors(values, n_train, n_test, least_error, least_df)
    reach = _reach(errors, confidence_level, two_sided=alternative == "two-sided")
    low, high = mean - reach, mean + reach
    tests = [_test(mean, error, df, alternative) for error, df in errors if error > 0]
    if not tests:
        unknown = (1.0, 0.0) if mean == 0 else (np.nan, np.nan)
        tests = [(*unknown, float(len(values) - 1))]
    elif alternative == "less":
        low = -np.inf
    elif alternative == "greater":
        high = np.inf
    pvalue, t, df = max(tests)
    return ResampledTTest(t, pvalue, df, mean, (low, high))


def mean_interval(
    scores: ArrayLike,
    n_train: ArrayLike,
    n_test: ArrayLike,
    *,
    confidence_level: float = 0.95,
    least_error: float = 0.0,
    least_df: float | None = None,
) -> MeanInterval:
    """Mean score over folds, and how far it may be from the truth.

    The variance of the mean is that of `corrected_resampled_ttest`: the sample variance
    times 1/J + n_test/n_train.

    Parameters
    ----------
    scores : array-like of shape (J,)
        One score a fold.
    n_train, n_test : int, or array-like of shape (J,)
        As there.
    confidence_level : float in (0, 1), default=0.95
        How often such an interval holds the expected score.
    least_error, least_df : float, default=0 and None
        As there, of the mean score; the wider interval of both counts.

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
    check_parameters(
        {
            "confidence_level": confidence_level,
            "least_error": least_error,
            "least_df": least_df,
        },
        _RULES,
    )
    values = _check_folds(scores, "scores", at_least=1)
    mean, errors = _mean_and_errors(values, n_train, n_test, least_error, least_df)
    reach = _reach(errors, confidence_level, two_sided=True)
    return MeanInterval(mean, mean - reach, mean + reach)


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


def _mean_and_errors(
    values: NDArray[np.float64],
    n_train: ArrayLike,
    n_test: ArrayLike,
    least_error: float,
    least_df: float | None,
) -> tuple[float, list[tuple[float, float]]]:
    """Mean, and standard errors with their degrees of freedom: corrected, and least."""
    sizes = [float(np.asarray(rows, float).mean()) for rows in (n_train, n_test)]
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        raise InvalidParameterError(
            f"n_train={n_train!r} and n_test={n_test!r}, but positive numbers of rows "
            "are expected."
        )
    df = float(len(values) - 1)
    own_df = df if least_df is None else float(least_df)
    mean = float(values.mean())
    if not df:
        return mean, []  # the spread of folds is unknown, whatever other evidence says
    tiny = _ROUNDING * max(1.0, float(np.abs(values).max()))
    if np.ptp(values) <= tiny:
        # 0.3 in one fold and 0.1 + 0.2 in another are the same score.
        mean, error = (0.0 if abs(mean) <= tiny else mean), 0.0
    else:
        factor = 1 / len(values) + sizes[1] / sizes[0]
        error = float(np.sqrt(factor * values.var(ddof=1)))
    return mean, [(error, df), (float(least_error), own_df)]


def _test(
    mean: float, error: float, df: float, alternative: str
) -> tuple[float, float, float]:
    """p-value, t and degrees of freedom."""
    t = mean / error
    if alternative == "two-sided":
        return float(2 * stats.t.sf(abs(t), df)), t, df
    tail = stats.t.sf if alternative == "greater" else stats.t.cdf
    return float(tail(t, df)), t, df


def _reach(
    errors: list[tuple[float, float]], confidence_level: float, *, two_sided: bool
) -> float:
    """From the mean to a bound of its interval, the farthest; NaN without variance."""
    level = (1 + confidence_level) / 2 if two_sided else confidence_level
    reaches = [error * stats.t.ppf(level, df) for error, df in errors if error > 0]
    return float(max(reaches, default=np.nan))
