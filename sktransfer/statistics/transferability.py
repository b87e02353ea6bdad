"""How well an encoder's vectors will serve, told before anything is trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from sktransfer.exceptions import InvalidInputError

__all__ = ["log_evidence"]

_MAX_ROUNDS = 100


def log_evidence(features: Any, labels: Any) -> float:
    """Log evidence of labels under a Bayesian linear model of features (LogME).

    Each class against the rest is a target of 0 and 1, ``y = X w + noise``, with
    normal priors of precision alpha on the weights and beta on the noise. The evidence
    ``log p(y | X, alpha, beta)`` is maximised over both, divided by the number of
    texts, and averaged over the classes. Of several encoders the one with the highest
    value is likely to serve best; the value itself means nothing on its own.

    Parameters
    ----------
    features : matrix of shape (n_texts, n_features)
        Vectors of labelled texts.
    labels : array-like of shape (n_texts,)
        Two classes or more.

    Returns
    -------
    evidence : float
        In nats a text; the higher the better.

    Raises
    ------
    InvalidInputError
        If there is one class only.

    Notes
    -----
    In ``benchmarks/encoders.md`` it chose among two encoders and eight layouts of their
    vectors as well as cross-validated heads did, in a twentieth of their time.

    References
    ----------
    You, Liu, Wang and Long (2021). "LogME: Practical Assessment of Pre-trained Models
    for Transfer Learning". ICML.

    Examples
    --------
    >>> from sktransfer import BertFeaturizer, load_mini_reviews
    >>> from sktransfer.statistics import log_evidence
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> models = ["all-MiniLM-L6-v2", "multilingual-e5-small"]
    >>> max(models, key=lambda model: log_evidence(
    ...     BertFeaturizer(model).fit_transform(texts), labels))
    'multilingual-e5-small'
    """
    X = check_array(features, dtype=np.float64)
    y = column_or_1d(labels)
    check_consistent_length(X, y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise InvalidInputError(
            f"labels holds {len(classes)} class, but 2 or more are needed to tell how "
            "well features part them."
        )
    left, singular, _ = np.linalg.svd(X, full_matrices=False)
    kept = singular > singular.max() * np.finfo(np.float64).eps * max(X.shape)
    left, squares = left[:, kept], singular[kept] ** 2
    return float(
        np.mean([_evidence(left, squares, (y == label) * 1.0) for label in classes])
    )


def _evidence(
    left: NDArray[np.float64], squares: NDArray[np.float64], target: NDArray[np.float64]
) -> float:
    """Evidence of one target, by the fixed point of MacKay (1992), in nats a text."""
    n, projected = len(target), left.T @ target
    # What no direction of the features can explain.
    outside = max(float(target @ target - projected @ projected), 0.0)
    ratio = 1.0  # alpha / beta
    for _ in range(_MAX_ROUNDS):
        shrunk = squares / (ratio + squares)
        n_effective = float(shrunk.sum())
        length = float(np.sum((shrunk * projected) ** 2 / squares))
        error = float(np.sum(((1 - shrunk) * projected) ** 2)) + outside
        alpha = n_effective / max(length, 1e-12)
        beta = max(n - n_effective, 1e-12) / max(error, 1e-12)
        before, ratio = ratio, alpha / beta
        if abs(ratio - before) <= 1e-4 * before:
            break
    shrunk = squares / (ratio + squares)
    length = float(np.sum((shrunk * projected) ** 2 / squares))
    error = float(np.sum(((1 - shrunk) * projected) ** 2)) + outside
    # Directions without features have the same determinant before and after.
    determinant = float(np.sum(np.log1p(beta * squares / alpha)))
    evidence = n * np.log(beta / (2 * np.pi)) - determinant
    return float(evidence - beta * error - alpha * length) / (2 * n)
