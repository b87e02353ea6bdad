"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import fftconvolve

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import FLAG, check_parameters, whole

__all__ = ["calibration_error"]

_RULES = {"n_bins": whole(1), "debiased": FLAG}


def calibration_error(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    n_bins: int = 15,
    *,
    classes: ArrayLike | None = None,
    debiased: bool = False,
) -> float:
    r"""Return the expected calibration error: mean gap of confidence and accuracy.

    Predictions are put into M bins of equal width by their confidence, which is the
    largest probability of their row. With the predictions :math:`B_m` of a bin,

    .. math:: \mathrm{ECE} = \sum_{m=1}^M \frac{|B_m|}{n}
              \left|\mathrm{acc}(B_m) - \mathrm{conf}(B_m)\right|.

    Chance alone makes gaps, the larger the fewer rows there are: the plain error of
    perfectly calibrated predictions is about 0.11 on 60 rows and 0.03 on 1,000. To
    compare models that were tested on few rows, pass ``debiased=True``.

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
    debiased : bool, default=False
        Whether to subtract what the error would be on average if these very
        probabilities were perfectly calibrated: if each row were right with the
        probability that its confidence states.

    Returns
    -------
    error : float
        In [0, 1]. If debiased, its mean over samples is 0 for perfectly calibrated
        predictions, so that it falls below 0 about as often as above; for others it is
        low by what is subtracted at most. Average it over samples as it is: a mean of
        errors that were cut off at 0 is biased again.

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

    Kumar, Liang and Ma (2019). "Verified Uncertainty Calibration". NeurIPS. On the bias
    of the plain error; their own correction is for the mean of the squared gaps.

    Examples
    --------
    >>> from sktransfer.statistics import calibration_error
    >>> calibration_error([1, 1, 1, 0], [0.75, 0.75, 0.75, 0.75])
    0.0

    Four calibrated coins of 0.75 differ from three heads by 0.63 on average, and so
    their share from 0.75 by 0.16:

    >>> round(calibration_error([1, 1, 1, 0], [0.75] * 4, debiased=True), 2)
    -0.16
    """
    check_parameters({"n_bins": n_bins, "debiased": debiased}, _RULES)
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
    error = np.abs(gaps).sum()
    if debiased:
        error -= sum(_expected_gap(confidence[bins == m]) for m in np.unique(bins))
    return float(error / len(labels))


def _expected_gap(confidence: NDArray[np.float64]) -> float:
    """Mean of |rows that are right - sum of confidence| if confidence (n,) is true.

    It is exact: how many are right has the product of the rows' distributions, as
    polynomials (1 - c) + c x. They are multiplied in pairs, pairs of pairs and so on.
    """
    products = np.column_stack([1 - confidence, confidence])
    while len(products) > 1:
        if len(products) % 2:
            certain = np.eye(1, products.shape[1])  # the polynomial 1
            products = np.concatenate([products, certain])
        products = fftconvolve(products[::2], products[1::2], axes=1)
    n_right = np.arange(products.shape[1])
    return float(products[0] @ np.abs(n_right - confidence.sum()))


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
