"""Distinct words and the row of each, without a Python object a word.

`Subwords` gives vectors to words never seen, from the pieces they are made of
(fastText). The packed form is four arrays that open without being read: two million
words cost nothing until some of them are looked up.

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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import WordVectorsError
from sktransfer.ragged import row_offsets
from sktransfer.words.files.blocks import HeldArray
from sktransfer.words.files.proofs import (
    MOST_LETTERS,
    prove_ends,
    prove_numbers,
    prove_order,
)

__all__ = ["PackedWords", "StoredWords", "Subwords", "Vocabulary", "pack_words"]

# A bound for texts without end, far above the distinct words of any usual corpus.
_MOST_REMEMBERED = 1_000_000


class Subwords:
    """Vectors of hashed pieces of words.

    Parameters
    ----------
    buckets : ndarray of float32, shape (n_buckets, width), or HeldArray
        Pieces that share a hash share a vector.
    shortest, longest : int
        Letters of the pieces, the marks at both ends of the word included.
    """

    def __init__(
        self, buckets: NDArray[np.float32] | HeldArray, shortest: int, longest: int
    ) -> None:
        self._rows = buckets if isinstance(buckets, HeldArray) else HeldArray(buckets)
        self.shortest, self.longest = shortest, longest

    @property
    def buckets(self) -> NDArray[np.float32]:
        """All vectors."""
        return self._rows.whole()

    def facts(self) -> dict[str, Any]:
        """What is needed besides the array, as JSON has it."""
        return {
            "n_buckets": len(self._rows),
            "shortest": self.shortest,
            "longest": self.longest,
        }

    @classmethod
    def from_facts(
        cls, buckets: NDArray[np.float32] | HeldArray, facts: dict[str, Any]
    ) -> Subwords:
        """The reverse of `facts`, which are proved: they reach compiled code."""
        if len(buckets.shape) != 2 or buckets.dtype != np.float32:
            raise WordVectorsError(
                f"The vectors of pieces of words have the shape {buckets.shape} and "
                f"the type {buckets.dtype}, but rows of float32 are expected: get the "
                "vectors again."
            )
        what = "The record of the pieces of words"
        prove_numbers(facts, ["n_buckets"], len(buckets), len(buckets), what)
        prove_numbers(facts, ["shortest", "longest"], 0, MOST_LETTERS, what)
        return cls(buckets, facts["shortest"], facts["longest"])

    def vector(self, word: str) -> NDArray[np.float32]:
        """Mean of the vectors of the word's pieces; zeros where it has none."""
        # gensim hashes in C exactly as fastText does, bugs with accents included.
        from gensim.models.fasttext import ft_ngram_hashes

        n_buckets, width = self._rows.shape
        rows: Any = []
        if n_buckets:  # else its hash would be divided by zero
            rows = ft_ngram_hashes(word, self.shortest, self.longest, n_buckets)
        if not len(rows):
            return np.zeros(width, np.float32)
        places = np.asarray(rows, np.int64)
        vector: NDArray[np.float32] = self._rows.take(places).mean(axis=0)
        return vector

    def __reduce__(self) -> tuple[Any, ...]:
        return Subwords, (self.buckets, self.shortest, self.longest)


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


