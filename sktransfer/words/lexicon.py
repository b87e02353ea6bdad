"""Texts -> numbers of words: each distinct piece of text is cut into words once.

A text is split at white space, which is fast, and each distinct chunk ("great!",
"don't") is cut finer only the first time it is seen. Word frequencies are so uneven
that nine chunks of ten have been seen before.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidInputError
from sktransfer.words.segmentation import segment_chunk, split_unknown, tidy

__all__ = ["Lexicon", "Ragged"]

# Some 200 MB of memory at most, of which usual corpora need a tenth.
_MOST_WORDS = 2_000_000


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


class Lexicon:
    """Numbers the words of texts in the order in which they first appear.

    It remembers what it has cut, up to a bound; threads may share it.

    Parameters
    ----------
    tokenizer : "auto" or callable, default="auto"
        "auto" is `segment`; a callable takes a text and returns a list of str.
    lowercase : bool, default=True
        Whether texts are lowercased before they are cut.
    known : callable, default=None
        Whether the vectors have a word: those that they do not have are cut finer.
        None keeps words as they are.

    Attributes
    ----------
    words : list of str
        All words met so far; a word's number is its place here.

    Examples
    --------
    >>> from sktransfer.words.lexicon import Lexicon
    >>> lexicon = Lexicon()
    >>> lexicon.read(["A good film!", "a bad film"]).words
    array([0, 1, 2, 3, 0, 4, 2], dtype=int32)
    >>> lexicon.words
    ['a', 'good', 'film', '!', 'bad']
    """

    def __init__(
        self,
        tokenizer: str | Callable[[str], list[str]] = "auto",
        lowercase: bool = True,
        known: Callable[[str], bool] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._lowercase = lowercase
        self._known = known
        self._lock = threading.RLock()
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._chunks = _ChunkNumbers(self._cut_chunk)

    def read(self, texts: Sequence[str]) -> Ragged:
        """The words of each text, by number.

        Parameters
        ----------
        texts : sequence of str, of length T

        Returns
        -------
        ragged : Ragged

        Raises
        ------
        InvalidInputError
            If the user's tokenizer does not return a list of str.
        """
        if self._lowercase:
            texts = [text.lower() for text in texts]
        with self._lock:
            if callable(self._tokenizer):
                return self._read_tokens(list(map(self._tokenizer, texts)))
            return self._chunks.read([text.split() for text in texts])

    def is_full(self) -> bool:
        """Whether it holds so much that it is time for a new one."""
        return len(self._chunks.words) + len(self.words) > _MOST_WORDS

    def _cut_chunk(self, chunk: str) -> list[int]:
        words = segment_chunk(tidy(chunk))
        if self._known is not None:
            words = [
                part for word in words for part in split_unknown(word, self._known)
            ]
        return [self._number(word) for word in words]

    def _number(self, word: str) -> int:
        number = self._numbers.setdefault(word, len(self.words))
        if number == len(self.words):
            self.words.append(word)
        return number

    def _read_tokens(self, tokens: list[Any]) -> Ragged:
        for position, entry in enumerate(tokens):
            if not isinstance(entry, (list, tuple)) or not all(
                isinstance(token, str) for token in entry
            ):
                raise InvalidInputError(
                    f"The tokenizer returned {entry!r:.80} for the text at position "
                    f"{position}, but a list of str is expected."
                )
        return _join(tokens, self._number)


class _ChunkNumbers(dict[str, int]):
    """Chunk of text -> its number, cut into words the first time it is asked for."""

    def __init__(self, cut: Callable[[str], list[int]]) -> None:
        super().__init__()
        self._cut = cut
        self.words = array("i")  # of all chunks, one behind the other
        self._stops = array("i", [0])

    def __missing__(self, chunk: str) -> int:
        self.words.extend(self._cut(chunk))
        self._stops.append(len(self.words))
        number = self[chunk] = len(self)
        return number

    def read(self, texts: list[list[str]]) -> Ragged:
        """Words of texts that are given as chunks."""
        numbers, offsets = _join(texts, self.__getitem__)
        # Copies: an array cannot grow while numpy looks at it.
        words, stops = np.array(self.words, np.int32), np.array(self._stops, np.int32)
        lengths = np.diff(stops)[numbers]
        ends = np.zeros(len(numbers) + 1, np.int32)
        np.cumsum(lengths, out=ends[1:])
        # Word i of the result is word (i - where its chunk begins there) of its chunk.
        places = np.repeat(stops[numbers] - ends[:-1], lengths)
        places += np.arange(len(places), dtype=np.int32)
        return Ragged(words[places], ends[offsets])


def _join(rows: list[list[str]], number: Callable[[str], int]) -> Ragged:
    """Number every entry of ragged rows."""
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    entries = itertools.chain.from_iterable(rows)
    return Ragged(np.fromiter(map(number, entries), np.int32, offsets[-1]), offsets)
