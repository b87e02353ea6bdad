"""Distinct words and the row of each, without a Python object a word.

`Subwords` gives vectors to words never seen, from the pieces they are made of
(fastText). Lowest module of ``words``. The packed form is four arrays that open
memory-mapped: two million words cost nothing until some of them are looked up.

References
----------
Bojanowski, Grave, Joulin, Mikolov (2017). "Enriching word vectors with subword
information". TACL 5.
"""

from __future__ import annotations

import itertools
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.ragged import row_offsets

__all__ = ["PackedWords", "Subwords", "Vocabulary", "pack_words"]

# A bound for texts without end, far above the distinct words of any usual corpus.
_MOST_REMEMBERED = 1_000_000


@dataclass(frozen=True)
class Subwords:
    """Vectors of hashed pieces of words.

    Attributes
    ----------
    buckets : ndarray of float32, shape (n_buckets, width)
        Pieces that share a hash share a vector.
    shortest, longest : int
        Letters of the pieces, the marks at both ends of the word included.
    """

    buckets: NDArray[np.float32]
    shortest: int
    longest: int

    def facts(self) -> dict[str, Any]:
        """What is needed besides the array, as JSON has it."""
        return {
            "n_buckets": len(self.buckets),
            "shortest": self.shortest,
            "longest": self.longest,
        }

    @classmethod
    def from_facts(
        cls, buckets: NDArray[np.float32], facts: dict[str, Any]
    ) -> Subwords:
        """The reverse of `facts`."""
        return cls(buckets, facts["shortest"], facts["longest"])

    def vector(self, word: str) -> NDArray[np.float32]:
        """Mean of the vectors of the word's pieces; zeros where it has none."""
        # gensim hashes in C exactly as fastText does, bugs with accents included.
        from gensim.models.fasttext import ft_ngram_hashes

        rows = ft_ngram_hashes(word, self.shortest, self.longest, len(self.buckets))
        if not len(rows):
            return np.zeros(self.buckets.shape[1], np.float32)
        vector: NDArray[np.float32] = self.buckets[rows].mean(axis=0)
        return vector


@dataclass(frozen=True)
class PackedWords:
    """Words as arrays, N of them.

    Attributes
    ----------
    letters : ndarray of uint8
        All words in UTF-8, one behind the other.
    offsets : ndarray of int64, shape (N + 1,)
        Word n is ``letters[offsets[n]:offsets[n + 1]]``.
    hashes : ndarray of uint32, shape (N,)
        CRC-32 of each word, in ascending order.
    order : ndarray of int32, shape (N,)
        The word that each hash belongs to.
    """

    letters: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    hashes: NDArray[np.uint32]
    order: NDArray[np.int32]


def pack_words(words: Sequence[str]) -> PackedWords:
    """Arrays from which `Vocabulary` finds each of `words`.

    Examples
    --------
    >>> from sktransfer.words.files.vocabulary import pack_words
    >>> pack_words(["good", "bad"]).offsets
    array([0, 4, 7])
    """
    encoded = [_encode(word) for word in words]
    offsets = row_offsets(list(map(len, encoded)))
    hashes = np.fromiter(map(zlib.crc32, encoded), np.uint32, len(encoded))
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    letters = np.frombuffer(b"".join(encoded), np.uint8)
    return PackedWords(letters, offsets, hashes[order], order)


class Vocabulary:
    """Distinct words in a fixed order.

    Parameters
    ----------
    words : iterable of str, or PackedWords
        What is packed stays packed: only words that are asked for are decoded.

    Examples
    --------
    >>> from sktransfer.words.files.vocabulary import Vocabulary
    >>> vocabulary = Vocabulary(["good", "bad"])
    >>> vocabulary.find("bad"), vocabulary.find("ugly")
    (1, -1)
    """

    __slots__ = ("_hashes", "_letters", "_packed", "_rows", "_words")

    def __init__(self, words: Iterable[str] | PackedWords) -> None:
        self._rows: dict[str, int] = {}
        self._packed: PackedWords | None = None
        self._words: tuple[str, ...] | None = None
        if isinstance(words, PackedWords):
            self._packed = words
            # Views of plain bytes: bisect reads them several times as fast as arrays.
            self._hashes = np.ascontiguousarray(words.hashes).data
            self._letters = np.ascontiguousarray(words.letters).data
        else:
            self._words = tuple(words)
            self._rows = {word: row for row, word in enumerate(self._words)}

    def __len__(self) -> int:
        if self._words is not None:
            return len(self._words)
        assert self._packed is not None
        return len(self._packed.order)

    @property
    def words(self) -> tuple[str, ...]:
        """All words; packed ones are decoded at the first call."""
        if self._words is None:
            assert self._packed is not None
            letters = self._packed.letters.tobytes()
            bounds = self._packed.offsets.tolist()
            self._words = tuple(
                letters[start:stop].decode("utf-8", "surrogatepass")
                for start, stop in itertools.pairwise(bounds)
            )
        return self._words

    def pack(self) -> PackedWords:
        """The words as arrays."""
        return self._packed or pack_words(self.words)

    def find(self, word: str) -> int:
        """Row of `word`, or -1."""
        row = self._rows.get(word)
        if row is None:
            if self._packed is None:
                return -1
            if len(self._rows) >= _MOST_REMEMBERED:
                self._rows = {}
            row = self._rows[word] = self._search(word)
        return row

    def find_all(self, words: Iterable[str]) -> NDArray[np.int64]:
        """Row of each of `words`, -1 for those that are missing."""
        asked = list(words)
        rows = list(map(self._rows.get, asked))
        if None not in rows:
            return np.array(rows, np.int64)
        if self._packed is None:
            return np.array([-1 if row is None else row for row in rows], np.int64)
        found = np.array([-1 if row is None else row for row in rows], np.int64)
        unseen = [place for place, row in enumerate(rows) if row is None]
        found[unseen] = self._search_all([asked[place] for place in unseen])
        return found

    def _search_all(self, words: list[str]) -> list[int]:
        """The same as `_search` for each word, with one search for all hashes."""
        packed = self._packed
        assert packed is not None
        if not len(self):
            return [-1] * len(words)
        encoded = [_encode(word) for word in words]
        digests = np.fromiter(map(zlib.crc32, encoded), np.uint32, len(encoded))
        places = np.searchsorted(packed.hashes, digests)
        places[places == len(packed.hashes)] = 0
        rows = packed.order[places].astype(np.int64)
        rows[packed.hashes[places] != digests] = -1
        starts, stops = packed.offsets[rows].tolist(), packed.offsets[rows + 1].tolist()
        return [
            row
            if row < 0 or self._letters[start:stop] == letters
            else self._search(word)
            for row, start, stop, letters, word in zip(
                rows.tolist(), starts, stops, encoded, words, strict=True
            )
        ]

    def _search(self, word: str) -> int:
        packed = self._packed
        assert packed is not None
        encoded = _encode(word)
        digest = zlib.crc32(encoded)
        place = bisect_left(self._hashes, digest)
        # Words may share a hash, so the letters decide.
        while place < len(self._hashes) and self._hashes[place] == digest:
            row = int(packed.order[place])
            start, stop = packed.offsets[row : row + 2].tolist()
            if self._letters[start:stop] == encoded:
                return row
            place += 1
        return -1


def _encode(word: str) -> bytes:
    # Half of a surrogate pair is no text, yet it may stand in a str and in a file.
    return word.encode("utf-8", "surrogatepass")
