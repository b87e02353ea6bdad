"""What spans of text were cut into, remembered under a key for each span.

Knows neither languages nor vectors: what a new span is cut into is the caller's matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sktransfer.words.spans import LONGEST_KEY, KeyTable, key_spans, split_spans

__all__ = ["Ragged", "SpanWords"]


class Ragged(NamedTuple):
    """Rows of unequal length: S numbers of words in T texts.

    Attributes
    ----------
    words : ndarray of int32, shape (S,)
        Numbers of words, one text behind the other.
    offsets : ndarray of int32, shape (T + 1,)
        Text t has the words ``words[offsets[t]:offsets[t + 1]]``.
    """

    words: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def keep(self, mask: NDArray[np.bool_]) -> Ragged:
        """The words that `mask`, of shape (S,), is true for."""
        kept = np.zeros(len(mask) + 1, np.int32)
        np.cumsum(mask, out=kept[1:])
        return Ragged(self.words[mask], kept[self.offsets])

    def cut(self, max_length: int | None) -> Ragged:
        """The first `max_length` words of each text; None leaves all."""
        lengths = np.diff(self.offsets)
        if max_length is None or not len(lengths) or lengths.max() <= max_length:
            return self
        places = np.arange(len(self.words)) - np.repeat(self.offsets[:-1], lengths)
        return self.keep(places < max_length)


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
        """Numbers of the words of texts.

        Parameters
        ----------
        texts : sequence of bytes, of length T
            In UTF-8; the only white space beyond ASCII's is inside of spans.
        cut : callable
            Gets distinct spans that are new, and returns the numbers of their words.

        Returns
        -------
        ragged : Ragged
        """
        joined = b" ".join([b"", *texts, b" " * LONGEST_KEY])
        letters = np.frombuffer(joined, np.uint8)
        starts, stops = split_spans(letters)
        spans = self._find(joined, letters, starts, stops, cut)
        bounds = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) + 1 for text in texts], out=bounds[1:])
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
            words, offsets = cut(
                [span.decode("utf-8", "surrogatepass") for span in new]
            )
            self._stops.extend((offsets[1:] + len(self.words)).tolist())
            self.words.frombytes(words.astype(np.intc).tobytes())
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
        lengths = np.diff(stops)[spans]
        ends = np.zeros(len(spans) + 1, np.int32)
        np.cumsum(lengths, out=ends[1:])
        # Word i of the result is word (i - where its span begins there) of its span.
        places = np.repeat(stops[spans] - ends[:-1], lengths)
        places += np.arange(len(places), dtype=np.int32)
        return Ragged(words[places], ends[offsets])
