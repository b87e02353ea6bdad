"""When to trust a label: accuracy above a confidence, and sets that hold the truth.

Both come from predictions out of fold, and both say what so few texts leave open.

References
----------
Geifman and El-Yaniv (2017). "Selective Classification for Deep Neural Networks".
NeurIPS.

Angelopoulos, Bates, Candès, Jordan and Lei (2021). "Learn then Test: Calibrating
Predictive Algorithms to Achieve Risk Control". arXiv:2110.01052. Fixed-sequence tests
with several starts.

Vovk (2015). "Cross-conformal predictors". Annals of Mathematics and Artificial
Intelligence 74.

Sadinle, Lei and Wasserman (2019). "Least Ambiguous Set-Valued Classifiers with Bounded
Error Levels". Journal of the American Statistical Association 114.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import FLAG, SHARE, check_parameters

__all__ = [
    "ConfidenceTable",
    "LabelSets",
    "Promise",
    "confidence_table",
    "label_sets",
]

_RULES = {"accuracy": SHARE, "level": SHARE, "coverage": SHARE, "by_class": FLAG}

# A row of a table has so many times the labels of the row above; the first has so many.
_STEP, _FEWEST = 1.03, 10
# Chains of tests begin at the fewest texts that pass with so many mistakes.
_MISTAKES = (0, 2, 8, 26)
_ACCURACIES = np.arange(0.99, 0.5, -0.01).round(2)

Floats = NDArray[np.float64]

_FORMAT, _FORMAT_VERSION = "sktransfer confidence", 1


@dataclass(frozen=True)
class Promise:
    """From which confidence on labels are as accurate as was asked.

    Attributes
    ----------
    threshold : float
        Least confidence of a label that is trusted; infinite where none is.
    share : float
        Share of the texts that were labelled with at least that confidence.
    accuracy : float
        Share of these that were right; NaN where there are none.
    least_accuracy : float
        What the accuracy on new texts is at least, as sure as was asked; NaN likewise.
    """

    threshold: float
    share: float
    accuracy: float
    least_accuracy: float


@dataclass(frozen=True, repr=False)
class ConfidenceTable:
    """How many labels are right from each of several confidences on.

    Attributes
    ----------
    thresholds : tuple of float
        Confidences, descending; the last is 0 and stands for all labels.
    n, n_right : tuple of int
        Labels with at least that confidence, and how many of them are right.
    n_effective : tuple of float
        So many independent texts would tell as much: where some are bound to others,
        they count as if all of a set were right or wrong together.
    """

    thresholds: tuple[float, ...]
    n: tuple[int, ...]
    n_right: tuple[int, ...]
    n_effective: tuple[float, ...]

    def __repr__(self) -> str:
        of = f"{self.n[-1]:,} labels, {self.n_right[-1]:,} of them right"
        return f"ConfidenceTable(of {of}, at {len(self.n)} confidences)"

    def shares(self) -> Floats:
        """Return the share of all labels that each row has."""
        shares: Floats = np.array(self.n) / self.n[-1]
        return shares

    def accuracies(self) -> Floats:
        """Return the share of right ones among the labels of each row."""
        accuracies: Floats = np.array(self.n_right) / np.array(self.n)
        return accuracies

    def least_accuracies(self, level: float = 0.9) -> Floats:
        """Return what the accuracy of each row is at least, by Clopper and Pearson.

        The level is that of each row alone. A threshold that is chosen among rows is
        `promise`'s.
        """
        check_parameters({"level": level}, _RULES)
        return _bound_below(self.accuracies(), np.array(self.n_effective), 1 - level)

    def promise(self, accuracy: float, level: float = 0.9) -> Promise:
        """Return the lowest confidence from which on labels have an accuracy.

        Rows are tested from the highest confidence down, and a chain of tests ends
        where one fails, so that the chance of promising too much is at most 1 - level.
        As one mistake among the first few would end a chain, others begin further down
        where there are texts enough, and share that chance.
        """
        check_parameters({"accuracy": accuracy, "level": level}, _RULES)
        n_effective = np.array(self.n_effective)
        most = n_effective[-1] / 2
        kept = [m for m in _MISTAKES if _fewest(accuracy, 1 - level, m) <= most] or [0]
        error = (1 - level) / len(kept)
        low = _bound_below(self.accuracies(), n_effective, error)
        best = -1
        for mistakes in kept:
            fewest = _fewest(accuracy, error, mistakes)
            row = int(np.argmax(np.append(n_effective >= fewest, True)))
            while row < len(low) and low[row] >= accuracy:
                best, row = max(best, row), row + 1
        if best < 0:
            return Promise(math.inf, 0.0, math.nan, math.nan)
        return Promise(
            self.thresholds[best],
            float(self.shares()[best]),
            float(self.accuracies()[best]),
            float(low[best]),
        )

    def highest_promise(self, level: float = 0.9) -> float:
        """Return the highest accuracy, in hundredths, for which a label is trusted.

        NaN where that is for none above one half.
        """
        most = float(self.least_accuracies(level).max())
        for accuracy in _ACCURACIES[most >= _ACCURACIES].tolist():
            if self.promise(accuracy, level).share > 0:
                return float(accuracy)
        return math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the table as what JSON has."""
        return {"format": _FORMAT, "format_version": _FORMAT_VERSION} | {
            field.name: list(getattr(self, field.name)) for field in fields(self)
        }

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """Make the table of `to_dict`; raises InvalidInputError for anything else."""
        if not isinstance(content, Mapping) or content.get("format") != _FORMAT:
            raise InvalidInputError("that is no table of confidences of sktransfer's.")
        if content.get("format_version") != _FORMAT_VERSION:
            raise InvalidInputError(
                f"the table of confidences has format {content.get('format_version')}, "
                f"and this sktransfer reads format {_FORMAT_VERSION}."
            )
        parts = [content.get(field.name) for field in fields(cls)]
        if not _is_table(parts):
            raise InvalidInputError(
                "the table of confidences is damaged: thresholds that fall to 0 are "
                "expected, and as many counts that do not."
            )
        return cls(*(tuple(part or ()) for part in parts))