class StoredWords:
    """Words as arrays that may lie in files, read and proved as they are needed.

    Parameters
    ----------
    packed : dict of str to HeldArray
        Under the names that `PackedWords` has for them.
    place : pathlib.Path or None
        What error messages call them.
    """

    def __init__(self, packed: dict[str, HeldArray], place: Path | None) -> None:
        self._letters, self._offsets = packed["letters"], packed["offsets"]
        self._hashes, self._order = packed["hashes"], packed["order"]
        self._place = place or "A vocabulary"
        self._index: tuple[memoryview, NDArray[Any], NDArray[Any]] | None = None

    def __len__(self) -> int:
        return len(self._order)

    def decode(self) -> tuple[str, ...]:
        """All words."""
        letters, bounds = self._letters.whole().tobytes(), self._offsets.whole()
        prove_ends(bounds, len(letters), self._place)
        try:
            return tuple(
                letters[start:stop].decode("utf-8", "surrogatepass")
                for start, stop in itertools.pairwise(bounds.tolist())
            )
        except UnicodeDecodeError as error:
            raise WordVectorsError(
                f"{self._place} has a word that is no UTF-8 ({error}): get the vectors "
                "again, or save them again."
            ) from error

    def pack(self) -> PackedWords:
        """The arrays."""
        parts = (self._letters, self._offsets, self._hashes, self._order)
        return PackedWords(*(part.whole() for part in parts))

    def search_all(self, words: Sequence[str]) -> list[int]:
        """Row of each word, -1 for those that are missing."""
        if not len(self):
            return [-1] * len(words)
        _, hashes, order = self._open_index()
        encoded = [_encode(word) for word in words]
        digests = np.fromiter(map(zlib.crc32, encoded), np.uint32, len(encoded))
        places = np.searchsorted(hashes, digests)
        places[places == len(hashes)] = 0
        hits = np.flatnonzero(hashes[places] == digests)
        rows = order[places[hits]].astype(np.int64)
        starts, stops, letters = self._bounds(rows)
        found = [-1] * len(words)
        for place, row, start, stop in zip(
            hits.tolist(), rows.tolist(), starts, stops, strict=True
        ):
            same = letters[start:stop] == encoded[place]
            found[place] = row if same else self.search(words[place])
        return found

    def search(self, word: str) -> int:
        """Row of a word, or -1."""
        views, _, order = self._open_index()
        encoded = _encode(word)
        digest = zlib.crc32(encoded)
        first = last = bisect_left(views, digest)
        while last < len(views) and views[last] == digest:
            last += 1
        # Words may share a hash, so the letters decide.
        rows = order[first:last].astype(np.int64)
        starts, stops, letters = self._bounds(rows)
        for row, start, stop in zip(rows.tolist(), starts, stops, strict=True):
            if letters[start:stop] == encoded:
                return int(row)
        return -1

    def _open_index(self) -> tuple[memoryview, NDArray[Any], NDArray[Any]]:
        """Hashes, as plain bytes and as an array, and the word of each."""
        if self._index is None:
            hashes, order = self._hashes.whole(), self._order.whole()
            prove_order(hashes, order, self._place)
            # bisect reads plain bytes several times as fast as arrays.
            self._index = np.ascontiguousarray(hashes).data, hashes, order
        return self._index

    def _bounds(
        self, rows: NDArray[np.int64]
    ) -> tuple[list[int], list[int], memoryview]:
        """Where the words of rows begin and end in the letters that come with them."""
        offsets = self._offsets.load(rows, rows + 2)
        starts, stops = offsets[rows], offsets[rows + 1]
        n_letters = len(self._letters)
        if ((starts < 0) | (stops < starts) | (stops > n_letters)).any():
            prove_ends(self._offsets.whole(), n_letters, self._place)
        letters = self._letters.load(starts, stops)
        return starts.tolist(), stops.tolist(), np.ascontiguousarray(letters).data


class Vocabulary:
    """Distinct words in a fixed order.

    Parameters
    ----------
    words : iterable of str, PackedWords or StoredWords
        What is packed stays packed: only words that are asked for are decoded.

    Examples
    --------
    >>> from sktransfer.words.files.vocabulary import Vocabulary
    >>> vocabulary = Vocabulary(["good", "bad"])
    >>> vocabulary.find("bad"), vocabulary.find("ugly")
    (1, -1)
    """

    __slots__ = ("_rows", "_stored", "_words")

    def __init__(self, words: Iterable[str] | PackedWords | StoredWords) -> None:
        self._rows: dict[str, int] = {}
        self._stored: StoredWords | None = None
        self._words: tuple[str, ...] | None = None
        if isinstance(words, PackedWords):
            parts = {name: HeldArray(part) for name, part in vars(words).items()}
            words = StoredWords(parts, None)
        if isinstance(words, StoredWords):
            self._stored = words
        else:
            self._words = tuple(words)
            self._rows = {word: row for row, word in enumerate(self._words)}

    def __len__(self) -> int:
        if self._words is not None:
            return len(self._words)
        assert self._stored is not None
        return len(self._stored)

    @property
    def words(self) -> tuple[str, ...]:
        """All words; packed ones are decoded at the first call."""
        if self._words is None:
            assert self._stored is not None
            self._words = self._stored.decode()
        return self._words

    def pack(self) -> PackedWords:
        """The words as arrays."""
        return pack_words(self.words) if self._stored is None else self._stored.pack()

    def find(self, word: str) -> int:
        """Row of `word`, or -1."""
        row = self._rows.get(word)
        if row is None:
            if self._stored is None:
                return -1
            if len(self._rows) >= _MOST_REMEMBERED:
                self._rows = {}
            row = self._rows[word] = self._stored.search(word)
        return row

    def find_all(self, words: Iterable[str]) -> NDArray[np.int64]:
        """Row of each of `words`, -1 for those that are missing."""
        asked = list(words)
        rows = list(map(self._rows.get, asked))
        if None not in rows:
            return np.array(rows, np.int64)
        if self._stored is None:
            return np.array([-1 if row is None else row for row in rows], np.int64)
        found = np.array([-1 if row is None else row for row in rows], np.int64)
        unseen = [place for place, row in enumerate(rows) if row is None]
        found[unseen] = self._stored.search_all([asked[place] for place in unseen])
        return found


def _encode(word: str) -> bytes:
    # Half of a surrogate pair is no text, yet it may stand in a str and in a file.
    return word.encode("utf-8", "surrogatepass")
