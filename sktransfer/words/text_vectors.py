"""Texts -> words -> vectors of texts, with all that ``fit`` has fixed.

Letters in shapes: T texts, S words of all texts one behind the other, V distinct
words, D numbers a vector. Text t has the words ``offsets[t]:offsets[t + 1]``.

Between the lexicon, which knows no vectors, and the featurizer, which knows
scikit-learn. A reader pickles without what it remembers of texts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sktransfer.ragged import Ragged
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import WordWeights

__all__ = ["POOLINGS", "WordReader", "draw_vector", "pool_words", "typical_scale"]

POOLINGS = ("mean", "sum", "max", "min")

# Words gathered at a time by max and min: 2 MB at 300 numbers, which a cache holds.
_WORDS_A_BLOCK = 2048

# Words at the beginning whose numbers are typical of all.
_N_FREQUENT = 5000

# Texts pooled at a time, so that what lies between texts and vectors stays small.
_TEXTS_A_BLOCK = 1024


def pool_words(
    words: NDArray[np.integer],
    offsets: NDArray[np.integer],
    matrix: NDArray[np.float32],
    how: str,
    weights: NDArray[np.float32] | None = None,
    shares: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """One vector a text, shape (T, D); a text without words is a row of zeros.

    `words` (S,) are rows of `matrix` (V, D) in the order of the texts. Each word's
    vector is multiplied by its weight; the mean is the weighted sum by the sum of the
    shares. Both have shape (V,), and None stands for ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.text_vectors import pool_words
    >>> matrix = np.array([[1, 0], [3, 4]], dtype=np.float32)
    >>> pool_words(np.array([0, 1, 1]), np.array([0, 2, 2, 3]), matrix, "mean")
    array([[2., 2.],
           [0., 0.],
           [3., 4.]], dtype=float32)
    """
    if how in {"max", "min"}:
        if weights is not None:
            matrix = matrix * weights[:, None]
        return _pool_extreme(words, offsets, matrix, how)
    n_texts = len(offsets) - 1
    data = np.ones(len(words), np.float32) if weights is None else weights[words]
    # Repeated columns are allowed here, so the words need not be counted first.
    counts = sparse.csr_array((data, words, offsets), shape=(n_texts, len(matrix)))
    pooled: NDArray[np.float32] = counts @ matrix
    if how == "mean":
        divisors = (
            np.diff(offsets).astype(np.float32)
            if shares is None
            else _sum_rows(shares[words], offsets)
        )
        divisors[divisors == 0] = 1
        pooled /= divisors[:, None]
    return pooled


def _sum_rows(
    values: NDArray[np.float32], offsets: NDArray[np.integer]
) -> NDArray[np.float32]:
    n_texts = len(offsets) - 1
    columns = np.zeros(len(values), offsets.dtype)
    rows = sparse.csr_array((values, columns, offsets), shape=(n_texts, 1))
    return np.asarray(rows @ np.ones(1, np.float32))


def _pool_extreme(
    words: NDArray[np.integer],
    offsets: NDArray[np.integer],
    matrix: NDArray[np.float32],
    how: str,
) -> NDArray[np.float32]:
    """Largest or smallest number of each column over each text's words."""
    reduce = np.maximum.reduceat if how == "max" else np.minimum.reduceat
    pooled = np.zeros((len(offsets) - 1, matrix.shape[1]), np.float32)
    # reduceat answers for an empty text with its neighbour's word: leave those out.
    filled = np.flatnonzero(np.diff(offsets))
    begin = 0
    while begin < len(filled):
        start = offsets[filled[begin]]
        end = np.searchsorted(offsets[filled + 1], start + _WORDS_A_BLOCK, "right")
        end = max(int(end), begin + 1)  # a text longer than a block is a block
        block = filled[begin:end]
        gathered = matrix[words[start : offsets[block[-1] + 1]]]
        pooled[block] = reduce(gathered, offsets[block] - start, axis=0)
        begin = end
    return pooled


def typical_scale(matrix: NDArray[np.floating]) -> float:
    """Standard deviation of the numbers of the first, most frequent words."""
    return float(np.std(matrix[:_N_FREQUENT], dtype=np.float64))


def draw_vector(word: str, seed: int, width: int, scale: float) -> NDArray[np.float32]:
    """Normal random vector that depends on nothing but the arguments.

    So a word has the same vector in every text, batch and process.

    Examples
    --------
    >>> from sktransfer.words.text_vectors import draw_vector
    >>> draw_vector("ugly", 0, 3, 1.0).shape
    (3,)
    """
    entropy = [seed, zlib.crc32(word.encode("utf-8", "surrogatepass"))]
    generator = np.random.default_rng(entropy)
    return (generator.standard_normal(width) * scale).astype(np.float32)


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

        The rows say where the vectors are, -1 for words without one.
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
            ragged = ragged.keep(rows[ragged.values] >= 0)
        occurs = np.zeros(len(rows), np.bool_)
        occurs[ragged.values] = True
        used = np.flatnonzero(occurs)
        places = np.zeros(len(rows), np.int32)
        places[used] = np.arange(len(used))
        ragged = Ragged(places[ragged.values], ragged.offsets)
        return ragged, [words[number] for number in used.tolist()], rows[used]

    def words_of(self, texts: Sequence[str]) -> list[list[str]]:
        """Words of each text, unknown ones included."""
        ragged, words, _ = self.read(texts)
        return [[*map(words.__getitem__, row)] for row in ragged]

    def pool(
        self,
        texts: Sequence[str],
        poolings: Sequence[str],
        weights: WordWeights | None = None,
    ) -> NDArray[np.float32]:
        """One vector a text, shape (n_texts, n_poolings * width)."""
        pooled = np.empty((len(texts), len(poolings) * self.vectors.width), np.float32)
        for start in range(0, len(texts), _TEXTS_A_BLOCK):
            stop = start + _TEXTS_A_BLOCK
            # A small matrix of the words that occur fits into the processor's cache.
            ragged, words, rows = self.read_counted(texts[start:stop])
            matrix = self.look_up(words, rows)
            factors = None if weights is None else weights.weigh(words)
            shares = factors if weights is not None and weights.shared else None
            pooled[start:stop] = np.hstack(
                [
                    pool_words(
                        ragged.values, ragged.offsets, matrix, how, factors, shares
                    )
                    for how in poolings
                ]
            )
        return pooled

    def look_up(self, words: list[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors (n_words, width) of words, with those made up that have none.

        Those are zeros, unless `oov` is "random" or "subword".
        """
        matrix = self.vectors.lookup(rows)
        missing = np.flatnonzero(rows < 0)
        if not len(missing) or self.oov not in {"random", "subword"}:
            return matrix
        subwords = self.vectors.subwords
        first = np.arange(min(len(self.vectors), _N_FREQUENT))
        scale = typical_scale(self.vectors.lookup(first))
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
