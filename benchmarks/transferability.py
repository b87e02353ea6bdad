"""Estimates of how well frozen vectors will serve, without a fit.

They are tried against cross-validation in encoders.py, and are no part of the package.
Shapes: n texts, d features, c classes.

References
----------
Y. Bao et al. (2019), "An Information-Theoretic Approach to Transferability in Task
Transfer Learning": the H-score.
K. You et al. (2021), "LogME: Practical Assessment of Pre-trained Models for Transfer
Learning": the evidence of a Bayesian linear model, maximised over its two precisions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def h_score(X: Array, y: npt.NDArray[np.integer]) -> float:
    """Trace of the features' inverse covariance times that of the classes' means."""
    X = X.astype(np.float64) - X.mean(axis=0)
    means = np.stack([X[y == label].mean(axis=0) for label in np.unique(y)])[y]
    inverse = np.linalg.pinv(X.T @ X, rcond=1e-9, hermitian=True)
    return float(np.sum(inverse * (means.T @ means)))


def log_me(X: Array, y: npt.NDArray[np.integer]) -> float:
    """Log evidence a text of one-against-rest labels, mean over the classes."""
    X = X.astype(np.float64)
    n, d = X.shape
    left, singular, _ = np.linalg.svd(X, full_matrices=False)
    squares = singular**2
    evidences = []
    for label in np.unique(y):
        target = (y == label).astype(np.float64)
        projected = left.T @ target
        rest = max(float(target @ target - projected @ projected), 0.0)
        alpha, beta = 1.0, 1.0
        for _ in range(100):
            shrunk = beta * squares / (alpha + beta * squares)
            gamma = float(shrunk.sum())
            weights = float(np.sum((shrunk * projected) ** 2 / squares))
            error = float(np.sum(((1 - shrunk) * projected) ** 2)) + rest
            before = alpha / beta
            alpha, beta = gamma / (weights + 1e-12), (n - gamma) / (error + 1e-12)
            if abs(alpha / beta - before) <= 1e-3 * before:
                break
        log_det = np.log(alpha + beta * squares).sum()
        log_det += (d - len(squares)) * np.log(alpha)
        evidence = d * np.log(alpha) + n * np.log(beta) - n * np.log(2 * np.pi)
        evidence -= log_det + beta * error + alpha * weights
        evidences.append(evidence / (2 * n))
    return float(np.mean(evidences))
