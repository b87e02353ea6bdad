"""Models compared on the same texts: tests, families of them, and what may be best.

All functions take what sets of texts contribute to scores, see `jackknife`.
Shapes: S models, G sets, H differences of two models.

Texts that were predicted by models of one cross-validation tell how far chance in the
test texts moves a difference. They do not tell what other training texts would have
changed, and tests that go by them alone find differences in noise twice as often as
they say. So the standard error is widened by a factor, `WIDENING`. It is a calibrated
heuristic, as the correction of Nadeau and Bengio is: on movies, tweets, news and
products the true spread was 1.1 to 1.25 times that of the texts, with 5 or more folds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import (
    FLAG,
    POSITIVE,
    SHARE,
    check_parameters,
    exactly,
    instance,
    whole,
)

__all__ = [
    "WIDENING",
    "WIDENING_OF_CLASSES",
    "ChosenScore",
    "FamilyTest",
    "PairedTest",
    "best_after_choice",
    "could_be_best",
    "detectable_difference",
    "family_test",
    "paired_test",
    "score_interval",
]

_RULES = {
    "alpha": SHARE,
    "confidence_level": SHARE,
    "level": SHARE,
    "power": SHARE,
    "widening": POSITIVE,
    "is_share": FLAG,
    "score": exactly(None) | instance(Real, "a number"),
    "n_flips": whole(1),
    "n_bootstraps": whole(1),
    "random_state": exactly(None)
    | whole(0)
    | instance(np.random.Generator, "a Generator of numpy"),
}

WIDENING = 1.2
# Of metrics that weigh classes or put texts in an order, as balanced accuracy, macro F1
# and ROC AUC, and of skewed classes: how many texts a model calls what moves with its
# training texts, too.
WIDENING_OF_CLASSES = 1.3

Floats = NDArray[np.float64]

_N_FLIPS = 10_000
_N_BOOTSTRAPS = 2_000
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
# Numbers that are in memory at the same time.
_BLOCK = 2**24


@dataclass(frozen=True)
class PairedTest:
    """What `paired_test` found.

    Attributes
    ----------
    difference : float
        Of the two scores.
    error : float
        Its standard error, widened; 0 where the models agree on every set.
    df : float
        Degrees of freedom, G - 1.
    pvalue : float
        In [0, 1].
    interval : tuple of (float, float)
        Confidence interval of the difference.
    """

    difference: float
    error: float
    df: float
    pvalue: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class FamilyTest:
    """What `family_test` found.

    Attributes
    ----------
    pvalues : ndarray of shape (H,)
        Corrected for all differences of the family.
    critical : float
        How many standard errors a difference has to reach to be shown, if it is the
        largest of the family.
    """

    pvalues: Floats
    critical: float


@dataclass(frozen=True)
class ChosenScore:
    """What `best_after_choice` found.

    Attributes
    ----------
    best : int
        Number of the model with the highest score, the first of equals.
    score : float
        What is to be expected of it on new texts.
    low, high : float
        Confidence interval of that.
    optimism : float
        By how much the highest score is too high for having been chosen.
    """

    best: int
    score: float
    low: float
    high: float
    optimism: float


def paired_test(
    one: ArrayLike,
    other: ArrayLike,
    *,
    confidence_level: float = 0.95,
    widening: float = WIDENING,
) -> PairedTest:
    r"""Test whether two models score the same, from predictions of the same texts.

    With the differences :math:`d_1, \dots, d_G` of what the sets contribute, their mean
    :math:`\bar d` and their standard deviation :math:`s` (divisor G - 1),

    .. math:: t = \frac{\bar d}{w\, s / \sqrt G}

    is compared with Student's distribution of G - 1 degrees of freedom.

    Parameters
    ----------
    one, other : array-like of shape (G,)
        Contributions to the scores of the two models.
    confidence_level : float in (0, 1), default=0.95
        Of the interval.
    widening : float > 0, default=1.2
        w; 1 sees chance in the test texts only.

    Returns
    -------
    found : PairedTest
        Where the models agree on every set, p is 1, and the interval reaches as far as
        one set could have moved the difference.

    Raises
    ------
    InvalidInputError
        If there are fewer than two sets, shapes differ, or a number is not finite.
    InvalidParameterError
        If a parameter is out of range.

    Examples
    --------
    >>> from sktransfer.statistics import paired_test
    >>> right = [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    >>> found = paired_test(right, [0, 1, 0, 1, 0, 1, 0, 1, 0, 0])
    >>> round(found.difference, 3), round(found.pvalue, 3)
    (0.5, 0.034)
    """
    check_parameters(
        {"widening": widening, "confidence_level": confidence_level}, _RULES
    )
    pair = [_check_matrix([one], "one", 2)[0], _check_matrix([other], "other", 2)[0]]
    if len(pair[0]) != len(pair[1]):
        raise InvalidInputError(
            f"one has {len(pair[0])} sets of texts and other {len(pair[1])}, but the "
            "same are expected for both."
        )
    values = pair[0] - pair[1]
    difference, error = _mean_and_error(values)
    error *= widening
    df = float(len(values) - 1)
    pvalue = float(2 * stats.t.sf(abs(difference) / error, df)) if error > 0 else 1.0
    reach = float(stats.t.ppf((1 + confidence_level) / 2, df))
    reach *= error if error > 0 else widening / len(values)
    interval = (difference - reach, difference + reach)
    return PairedTest(difference, error, df, pvalue, interval)


def family_test(
    differences: ArrayLike,
    *,
    alpha: float = 0.05,
    widening: float = WIDENING,
    n_flips: int = _N_FLIPS,
    random_state: int = 0,
) -> FamilyTest:
    """Test several differences at once, so that any false alarm stays improbable.

    The signs of what each set contributes are flipped at random, for all differences
    alike, and the largest t of the family is noted each time: it keeps what the models
    have in common, of which Holm's correction knows nothing. The correction goes step
    by step: a difference is held against those that are not larger than it.

    Parameters
    ----------
    differences : array-like of shape (H, G)
        Contributions to the score of one model minus those of another.
    alpha : float in (0, 1), default=0.05
        For the critical value.
    widening : float > 0, default=1.2
        As in `paired_test`.
    n_flips : int, default=10000
        How often signs are flipped.
    random_state : int, default=0
        Draws them.

    Returns
    -------
    found : FamilyTest
        No p-value is smaller than that of `paired_test`.

    Raises
    ------
    InvalidInputError
        If there are fewer than two sets, or a number is not finite.
    InvalidParameterError
        If a parameter is out of range.

    References
    ----------
    Westfall and Young (1993). "Resampling-Based Multiple Testing". Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import family_test
    >>> better = np.tile([1.0, 1.0, 1.0, -1.0], 20)
    >>> equal = np.tile([1.0, -1.0], 40)
    >>> family_test([better, equal]).pvalues.round(3)
    array([0., 1.])
    """
    check_parameters(
        {
            "widening": widening,
            "alpha": alpha,
            "n_flips": n_flips,
            "random_state": random_state,
        },
        _RULES,
    )
    values = _check_matrix(differences, "differences", 2)
    if not len(values):
        return FamilyTest(np.zeros(0), math.nan)
    t = np.abs(_widened_t(values, widening))
    order = np.argsort(-t, kind="stable")
    # Largest t of each flip among the differences that are no larger than this one.
    n_reached = np.zeros(len(values))
    largest = []
    for flips in _draw_flips(values.shape[1], len(values), n_flips, random_state):
        flipped = np.abs(_flipped_t(flips @ values.T, (values**2).sum(axis=1), values))
        maxima = np.maximum.accumulate(flipped[:, order[::-1]], axis=1)[:, ::-1]
        n_reached += (maxima >= t[order] - _ROUNDING).sum(axis=0)
        largest.append(maxima[:, 0])
    corrected = np.maximum.accumulate((1 + n_reached) / (1 + n_flips))
    alone = 2 * stats.t.sf(t, values.shape[1] - 1)
    pvalues = np.empty(len(values))
    pvalues[order] = corrected
    critical = float(np.quantile(np.concatenate(largest), 1 - alpha))
    least = float(stats.t.ppf(1 - alpha / 2, values.shape[1] - 1))
    return FamilyTest(np.maximum(pvalues, alone), max(critical, least))


def could_be_best(
    values: ArrayLike,
    *,
    level: float = 0.95,
    widening: float = WIDENING,
    n_flips: int = _N_FLIPS,
    random_state: int = 0,
) -> NDArray[np.bool_]:
    """Models that may be the best one: a set that holds it with a chosen probability.

    All pairs of models are held against each other. As long as any pair differs by more
    than flipped signs make probable, the model that falls furthest behind another one
    leaves the set, and the others are held against each other again.

    Parameters
    ----------
    values : array-like of shape (S, G)
        Contributions to the scores of the models; greater scores are better.
    level : float in (0, 1), default=0.95
        How often all models are in it that share the highest expected score.
    widening, n_flips, random_state
        As in `family_test`.

    Returns
    -------
    possible : ndarray of bool of shape (S,)
        At least one is true.

    Raises
    ------
    InvalidInputError
        If there is no model, fewer than two sets, or a number is not finite.
    InvalidParameterError
        If a parameter is out of range.

    References
    ----------
    Hansen, Lunde and Nason (2011). "The Model Confidence Set". Econometrica 79.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import could_be_best
    >>> good = np.tile([1.0, 1.0, 1.0, 0.0], 20)
    >>> could_be_best([good, good[::-1], np.tile([1.0, 0.0], 40) * 0.5])
    array([ True,  True, False])
    """
    check_parameters(
        {
            "widening": widening,
            "level": level,
            "n_flips": n_flips,
            "random_state": random_state,
        },
        _RULES,
    )
    given = _check_matrix(values, "values", 2)
    if not len(given):
        raise InvalidInputError("values has no row, but one a model is expected.")
    n_models = len(given)
    possible = np.ones(n_models, dtype=bool)
    if n_models == 1:
        return possible
    left, right = np.triu_indices(n_models, 1)
    differences = given[left] - given[right]
    t = _widened_t(differences, widening)
    squares = (differences**2).sum(axis=1)
    flipped = np.concatenate(
        [
            np.abs(
                _flipped_t(sums[:, left] - sums[:, right], squares, differences)
            ).astype(np.float32)
            for sums in (
                flips @ given.T
                for flips in _draw_flips(
                    given.shape[1], len(left), n_flips, random_state
                )
            )
        ]
    )
    while possible.sum() > 1:
        pairs = possible[left] & possible[right]
        reached = float(np.abs(t[pairs]).max())
        n_reached = int((flipped[:, pairs].max(axis=1) >= reached - _ROUNDING).sum())
        # Few sets have few flips; then the pair alone tells, as in `family_test`.
        alone = 2 * float(stats.t.sf(reached, given.shape[1] - 1))
        if max((1 + n_reached) / (1 + n_flips), alone) > 1 - level:
            break
        behind = int(np.argmax(np.where(pairs, np.abs(t), -1.0)))
        worse = right[behind] if t[behind] > 0 else left[behind]
        possible[worse] = False
    return possible


def best_after_choice(
    values: ArrayLike,
    *,
    is_share: bool = True,
    confidence_level: float = 0.95,
    widening: float = WIDENING,
    n_bootstraps: int = _N_BOOTSTRAPS,
    random_state: int = 0,
) -> ChosenScore:
    """Say what to expect of the best model, corrected for its having been chosen.

    The highest of several scores is too high on average: it was highest by chance, too.
    Sets of texts are drawn with replacement; the best model on them is scored on the
    sets that were not drawn (BBC-CV). The mean over the draws is the score. Below it,
    the interval reaches as far as that of the best model alone, and above as without
    a choice: where one model stands out, it would have been chosen anyway.

    Parameters
    ----------
    values : array-like of shape (S, G)
        Contributions to the scores of the models; greater scores are better.
    is_share : bool, default=True
        Whether a score lies between 0 and 1.
    confidence_level : float in (0, 1), default=0.95
        Of the interval.
    widening : float > 0, default=1.2
        As in `paired_test`.
    n_bootstraps : int, default=2000
        How often sets are drawn.
    random_state : int, default=0
        Draws them.

    Returns
    -------
    found : ChosenScore
        The score is at most that which was seen.

    Raises
    ------
    InvalidInputError
        If there is no model, fewer than two sets, or a number is not finite.
    InvalidParameterError
        If a parameter is out of range.

    References
    ----------
    Tsamardinos, Greasidou and Borboudakis (2018). "Bootstrapping the out-of-sample
    predictions for efficient and accurate cross-validation". Machine Learning 107.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import best_after_choice
    >>> coins = np.random.default_rng(0).integers(0, 2, (10, 100))
    >>> found = best_after_choice(coins)
    >>> round(float(coins.mean(axis=1).max()), 2), round(found.score, 2)
    (0.58, 0.49)
    """
    check_parameters(
        {
            "is_share": is_share,
            "confidence_level": confidence_level,
            "widening": widening,
            "n_bootstraps": n_bootstraps,
            "random_state": random_state,
        },
        _RULES,
    )
    given = _check_matrix(values, "values", 2)
    if not len(given):
        raise InvalidInputError("values has no row, but one a model is expected.")
    means = given.mean(axis=1)
    # Equal scores differ by rounding, and then the first of them is meant.
    tiny = _ROUNDING * max(1.0, float(np.abs(given).max()))
    best, n_sets = int(np.argmax(means >= means.max() - tiny)), given.shape[1]
    score = float(means[best])
    if len(given) > 1:
        draw = np.random.default_rng(random_state)
        drawn = draw.multinomial(n_sets, np.full(n_sets, 1 / n_sets), n_bootstraps)
        chosen = (drawn @ given.T).argmax(axis=1)
        left_out = drawn == 0
        left_out = left_out[(n_left := left_out.sum(axis=1)) > 0]
        chosen, n_left = chosen[n_left > 0], n_left[n_left > 0]
        sums = np.einsum("bg,bg->b", left_out, given[chosen])
        score = min(score, float((sums / n_left).mean()))
    (low, _), (_, high) = (
        score_interval(
            given[best],
            middle,
            is_share=is_share,
            confidence_level=confidence_level,
            widening=widening,
        )
        for middle in (score, None)
    )
    return ChosenScore(best, score, low, high, float(means[best]) - score)


def score_interval(
    values: ArrayLike,
    score: float | None = None,
    *,
    is_share: bool = True,
    confidence_level: float = 0.95,
    widening: float = WIDENING,
) -> tuple[float, float]:
    """Confidence interval of a score.

    Of a share, it is Wilson's interval for as many texts as would have the widened
    standard error; so it stays within 0 and 1, and is right near them.

    Parameters
    ----------
    values : array-like of shape (G,)
        Contributions to the score.
    score : float, default=None
        Middle of the interval; None is their mean.
    is_share : bool, default=True
        Whether a score lies between 0 and 1.
    confidence_level : float in (0, 1), default=0.95
        How often such an interval holds the expected score.
    widening : float > 0, default=1.2
        As in `paired_test`.

    Returns
    -------
    low, high : float

    Raises
    ------
    InvalidInputError
        If there are fewer than two sets, or a number is not finite.
    InvalidParameterError
        If a parameter is out of range.

    References
    ----------
    Wilson (1927). "Probable Inference, the Law of Succession, and Statistical
    Inference". Journal of the American Statistical Association 22.

    Examples
    --------
    >>> from sktransfer.statistics import score_interval
    >>> low, high = score_interval([1] * 18 + [0] * 2)
    >>> round(low, 2), round(high, 2)
    (0.62, 0.98)
    """
    check_parameters(
        {
            "score": score,
            "is_share": is_share,
            "confidence_level": confidence_level,
            "widening": widening,
        },
        _RULES,
    )
    given = _check_matrix([values], "values", 2)[0]
    mean, error = _mean_and_error(given)
    middle = mean if score is None else float(score)
    n_sets = len(given)
    reach = float(stats.t.ppf((1 + confidence_level) / 2, n_sets - 1))
    if not is_share:
        return middle - reach * widening * error, middle + reach * widening * error
    middle = min(max(middle, 0.0), 1.0)
    variance = middle * (1 - middle)
    n_texts = n_sets / widening**2
    if variance > 0 and error > _ROUNDING:
        n_texts = variance / (widening * error) ** 2
    shrunk = 1 + reach**2 / n_texts
    centre = (middle + reach**2 / (2 * n_texts)) / shrunk
    half = reach / shrunk * math.sqrt(variance / n_texts + (reach / n_texts) ** 2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def detectable_difference(error: float, critical: float, power: float = 0.8) -> float:
    """Smallest difference that is shown with a given probability.

    Parameters
    ----------
    error : float >= 0
        Standard error of a difference, as of `PairedTest`.
    critical : float > 0
        How many of them it has to reach, as of `FamilyTest`.
    power : float in (0, 1), default=0.8
        With which probability.

    Returns
    -------
    difference : float
        With m times as many texts it is about the square root of m times smaller.

    Examples
    --------
    >>> from sktransfer.statistics import detectable_difference
    >>> round(detectable_difference(0.02, 2.8), 3)
    0.073
    """
    check_parameters({"power": power}, _RULES)
    return (critical + float(stats.norm.ppf(power))) * error


def _mean_and_error(values: Floats) -> tuple[float, float]:
    """Mean and its standard error; where all are the same, by how far they are from 0.

    Sets that all say the same have no spread, but they are no proof either: the error
    is then that of signs which might have been others.
    """
    mean = float(values.mean())
    tiny = _ROUNDING * max(1.0, float(np.abs(values).max()))
    if np.ptp(values) <= tiny:
        if abs(mean) <= tiny:
            return 0.0, 0.0
        return mean, abs(mean) / math.sqrt(len(values))
    return mean, float(values.std(ddof=1)) / math.sqrt(len(values))


def _widened_t(values: Floats, widening: float) -> Floats:
    """Widened t of each row of shape (H, G), 0 where a row is 0."""
    pairs = [_mean_and_error(row) for row in values]
    found = [mean / error / widening if error > 0 else 0.0 for mean, error in pairs]
    return np.array(found)


def _draw_flips(
    n_sets: int, n_columns: int, n_flips: int, seed: int
) -> Iterator[Floats]:
    """Signs in blocks of shape (b, G)."""
    draw = np.random.default_rng(seed)
    size = max(1, _BLOCK // max(n_sets, n_columns))
    for first in range(0, n_flips, size):
        shape = (min(size, n_flips - first), n_sets)
        yield draw.choice(np.array([-1.0, 1.0]), shape)


def _flipped_t(sums: Floats, squares: Floats, values: Floats) -> Floats:
    """The t of flipped rows, from their sums (b, H) and the sums of squares (H,)."""
    n_sets = values.shape[1]
    variance = (squares - sums**2 / n_sets) / (n_sets - 1)
    # Where all flipped values are the same, the error is that of `_mean_and_error`.
    same = variance <= _ROUNDING * squares
    variance = np.where(same, squares / n_sets, variance)
    error = np.sqrt(n_sets * variance)
    found: Floats = np.divide(sums, error, out=np.zeros_like(sums), where=error > 0)
    return found


def _check_matrix(given: object, name: str, least_sets: int) -> Floats:
    try:
        values = np.asarray(given, dtype=np.float64)
    except ValueError as error:
        raise InvalidInputError(
            f"{name} holds rows of different lengths, or what are no numbers: one row "
            "a model, with a number for each set of texts, is expected."
        ) from error
    if values.ndim == 1 and not len(values):
        values = values.reshape(0, least_sets)
    if values.ndim != 2:
        raise InvalidInputError(
            f"{name} has {values.ndim} dimensions, but rows of one number for each set "
            "of texts are expected."
        )
    if values.shape[1] < least_sets:
        raise InvalidInputError(
            f"{name} has {values.shape[1]} sets of texts, but at least {least_sets} "
            "are needed."
        )
    if not np.isfinite(values).all():
        raise InvalidInputError(
            f"{name} holds a number that is not finite: leave out models that failed."
        )
    return values
