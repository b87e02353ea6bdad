"""A linear head on features that no longer change: its best weights, found at once.

Without hidden layers the loss is convex, so that nothing is gained by wandering towards
its minimum in small random steps.

Letters in shapes: n rows, w features, k logits (1 for two classes, else one a class).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse, special

__all__ = ["STRENGTH", "LinearProblem"]

Floats = npt.NDArray[np.float64]

# What C is to scikit-learn's LogisticRegression on features of length 1 on average.
STRENGTH = 10.0
_MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class LinearProblem:
    """Weighted rows from which a linear head learns to tell classes apart.

    Attributes
    ----------
    features : ndarray or sparse array of shape (n, w), float64
        Scaled as the head reads them.
    classes : ndarray of shape (n,)
        Class number of each row.
    wanted : ndarray of shape (n, k)
        Probability that each logit is to give: of the second class where k is 1, else
        of each class.
    weight : ndarray of shape (n,)
        Of the rows.
    """

    features: Floats | sparse.csr_array
    classes: npt.NDArray[np.int64]
    wanted: Floats
    weight: Floats

    @classmethod
    def of(
        cls,
        features: npt.NDArray[np.floating] | sparse.csr_array,
        classes: npt.NDArray[np.integer],
        weight: npt.NDArray[np.floating],
        n_outputs: int,
        label_smoothing: float = 0.0,
    ) -> LinearProblem:
        """Rows with class numbers; a share of each label is spread over all classes."""
        n_classes = max(2, n_outputs)
        wanted = np.full((len(classes), n_classes), label_smoothing / n_classes)
        wanted[np.arange(len(classes)), classes] += 1 - label_smoothing
        if sparse.issparse(features):
            features = sparse.csr_array(features, dtype=np.float64)
        else:
            features = np.asarray(features, dtype=np.float64)
        return cls(
            features,
            np.asarray(classes),
            wanted[:, 1:] if n_outputs == 1 else wanted,
            np.asarray(weight, dtype=np.float64),
        )

    def take(self, rows: npt.NDArray[np.intp]) -> LinearProblem:
        """Return the problem of some rows."""
        return replace(
            self,
            features=self.features[rows],
            classes=self.classes[rows],
            wanted=self.wanted[rows],
            weight=self.weight[rows],
        )

    def decay(self, strength: float, n_rows: int | None = None) -> float:
        """Penalty of logistic regression with ``C=strength`` on features of length 1.

        Parameters
        ----------
        strength : float > 0
            The larger, the less penalty.
        n_rows : int or None, default=None
            How many rows the problem counts as; None is n.

        Returns
        -------
        decay : float
            For `solve`: ``length ** 2 / (strength * n_rows)``.
        """
        # Sparse or dense, a product of this kind stays what it was.
        lengths = np.ravel((self.features * self.features).sum(axis=1))
        squared = float(np.average(lengths, weights=self.weight))
        return squared / (strength * (len(self.weight) if n_rows is None else n_rows))

    def losses(self, logits: Floats) -> Floats:
        """Cross-entropy of each row of logits (n, k)."""
        if logits.shape[1] == 1:
            found = np.logaddexp(0, logits) - self.wanted * logits
            return np.asarray(found[:, 0])
        total = special.logsumexp(logits, axis=1)
        return np.asarray(total - (self.wanted * logits).sum(axis=1))

    def loss(self, logits: Floats) -> float:
        """Weighted mean of the losses of logits (n, k)."""
        return float(np.average(self.losses(logits), weights=self.weight))

    def logits(self, weight: Floats, bias: Floats) -> Floats:
        """Logits (n, k) of a head with weights (k, w) and biases (k,)."""
        return np.asarray(self.features @ weight.T + bias)

    def solve(
        self,
        start: Floats,
        bias: Floats,
        decay: float,
        *,
        guess: Floats | None = None,
        tolerance: float = 1e-9,
    ) -> tuple[Floats, Floats]:
        """Minimum of the mean loss and a penalty, by L-BFGS.

        The penalty is ``decay / 2 * sum((weight - start) ** 2)``. Biases are free.

        Parameters
        ----------
        start : ndarray of shape (k, w)
            What the weights are drawn to: zeros in a new layer, else those of a source
            or of an earlier fit.
        bias : ndarray of shape (k,)
            Where the search for the biases begins.
        decay : float >= 0
            Strength of the penalty.
        guess : ndarray of shape (k, w) or None, default=None
            Where the search for the weights begins; None is `start`.
        tolerance : float > 0, default=1e-9
            Largest entry of the gradient at the end.

        Returns
        -------
        weight : ndarray of shape (k, w)
        bias : ndarray of shape (k,)
        """
        shares = self.weight / self.weight.sum()
        k = len(bias)

        def measure(packed: Floats) -> tuple[float, Floats]:
            weight, biases = packed[:-k].reshape(start.shape), packed[-k:]
            logits, away = self.logits(weight, biases), weight - start
            total = shares @ self.losses(logits) + decay / 2 * np.vdot(away, away)
            given = special.expit(logits) if k == 1 else special.softmax(logits, axis=1)
            slopes = (given - self.wanted) * shares[:, None]
            slope = (self.features.T @ slopes).T + decay * away
            return float(total), np.concatenate([slope.ravel(), slopes.sum(axis=0)])

        found = optimize.minimize(
            measure,
            np.concatenate([(start if guess is None else guess).ravel(), bias]),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxcor": 20,
                "maxiter": _MOST_ITERATIONS,
                "gtol": tolerance,
                "ftol": 1e-3 * tolerance,
            },
        )
        return found.x[:-k].reshape(start.shape), found.x[-k:]
