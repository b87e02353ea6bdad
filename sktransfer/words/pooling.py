"""Vectors of words -> a vector of the text: pure functions.

Letters in shapes: T texts, S words of all texts one behind the other, V distinct
words, D numbers a vector. Text t has the words ``offsets[t]:offsets[t + 1]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["POOLINGS", "pool_words"]

POOLINGS = ("mean", "sum", "max", "min")

# Words gathered at a time by max and min: 2 MB at 300 numbers, which a cache holds.
_WORDS_A_BLOCK = 2048


def pool_words(
    words: NDArray[np.integer],
    offsets: NDArray[np.integer],
    matrix: NDArray[np.float32],
    how: str,
    weights: NDArray[np.float32] | None = None,
    shares: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """One vector a text.

    Parameters
    ----------
    words : ndarray of int, shape (S,)
        Rows of `matrix`, in the order of the texts.
    offsets : ndarray of int, shape (T + 1,)
        Where each text begins and the last one ends.
    matrix : ndarray of float32, shape (V, D)
    how : {"mean", "sum", "max", "min"}
        The mean is the weighted sum by the sum of the shares.
    weights : ndarray of float32, shape (V,), default=None
        Each word's vector is multiplied by its weight; None stands for ones.
    shares : ndarray of float32, shape (V,), default=None
        What a word counts in the divisor of the mean; None stands for ones.

    Returns
    -------
    pooled : ndarray of float32, shape (T, D)
        A text without words is a row of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.pooling import pool_words
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
