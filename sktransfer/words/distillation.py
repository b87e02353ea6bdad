"""Word vectors out of a text encoder: each word goes through it once.

The encoder is anything with ``transform``; what comes out needs it no more.

References
----------
Tulkens, van Dongen (2024). "Model2Vec: fast state-of-the-art static embeddings".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import InvalidParameterError
from sktransfer.words.weighting import sif_weights

__all__ = ["distill_matrix"]


def distill_matrix(
    featurizer: Any,
    words: Sequence[str],
    *,
    center: bool = False,
    n_components: int | None = None,
    counts: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Vectors of words from an encoder of texts.

    Parameters
    ----------
    featurizer : object with ``transform``
        Fitted; else a clone of it is fitted on `words`.
    words : sequence of str, of length n_words
    center : bool, default=False
        Take the mean of all vectors out of each.
    n_components : int, default=None
        Keep so many principal components, of which the first ones carry most; None
        keeps all numbers as they are.
    counts : array-like of int, of length n_words, default=None
        How often each word comes in some corpus. Each vector is multiplied by the
        word's SIF weight, after everything else; None leaves them as they are.

    Returns
    -------
    matrix : ndarray of float32, shape (n_words, n_features or n_components)

    Raises
    ------
    InvalidParameterError
        If `n_components` or `counts` do not fit to words and vectors.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.words.distillation import distill_matrix
    >>> letters = CountVectorizer(analyzer="char")
    >>> distill_matrix(letters, ["a", "ab"])
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    texts = list(words)
    try:
        check_is_fitted(featurizer)
    except NotFittedError:
        featurizer = clone(featurizer).fit(texts)
    found = featurizer.transform(texts)
    if hasattr(found, "toarray"):
        found = found.toarray()
    matrix = np.asarray(found, np.float32)
    if center:
        matrix = matrix - matrix.mean(axis=0)
    if n_components is not None:
        matrix = _keep_components(matrix, n_components)
    if counts is not None:
        occurrences = np.asarray(counts)
        if occurrences.shape != (len(texts),) or (occurrences < 0).any():
            raise InvalidParameterError(
                f"counts has shape {occurrences.shape}, but one number, at least 0, "
                f"for each of the {len(texts)} words is expected."
            )
        matrix = matrix * sif_weights(occurrences)[:, None]
    return matrix


def _keep_components(
    matrix: NDArray[np.float32], n_components: int
) -> NDArray[np.float32]:
    """Coordinates along the directions of largest variance."""
    if not 1 <= n_components <= min(matrix.shape):
        raise InvalidParameterError(
            f"n_components={n_components}, but 1 to {min(matrix.shape)} are possible "
            f"with {len(matrix)} words of {matrix.shape[1]} numbers."
        )
    wide = matrix.astype(np.float64)
    wide -= wide.mean(axis=0)
    _, directions = np.linalg.eigh(wide.T @ wide)
    kept = matrix @ directions[:, ::-1][:, :n_components].astype(np.float32)
    return np.asarray(kept, np.float32)
