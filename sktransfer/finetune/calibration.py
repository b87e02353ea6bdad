"""Temperature scaling: one number that makes probabilities honest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax

__all__ = ["find_temperature", "to_probabilities"]


def to_probabilities(
    logits: npt.NDArray[np.floating], temperature: float = 1.0
) -> npt.NDArray[np.float64]:
    """Probabilities of the classes.

    Parameters
    ----------
    logits : ndarray of shape (n, k)
        One column stands for the second of two classes.
    temperature : float > 0, default=1.0
        The logits are divided by it.

    Returns
    -------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.finetune.calibration import to_probabilities
    >>> to_probabilities(np.array([[0.0]]))
    array([[0.5, 0.5]])
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] > 1:
        return np.asarray(softmax(scaled, axis=1))
    return np.column_stack([expit(-scaled[:, 0]), expit(scaled[:, 0])])


def find_temperature(
    logits: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    weight: npt.NDArray[np.floating],
) -> float:
    """Temperature that minimises the loss on rows that were not learnt from.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. No
    decision changes, as dividing all logits by one number keeps their order.

    Parameters
    ----------
    logits : ndarray of shape (n, k)
        Of the validation rows.
    classes : ndarray of shape (n,)
        Class numbers of those rows.
    weight : ndarray of shape (n,)
        Sample weights of those rows.

    Returns
    -------
    temperature : float
        From 0.05 to 20.
    """
    both = np.asarray(logits, dtype=np.float64)
    if both.shape[1] == 1:
        both = np.column_stack([np.zeros(len(both)), both])

    def loss(log_temperature: float) -> float:
        scaled = both / np.exp(log_temperature)
        chosen = scaled[np.arange(len(scaled)), classes]
        return float(np.average(logsumexp(scaled, axis=1) - chosen, weights=weight))

    bounds = (np.log(0.05), np.log(20.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