def _is_table(parts: list[Any]) -> bool:
    """Whether columns of a table are what `confidence_table` makes."""
    for part, kinds in zip(
        parts, ((float, int), (int,), (int,), (float, int)), strict=True
    ):
        if not isinstance(part, list) or not part or len(part) != len(parts[0]):
            return False
        if any(
            type(number) not in kinds or not math.isfinite(number) for number in part
        ):
            return False
    thresholds, n, n_right, n_effective = map(np.array, parts)
    return bool(
        np.all(np.diff(thresholds) <= 0)
        and thresholds[-1] == 0
        and np.all(np.diff(n) > 0)
        and np.all((n_right >= 0) & (n_right <= n) & (n > 0))
        and np.all((n_effective > 0) & (n_effective <= n))
    )


def confidence_table(
    confidence: ArrayLike, right: ArrayLike, *, sets: ArrayLike | None = None
) -> ConfidenceTable:
    """Table of how many labels are right from each confidence on.

    Parameters
    ----------
    confidence : array-like of shape (n,)
        Probability of each label that was predicted, by a model that had not seen the
        text.
    right : array-like of shape (n,)
        Whether the label was right.
    sets : array-like of shape (n,), default=None
        Number or name of what must be taken together, as texts of one author, or one
        text in several repeats. None is each on its own.

    Returns
    -------
    table : ConfidenceTable
        At most about a hundred rows for a thousand labels. Its method ``promise`` has
        the confidence from which on labels are as accurate as you ask.

    Raises
    ------
    InvalidInputError
        If the lengths differ, there are no labels, or a confidence is not in [0, 1].

    See Also
    --------
    label_sets : Several labels that hold the right one.
    calibration_error : Whether confidences mean what they say.

    Notes
    -----
    The accuracy of what is trusted is below what was asked with a chance of at most
    1 - level, over draws of the texts that the table is made of. That holds for new
    texts from where these came from, and for a model like those that gave the
    confidences; the one that is fitted on all texts has seen a few more.

    References
    ----------
    Geifman and El-Yaniv (2017). "Selective Classification for Deep Neural Networks".
    NeurIPS.

    Angelopoulos, Bates, Candès, Jordan and Lei (2021). "Learn then Test: Calibrating
    Predictive Algorithms to Achieve Risk Control". arXiv:2110.01052.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import confidence_table
    >>> confidence = np.linspace(1.0, 0.5, 400)
    >>> right = (confidence > 0.7) | (np.arange(400) % 2 == 0)
    >>> table = confidence_table(confidence, right)
    >>> found = table.promise(0.95)
    >>> round(found.threshold, 2), round(found.share, 2)
    (0.69, 0.61)
    """
    given = np.asarray(confidence, dtype=np.float64)
    good = np.asarray(right)
    if given.ndim != 1 or good.shape != given.shape or not len(given):
        raise InvalidInputError(
            f"confidence has shape {given.shape} and right {good.shape}, but a number "
            "for each label, and at least one label, are expected."
        )
    if not np.all((given >= 0) & (given <= 1)):
        raise InvalidInputError(
            "confidence has a number that is not in [0, 1]: pass probabilities of the "
            "labels that were predicted."
        )
    bound = _number_sets(sets, len(given))
    order = np.argsort(-given, kind="stable")
    given, good, bound = given[order], good[order].astype(bool), bound[order]
    # Equal confidences are in one row.
    ends = np.append(np.flatnonzero(np.diff(given)), len(given) - 1)
    n = ends[_spaced(ends + 1)] + 1
    last = len(n) - 1
    return ConfidenceTable(
        tuple(0.0 if row == last else float(given[k - 1]) for row, k in enumerate(n)),
        tuple(n.tolist()),
        tuple(np.cumsum(good)[n - 1].tolist()),
        tuple(_count_effective(bound, n).tolist()),
    )


