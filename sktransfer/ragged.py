"""Rows of unequal length in one flat array, with the place where each begins.

A list of lists costs Python work for every row; a flat array with offsets costs index
arithmetic for all of them at once. Words of texts, tokens, and states of tokens lie so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Ragged", "gather", "positions", "row_offsets"]

# Of int32 or int64, as the caller's are.
Offsets = npt.NDArray[Any]
Scalar = TypeVar("Scalar", bound=np.generic)


def row_offsets(
    lengths: Sequence[int] | npt.NDArray[Any], dtype: npt.DTypeLike = np.int64
) -> Offsets:
    """Where rows of these lengths begin, and where the last one ends.

    Examples
    --------
    >>> from sktransfer.ragged import row_offsets
    >>> row_offsets([2, 0, 3])
    array([0, 2, 2, 5])
    """
    offsets = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def positions(starts: Offsets, offsets: Offsets) -> Offsets:
    """Positions of stretches of a flat array, as they lie behind one another.

    Stretch i begins at ``starts[i]`` and is to fill ``offsets[i]:offsets[i + 1]``. The
    number format is that of `starts` and `offsets`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.ragged import positions
    >>> positions(np.array([7, 0]), np.array([0, 2, 5]))
    array([7, 8, 0, 1, 2])
    """
    begins = offsets[:-1]
    found: Offsets = (starts - begins).repeat(offsets[1:] - begins)
    found += np.arange(len(found), dtype=found.dtype)
    return found


def gather(
    values: npt.NDArray[Scalar], starts: Offsets, lengths: Offsets
) -> npt.NDArray[Scalar]:
    """Stretches of an array, one after another."""
    return values[positions(starts, row_offsets(lengths))]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of unequal length.

    Attributes
    ----------
    values : ndarray of int
        All rows, one behind the other.
    offsets : ndarray of int, shape (n + 1,)
        Row i is ``values[offsets[i]:offsets[i + 1]]``.

    Examples
    --------
    >>> from sktransfer.ragged import Ragged
    >>> rows = Ragged.from_lists([[5, 6], [], [7]])
    >>> rows.values, rows.offsets
    (array([5, 6, 7], dtype=int32), array([0, 2, 2, 3], dtype=int32))
    >>> list(rows.take([2, 0]))
    [[7], [5, 6]]
    """

    values: npt.NDArray[Any]
    offsets: Offsets

    @classmethod
    def from_lists(
        cls, rows: Sequence[Sequence[int]], dtype: npt.DTypeLike = np.int32
    ) -> Ragged:
        """Lay out rows; values and offsets have the number format `dtype`."""
        offsets = row_offsets(list(map(len, rows)), dtype)
        flat = itertools.chain.from_iterable(rows)
        return cls(np.fromiter(flat, dtype, offsets[-1]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[list[int]]:
        values = self.values.tolist()
        for start, stop in itertools.pairwise(self.offsets.tolist()):
            yield values[start:stop]

    @property
    def lengths(self) -> Offsets:
        """Values of each row, shape (n,)."""
        return np.diff(self.offsets)

    def positions(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> Offsets:
        """Where the values of the rows at `indices` lie, row by row."""
        return positions(self.offsets[:-1][indices], row_offsets(self.lengths[indices]))

    def take(self, indices: Sequence[int] | npt.NDArray[np.integer]) -> Ragged:
        """The rows at `indices`, in that order."""
        lengths = self.lengths[indices]
        offsets = row_offsets(lengths, self.offsets.dtype)
        return Ragged(
            self.values[positions(self.offsets[:-1][indices], offsets)], offsets
        )

    def keep(self, mask: npt.NDArray[np.bool_]) -> Ragged:
        """The values for which `mask`, of the same shape, is true."""
        kept = row_offsets(mask, self.offsets.dtype)
        return Ragged(self.values[mask], kept[self.offsets])

    def cut(self, max_length: int | None) -> Ragged:
        """The first `max_length` values of each row; None leaves all."""
        lengths = self.lengths
        if max_length is None or not len(self) or lengths.max() <= max_length:
            return self
        offsets = row_offsets(np.minimum(lengths, max_length), self.offsets.dtype)
        return Ragged(self.values[positions(self.offsets[:-1], offsets)], offsets)
