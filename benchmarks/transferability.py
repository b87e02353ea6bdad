"""An estimate of how well frozen vectors will serve that did not earn its place.

References
----------
Y. Bao et al. (2019), "An Information-Theoretic Approach to Transferability in Task
Transfer Learning".
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