@dataclass(frozen=True)
class LabelSets:
    """Which labels a text may have, so that the right one is among them.

    Attributes
    ----------
    least : tuple of float
        Probability that a class must have to be in the set, by class.
    coverage : float
        Share of texts whose set has the right label, as it was asked for.
    low, high : tuple of float
        Between which coverages that leaves new texts, by class, so few texts as there
        were: the ends of a 90 % interval. Where all classes have one threshold, they
        have one interval.
    """

    least: tuple[float, ...]
    coverage: float
    low: tuple[float, ...]
    high: tuple[float, ...]

    def of(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return which classes are in the sets of some texts.

        `probabilities` are of shape (n, n_classes), and so is what is returned. The
        most probable class is always in.
        """
        given = np.asarray(probabilities, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.least):
            raise InvalidInputError(
                f"probabilities has shape {given.shape}, but {len(self.least)} "
                "columns, one a class, are expected."
            )
        found: NDArray[np.bool_] = given >= np.array(self.least)
        found[np.arange(len(given)), given.argmax(axis=1)] = True
        return found


def label_sets(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    coverage: float = 0.9,
    *,
    by_class: bool = False,
    sets: ArrayLike | None = None,
) -> LabelSets:
    """Sets of labels that hold the right one with a chosen probability.

    Parameters
    ----------
    y_true : array-like of int of shape (n,)
        Number of the column of each text's label.
    probabilities : array-like of shape (n, n_classes)
        By models that had not seen the text.
    coverage : float, default=0.9
        Share of new texts whose set shall hold the right label.
    by_class : bool, default=False
        Whether that shall be so for the texts of each class, the rare ones too.
    sets : array-like of shape (n,), default=None
        As in `confidence_table`.

    Returns
    -------
    found : LabelSets
        Its method ``of`` has the sets of new texts, from their probabilities.

    Raises
    ------
    InvalidInputError
        If the shapes do not match, or a probability is not in [0, 1].
    InvalidParameterError
        If `coverage` is not between 0 and 1.

    See Also
    --------
    confidence_table : When to trust one label.

    Notes
    -----
    A class is in the set if its probability is not among the lowest that right labels
    were given out of fold. New texts are asked of one model, the one that learnt from
    all texts, and not of those of each fold as in cross-conformal prediction proper, so
    that the coverage is what was measured, and no theorem.

    References
    ----------
    Vovk (2015). "Cross-conformal predictors". Annals of Mathematics and Artificial
    Intelligence 74.

    Sadinle, Lei and Wasserman (2019). "Least Ambiguous Set-Valued Classifiers with
    Bounded Error Levels". Journal of the American Statistical Association 114.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import label_sets
    >>> first = np.linspace(0.4, 1.0, 99)
    >>> found = label_sets([0] * 99, np.column_stack([first, 1 - first]), 0.9)
    >>> round(found.least[0], 3)
    0.455
    >>> found.of([[0.5, 0.5], [0.9, 0.1]]).tolist()
    [[True, True], [True, False]]
    """
    check_parameters({"coverage": coverage, "by_class": by_class}, _RULES)
    given, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(y_true)
    if given.ndim != 2 or labels.shape != given.shape[:1] or not len(given):
        raise InvalidInputError(
            f"y_true has shape {labels.shape} and probabilities {given.shape}, but the "
            "number of a class and a row of probabilities for each text are expected."
        )
    if not np.isin(labels, np.arange(given.shape[1])).all():
        raise InvalidInputError(
            f"y_true has a number that is none of the {given.shape[1]} columns of "
            "probabilities, which are counted from 0."
        )
    if not np.all((given >= 0) & (given <= 1)):
        raise InvalidInputError("probabilities has a number that is not in [0, 1].")
    bound = _number_sets(sets, len(given))
    told = given[np.arange(len(given)), labels.astype(np.intp)]
    n_classes = given.shape[1]
    if by_class:
        parts = [labels == label for label in range(n_classes)]
    else:
        parts = [np.ones(len(given), dtype=bool)] * n_classes
    rows = [_least(told[part], bound[part], coverage) for part in parts]
    least, low, high = zip(*rows, strict=True)
    return LabelSets(least, coverage, low, high)


def _least(
    told: Floats, bound: NDArray[np.intp], coverage: float
) -> tuple[float, float, float]:
    """Least probability of a class in a set, and the interval of the coverage."""
    if not len(told):
        return 0.0, 0.0, 1.0
    n = float(_count_effective(bound, np.array([len(told)]))[0])
    # A coverage of 0.9 is no more than that as a float.
    left_out = math.floor((n + 1) * (1 - coverage) + 1e-9)
    if not left_out:
        return 0.0, 1.0, 1.0
    place = math.ceil(left_out / n * len(told)) - 1
    low, high = beta.ppf([0.05, 0.95], n + 1 - left_out, left_out).tolist()
    return float(np.sort(told)[place]), low, high


def _number_sets(sets: ArrayLike | None, n: int) -> NDArray[np.intp]:
    if sets is None:
        return np.arange(n)
    given = np.asarray(sets)
    if given.shape != (n,):
        raise InvalidInputError(
            f"sets has shape {given.shape}, but one set a label, ({n},), is expected."
        )
    return np.unique(given, return_inverse=True)[1].astype(np.intp)


def _spaced(n: NDArray[np.intp]) -> NDArray[np.intp]:
    """Some of ascending counts, each about `_STEP` times the last, and the last."""
    kept, least = [], float(_FEWEST)
    while (place := int(np.searchsorted(n, least))) < len(n) - 1:
        kept.append(place)
        least = max(n[place] * _STEP, n[place] + 1)
    return np.array([*kept, len(n) - 1])


def _count_effective(bound: NDArray[np.intp], n: NDArray[np.intp]) -> Floats:
    """Kish's effective number among the first n, one set being all alike."""
    order = np.argsort(bound, kind="stable")
    starts = np.flatnonzero(np.diff(bound[order], prepend=-1))
    lengths = np.diff(starts, append=len(bound))
    # How many of the same set came before each.
    before = np.empty(len(bound), dtype=np.intp)
    before[order] = np.arange(len(bound)) - np.repeat(starts, lengths)
    squares = np.cumsum(2.0 * before + 1)
    found: Floats = n.astype(np.float64) ** 2 / squares[n - 1]
    return found


def _bound_below(shares: Floats, n: Floats, error: float) -> Floats:
    """Clopper's and Pearson's lower bound of shares (rows,) among n, of one side."""
    right = shares * n
    low = beta.ppf(error, np.maximum(right, np.finfo(float).tiny), n - right + 1)
    return np.where(right > 0, low, 0.0)


@functools.cache
def _fewest(accuracy: float, error: float, mistakes: int) -> int:
    """Fewest texts by which an accuracy is shown in spite of so many mistakes."""
    low, high = mistakes + 1, mistakes + 2
    while beta.ppf(error, high - mistakes, mistakes + 1) < accuracy:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        shown = beta.ppf(error, middle - mistakes, mistakes + 1) >= accuracy
        low, high = (low, middle) if shown else (middle, high)
    return high
