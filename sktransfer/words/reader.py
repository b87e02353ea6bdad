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
_TEXTS_A_BLOCK = 8192


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
    _lexicon: Lexicon | None = field(default=None, repr=False, compare=False)

    def read(self, texts: Sequence[str]) -> tuple[Ragged, list[str]]:
        """Words of each text by number, and the words that the numbers stand for."""
        lexicon = self._lexicon
        if lexicon is None or lexicon.is_full():
            known = self.vectors.__contains__
            lexicon = Lexicon(self.tokenizer, self.lowercase, known)
            self._lexicon = lexicon
        return lexicon.read(texts).cut(self.max_length), lexicon.words

    def read_counted(self, texts: Sequence[str]) -> tuple[Ragged, list[str]]:
        """The same without words that `oov` leaves out, renumbered without gaps."""
        ragged, words = self.read(texts)
        occurs = np.zeros(len(words), np.bool_)
        occurs[ragged.words] = True
        used = np.flatnonzero(occurs)
        if self.oov == "skip":
            used = used[self.vectors.index_of(words[number] for number in used) >= 0]
            occurs[:] = False
            occurs[used] = True
            ragged = ragged.keep(occurs[ragged.words])
        places = np.zeros(len(words), np.int32)
        places[used] = np.arange(len(used))
        return (
            Ragged(places[ragged.words], ragged.offsets),
            [words[number] for number in used],
        )

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """Words of each text, unknown ones included."""
        ragged, words = self.read(texts)
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
            ragged, words = self.read_counted(texts[start:stop])
            matrix = self._look_up(words)
            factors = None if weights is None else weights.weigh(words)
            shares = factors if weights is not None and weights.shared else None
            pooled[start:stop] = np.hstack(
                [pool_words(*ragged, matrix, how, factors, shares) for how in poolings]
            )
        return pooled

    def _look_up(self, words: list[str]) -> NDArray[np.float32]:
        """Vectors of words, with those made up that have none."""
        rows = self.vectors.index_of(words)
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
        return self.__dict__ | {"_lexicon": None}
