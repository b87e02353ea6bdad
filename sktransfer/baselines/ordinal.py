r"""From one score a text to probabilities of ordered classes: proportional odds.

With the classes in the order of their mean score, numbered from 0,

.. math:: P(\text{class} \le k \mid s) = \sigma(c_k - a s), \quad a \ge 0,

with cuts :math:`c_0 < c_1 < \dots`. Two classes make it logistic regression on the
score, which is Platt's calibration.

Letters in shapes: n texts, K classes.

References
----------
McCullagh (1980). "Regression Models for Ordinal Data". JRSS B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

__all__ = ["OrdinalModel", "fit_ordinal", "order_classes"]

# Strength of the pull of the slope towards 0: enough to keep it finite where a score
# tells all training texts apart.
_RIDGE = 0.01

_SMALLEST = 1e-12


@dataclass(frozen=True)
class OrdinalModel:
    """Slope and cuts.

    Attributes
    ----------
    slope : float
        Log-odds for each unit of the score, at least 0.
    cuts : ndarray of shape (K - 1,)
        Ascending.
    """

    slope: float
    cuts: NDArray[np.float64]

    def logits(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of lying above each cut, shape (n, K - 1)."""
        return self.slope * scores[:, None] - self.cuts

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class in its order, shape (n, K)."""
        below = expit(-self.logits(scores))
        edges = np.pad(below, [(0, 0), (1, 1)], constant_values=(0, 1))
        return np.diff(edges, axis=1)


def order_classes(
    scores: NDArray[np.float64],
    numbers: NDArray[np.int64],
    n_classes: int,
    weight: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Classes from the lowest mean score to the highest.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    numbers : ndarray of shape (n,)
        Class of each text, from 0 to K - 1; each occurs.
    n_classes : int
        K.
    weight : ndarray of shape (n,)

    Returns
    -------
    order : ndarray of shape (K,)

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.baselines.ordinal import order_classes
    >>> order_classes(np.array([2.0, -1, 3]), np.array([0, 1, 0]), 2, np.ones(3))
    array([1, 0])
    """
    totals = np.bincount(numbers, weight * scores, n_classes)
    counts = np.bincount(numbers, weight, n_classes)
    means = totals / np.maximum(counts, np.finfo(np.float64).tiny)
    return np.argsort(means, kind="stable").astype(np.int64)


def fit_ordinal(
    scores: NDArray[np.float64],
    ranks: NDArray[np.int64],
    n_classes: int,
    weight: NDArray[np.float64],
) -> OrdinalModel:
    """Fit slope and cuts by maximum likelihood.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    ranks : ndarray of shape (n,)
        Place of each text's class in the order, from 0 to K - 1; each occurs.
    n_classes : int
        K.
    weight : ndarray of shape (n,)

    Returns
    -------
    model : OrdinalModel

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.baselines.ordinal import fit_ordinal
    >>> model = fit_ordinal(np.array([-1.0, 1, -1, 1]), np.array([0, 1, 0, 1]), 2,
    ...                     np.ones(4))
    >>> model.probabilities(np.array([0.0])).round(3) + 0.0
    array([[0.5, 0.5]])
    """
    spread = float(scores.std()) or 1.0
    scaled = scores / spread
    shares = np.cumsum(np.bincount(ranks, weight, n_classes))[:-1] / weight.sum()
    cuts = logit(np.clip(shares, 1e-6, 1 - 1e-6))
    gaps = np.log(np.maximum(np.diff(cuts), 1e-3))
    start = np.concatenate([[0.5], cuts[:1], gaps])
    bounds = [(0.0, None), (None, None), *[(-10.0, 10.0)] * len(gaps)]
    found = minimize(
        _loss,
        start,
        (scaled, ranks, weight),
        jac=True,
        bounds=bounds,
        method="L-BFGS-B",
    )
    return OrdinalModel(float(found.x[0]) / spread, _cuts(found.x))


def _cuts(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """First cut and logarithms of the gaps -> cuts, which so stay in order."""
    return np.cumsum(np.concatenate([parameters[1:2], np.exp(parameters[2:])]))


def _loss(
    parameters: NDArray[np.float64],
    scores: NDArray[np.float64],
    ranks: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Negative log-likelihood with its ridge, and the gradient of both."""
    slope, cuts = parameters[0], _cuts(parameters)
    below = expit(cuts - slope * scores[:, None])
    edges = np.pad(below, [(0, 0), (1, 1)], constant_values=(0, 1))
    slopes = edges * (1 - edges)  # derivatives of the edges by their logits
    rows = np.arange(len(scores))
    share = np.maximum(edges[rows, ranks + 1] - edges[rows, ranks], _SMALLEST)
    factor = weight / share
    upper, lower = factor * slopes[rows, ranks + 1], factor * slopes[rows, ranks]
    by_slope = scores @ (upper - lower) + _RIDGE * slope
    n_edges = edges.shape[1]
    by_edge = np.bincount(ranks, lower, n_edges) - np.bincount(
        ranks + 1, upper, n_edges
    )
    by_cut = by_edge[1:-1]
    # A cut moves with the first one and with each gap below it.
    following = np.cumsum(by_cut[::-1])[::-1]
    by_rest = following * np.concatenate([[1.0], np.exp(parameters[2:])])
    loss = -float(weight @ np.log(share)) + _RIDGE * slope**2 / 2
    return loss, np.concatenate([[by_slope], by_rest])
