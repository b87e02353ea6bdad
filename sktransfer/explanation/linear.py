"""Exact contributions, where features are sums over words and decisions linear.

Whether a decision is linear is not read off from types: it is probed. That covers
scalers and projections before the classifier, and heads without hidden layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from sktransfer.explanation.anatomy import Anatomy
from sktransfer.explanation.attribution import Attribution
from sktransfer.explanation.counts import locate_grams
from sktransfer.explanation.places import Span

__all__ = ["attribute_counts", "attribute_parts", "probe_linear"]

# Relative; networks compute in float32.
_TOLERANCE = 1e-4


def probe_linear(
    decide: Callable[[Any], NDArray[np.float64]], features: Any
) -> tuple[NDArray[np.float64], float] | None:
    """Coefficients of a decision function, if it is linear.

    Parameters
    ----------
    decide : callable
        From features (n, w) to margins (n,).
    features : ndarray or sparse matrix of shape (1, w)
        A dense row is probed in all columns, a sparse one where it is not zero.

    Returns
    -------
    coefficients : ndarray of shape (w,)
        0 where nothing was probed.
    base : float
        Decision on zeros. Instead of both None, where the decision is not linear.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.explanation.linear import probe_linear
    >>> probe_linear(lambda X: X @ [2.0, -1.0] + 3, np.ones((1, 2)))
    (array([ 2., -1.]), 3.0)
    >>> probe_linear(lambda X: (X**2).sum(axis=1), np.ones((1, 2)))
    """
    thin = sparse.issparse(features)
    width = features.shape[1]
    columns = features.tocsr().indices if thin else np.arange(width)
    size = float(abs(features).max()) or 1.0
    n_steps = len(columns)
    # Zeros, the row, half of it, and a step in each column.
    row = np.asarray(features[:, columns].toarray()[0] if thin else features[0])
    dtype = features.dtype if features.dtype.kind == "f" else np.float64
    if thin:
        # With narrow indices, which is what scikit-learn's own transformers give.
        ends = [0, 0, n_steps, 2 * n_steps, *range(2 * n_steps + 1, 3 * n_steps + 1)]
        values = np.concatenate([row, row / 2, np.full(n_steps, size)]).astype(dtype)
        places = np.tile(columns, 3).astype(np.int32)
        probes: Any = sparse.csr_matrix(
            (values, places, np.array(ends, np.int32)), shape=(n_steps + 3, width)
        )
    else:
        steps = size * np.eye(n_steps)
        probes = np.vstack([np.zeros_like(row), row, row / 2, steps]).astype(dtype)
    found = decide(probes)
    base, value, half = found[:3]
    coefficients = np.zeros(width)
    coefficients[columns] = (found[3:] - base) / size
    told = base + float(row @ coefficients[columns])
    scale = max(np.abs(found).max(), 1e-9)
    straight = np.isclose(told, value, rtol=0, atol=_TOLERANCE * scale)
    straight &= np.isclose((base + value) / 2, half, rtol=0, atol=_TOLERANCE * scale)
    return (coefficients, float(base)) if straight else None


def attribute_counts(anatomy: Anatomy, text: str) -> Attribution | None:
    """Contributions of counted words or runs of characters.

    Parameters
    ----------
    anatomy : Anatomy
        Begins with a CountVectorizer or a TfidfVectorizer.
    text : str

    Returns
    -------
    attribution : Attribution or None
        None where the estimator is of another kind.
    """
    transformers = anatomy.transformers
    if not transformers or not isinstance(transformers[0], CountVectorizer):
        return None
    vectorizer = transformers[0]
    grams = locate_grams(vectorizer, text)
    if grams is None:
        return None
    features, n_used = vectorizer.transform([text]), 1
    # TF-IDF keeps the columns, but divides by the length of the row.
    while len(transformers) > n_used and isinstance(
        transformers[n_used], TfidfTransformer
    ):
        features = transformers[n_used].transform(features)
        n_used += 1
    found = probe_linear(anatomy.decide_after(n_used), features)
    if found is None:
        return None
    coefficients, base = found
    row = features.toarray()[0]
    spans: list[Span] = []
    values: list[float] = []
    for gram, occurrences in grams.items():
        column = vectorizer.vocabulary_.get(gram)
        if column is None:
            continue
        worth = row[column] * coefficients[column] / len(occurrences)
        for parts in occurrences:
            spans += parts
            values += [worth / len(parts)] * len(parts)
    return Attribution("exact", spans, values, base + float(row @ coefficients), base)


def attribute_parts(
    decide: Callable[[Any], NDArray[np.float64]],
    spans: list[Span],
    parts: NDArray[np.float64],
) -> Attribution | None:
    """Contributions of words whose vectors add up to the features.

    Parameters
    ----------
    decide : callable
        From features (n, w) to margins (n,).
    spans : list of (int, int), of length S
    parts : ndarray of shape (S, w)

    Returns
    -------
    attribution : Attribution or None
        None where the decision is not linear.
    """
    features = parts.sum(axis=0, keepdims=True)
    found = probe_linear(decide, features)
    if found is None:
        return None
    coefficients, base = found
    values = parts @ coefficients
    return Attribution("exact", spans, values.tolist(), base + values.sum(), base)
