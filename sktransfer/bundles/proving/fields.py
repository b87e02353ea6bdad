"""What one attribute may be: its type, its shape, its range.

Letters in shapes stand for sizes that an object's attributes have in common: K classes,
m features that come in, r rows of a decision (1 for two classes, else K). The first
attribute with a letter says how much it is, the others have to agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from sktransfer.bundles.proving.values import is_plain, sparse_fault

__all__ = [
    "ANY",
    "FLAG",
    "LABELS",
    "MODEL",
    "REAL",
    "TEXT",
    "WHOLE",
    "AnyOf",
    "Anything",
    "Choice",
    "Count",
    "Field",
    "Instance",
    "Labels",
    "ListOf",
    "Numbers",
    "Plain",
    "Real",
    "Sizes",
    "Words",
]

Sizes = dict[str, int]


class Field(Protocol):
    """What an attribute may be."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """What is expected instead of `value`, or None if it fits.

        A size that is not known yet is noted in `sizes`.
        """


def _size(letter: str, sizes: Sizes) -> int | None:
    if letter.isdigit():
        return int(letter)
    if letter == "r" and "r" not in sizes and "K" in sizes:
        # A decision needs two classes: no row fits one.
        return {1: -1, 2: 1}.get(sizes["K"], sizes["K"])
    return sizes.get(letter)


def _fits(found: tuple[int, ...], shape: str, sizes: Sizes) -> bool:
    letters = shape.split()
    if len(found) != len(letters):
        return False
    for number, letter in zip(found, letters, strict=True):
        known = _size(letter, sizes)
        if letter != "?" and known is None:
            sizes[letter] = number
        elif letter != "?" and known != number:
            return False
    return True


def _spell(shape: str, sizes: Sizes) -> str:
    known = [(letter, _size(letter, sizes)) for letter in shape.split()]
    inner = ", ".join(f"{letter if n is None else n}" for letter, n in known)
    return f"({inner})"


@dataclass(frozen=True)
class Numbers:
    """An array of numbers; `kinds` are numpy's letters for its type."""

    shape: str
    kinds: str = "f"
    finite: bool = False
    low: float = -math.inf
    high: float = math.inf
    sparse: bool = False

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        expected = self._expected(sizes)
        if sparse.issparse(value):
            if not self.sparse or sparse_fault(value) is not None:
                return expected
            data = value.tocoo().data if value.format == "dia" else value.data
        elif type(value) is np.ndarray:
            data = value
        else:
            return expected
        # Compiled code knows floats of 32 and of 64 bits.
        sizes_known = (4, 8) if data.dtype.kind == "f" else (1, 2, 4, 8)
        is_number = data.dtype.kind in self.kinds and data.dtype.itemsize in sizes_known
        if not (is_number and data.dtype.isnative):
            return expected
        if not _fits(value.shape, self.shape, sizes):
            return self._expected(sizes)
        if self.finite and not np.isfinite(data).all():
            return expected
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        if bounded and data.size and not self._in_range(data):
            return expected
        return None

    def _in_range(self, data: Any) -> bool:
        return bool(data.min() >= self.low and data.max() <= self.high)

    def _expected(self, sizes: Sizes) -> str:
        names = {"f": "numbers", "iu": "whole numbers", "b": "truth values"}
        name = names.get(self.kinds, "numbers")
        words = f"{'finite ' if self.finite else ''}{name}"
        if math.isfinite(self.low) or math.isfinite(self.high):
            words += f" from {self.low:g} to {self.high:g}"
        return f"an array of {words} of shape {_spell(self.shape, sizes)}"


@dataclass(frozen=True)
class Count:
    """A whole number, that of a size where a letter is given."""

    letter: str = "?"
    low: int = 0
    high: int = 2**62

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        known = None if self.letter == "?" else _size(self.letter, sizes)
        if not is_whole or not self.low <= int(value) <= self.high:
            top = "" if self.high == 2**62 else f" to {self.high}"
            return f"a whole number from {self.low}{top}"
        if known is not None and int(value) != known:
            return f"{known}"
        if self.letter != "?":
            sizes[self.letter] = int(value)
        return None


@dataclass(frozen=True)
class Real:
    """A number of a range."""

    low: float
    high: float

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        is_number = isinstance(value, (int, float, np.integer, np.floating))
        if is_number and self.low <= value <= self.high:
            return None
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Labels:
    """An array of labels or names: numbers, texts, dates."""

    letter: str = "?"

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        fits = (
            type(value) is np.ndarray
            and value.ndim == 1
            and value.dtype.kind in "biufSUmMO"
            and all(_is_label(item) for item in value.tolist())
            and _fits(value.shape, self.letter, sizes)
        )
        return (
            None
            if fits
            else f"an array of labels of shape {_spell(self.letter, sizes)}"
        )


def _is_label(value: Any) -> bool:
    return value is None or is_plain(value, containers=False)


@dataclass(frozen=True)
class Words:
    """A dict of the columns of words: each column from 0 on has exactly one."""

    letter: str = "m"

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        expected = "a dict of words to the numbers from 0 on, each of them once"
        if type(value) is not dict or not all(type(word) is str for word in value):
            return expected
        numbers = list(value.values())
        if not all(type(n) is int or isinstance(n, np.integer) for n in numbers):
            return expected
        if sorted(map(int, numbers)) != list(range(len(numbers))):
            return expected
        if not _fits((len(numbers),), self.letter, sizes):
            return f"a dict of {_size(self.letter, sizes)} words"
        return None


@dataclass(frozen=True)
class ListOf:
    """A list or tuple, all of whose items are of one kind."""

    item: Field
    letter: str = "?"

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        if type(value) not in (list, tuple):
            return "a list"
        if not _fits((len(value),), self.letter, sizes):
            return f"a list of {_size(self.letter, sizes)} items"
        for number, item in enumerate(value):
            expected = self.item.fault(item, sizes)
            if expected is not None:
                return f"a list with {expected} at {number}"
        return None


@dataclass(frozen=True)
class AnyOf:
    """One of several; the first that fits counts."""

    fields: tuple[Field, ...]

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        found = []
        for field in self.fields:
            own = dict(sizes)
            expected = field.fault(value, own)
            if expected is None:
                sizes.update(own)
                return None
            found.append(expected)
        return " or ".join(found)


@dataclass(frozen=True)
class Choice:
    """One of these values."""

    values: tuple[Any, ...]

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        plain = value is None or isinstance(value, (str, bool, int, float))
        known = plain and any(value is v or value == v for v in self.values)
        return None if known else f"one of {list(self.values)}"


class Anything:
    """What is looked at where it is used."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del value, sizes
        return None


@dataclass(frozen=True)
class Instance:
    """An object of one of these types, proved by itself."""

    types: tuple[type, ...]

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        if isinstance(value, self.types) and not isinstance(value, type):
            return None
        return f"an object of the type {self.types[0].__name__}"


@dataclass(frozen=True)
class Plain:
    """A value that is followed nowhere: numbers, texts, arrays, lists and dicts."""

    types: tuple[type, ...] = ()

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        is_type = not self.types or isinstance(value, self.types)
        if is_type and is_plain(value):
            return None
        return "a number" if self.types else "plain values"


ANY = Plain()
REAL = Plain((int, float, np.integer, np.floating))
TEXT = Plain((str,))
FLAG = Plain((bool, np.bool_))
WHOLE = Count()
LABELS = Labels("K")
MODEL = Instance((BaseEstimator,))
