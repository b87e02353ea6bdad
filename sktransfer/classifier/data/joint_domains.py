"""Joint training: rows of two domains as one data set, with a say for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sktransfer._compat import _get_feature_names
from sktransfer.classifier.data.checks import check_labels
from sktransfer.exceptions import InvalidInputError
from sktransfer.texts import check_texts, holds_numbers
from sktransfer.validation import check_parameters, number

__all__ = ["pool_domains"]

_RULES = {"target_weight": number(0, 1, ends="()")}


def pool_domains(
    source: tuple[Any, Any], target: tuple[Any, Any], target_weight: float = 0.5
) -> tuple[Any, npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Rows of source and target domain together, weighted for joint training.

    The baseline of domain adaptation that is hardest to beat when both domains have
    labels (Daumé III 2007, "Frustratingly Easy Domain Adaptation", calls it
    "weighted").

    Parameters
    ----------
    source : tuple of X and y
        Texts, or a matrix of shape (n_source, n_features), and their labels.
    target : tuple of X and y
        The same of the target domain, n_target rows.
    target_weight : float in (0, 1), default=0.5
        Share of the whole weight that the target's rows have together. At 0.5 both
        domains count the same, however many rows each has; at
        ``n_target / (n_source + n_target)`` all rows count the same.

    Returns
    -------
    X : list of str, ndarray or sparse array, of n_source + n_target rows
        The source's rows come first.
    y : ndarray of shape (n_source + n_target,)
        Labels in the same order.
    sample_weight : ndarray of shape (n_source + n_target,)
        Mean 1.

    Raises
    ------
    InvalidInputError
        If one domain holds texts and the other numbers, in X or in y, if columns have
        other names, or rows and labels differ in number.
    InvalidParameterError
        If `target_weight` is out of range.

    See Also
    --------
    TransferSentimentClassifier : With `init_from` it takes one domain after the other.

    Examples
    --------
    >>> from sktransfer import pool_domains
    >>> movies = ["gripping", "dull", "moving", "flat"], [1, 0, 1, 0]
    >>> products = ["sturdy", "flimsy"], [1, 0]
    >>> X, y, sample_weight = pool_domains(movies, products)
    >>> sample_weight
    array([0.75, 0.75, 0.75, 0.75, 1.5 , 1.5 ])
    """
    check_parameters({"target_weight": target_weight}, _RULES)
    (X_source, y_source), (X_target, y_target) = (
        _check_domain(domain, name)
        for domain, name in ((source, "source"), (target, "target"))
    )
    n_source, n_target = len(y_source), len(y_target)
    ours, theirs = (
        "texts" if isinstance(X, list) else "numbers" for X in (X_target, X_source)
    )
    if ours != theirs:
        raise InvalidInputError(
            f"the source holds {theirs} and the target {ours}: give both as the same "
            "kind."
        )
    kinds = {_kind_of_labels(y) for y in (y_source, y_target)}
    if len(kinds) > 1:
        raise InvalidInputError(
            f"the source's labels are {_shown(y_source)} and the target's "
            f"{_shown(y_target)}: write both in one way, so that equal labels are one "
            "class."
        )
    names = [_get_feature_names(domain[0]) for domain in (source, target)]
    if all(n is not None for n in names) and not np.array_equal(*names):
        raise InvalidInputError(
            f"the source has the columns {names[0].tolist()[:5]} and the target "
            f"{names[1].tolist()[:5]}: order them alike, as in "
            "X_target[X_source.columns]."
        )
    if isinstance(X_source, list):
        X: Any = X_source + X_target
    elif sparse.issparse(X_source) or sparse.issparse(X_target):
        X = sparse.vstack([X_source, X_target], format="csr")
    else:
        X = np.concatenate([X_source, X_target])
    shares = [(1 - target_weight) / n_source, target_weight / n_target]
    weight = np.repeat(shares, [n_source, n_target])
    y = np.concatenate([y_source, y_target])
    return X, y, weight / weight.mean()


def _kind_of_labels(y: npt.NDArray[Any]) -> str:
    if y.dtype.kind == "O":
        return "texts" if isinstance(y[0], str) else "others"
    return "numbers" if y.dtype.kind in "biuf" else "texts"


def _shown(y: npt.NDArray[Any]) -> str:
    return f"{_kind_of_labels(y)} such as {y.tolist()[0]!r}"


def _check_domain(domain: object, name: str) -> tuple[Any, npt.NDArray[Any]]:
    if not isinstance(domain, (tuple, list)) or len(domain) != 2:
        raise InvalidInputError(
            f"{name} is {type(domain).__name__}, but a pair of rows and labels is "
            "expected, as in (texts, labels)."
        )
    X, y = domain
    if holds_numbers(X):
        X = X if sparse.issparse(X) else np.asarray(X)
    else:
        X = check_texts(X, name=f"{name}'s X")
    n_rows = len(X) if isinstance(X, list) else X.shape[0]
    return X, check_labels(y, n_rows, name=f"{name}'s y")
