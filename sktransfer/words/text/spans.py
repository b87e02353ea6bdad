"""Whole batches of text cut at once, byte by byte in numpy, and what each span holds.

A Python object a word would cost more than all the arithmetic that follows. So texts
are joined into one array of bytes, cut where kinds of characters change, and each piece
is known by a 64-bit key. Two of a million distinct pieces share a key with probability
3e-8.

Letters in shapes: B bytes, S spans (pieces of text, one behind the other).

Knows neither languages nor vectors: what a new span is cut into is the caller's matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sktransfer.ragged import Ragged, positions, row_offsets

__all__ = ["LONGEST_KEY", "KeyTable", "SpanWords", "key_spans", "split_spans"]

LONGEST_KEY = 32
"""Bytes that a key covers; longer spans need a dictionary."""

_SPACE, _LETTER, _GLUE, _MARK = range(4)
_PIECE = 8  # bytes of one uint64

_KINDS = np.full(256, _MARK, np.uint8)
_KINDS[[*range(9, 14), *range(28, 33)]] = _SPACE  # as str.split has it
_KINDS[[code for code in range(128) if chr(code).isalnum()]] = _LETTER
_KINDS[ord("_")] = _LETTER
# What is not ASCII is told apart later, character by character.
_KINDS[128:] = _LETTER
_KINDS[[ord(letter) for letter in "-.,'&/@:"]] = _GLUE

_MASKS = np.array([(1 << 8 * n) - 1 for n in range(_PIECE + 1)], np.uint64)
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93], np.uint64)


def split_spans(
    letters: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begin and end of each run of letters and of each run of punctuation, shape (S,).

    A mark that holds letters together, as in don't and 3.5, counts as a letter.
    `letters` (B,) is text in UTF-8, with a space at either end.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.text.spans import split_spans
    >>> split_spans(np.frombuffer(b" I don't! ", np.uint8))
    (array([1, 3, 8]), array([2, 8, 9]))
    """
    kinds = _KINDS[letters]
    glue = np.flatnonzero(kinds == _GLUE)
    inside = (kinds[glue - 1] == _LETTER) & (kinds[glue + 1] == _LETTER)
    kinds[glue] = np.where(inside, _LETTER, _MARK)
    edges = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    starts, stops = edges[:-1], edges[1:]
    full = kinds[starts] != _SPACE
    return starts[full], stops[full]


