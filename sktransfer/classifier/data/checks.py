"""What is checked before a fit and before a prediction: rows, labels, weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sktransfer._compat import _check_sample_weight
from sktransfer.exceptions import InvalidInputError, InvalidParameterError, warn
from sktransfer.texts import check_texts, holds_numbers
from sktransfer.validation import explained, show

if TYPE_CHECKING:  # it loads torch, which baselines that check their labels do without
    from sktransfer.classifier.data.rows import Matrix

__all__ = [
    "Columns",
    "TrainingData",
    "check_data",
    "check_labels",
    "check_rows",
    "check_validation",
    "check_weights",
    "number_labels",
    "split_rows",
]


def check_labels(
    y: object, n_rows: int, *, name: str = "y", rows: str = "X"
) -> npt.NDArray[Any]:
    """Return the labels as a 1-D array, one a row.

    They are of any type that scikit-learn's classifiers take. Error messages call them
    `name`, and what they are the labels of `rows`: where some are missing, or are not
    as many.
    """
    if y is None:
        raise InvalidInputError(
            f"this estimator requires {name} to be passed, but the target {name} is "
            "None: pass one label per row."
        )
    labels = _as_labels(y, name)
    if len(labels) != n_rows:
        raise InvalidInputError(
            f"{rows} has {n_rows} rows but {name} has {len(labels)} labels: pass one "
            "label per row."
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
    first = labels.tolist()[0] if len(labels) else None
    what = (
        f"{name} holds no classes but {show(first, 40)} of type {type(first).__name__}"
    )
    with explained(what, "pass one label per row"):
        check_classification_targets(labels)
    return labels


def _as_labels(y: Any, name: str) -> npt.NDArray[Any]:
    """Labels of whatever kind as an array (n,), each of them as it was given.

    What is masked is missing.
    """
    kind = type(y).__name__
    if isinstance(y, (str, bytes, Mapping, Set)):
        raise InvalidInputError(
            f"{name} is a single {kind}, but labels in an order are expected: pass a "
            "list or a 1-D array with one label per row."
        )
    if isinstance(y, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(y)
        y = np.array(y.data, dtype=object)
        y[hidden] = None
    if isinstance(y, (list, tuple)):
        n_words = sum(isinstance(label, str) for label in y)
        ends_in_zero = any(isinstance(one, str) and one[-1:] == "\0" for one in y)
        if 0 < n_words < len(y) or ends_in_zero:
            # numpy would write all of them as words, NaN as "nan", and takes a zero
            # character at the end of a text for no part of it.
            y = np.array([*y, None], dtype=object)[:-1]
    dtype = getattr(y, "dtype", None)
    if getattr(dtype, "kind", None) == "T" and hasattr(y, "astype"):
        # scikit-learn knows no labels of numpy's StringDType.
        y = y.astype(object)
    if not isinstance(dtype, (np.dtype, type(None))) and hasattr(y, "to_numpy"):
        # scikit-learn makes floats of what pandas has as whole numbers or truths.
        y = y.to_numpy()
    remedy = "pass one label per row, in a list or a 1-D array"
    with explained(f"{name}, of type {kind}, cannot be read as labels", remedy):
        labels: npt.NDArray[Any] = column_or_1d(y)
        if np.asarray(y).ndim > 1:
            warn(
                f"A column-vector y was passed when a 1d array was expected: pass "
                f"{name}.ravel(), or one column of a table.",
                DataConversionWarning,
            )
    return labels


def _is_missing(label: object) -> bool:
    # pandas' markers are known by name, so that pandas need not be imported.
    return (
        label is None
        or (isinstance(label, float) and label != label)
        or type(label).__name__ in {"NAType", "NaTType"}
    )


def number_labels(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any], *, name: str = "y"
) -> npt.NDArray[np.int64]:
    """Position of each label in the sorted `classes`, all of which it has to be in."""
    unknown = sorted(set(labels.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise InvalidInputError(
            f"{name} holds the labels {unknown[:5]}, which are not among the classes "
            f"{classes.tolist()[:10]} that the model knows: drop those rows, or start "
            "anew with all classes."
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def check_weights(
    sample_weight: object,
    class_weight: object,
    X: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    *,
    name: str = "sample_weight",
) -> npt.NDArray[np.float64] | None:
    """One weight a row (n,) from sample and class weights; None where all are equal.

    They are scaled to a mean of 1, so that their common size does not matter. `X`
    stands for the rows: only its length counts. Error messages call them `name`.
    """
    _check_each_weight(sample_weight, name)
    shown = f"{show(sample_weight, 40)} {getattr(sample_weight, 'shape', '')}".rstrip()
    remedy = "pass one number per row, at least 0, of which one is positive"
    with explained(f"{name}={shown} cannot be used", remedy):
        weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    if not weight.any():
        raise InvalidInputError(
            f"{name} is 0 for every row, so there is nothing to learn from: give at "
            "least one row a positive weight."
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
            by_class = _weigh_classes(class_weight, labels, classes)
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


def _check_each_weight(sample_weight: object, name: str) -> None:
    """Tell which weight is none; what is no list of numbers is told of by others."""
    if not isinstance(sample_weight, (list, tuple, np.ndarray)):
        return
    try:
        numbers = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        return
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if numbers.ndim == 1 and bad.size:
        raise InvalidInputError(
            f"{name}[{bad[0]}] is {numbers[bad[0]]}, but a finite number of at "
            "least 0 is expected: drop the row, or give it the weight 0."
        )


def _weigh_classes(
    class_weight: object, labels: npt.NDArray[Any], classes: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Weight of each class, from a dict by label."""
    try:
        found = compute_class_weight(class_weight, classes=classes, y=labels)
        problem = ""
    except (TypeError, ValueError) as error:
        problem = f" ({error})"
    if problem or not (np.isfinite(found).all() and (found >= 0).all()):
        raise InvalidParameterError(
            f"class_weight={show(class_weight)} cannot be used{problem}: 'balanced', "
            "or a finite number of at least 0 for labels among "
            f"{classes.tolist()[:10]}, is expected."
        )
    weights: npt.NDArray[np.float64] = found
    return weights


