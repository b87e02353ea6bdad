"""What is checked before a fit and before a prediction: rows, labels, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.texts import check_texts, holds_numbers

__all__ = [
    "TrainingData",
    "check_data",
    "check_labels",
    "check_rows",
    "check_validation",
    "check_weights",
    "number_labels",
    "split_rows",
]

# Below this many validation rows early stopping follows noise.
MIN_VALIDATION_ROWS = 50


def check_labels(y: Any, n_rows: int, *, name: str = "y") -> npt.NDArray[Any]:
    """Return the labels as a 1-D array, one a row.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Labels of any type that scikit-learn's classifiers take.
    n_rows : int
        Rows of X.
    name : str, default="y"
        How the error messages call it.

    Returns
    -------
    labels : ndarray of shape (n_rows,)

    Raises
    ------
    InvalidInputError
        If labels are missing, or their number differs from that of the rows.
    """
    if y is None:
        raise InvalidInputError(
            "this estimator requires y to be passed, but the target y is None: pass "
            "one label per row."
        )
    labels: npt.NDArray[Any] = column_or_1d(y, warn=True)
    if len(labels) != n_rows:
        raise InvalidInputError(
            f"X has {n_rows} rows but {name} has {len(labels)} labels: pass one label "
            "per row."
        )
    if labels.dtype.kind == "f":
        missing = np.flatnonzero(~np.isfinite(labels))
        what = "NaN or infinity"
    else:
        missing = np.flatnonzero([_is_missing(label) for label in labels])
        what = "a missing value"
    if missing.size:
        raise InvalidInputError(
            f"Input {name} contains {what}, first at position {missing[0]}: drop the "
            "rows without a label."
        )
    kinds = sorted({type(label).__name__ for label in labels.tolist()})
    if labels.dtype.kind == "O" and len(kinds) > 1:
        raise InvalidInputError(
            f"{name} mixes labels of the types {', '.join(kinds)}, which have no "
            "common order: write all of them as one type, as in list(map(str, y))."
        )
    check_classification_targets(labels)
    return labels


def _is_missing(label: Any) -> bool:
    # pandas' markers are known by name, so that pandas need not be imported.
    return (
        label is None
        or (isinstance(label, float) and label != label)
        or type(label).__name__ in {"NAType", "NaTType"}
    )


def number_labels(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any], *, name: str = "y"
) -> npt.NDArray[np.int64]:
    """Position of each label in the sorted `classes`.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Labels as the user wrote them.
    classes : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    name : str, default="y"
        How the error message calls the labels.

    Returns
    -------
    numbers : ndarray of shape (n,)

    Raises
    ------
    InvalidInputError
        If a label is none of the classes.
    """
    unknown = sorted(set(labels.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise InvalidInputError(
            f"{name} holds the labels {unknown[:5]}, which are not among the classes "
            f"{classes.tolist()[:10]} that the model knows: drop those rows, or name "
            "all classes at the start."
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def check_weights(
    sample_weight: Any,
    class_weight: Any,
    X: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    classes: npt.NDArray[Any],
) -> npt.NDArray[np.float64] | None:
    """One weight a row from sample and class weights; None where all are equal.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), float or None
        As passed to ``fit``.
    class_weight : dict, "balanced" or None
        As passed to the constructor.
    X : ndarray of shape (n, 1)
        Stands for the rows; only its length counts.
    labels : ndarray of shape (n,)
        Labels as the user wrote them.
    classes : ndarray of shape (n_classes,)
        Distinct labels, sorted.

    Returns
    -------
    weight : ndarray of shape (n,) or None
        Scaled to a mean of 1, so that their common size does not matter.
    """
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise InvalidInputError(
            "sample_weight is 0 for every row, so there is nothing to learn from: give "
            "at least one row a positive weight."
        )
    if class_weight is not None:
        numbers = np.searchsorted(classes, labels)
        if isinstance(class_weight, str):  # "balanced"
            totals = np.bincount(numbers, weights=weight, minlength=len(classes))
            # A class may be missing in a call of partial_fit.
            by_class = np.divide(
                1.0, totals, where=totals > 0, out=np.zeros(len(totals))
            )
        else:
            by_class = compute_class_weight(class_weight, classes=classes, y=labels)
        weight = weight * by_class[numbers]
        if not weight.any():
            raise InvalidInputError(
                f"class_weight={class_weight!r} leaves no row with a weight, so there "
                "is nothing to learn from: give a class of these rows a positive "
                "weight, or add rows of another class."
            )
    if np.ptp(weight) == 0:
        return None
    return np.asarray(weight / weight.mean())


def split_rows(
    numbers: npt.NDArray[np.int64],
    texts: list[str] | None,
    *,
    early_stopping: bool | str,
    validation_fraction: float,
    seed: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp] | None]:
    """Rows to learn from and rows to validate on, a text never in both.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
        Class number of each row.
    texts : list of str of length n, or None
        Equal texts stay on one side; rows of numbers are split row by row.
    early_stopping : bool or "auto"
        False never splits; "auto" only where the validation part is large enough to be
        trusted.
    validation_fraction : float in (0, 1)
        Share of the distinct texts to validate on.
    seed : int
        Decides which.

    Returns
    -------
    train : ndarray of int
        Row numbers.
    validation : ndarray of int or None
        None where there is no split: early stopping is off, or some class would have
        no row on one of the sides.

    Raises
    ------
    InvalidParameterError
        If early stopping was asked for and no such split exists.
    """
    everything = np.arange(len(numbers))
    first, distinct = everything, everything
    if texts is not None:
        # np.unique sorts the texts, which takes longer than a dict.
        position = {text: row for row, text in reversed(list(enumerate(texts)))}
        first = np.array(sorted(position.values()))
        where = {int(row): number for number, row in enumerate(first)}
        distinct = np.array([where[position[text]] for text in texts])
    n_validation = round(validation_fraction * len(first))
    if early_stopping == "auto" and n_validation < MIN_VALIDATION_ROWS:
        return everything, None
    if not early_stopping:
        return everything, None
    strata = numbers[first]
    counts = np.unique(strata, return_counts=True)[1]
    possible = counts.min() >= 2 and n_validation >= len(counts)
    possible = possible and len(first) - n_validation >= len(counts)
    if possible:
        kept, held_out = train_test_split(
            np.arange(len(first)),
            test_size=n_validation,
            stratify=strata,
            random_state=seed,
        )
        possible = len(set(strata[held_out])) == len(counts) == len(set(strata[kept]))
    if not possible:
        if early_stopping == "auto":
            return everything, None
        raise InvalidParameterError(
            f"early_stopping=True needs a row of each class to validate on, but "
            f"{n_validation} of {len(first)} distinct rows and classes of "
            f"{counts.min()} rows or more do not allow it: raise validation_fraction, "
            "pass X_val and y_val to fit, or set early_stopping=False."
        )
    in_validation = np.isin(distinct, held_out)
    return everything[~in_validation], everything[in_validation]


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
