"""Predictions in the forms that users have them, as numbers of classes.

What cannot be read in one way only is an error. Shapes: n texts, c classes, R repeats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.setup.folds import Rows
from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import show

__all__ = [
    "GivenPredictions",
    "as_array",
    "is_missing",
    "is_nested",
    "read_classes",
    "read_predictions",
]

Floats = npt.NDArray[np.float64]

# Probabilities that were rounded to two digits, or computed in half precision, still
# count; the metrics of scikit-learn are stricter, so such rows are scaled.
_ROUNDED, _EXACT = 0.011, 1e-6

_FORMS = (
    "labels (n,), probabilities (n, n_classes), a list of several repeats, or a "
    "DataFrame as in StrategyComparison.predictions"
)


@dataclass(frozen=True)
class GivenPredictions:
    """What one strategy says, an entry for each text and repeat.

    Attributes
    ----------
    rows, repeats : ndarray of int of shape (m,)
        Which text it is of, and of which repeat.
    folds : ndarray of int of shape (m,), or None
        In which fold the text was held out, where the predictions say so.
    predicted : ndarray of int of shape (m,)
        Numbers of classes.
    probabilities : ndarray of shape (m, c)
        NaN where there are labels only.
    """

    rows: Rows
    repeats: Rows
    folds: Rows | None
    predicted: Rows
    probabilities: Floats

    @property
    def has_probabilities(self) -> bool:
        """Whether there is more than labels."""
        return not np.isnan(self.probabilities).any()

    def take(self, places: Rows) -> GivenPredictions:
        """Entries at these places."""
        folds = None if self.folds is None else self.folds[places]
        return GivenPredictions(
            self.rows[places],
            self.repeats[places],
            folds,
            self.predicted[places],
            self.probabilities[places],
        )


def read_classes(classes: Iterable[Any] | None, labels: npt.NDArray[Any]) -> list[Any]:
    """Labels in the order of the columns of probabilities; None sorts those of y."""
    found = np.unique(labels).tolist()
    if len(found) < 2:
        raise InvalidInputError(
            f"y holds the class {found[0]!r} only, but at least 2 are needed: there is "
            "nothing to tell apart."
        )
    if classes is None:
        return list(found)
    given = np.asarray(classes).tolist() if hasattr(classes, "dtype") else classes
    order = list(given)
    missing = [label for label in found if label not in order]
    if missing or len(set(order)) < len(order):
        why = f"{missing[0]!r} of y is not in it" if missing else "one is in it twice"
        raise InvalidInputError(
            f"classes={order[:10]}, but {why}: pass each label once, in the order of "
            "the columns of probabilities."
        )
    return order


class _Reader:
    """Reads predictions for labels y (n,), with columns in the order of `classes`."""

    def __init__(self, y: object, labels: npt.NDArray[Any], classes: list[Any]) -> None:
        self.labels, self.classes = labels, classes
        self.index = getattr(y, "index", None) if hasattr(y, "iloc") else None
        self.n, self.c = len(labels), len(classes)
        # Classes are numbered in their order, whatever that of the columns is.
        self.order = np.argsort(as_array(classes), kind="stable")
        self.sorted = [classes[place] for place in self.order]
        self.place = {label: number for number, label in enumerate(self.sorted)}

    def read(self, given: Any, where: str) -> GivenPredictions:
        """Read what was given for one strategy."""
        names = _column_names(given)
        if names is not None and {"row", "predicted"} <= set(names):
            return self._read_table(given, names, where)
        self._check_index(given, where)
        parts = list(self._split_repeats(given, where))
        said = [self._read_part(part, place) for part, place in parts]
        return GivenPredictions(
            np.tile(np.arange(self.n), len(said)),
            np.repeat(np.arange(len(said)), self.n),
            None,
            np.concatenate([predicted for predicted, _ in said]),
            np.concatenate([probabilities for _, probabilities in said]),
        )

    def _split_repeats(self, given: Any, where: str) -> Iterator[tuple[Any, str]]:
        """Each repeat, and how messages call it."""
        if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__len__"):
            raise InvalidInputError(
                f"{where} is of type {type(given).__name__}, but {_FORMS} are expected."
            )
        if hasattr(given, "columns"):
            yield given, where
            return
        if not isinstance(given, (list, tuple)):
            given = as_array(given)
            if given.ndim == 1 and given.dtype == object:
                given = given.tolist()
        if isinstance(given, (list, tuple)):
            nested = [is_nested(entry) for entry in given]
            if not any(nested):
                yield given, where
                return
            if not all(nested):
                raise InvalidInputError(
                    f"{where}[{nested.index(not nested[0])}] differs from "
                    f"{where}[0] in kind, but labels only, or arrays only, are "
                    "expected: pass one label a text, or one array a repeat."
                )
            lengths = {len(entry) for entry in given}
            is_rows = len(given) == self.n and lengths == {self.c}
            if not is_rows and len(given) != self.n:
                lengths = {self.n}  # each that is not so long is told by its number
        elif given.ndim == 1 or given.ndim == 3:
            if given.ndim == 3 and given.shape[1:] != (self.n, self.c):
                raise InvalidInputError(
                    f"{where} has the shape {given.shape}, but (n_repeats, "
                    f"{self.n}, {self.c}) is expected: one probability a repeat, text "
                    "and class."
                )
            if given.ndim == 1:
                yield given, where
                return
            is_rows, lengths = False, {self.n}
        elif given.ndim == 2:
            is_rows = given.shape == (self.n, self.c) and given.dtype.kind in "biufO"
            lengths = {given.shape[1]}
        else:
            is_rows, lengths = False, set()
        is_repeats = lengths == {self.n}
        if is_rows and is_repeats:
            raise InvalidInputError(
                f"{where} has {self.n} rows and {self.n} columns, which are "
                f"probabilities of {self.c} classes or labels of {self.n} repeats: "
                "pass an array of the shape (n_repeats, n, n_classes), or a DataFrame "
                "with the columns row, repeat and predicted."
            )
        if is_repeats:
            for number, part in enumerate(given):
                yield part, f"{where}[{number}]"
        else:
            yield given, where

    def _read_part(self, part: Any, where: str) -> tuple[Rows, Floats]:
        """One repeat: numbers of classes (n,) and probabilities (n, c)."""
        self._check_index(part, where)
        names = _column_names(part)
        if names is not None:
            part = self._by_class(part, names, where)
        array = None if isinstance(part, (list, tuple)) else as_array(part)
        if array is None and part and is_nested(part[0]):
            array = as_array(part)
        if array is not None and array.ndim == 2:
            if array.shape != (self.n, self.c):
                raise InvalidInputError(
                    f"{where} has the shape {array.shape}, but ({self.n}, {self.c}) is "
                    f"expected, a row a text and a column for each of the classes "
                    f"{self._shown}: pass classes=[...] if the columns are of others."
                )
            given = self._as_probabilities(array, where)[:, self.order]
            return given.argmax(axis=1).astype(np.intp), given
        if array is not None and array.ndim != 1:
            raise InvalidInputError(
                f"{where} has the shape {array.shape}, but {_FORMS} are expected."
            )
        entries = part if array is None else array.tolist()
        if not isinstance(array, np.ndarray):
            entries = [e.item() if isinstance(e, np.generic) else e for e in entries]
        if len(entries) != self.n:
            raise InvalidInputError(
                f"{where} has {len(entries)} entries, but y has {self.n} labels: pass "
                "one prediction a text, in the order of y."
            )
        if all(isinstance(entry, float) for entry in entries):
            return self._read_floats(entries, where)
        return self._number(entries, where), np.full((self.n, self.c), np.nan)

    def _read_floats(self, entries: list[float], where: str) -> tuple[Rows, Floats]:
        """Floats in one dimension: labels, or probabilities of the second class."""
        values = np.asarray(entries, dtype=np.float64)
        _check_finite(values, where)
        given = np.full((self.n, self.c), np.nan)
        as_labels = as_second = None
        if all(entry in self.place for entry in entries):
            as_labels = self._number(entries, where)
        if self.c == 2 and ((values >= 0) & (values <= 1)).all():
            second = np.column_stack([1 - values, values])[:, self.order]
            as_second = second.argmax(axis=1).astype(np.intp)
        if as_labels is not None:
            # Zeros and ones are the same labels either way, and claim no certainty.
            if as_second is not None and not np.array_equal(as_labels, as_second):
                raise InvalidInputError(
                    f"{where} holds labels of y, or probabilities of the class "
                    f"{self.classes[1]!r}, which are others: pass labels of the type "
                    "that y has, or probabilities of the shape (n, 2)."
                )
            return as_labels, given
        if as_second is not None:
            return as_second, second
        wrong = next(i for i, entry in enumerate(entries) if entry not in self.place)
        expected = (
            f"labels of y, one of {self._shown}, or probabilities of the class "
            f"{self.classes[1]!r} between 0 and 1, are"
            if self.c == 2
            else f"one of the labels {self._shown} is"
        )
        raise InvalidInputError(
            f"{where}[{wrong}] is {entries[wrong]}, but {expected} expected: pass "
            "labels, or probabilities of the shape (n, n_classes); scores of a "
            "decision_function are neither."
        )

    @property
    def _shown(self) -> str:
        shown = ", ".join(repr(label) for label in self.classes[:10])
        return f"[{shown}{', ...' if self.c > 10 else ''}]"

    def _number(self, entries: Sequence[Any], where: str) -> Rows:
        """Numbers of the classes of labels."""
        try:
            return np.array([self.place[entry] for entry in entries], dtype=np.intp)
        except (KeyError, TypeError):
            pass
        for position, entry in enumerate(entries):
            if is_missing(entry):
                raise InvalidInputError(
                    f"{where}[{position}] is {entry}, a missing value, but a label is "
                    "expected: each text needs a prediction."
                )
            if not _is_known(entry, self.place):
                hint = "pass classes=[...] if the labels of y are not all there are"
                if type(entry) is not type(self.classes[0]):
                    kinds = (type(entry).__name__, type(self.classes[0]).__name__)
                    hint = f"it is of type {kinds[0]}, and those of y are {kinds[1]}"
                raise InvalidInputError(
                    f"{where}[{position}] is {show(entry)}, but one of the labels "
                    f"{self._shown} is expected: {hint}."
                )
        raise AssertionError("some entry is no label")

    def _as_probabilities(self, array: npt.NDArray[Any], where: str) -> Floats:
        """Check probabilities (m, c); rows that were rounded are scaled."""
        try:
            if array.dtype.kind not in "biufO":
                raise TypeError("text")
            given: Floats = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInputError(
                f"{where} is a table of {array.dtype}, but probabilities are expected: "
                f"{_FORMS} are known."
            ) from error
        _check_finite(given, where)
        wrong = np.argwhere((given < -_EXACT) | (given > 1 + _EXACT))
        if len(wrong):
            row, column = wrong[0]
            raise InvalidInputError(
                f"{where}[{row}, {column}] is {given[row, column]:.6g}, but a "
                "probability between 0 and 1 is expected: pass what predict_proba "
                "gives, or labels; scores of a decision_function are neither."
            )
        sums = given.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1) > _ROUNDED)
        if len(off):
            raise InvalidInputError(
                f"{where}[{off[0]}] sums to {sums[off[0]]:.6g}, but the probabilities "
                "of a text sum to 1: pass those of all classes."
            )
        rounded = np.abs(sums - 1) > _EXACT
        given[rounded] /= sums[rounded, None]
        return given

    def _check_index(self, part: Any, where: str) -> None:
        """Refuse rows of pandas that are those of y in another order."""
        index = getattr(part, "index", None) if hasattr(part, "iloc") else None
        if self.index is None or index is None or len(index) != len(self.index):
            return
        if not index.equals(self.index) and set(index) == set(self.index):
            raise InvalidInputError(
                f"{where} has the index of y in another order, but predictions are "
                "taken by their position: pass them as .loc[y.index], or as .to_numpy()"
                " if the positions are right."
            )

    def _by_class(self, frame: Any, names: list[Any], where: str) -> npt.NDArray[Any]:
        """Columns of a table of probabilities, in the order of the classes."""
        for spelt in ("{}", "probability_{}"):
            columns = [spelt.format(label) for label in self.classes]
            there = {str(name): name for name in names}
            if set(there) == set(columns) and len(names) == self.c:
                found = [as_array(frame[there[column]]) for column in columns]
                return np.column_stack(found)
        raise InvalidInputError(
            f"{where} has the columns {names[:10]}, but a column of probabilities for "
            f"each of the classes {self._shown} is expected, or the columns 'row' and "
            "'predicted' as in StrategyComparison.predictions."
        )

    def _read_table(self, frame: Any, names: list[Any], where: str) -> GivenPredictions:
        """A table with a row for each prediction."""
        size = len(frame)
        if not size:
            raise InvalidInputError(f"{where} has no rows, but at least 1 is needed.")
        rows = _whole(frame, "row", where)
        if rows.min() < 0 or rows.max() >= self.n:
            wrong = int(np.flatnonzero((rows < 0) | (rows >= self.n))[0])
            raise InvalidInputError(
                f"{where}['row'] has {rows[wrong]} at position {wrong}, but y has "
                f"{self.n} labels: numbers from 0 to {self.n - 1} are expected."
            )
        repeats = np.zeros(size, dtype=np.intp)
        if "repeat" in names:
            repeats = _whole(frame, "repeat", where)
        folds = _whole(frame, "fold", where) if "fold" in names else None
        if "label" in names:
            self._check_labels(as_array(frame["label"]).tolist(), rows, where)
        predicted = self._number(
            as_array(frame["predicted"]).tolist(), f"{where}['predicted']"
        )
        given = np.full((size, self.c), np.nan)
        columns = [f"probability_{label}" for label in self.sorted]
        missing = [column for column in columns if column not in names]
        if len(missing) < self.c:
            if missing:
                raise InvalidInputError(
                    f"{where} has no column {missing[0]!r}, but one for each of the "
                    f"classes {self._shown}, or for none, is expected."
                )
            found = np.column_stack([as_array(frame[name]) for name in columns])
            found = found.astype(np.float64)
            if not np.isnan(found).all():
                given = self._as_probabilities(found, f"{where}[probabilities]")
        said = GivenPredictions(rows, repeats, folds, predicted, given)
        keys = np.column_stack([repeats, rows] if folds is None else _keys(said))
        order = np.lexsort(keys.T[::-1])
        twice = np.flatnonzero((np.diff(keys[order], axis=0) == 0).all(axis=1))
        if len(twice):
            place = order[twice[0] + 1]
            raise InvalidInputError(
                f"{where} has two predictions for row {rows[place]} in repeat "
                f"{repeats[place]}, but one is expected: number repeats in the column "
                "'repeat', and folds that overlap in the column 'fold'."
            )
        return said

    def _check_labels(self, told: list[Any], rows: Rows, where: str) -> None:
        for position, (label, row) in enumerate(zip(told, rows, strict=True)):
            expected = self.labels[row]
            if label != expected:
                raise InvalidInputError(
                    f"{where}['label'] is {label!r} at position {position}, but y has "
                    f"{expected!r} for row {row}: these predictions are of other texts,"
                    " or of other labels of them."
                )


def read_predictions(
    y: object,
    labels: npt.NDArray[Any],
    predictions: Mapping[str, Any],
    classes: list[Any],
) -> dict[str, GivenPredictions]:
    """Predictions of all strategies, each for the same texts and repeats.

    `labels` are those of `y`, checked; `classes` is the order of columns of
    probabilities. Classes are numbered in sorted order.
    """
    if not isinstance(predictions, Mapping):
        raise InvalidInputError(
            f"predictions is of type {type(predictions).__name__}, but a mapping from "
            "names to predictions is expected, as in {'mine': labels}; of a table with "
            "a column of labels for each strategy, dict(table)."
        )
    if not predictions:
        raise InvalidInputError(
            "predictions is empty: pass those of at least 1 strategy, by its name."
        )
    reader, found = _Reader(y, labels, classes), {}
    for name, given in predictions.items():
        if not isinstance(name, str) or not name.strip():
            raise InvalidInputError(
                f"predictions names a strategy {name!r}, but a str is expected."
            )
        found[name] = reader.read(given, f"predictions[{name!r}]")
    return _align(found)


def _align(found: dict[str, GivenPredictions]) -> dict[str, GivenPredictions]:
    """All in one order, by repeat, fold and row, and with the same folds."""
    folded = {name: said for name, said in found.items() if said.folds is not None}
    first, model = next(iter((folded or found).items()))
    model = model.take(np.lexsort(_keys(model)[::-1]))
    by_row = np.lexsort((model.rows, model.repeats))
    back = np.argsort(by_row)
    aligned = {}
    for name, said in found.items():
        sorted_ = said.take(np.lexsort((said.rows, said.repeats)))
        if said.folds is not None:
            mine = said.take(np.lexsort(_keys(said)[::-1]))
        elif len(sorted_.rows) == len(back):
            mine = sorted_.take(back)
        else:
            mine = sorted_
        _check_same(first, model, name, mine)
        aligned[name] = GivenPredictions(
            model.rows, model.repeats, model.folds, mine.predicted, mine.probabilities
        )
    return aligned


def _check_same(
    first: str, model: GivenPredictions, name: str, mine: GivenPredictions
) -> None:
    ours, theirs = (int(said.repeats.max()) + 1 for said in (model, mine))
    if ours != theirs:
        raise InvalidInputError(
            f"predictions[{first!r}] has {ours} repeats and predictions[{name!r}] has "
            f"{theirs}, but the same number is expected of all: leave out what others "
            "lack."
        )
    at, other = (
        set(zip(given.repeats.tolist(), given.rows.tolist(), strict=True))
        for given in (model, mine)
    )
    odd = sorted(at ^ other)
    if odd:
        raise InvalidInputError(
            f"predictions[{first!r}] and predictions[{name!r}] are not of the same "
            f"texts (row {odd[0][1]} of repeat {odd[0][0]}), but strategies are "
            "compared on what all of them predicted: leave out the other rows, for all "
            "of them."
        )
    ours_, theirs_ = (
        np.column_stack(_keys(given)[:: 1 if mine.folds is not None else 2])
        for given in (model, mine)
    )
    if not np.array_equal(ours_, theirs_):
        raise InvalidInputError(
            f"predictions[{first!r}] and predictions[{name!r}] have other folds, but "
            "the same are expected of all: number them alike, or leave out the column "
            "'fold'."
        )


def _keys(said: GivenPredictions) -> list[Rows]:
    """What entries are sorted by, the first of them first."""
    folds = np.zeros_like(said.rows) if said.folds is None else said.folds
    return [said.repeats, folds, said.rows]


def _column_names(given: Any) -> list[Any] | None:
    """Names of the columns of a table of pandas or polars; None for what is none."""
    return list(given.columns) if hasattr(given, "columns") else None


def as_array(given: Any) -> npt.NDArray[Any]:
    """Make an array of whatever holds entries; what is masked is missing."""
    if isinstance(given, np.ma.MaskedArray):
        return np.ma.filled(given.astype(object), None)
    if hasattr(given, "to_numpy"):
        return np.asarray(given.to_numpy())
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise InvalidInputError(
            f"predictions hold rows of several lengths ({error}), but as many columns "
            "in each row are expected."
        ) from error


def is_nested(entry: object) -> bool:
    """Whether an entry holds others, as no label does."""
    return hasattr(entry, "__len__") and not isinstance(entry, (str, bytes))


def is_missing(entry: object) -> bool:
    """Whether an entry says that there is none, as None, NaN and those of pandas."""
    return (
        entry is None
        or (isinstance(entry, float) and math.isnan(entry))
        or type(entry).__name__ in {"NAType", "NaTType"}
    )


def _is_known(entry: object, place: Mapping[Any, int]) -> bool:
    try:
        return entry in place
    except TypeError:
        return False


def _check_finite(values: Floats, where: str) -> None:
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        at = ", ".join(map(str, wrong[0]))
        raise InvalidInputError(
            f"{where}[{at}] is {values[tuple(wrong[0])]}, but a number is expected: "
            "each text needs a prediction."
        )


def _whole(frame: Any, name: str, where: str) -> Rows:
    """A column of whole numbers of at least 0."""
    values = as_array(frame[name])
    if values.dtype.kind not in "iu":
        try:
            floats = values.astype(np.float64)
        except (TypeError, ValueError):
            floats = np.full(len(values), np.nan)
        wrong = np.flatnonzero(~(floats % 1 == 0))
        if len(wrong):
            raise InvalidInputError(
                f"{where}[{name!r}] is {values[wrong[0]]!r} at position {wrong[0]}, "
                "but a whole number is expected."
            )
        values = floats
    rows = values.astype(np.intp)
    if (rows < 0).any():
        wrong = np.flatnonzero(rows < 0)
        raise InvalidInputError(
            f"{where}[{name!r}] is {rows[wrong[0]]} at position {wrong[0]}, but a "
            "number of at least 0 is expected."
        )
    return rows
