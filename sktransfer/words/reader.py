"""Texts -> words -> vectors of texts, with everything that `fit` settled.

Between the lexicon, which knows no vectors, and the featurizer, which knows
scikit-learn. A reader pickles without what it remembers of texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.words.lexicon import Lexicon, Ragged
from sktransfer.words.pooling import pool_words
from sktransfer.words.unknown import draw_vector, typical_scale
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import WordWeights

__all__ = ["WordReader"]

# Texts pooled at a time, so that what lies between texts and vectors stays small.
_TEXTS_A_BLOCK = 1024


@dataclass
class WordReader:
    """Reads texts by the words of some vectors.

    Attributes
    ----------
    vectors : WordVectors
    tokenizer : "auto" or callable
    lowercase : bool
    max_length : int or None
        Words of a text that count.
    oov : {"skip", "zero", "random", "subword"}
        What a word without a vector is.
    seed : int, default=0
        For the random vectors.
    """

    vectors: WordVectors
    tokenizer: str | Callable[[str], list[str]] = "auto"
    lowercase: bool = True
    max_length: int | None = None
    oov: str = "skip"
    seed: int = 0
    _memory: tuple[Lexicon, NDArray[np.int64]] | None = field(
        default=None, repr=False, compare=False
    )

    def read(self, texts: Sequence[str]) -> tuple[Ragged, list[str], NDArray[np.int64]]:
        """Words of texts by number, the words that these stand for, and their rows.

        Parameters
        ----------
        texts : sequence of str, of length n_texts

        Returns
        -------
        ragged : Ragged
        words : list of str, of length n_words
        rows : ndarray of int64, shape (n_words,)
            Where the vectors are, -1 for words without one.
        """
        memory = self._memory
        if memory is None or memory[0].is_full():
            known = self.vectors.__contains__
            lexicon = Lexicon(self.tokenizer, self.lowercase, known)
            memory = lexicon, np.zeros(0, np.int64)
        lexicon, rows = memory
        ragged = lexicon.read(texts).cut(self.max_length)
        # Other threads may read, too: what is stored belongs together, whoever is last.
        words = lexicon.words
        fresh = self.vectors.index_of(words[len(rows) :])
        rows = np.concatenate([rows, fresh]) if len(fresh) else rows
        self._memory = lexicon, rows
        return ragged, words, rows

    def read_counted(
        self, texts: Sequence[str]
    ) -> tuple[Ragged, list[str], NDArray[np.int64]]:
        """The same without words that `oov` leaves out, renumbered without gaps."""
        ragged, words, rows = self.read(texts)
        if self.oov == "skip":
            ragged = ragged.keep(rows[ragged.words] >= 0)
        occurs = np.zeros(len(rows), np.bool_)
        occurs[ragged.words] = True
        used = np.flatnonzero(occurs)
        places = np.zeros(len(rows), np.int32)
        places[used] = np.arange(len(used))
        ragged = Ragged(places[ragged.words], ragged.offsets)
        return ragged, [words[number] for number in used.tolist()], rows[used]

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """Words of each text, unknown ones included."""
        ragged, words, _ = self.read(texts)
        flat = [words[number] for number in ragged.words.tolist()]
        bounds = itertools.pairwise(ragged.offsets.tolist())
        return [flat[start:stop] for start, stop in bounds]

    def pool(
        self,
        texts: Sequence[str],
        poolings: Sequence[str],
        weights: WordWeights | None = None,
    ) -> NDArray[np.float32]:
        """One vector a text.

        Parameters
        ----------
        texts : sequence of str, of length n_texts
        poolings : sequence of {"mean", "sum", "max", "min"}
            What is put side by side.
        weights : WordWeights, default=None

        Returns
        -------
        pooled : ndarray of float32, shape (n_texts, n_poolings * width)
        """
        pooled = np.empty((len(texts), len(poolings) * self.vectors.width), np.float32)
        for start in range(0, len(texts), _TEXTS_A_BLOCK):
            stop = start + _TEXTS_A_BLOCK
            # A small matrix of the words that occur fits into the processor's cache.
            ragged, words, rows = self.read_counted(texts[start:stop])
            matrix = self.look_up(words, rows)
            factors = None if weights is None else weights.weigh(words)
            shares = factors if weights is not None and weights.shared else None
            pooled[start:stop] = np.hstack(
                [pool_words(*ragged, matrix, how, factors, shares) for how in poolings]
            )
        return pooled

    def look_up(self, words: list[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of words, with those made up that have none.

        Parameters
        ----------
        words : list of str, of length n_words
        rows : ndarray of int64, shape (n_words,)
            Their rows in `vectors`; -1 for words that are not there.

        Returns
        -------
        matrix : ndarray of float32, shape (n_words, width)
            Zeros for such words, unless `oov` is "random" or "subword".
        """
        matrix = self.vectors.lookup(rows)
        missing = np.flatnonzero(rows < 0)
        if not len(missing) or self.oov not in {"random", "subword"}:
            return matrix
        subwords = self.vectors.subwords
        scale = typical_scale(self.vectors.matrix)
        for place in missing:
            if self.oov == "random":
                vector = draw_vector(words[place], self.seed, self.vectors.width, scale)
            else:
                assert subwords is not None  # made sure of in fit
                vector = subwords.vector(words[place])
            matrix[place] = vector
        return matrix

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memory": None}
