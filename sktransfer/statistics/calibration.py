"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sktransfer.exceptions import InvalidInputError, InvalidParameterError

__all__ = ["calibration_error"]


def calibration_error(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    classes: ArrayLike | None = None,
) -> float:
    r"""Return the expected calibration error: mean gap of confidence and accuracy.

    Predictions are put into M bins of equal width by their confidence, which is the
    largest probability of their row. With the predictions :math:`B_m` of a bin,

    .. math:: \mathrm{ECE} = \sum_{m=1}^M \frac{|B_m|}{n}
              \left|\mathrm{acc}(B_m) - \mathrm{conf}(B_m)\right|.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    probabilities : array-like of shape (n, n_classes), or (n,) for two classes
        Of the classes in sorted order, as ``predict_proba`` gives them; one column
        stands for the second of two classes.
    n_bins : int, default=15
        M, the number of bins.
    classes : array-like of shape (n_classes,), default=None
        Label of each column, where not all of them occur in `y_true`.

    Returns
    -------
    error : float
        In [0, 1].

    Raises
    ------
    InvalidInputError
        If the shapes do not match, or a probability is not in [0, 1].
    InvalidParameterError
        If there are no bins.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017). "On Calibration of Modern Neural Networks".
    ICML.

    Examples
    --------
    >>> from sktransfer.statistics import calibration_error
    >>> calibration_error([1, 1, 1, 0], [0.75, 0.75, 0.75, 0.75])
    0.0
    """
    if n_bins < 1:
        raise InvalidParameterError(f"n_bins={n_bins}, but at least 1 is expected.")
    labels = np.asarray(y_true)
    shares = np.asarray(probabilities, dtype=np.float64)
    if shares.ndim == 1:
        shares = np.column_stack([1 - shares, shares])
    if shares.ndim != 2 or labels.ndim != 1 or len(shares) != len(labels):
        raise InvalidInputError(
            f"y_true has shape {labels.shape} and probabilities {shares.shape}, but a "
            "label and a row of probabilities for each text are expected."
        )
    if not len(labels) or not np.all((shares >= 0) & (shares <= 1)):
        raise InvalidInputError(
            "probabilities has no row, or a number that is not in [0, 1]: pass what "
            "predict_proba returns."
        )
    known = _find_classes(labels, shares.shape[1], classes)
    confidence = shares.max(axis=1)
    right = known[shares.argmax(axis=1)] == labels
    # A bin holds its upper bound, as in the paper.
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def _find_classes(labels: Any, n_columns: int, classes: ArrayLike | None) -> Any:
    """Label of each column of the probabilities."""
    found = np.unique(labels)
    known = found if classes is None else np.asarray(classes)
    if len(known) != n_columns:
        raise InvalidInputError(
            f"there are {len(known)} classes, {known.tolist()[:10]}, but probabilities "
            f"has {n_columns} columns: pass classes=estimator.classes_."
        )
    unknown = np.setdiff1d(found, known)
    if len(unknown):
        raise InvalidInputError(
            f"y_true holds {unknown.tolist()[0]!r}, which is none of the classes "
            f"{known.tolist()[:10]}."
        )
    return known