def key_spans(
    letters: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """A number for each span (S,) that is the same wherever its bytes are the same.

    Never 0. Only the first `LONGEST_KEY` bytes and the length count; `letters` has so
    many bytes behind the last start.
    """
    windows = np.lib.stride_tricks.sliding_window_view(letters, _PIECE)
    lengths = stops - starts
    keys = lengths.astype(np.uint64)
    rows = np.arange(len(starts))
    for place in range(0, LONGEST_KEY, _PIECE):
        if place:
            rows = rows[lengths[rows] > place]
        piece = windows[starts[rows] + place].view(np.uint64)[:, 0]
        piece &= _MASKS[np.minimum(lengths[rows] - place, _PIECE)]
        mixed = (keys[rows] ^ piece) * _FACTORS[0]
        mixed ^= mixed >> np.uint64(32)
        mixed *= _FACTORS[1]
        keys[rows] = mixed ^ (mixed >> np.uint64(29))
    keys[keys == 0] = 1
    return keys


class KeyTable:
    """Key -> number, for whole arrays at once (open addressing).

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.text.spans import KeyTable
    >>> table = KeyTable()
    >>> table.add(np.array([7, 9], dtype=np.uint64), np.array([0, 1]))
    >>> table.find(np.array([9, 8], dtype=np.uint64))
    array([ 1, -1], dtype=int32)
    """

    def __init__(self) -> None:
        self._n_keys = 0
        self._resize(12)

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Number of each key (S,), -1 for those that were not added."""
        slots = (keys >> self._shift).astype(np.int64)
        there = self._keys[slots]
        numbers = np.where(there == keys, self._numbers[slots], np.int32(-1))
        rows = np.flatnonzero((there != keys) & (there != 0))
        slots = slots[rows]
        while len(rows):
            slots = (slots + 1) & (len(self._keys) - 1)
            there, wanted = self._keys[slots], keys[rows]
            found = there == wanted
            numbers[rows[found]] = self._numbers[slots[found]]
            taken = ~found & (there != 0)
            rows, slots = rows[taken], slots[taken]
        return numbers

    def add(self, keys: NDArray[np.uint64], numbers: NDArray[np.integer]) -> None:
        """Remember distinct keys that are new, none of them 0."""
        self._n_keys += len(keys)
        n_bits = len(self._keys).bit_length() - 1
        # A table that is at most half full is searched in one step, mostly.
        while 2 * self._n_keys > 1 << n_bits:
            n_bits += 1
        if 1 << n_bits != len(self._keys):
            old = self._keys != 0
            kept = self._keys[old], self._numbers[old]
            self._resize(n_bits)
            self._place(*kept)
        self._place(keys, numbers)

    def _resize(self, n_bits: int) -> None:
        self._shift = np.uint64(64 - n_bits)
        self._keys = np.zeros(1 << n_bits, np.uint64)
        self._numbers = np.zeros(1 << n_bits, np.int32)

    def _place(self, keys: NDArray[np.uint64], numbers: NDArray[np.integer]) -> None:
        slots = (keys >> self._shift).astype(np.int64)
        while len(keys):
            empty = self._keys[slots] == 0
            # Several keys may want one slot: the last one written has it.
            self._keys[slots[empty]] = keys[empty]
            mine = self._keys[slots] == keys
            self._numbers[slots[mine]] = numbers[mine]
            keys, numbers = keys[~mine], numbers[~mine]
            slots = (slots[~mine] + 1) & (len(self._keys) - 1)


class SpanWords:
    """Words of every distinct span of text, cut the first time it is seen.

    Attributes
    ----------
    words : array of int
        Numbers of the words of all spans, one behind the other.
    """

    def __init__(self) -> None:
        self.words = array("i")
        self._stops = array("i", [0])
        self._short = KeyTable()
        self._long: dict[bytes, int] = {}

    def read(
        self, texts: Sequence[bytes], cut: Callable[[list[str]], Ragged]
    ) -> Ragged:
        """Numbers of the words of texts, in UTF-8.

        White space beyond ASCII's stands only inside of spans. `cut` gets distinct
        spans that are new, and returns the numbers of their words.
        """
        joined = b" ".join([b"", *texts, b" " * LONGEST_KEY])
        letters = np.frombuffer(joined, np.uint8)
        starts, stops = split_spans(letters)
        spans = self._find(joined, letters, starts, stops, cut)
        bounds = row_offsets([len(text) + 1 for text in texts])
        return self._expand(spans, np.searchsorted(starts, bounds))

    def _find(
        self,
        joined: bytes,
        letters: NDArray[np.uint8],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        cut: Callable[[list[str]], Ragged],
    ) -> NDArray[np.int32]:
        """Number of each span; new ones get the next numbers."""
        keys = key_spans(letters, starts, stops)
        spans = self._short.find(keys)
        long = stops - starts > LONGEST_KEY
        spans[long] = -2
        missing = np.flatnonzero(spans == -1)
        _, first = np.unique(keys[missing], return_index=True)
        fresh = missing[np.sort(first)]
        added = np.union1d(fresh, np.flatnonzero(long))
        number = len(self._stops) - 1
        new: dict[bytes, int] = {}
        for row, start, stop in zip(
            added.tolist(), starts[added].tolist(), stops[added].tolist(), strict=True
        ):
            span = joined[start:stop]
            known = self._long.get(span) if stop - start > LONGEST_KEY else None
            spans[row] = (
                new.setdefault(span, number + len(new)) if known is None else known
            )
        if new:
            rows = cut([span.decode("utf-8", "surrogatepass") for span in new])
            self._stops.extend((rows.offsets[1:] + len(self.words)).tolist())
            self.words.frombytes(rows.values.astype(np.intc).tobytes())
        # Remembered only now: cutting may fail where a package is missing.
        self._long.update(
            (span, n) for span, n in new.items() if len(span) > LONGEST_KEY
        )
        self._short.add(keys[fresh], spans[fresh])
        spans[missing] = self._short.find(keys[missing])
        return spans

    def _expand(self, spans: NDArray[np.int32], offsets: NDArray[np.int64]) -> Ragged:
        """Words of texts that are given as spans."""
        # Copies: an array cannot grow while numpy looks at it.
        words, stops = np.array(self.words, np.int32), np.array(self._stops, np.int32)
        ends = row_offsets(np.diff(stops)[spans], np.int32)
        return Ragged(words[positions(stops[spans], ends)], ends[offsets])
