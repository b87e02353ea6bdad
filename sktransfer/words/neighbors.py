"""Nearest neighbours among word vectors under CSLS.

Letters in shapes: Q words that ask, N words that may answer, D numbers a vector.

CSLS is twice the cosine less the mean cosine of each side's ten nearest neighbours:
words that are near to everything ("hubs") lose their advantage.

References
----------
Conneau, Lample, Ranzato, Denoyer, Jégou (2018). "Word translation without parallel
data". ICLR.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["mutual_neighbors", "nearest", "unit_rows"]

_N_AROUND = 10

# Rows compared at a time: 40 MB of cosines against 10 000 words.
_ROWS_A_BLOCK = 1024


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay.

    Parameters
    ----------
    vectors : ndarray of float, shape (N, D)

    Returns
    -------
    units : ndarray of float32, shape (N, D)
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def nearest(
    asking: NDArray[np.floating], answering: NDArray[np.floating], n_neighbors: int
) -> NDArray[np.int64]:
    """Nearest rows of `answering` for each row of `asking`, the nearest first.

    Parameters
    ----------
    asking : ndarray of float, shape (Q, D)
    answering : ndarray of float, shape (N, D)
    n_neighbors : int
        K; fewer where there are fewer rows.

    Returns
    -------
    neighbors : ndarray of int64, shape (Q, K)

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.neighbors import nearest
    >>> nearest(np.array([[2.0, 0.1]]), np.eye(2), 2)
    array([[0, 1]])
    """
    questions, answers = unit_rows(asking), unit_rows(answering)
    # Only what the answers lose matters: a question's own mean is the same for all.
    crowding = _mean_of_nearest(answers, questions)
    found = [
        _largest(2 * cosines - crowding, n_neighbors)
        for cosines in _cosines(questions, answers)
    ]
    return np.concatenate(found)


def mutual_neighbors(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Rows of two sides that are each other's nearest.

    Parameters
    ----------
    one : ndarray of float, shape (Q, D)
    other : ndarray of float, shape (N, D)

    Returns
    -------
    pairs : ndarray of int64, shape (2, n_pairs)
        Rows of `one`, and those of `other`.
    """
    there = nearest(one, other, 1)[:, 0]
    back = nearest(other, one, 1)[:, 0]
    rows = np.arange(len(one))
    mutual = back[there] == rows
    return np.array([rows[mutual], there[mutual]])


def _cosines(
    questions: NDArray[np.float32], answers: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(questions), _ROWS_A_BLOCK):
        yield questions[start : start + _ROWS_A_BLOCK] @ answers.T


def _mean_of_nearest(
    questions: NDArray[np.float32], answers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean cosine of each question's nearest answers, shape (Q,)."""
    n_around = min(_N_AROUND, len(answers))
    means = [
        np.partition(cosines, -n_around, axis=1)[:, -n_around:].mean(axis=1)
        for cosines in _cosines(questions, answers)
    ]
    return np.concatenate(means)


def _largest(scores: NDArray[np.float32], n_largest: int) -> NDArray[np.int64]:
    """Columns of the largest numbers of each row, the largest first."""
    n_largest = min(n_largest, scores.shape[1])
    columns = np.argpartition(-scores, n_largest - 1, axis=1)[:, :n_largest]
    order = np.argsort(-np.take_along_axis(scores, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1)