def split_rows(
    numbers: npt.NDArray[np.int64],
    texts: list[str] | None,
    *,
    validation_fraction: float,
    seed: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows to learn from and rows to validate on, a text never in both.

    `numbers` (n,) are those of the classes. Rows that are no texts are split row by
    row. That no part can have all classes is an error.
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
        raise InvalidParameterError(
            f"early_stopping=True needs a row of each class to validate on, but "
            f"{n_validation} of {len(first)} distinct rows and classes of "
            f"{counts.min()} rows or more do not allow it: raise validation_fraction, "
            "pass X_val and y_val to fit, or set early_stopping=False."
        )
    in_validation = np.isin(distinct, held_out)
    return everything[~in_validation], everything[in_validation]


@dataclass(frozen=True)
class Columns:
    """What a matrix has beside its numbers, and later ones have to have too."""

    n_features: int
    names: npt.NDArray[np.object_] | None


@dataclass(frozen=True)
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
    columns : Columns or None
        None where the rows are texts.
    """

    X: list[str] | Matrix
    numbers: npt.NDArray[np.int64]
    classes: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None
    columns: Columns | None

    @property
    def texts(self) -> list[str] | None:
        """The rows if they are texts."""
        return self.X if isinstance(self.X, list) else None

    def relative_to(self, rows: npt.NDArray[np.intp]) -> TrainingData:
        """Scale the weights to a mean of 1 over some rows, those to learn from."""
        if self.weight is None:
            return self
        return replace(self, weight=self.weight / self.weight[rows].mean())

    def without_weightless_rows(self) -> TrainingData:
        """Return the rows that count; the others teach nothing, and are no proof."""
        # The losses are of float32, in which a weight may be nothing.
        if self.weight is None or self.weight.astype(np.float32).all():
            return self
        kept = np.flatnonzero(self.weight.astype(np.float32))
        return self.take(kept).relative_to(np.arange(len(kept)))

    def take(self, rows: npt.NDArray[np.intp]) -> TrainingData:
        """Return the rows at these numbers."""
        X = [self.X[row] for row in rows] if isinstance(self.X, list) else self.X[rows]
        weight = self.weights_of(rows)
        return replace(self, X=X, numbers=self.numbers[rows], weight=weight)

    def weights_of(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64] | None:
        """Weights of some rows; None where all weigh the same."""
        return None if self.weight is None else self.weight[rows]


def check_rows(
    model: BaseEstimator, X: object, *, texts: bool | None, name: str = "X"
) -> list[str] | Matrix:
    """Texts as a list or numbers as a float32 matrix; the kind must not change.

    `texts` says which of them the model reads, and numbers have to have its columns;
    None means that these are the first that it sees. Error messages call them `name`.
    """
    return _check_rows(model, X, texts, name)[0]


def _check_rows(
    model: BaseEstimator, X: object, texts: bool | None, name: str
) -> tuple[list[str] | Matrix, Columns | None]:
    if isinstance(X, (Number, np.bool_)) or _is_one_number(X):
        raise InvalidInputError(
            f"{name} is the single number {X} of type {type(X).__name__}, but rows are "
            "expected: pass a list of texts, or a matrix of numbers, as in [[1, 2]]."
        )
    numeric = _holds_numbers(X)
    if numeric is texts:
        kinds = ("numbers", "texts") if numeric else ("texts", "numbers")
        raise InvalidInputError(
            f"{name} holds {kinds[0]}, but this model was fitted on {kinds[1]}: pass "
            f"{kinds[1]}, or fit a model on {kinds[0]}."
        )
    if not numeric:
        return check_texts(X, name=name), None
    # scikit-learn writes the columns of first rows down on what it checks them for; the
    # model itself takes them over when its fit has come to an end.
    seen = copy.copy(model) if texts is None else model
    rows: Any = None if texts is None else _plain_numbers(X)
    if rows is not None:
        # Names and number of the columns alone are left to be checked.
        validate_data(seen, X, reset=False, skip_check_array=True)
    else:
        rows = _check_matrix(seen, X, name, reset=texts is None)
    names = getattr(seen, "feature_names_in_", None)
    return rows, Columns(seen.n_features_in_, names)


def _is_one_number(X: object) -> bool:
    """Whether X is an array without a dimension that holds a number."""
    return isinstance(X, np.ndarray) and X.ndim == 0 and X.dtype.kind in "biufc"


def _check_matrix(model: Any, X: object, name: str, *, reset: bool) -> Matrix:
    """A float32 matrix of any numbers that scikit-learn lets pass; `reset` as there."""
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 2:
        raise InvalidInputError(
            f"{name} is an array of numbers of shape {tuple(shape)}, but a matrix with "
            "a row for each text or case is expected. Reshape your data: "
            f"{name}.reshape(-1, 1) for one column, {name}.reshape(1, -1) for one row."
        )
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and not np.isfinite(X).all():
        row, column = (int(place[0]) for place in np.nonzero(~np.isfinite(X)))
        raise InvalidInputError(
            f"{name} contains NaN or infinity: {name}[{row}, {column}] is "
            f"{X[row, column]}, but a finite number is expected: drop such rows, or "
            "fill them in, for example by SimpleImputer."
        )
    what = f"{name} cannot be read as numbers"
    remedy = "pass texts, or a matrix with the model's columns"
    if not reset and hasattr(model, "feature_names_in_") and hasattr(X, "columns"):
        what = f"the columns of {name} are not those that the model was fitted on"
        remedy = f"pass them in their order, as in {name}[model.feature_names_in_]"
    # What float32 cannot hold becomes infinity, which is refused in words.
    with np.errstate(over="ignore"), explained(what, remedy):
        rows: Matrix = validate_data(
            model, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C"
        )
    return rows


def _plain_numbers(X: object) -> npt.NDArray[np.float32] | None:
    """Numbers in which nothing is amiss, as a float32 matrix (n, w); else None.

    scikit-learn's check of an array changes the filters of warnings, which belong to
    all threads. Of several in turn, one would leave the filters of another for good.
    """
    if type(X) is not np.ndarray or X.dtype.kind not in "fiub":
        return None
    if X.ndim != 2 or not X.size:
        return None
    with np.errstate(over="ignore"):  # of this thread alone
        plain = np.asarray(X, dtype=np.float32, order="C")
    return plain if np.isfinite(plain).all() else None


def _with_columns(model: BaseEstimator, columns: Columns | None) -> BaseEstimator:
    """A copy of the model that expects these columns."""
    seen = copy.copy(model)
    for left in ("n_features_in_", "feature_names_in_"):
        vars(seen).pop(left, None)
    if columns is not None:
        vars(seen)["n_features_in_"] = columns.n_features
        if columns.names is not None:
            vars(seen)["feature_names_in_"] = columns.names
    return seen


def _holds_numbers(X: object) -> bool:
    """Whether `X` is a table of numbers; a list with a text in it is none."""
    if isinstance(X, (list, tuple)) and any(isinstance(row, str) for row in X):
        return False
    return holds_numbers(X)


def check_data(
    model: BaseEstimator,
    X: object,
    y: object,
    sample_weight: object,
    class_weight: object,
    classes: npt.NDArray[Any] | None,
    *,
    texts: bool | None,
) -> TrainingData:
    """Check rows, labels and weights against each other.

    `texts` and the columns of `model` are as in `check_rows`. `classes` are all that
    may come, or None, which takes those of y. Rows of weight 0 are left out: they teach
    nothing.
    """
    if y is None:
        check_labels(y, 0)
    checked, columns = _check_rows(model, X, texts, "X")
    n_rows = _count(checked)
    labels = check_labels(y, n_rows)
    present = np.unique(labels)
    if classes is None and len(present) < 2:
        raise InvalidInputError(
            f"y holds 1 class only, {present.tolist()[0]!r}, in all {n_rows} rows, but "
            "2 or more are needed to learn a difference: add rows of another class."
        )
    known = present if classes is None else classes
    numbers = number_labels(labels, known)
    weight = check_weights(
        sample_weight, class_weight, np.empty((n_rows, 1)), labels, known
    )
    found = TrainingData(checked, numbers, known, weight, columns)
    return found.without_weightless_rows()


def check_validation(
    model: BaseEstimator,
    data: TrainingData,
    X_val: object,
    y_val: object,
    sample_weight_val: object = None,
) -> TrainingData | None:
    """Check the rows to validate on that were passed to ``fit`` beside `data`.

    Those of weight 0 are left out.
    """
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise InvalidInputError(
                "sample_weight_val was given without X_val and y_val, whose rows it "
                "weighs: pass all three, or none of them."
            )
        return None
    if X_val is None or y_val is None:
        given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise InvalidInputError(
            f"{given} was given without {missing}: pass both, or neither."
        )
    if data.texts is None and not _holds_numbers(X_val):
        raise InvalidInputError(
            "X_val holds texts, but X is numbers: where a featurizer in front has made "
            "X, it does not see X_val. Let it pass, by Pipeline(steps, "
            "transform_input=['X_val']) with sklearn.set_config(enable_metadata_routing"
            "=True) and classifier.set_fit_request(X_val=True, y_val=True); or set "
            "early_stopping=True, or give the featurizer to the classifier as encoder."
        )
    model = _with_columns(model, data.columns)
    rows = check_rows(model, X_val, texts=data.texts is not None, name="X_val")
    labels = check_labels(y_val, _count(rows), name="y_val", rows="X_val")
    numbers = number_labels(labels, data.classes, name="y_val")
    stand_in, name = np.empty((len(labels), 1)), "sample_weight_val"
    weight = check_weights(
        sample_weight_val, None, stand_in, labels, data.classes, name=name
    )
    found = TrainingData(rows, numbers, data.classes, weight, data.columns)
    return found.without_weightless_rows()


def _count(X: list[str] | Matrix) -> int:
    return len(X) if isinstance(X, list) else int(X.shape[0])
