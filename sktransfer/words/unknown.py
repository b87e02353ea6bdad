"""Vectors drawn for words that have none."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_vector", "typical_scale"]


def typical_scale(matrix: NDArray[np.floating]) -> float:
    """Standard deviation of the numbers of the most frequent words.

    Parameters
    ----------
    matrix : ndarray of float, shape (n_words, width)
        The most frequent words first, of which some thousand are enough.

    Returns
    -------
    scale : float
    """
    return float(np.std(matrix[:5000], dtype=np.float64))


def draw_vector(word: str, seed: int, width: int, scale: float) -> NDArray[np.float32]:
    """Normal random vector that depends on nothing but the arguments.

    So a word has the same vector in every text, batch and process.

    Parameters
    ----------
    word : str
    seed : int
    width : int
        Numbers a vector.
    scale : float
        Standard deviation of each number.

    Returns
    -------
    vector : ndarray of float32, shape (width,)

    Examples
    --------
    >>> from sktransfer.words.unknown import draw_vector
    >>> draw_vector("ugly", 0, 3, 1.0).shape
    (3,)
    """
    entropy = [seed, zlib.crc32(word.encode("utf-8", "surrogatepass"))]
    generator = np.random.default_rng(entropy)
    return (generator.standard_normal(width) * scale).astype(np.float32)
