"""What is checked before a fit and before a prediction: rows, labels, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import validate_data

from sktransfer.exceptions import InvalidInputError
from sktransfer.finetune.targets import check_labels, check_weights, number_labels
from sktransfer.texts import check_texts, holds_numbers

__all__ = ["TrainingData", "check_data", "check_rows", "check_validation"]


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


def check_rows(model: Any, X: Any, *, texts: bool | None, name: str = "X") -> Any:
    """Texts as a list or numbers as a float32 matrix; the kind must not change.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its columns are set, or compared with where the kind is given.
    X : object
        What a user passed.
    texts : bool or None
        Whether the model reads texts; None where this is the first data that it sees.
    name : str, default="X"
        How error messages call it.

    Returns
    -------
    rows : list of str, or matrix of shape (n, n_features)

    Raises
    ------
    InvalidInputError
        If `X` is of another kind than what the model was fitted on, or unusable.
    """
    first, numeric = texts is None, _holds_numbers(X)
    if not first and numeric is texts:
        kinds = ("numbers", "texts") if numeric else ("texts", "numbers")
        raise InvalidInputError(
            f"{name} holds {kinds[0]}, but this model was fitted on {kinds[1]}: pass "
            f"{kinds[1]}, or fit a model on {kinds[0]}."
        )
    if not numeric:
        rows = check_texts(X, name=name)
        for left in ("n_features_in_", "feature_names_in_"):
            if first and hasattr(model, left):
                delattr(model, left)
        return rows
    # What float32 cannot hold becomes infinity, which is refused in words.
    with np.errstate(over="ignore"):
        return validate_data(
            model, X, reset=first, accept_sparse="csr", dtype=np.float32, order="C"
        )


def _holds_numbers(X: Any) -> bool:
    """Whether `X` is a table of numbers; a list with a text in it is none."""
    if isinstance(X, (list, tuple)) and any(isinstance(row, str) for row in X):
        return False
    return holds_numbers(X)


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
        Its kind of input and its columns count unless `reset`.
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
    X = check_rows(model, X, texts=None if reset else model.encoder_ is not None)
    n_rows = _count(X)
    labels = check_labels(y, n_rows)
    found = np.unique(labels)
    if classes is None and len(found) < 2:
        raise InvalidInputError(
            f"y holds 1 class only, {found.tolist()[0]!r}, in all {n_rows} rows, but 2 "
            "or more are needed to learn a difference: add rows of another class."
        )
    known = found if classes is None else classes
    numbers = number_labels(labels, known)
    weight = check_weights(
        sample_weight, model.class_weight, np.empty((n_rows, 1)), labels, known
    )
    # The losses are of float32, in which a weight may be nothing.
    if weight is not None and not weight.astype(np.float32).all():
        kept = np.flatnonzero(weight.astype(np.float32))
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
        Whose columns are already set.
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
    X_val = check_rows(model, X_val, texts=data.texts is not None, name="X_val")
    labels = check_labels(y_val, _count(X_val), name="y_val")
    return TrainingData(
        X_val, number_labels(labels, data.classes, name="y_val"), data.classes
    )


def _count(X: Any) -> int:
    return len(X) if isinstance(X, list) else int(X.shape[0])
