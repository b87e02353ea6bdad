"""In which folds predictions were made, from what the user says of it.

Shapes: n texts, R repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.setup.folds import Fold, Rows
from sktransfer.comparison.setup.given_predictions import (
    GivenPredictions,
    as_array,
    is_missing,
    is_nested,
)
from sktransfer.exceptions import InvalidInputError

__all__ = ["guess_commonest", "plan_folds"]


def plan_folds(
    said: GivenPredictions, folds: object, bound: Rows
) -> tuple[list[Fold], list[Rows]] | None:
    """Folds in which predictions were made, and the places of the entries of each.

    `folds` is what the user says of them; None where nobody knows. Unless training rows
    are told, they are all texts outside of the test part. Where the predictions have a
    column of folds, as those of a comparison, they are without what is `bound` to it.
    """
    n = len(bound)
    n_repeats = int(said.repeats.max()) + 1
    trains: dict[tuple[int, int], Rows] = {}
    if folds is not None and said.folds is not None:
        raise InvalidInputError(
            "folds is given, and predictions have a column 'fold': pass one of both."
        )
    if folds is not None:
        numbers, trains = _read_folds(folds, n, n_repeats)
        of_entry = numbers[said.repeats, said.rows]
    elif said.folds is not None:
        of_entry = said.folds
    else:
        return None
    planned, places = [], []
    for repeat in range(n_repeats):
        for number in np.unique(of_entry[said.repeats == repeat]).tolist():
            mine = np.flatnonzero((said.repeats == repeat) & (of_entry == number))
            mine = mine[np.argsort(said.rows[mine], kind="stable")]
            test = said.rows[mine]
            outside = np.setdiff1d(np.arange(n), test)
            if said.folds is not None:
                outside = outside[~np.isin(bound[outside], bound[test])]
            train = trains.get((repeat, number), outside)
            if not len(train):
                raise InvalidInputError(
                    f"fold {number} of repeat {repeat} tests all {n} texts, so that "
                    "none is left to learn from: pass folds=None if the folds are not "
                    "known."
                )
            planned.append(Fold(repeat, number, train, test))
            places.append(mine)
    return planned, places


def _read_folds(
    folds: Any, n: int, n_repeats: int
) -> tuple[Rows, dict[tuple[int, int], Rows]]:
    """Number of the fold of each text (R, n), and training rows that are told."""
    expected = (
        f"the number of the fold that each text was held out in, of the shape ({n},) "
        f"or (n_repeats, {n}), or the list of (train, test) of a splitter"
    )
    is_list = isinstance(folds, Iterable) and not isinstance(folds, str)
    if not is_list or hasattr(folds, "split"):
        raise InvalidInputError(
            f"folds={folds!r}, but {expected} is expected, as in "
            "list(cv.split(texts, y))."
        )
    if not hasattr(folds, "__len__"):
        folds = list(folds)
    if isinstance(folds, (list, tuple)) and folds and _is_pair(folds[0]):
        return _read_pairs(folds, n, n_repeats)
    given = as_array(folds)
    if given.shape not in ((n,), (n_repeats, n)):
        raise InvalidInputError(
            f"folds has the shape {given.shape}, but {expected} is expected, and the "
            f"predictions have {n_repeats} repeat{'s' if n_repeats > 1 else ''}."
        )
    flat = given.ravel().tolist()
    missing = [place for place, entry in enumerate(flat) if is_missing(entry)]
    if missing:
        raise InvalidInputError(
            f"folds has a missing value at position {missing[0] % n}, but each text "
            "was held out in a fold: pass the number of that fold for each."
        )
    numbers = np.unique(given, return_inverse=True)[1].reshape(given.shape)
    return np.broadcast_to(numbers, (n_repeats, n)).astype(np.intp), {}


def _read_pairs(
    pairs: Sequence[Any], n: int, n_repeats: int
) -> tuple[Rows, dict[tuple[int, int], Rows]]:
    """The same, of pairs of training and test rows; repeats follow one another."""
    numbers = np.full((n_repeats, n), -1, dtype=np.intp)
    trains: dict[tuple[int, int], Rows] = {}
    repeat = number = 0
    for position, pair in enumerate(pairs):
        train, test = (_as_rows(part, n, position) for part in pair)
        if repeat < n_repeats and (numbers[repeat] >= 0).all():
            repeat, number = repeat + 1, 0
        if repeat >= n_repeats:
            raise InvalidInputError(
                f"folds has {len(pairs)} pairs, and the first {position} test all "
                f"texts {n_repeats} times, but the predictions have {n_repeats} "
                f"repeat{'s' if n_repeats > 1 else ''}: pass the folds of these only."
            )
        if (numbers[repeat, test] >= 0).any():
            row = int(test[numbers[repeat, test] >= 0][0])
            raise InvalidInputError(
                f"folds[{position}] tests row {row}, which an earlier fold tests too, "
                "before all texts were tested: each text is expected once a repeat."
            )
        numbers[repeat, test] = number
        trains[repeat, number] = train
        number += 1
    left = np.argwhere(numbers < 0)
    if len(left):
        raise InvalidInputError(
            f"no pair of folds tests row {left[0][1]} in repeat {left[0][0]}, but each "
            f"text is expected once in each of {n_repeats} repeats."
        )
    return numbers, trains


def _as_rows(part: Any, n: int, position: int) -> Rows:
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if (
        rows.ndim != 1
        or rows.dtype.kind not in "iu"
        or ((rows < 0) | (rows >= n)).any()
    ):
        raise InvalidInputError(
            f"folds[{position}] is no pair of training and test rows, which are "
            f"numbers from 0 to {n - 1}."
        )
    return rows.astype(np.intp)


def guess_commonest(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any], train: Rows, test: Rows
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Always the commonest class of the training rows, with shares as probabilities."""
    numbers = np.searchsorted(classes, labels[train])
    shares = np.bincount(numbers, minlength=len(classes)) / len(train)
    predicted = np.full(len(test), int(shares.argmax()), dtype=np.intp)
    return predicted, np.tile(shares, (len(test), 1))


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, (tuple, list)) and len(entry) == 2 and is_nested(entry[0])
