"""What a fit checks before it starts: parameters, rows, labels, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.finetune.targets import check_labels, check_weights, number_labels

__all__ = ["TrainingData", "check_data", "check_parameters", "check_validation"]

_SET_BY_CLASSIFIER = {"module", "criterion", "train_split", "device"}


@dataclass
class TrainingData:
    """Checked rows with their labels.

    Attributes
    ----------
    X : list of str, or matrix of shape (n, n_features)
        Rows.
    numbers : ndarray of shape (n,)
        Class number of each row.
    classes : ndarray of shape (n_classes,)
        Labels by number.
    weight : ndarray of shape (n,) or None
        None where all rows weigh the same.
    """

    X: Any
    numbers: npt.NDArray[np.int64]
    classes: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None = None

    @property
    def texts(self) -> list[str] | None:
        """The rows if they are texts."""
        return self.X if isinstance(self.X, list) else None


def check_parameters(model: Any) -> None:
    """Refuse parameters of a classifier that contradict each other.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Each parameter is valid for itself.

    Raises
    ------
    InvalidParameterError
        Naming the parameters and the way out.
    """
    sizes = model.hidden_layer_sizes
    if any(not isinstance(size, (int, np.integer)) or size < 1 for size in sizes):
        raise InvalidParameterError(
            f"hidden_layer_sizes={sizes!r}, but each entry is a number of units, at "
            "least 1: for example (64, 32), or () for a linear head."
        )
    clash = _SET_BY_CLASSIFIER & {
        name.split("__")[0] for name in model.net_params or {}
    }
    if clash:
        raise InvalidParameterError(
            f"net_params holds {sorted(clash)}, which the classifier sets itself: use "
            "its own parameters (device, early_stopping, ...) instead."
        )
    if model.l2_sp and model.init_from is None:
        raise InvalidParameterError(
            f"l2_sp={model.l2_sp} pulls towards the source's parameters, but init_from "
            "is None: pass init_from=FrozenEstimator(source), or set l2_sp=0."
        )


def check_data(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    classes: npt.NDArray[Any] | None,
    *,
    reset: bool,
) -> TrainingData:
    """Check rows, labels and weights against each other.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its kind of input is set (`reset`) or compared with.
    X, y, sample_weight
        As in ``fit``.
    classes : ndarray of shape (n_classes,) or None
        All that may come; None takes those of y.
    reset : bool
        Whether this is the first data that the model sees.

    Returns
    -------
    data : TrainingData
        Without the rows of weight 0, which teach nothing.
    """
    if y is None:
        check_labels(y, 0)
    X = model._check_X(X, reset=reset)
    n_rows = _count(X)
    labels = check_labels(y, n_rows)
    found = np.unique(labels)
    if classes is None and len(found) < 2:
        raise InvalidInputError(
            f"y holds 1 class only, {found[0]!r}, in all {n_rows} rows, but at least 2 "
            "classes are needed to learn a difference: add rows of another class."
        )
    known = found if classes is None else classes
    numbers = number_labels(labels, known)
    weight = check_weights(
        sample_weight, model.class_weight, np.empty((n_rows, 1)), labels, known
    )
    if weight is not None and not weight.all():
        kept = np.flatnonzero(weight)
        X = [X[row] for row in kept] if isinstance(X, list) else X[kept]
        numbers, weight = numbers[kept], weight[kept] / weight[kept].mean()
    return TrainingData(X, numbers, known, weight)


def check_validation(
    model: Any, data: TrainingData, X_val: Any, y_val: Any
) -> TrainingData | None:
    """Check the validation rows that were passed to ``fit``, if any.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Whose kind of input is already set.
    data : TrainingData
        Rows to learn from.
    X_val, y_val
        As in ``fit``.

    Returns
    -------
    validation : TrainingData or None
    """
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise InvalidInputError(
            f"{given} was given without {missing}: pass both, or neither."
        )
    X_val = model._check_X(X_val, reset=False, name="X_val")
    labels = check_labels(y_val, _count(X_val), name="y_val")
    return TrainingData(
        X_val, number_labels(labels, data.classes, name="y_val"), data.classes
    )


def _count(X: Any) -> int:
    return len(X) if isinstance(X, list) else int(X.shape[0])
