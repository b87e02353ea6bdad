"""What a text estimator accepts as X: one str a row.

Below every estimator, above the exceptions. numpy and scipy are the heaviest imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
from scipy import sparse

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import show

__all__ = ["check_texts", "holds_numbers"]


def check_texts(X: Any, *, name: str = "X") -> list[str]:
    """Return the texts of `X` as a list, or say which entry is not a text.

    Parameters
    ----------
    X : iterable of str, of length n_texts
        A list, a tuple, a 1-D array, a pandas or polars Series, a pyarrow array or any
        other iterable. The empty string is a valid text.
    name : str, default="X"
        How the error messages call it.

    Returns
    -------
    texts : list of str, of length n_texts
        `X` itself where it is already a list of str.

    Raises
    ------
    InvalidInputError
        If `X` is a single string, a table, numbers, unordered, empty, or if an entry is
        missing or no str. The message names the entry's position.

    Examples
    --------
    >>> from sktransfer.texts import check_texts
    >>> check_texts(("good", "bad"))
    ['good', 'bad']
    """
    texts = _as_list(X, name)
    if not texts:
        raise InvalidInputError(
            f"{name} holds no texts, and at least 1 is needed: check the filter or the "
            "file that it came from."
        )
    # One pass in C decides for the usual case; positions are looked up on failure.
    if not set(map(type, texts)) <= {str, np.str_}:
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidInputError(_explain_entry(text, position, name))
    return texts


def holds_numbers(X: Any) -> bool:
    """Whether `X` is a table of numbers rather than a collection of texts.

    Looks at the container and, for a plain list, at its first entry only; whichever
    check follows (`check_texts` or scikit-learn's) judges the rest.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.texts import holds_numbers
    >>> holds_numbers(np.zeros((3, 2))), holds_numbers(["good", "bad"])
    (True, False)
    """
    if sparse.issparse(X):
        return True
    if isinstance(X, (str, bytes)):
        return False
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biufc":
        return True
    if getattr(X, "ndim", None) == 2 or hasattr(X, "columns"):
        return not _holds_strings(np.asarray(X).ravel())
    if dtype is None and hasattr(X, "__array__"):
        return np.asarray(X).dtype.kind in "biufc"
    if isinstance(X, (list, tuple)) and len(X):
        first = X[0]
        if isinstance(first, (list, tuple, np.ndarray)) and len(first):
            return not isinstance(first[0], (str, bytes))
        return isinstance(first, (int, float, complex, np.number))
    return False


def _holds_strings(entries: np.ndarray) -> bool:
    return entries.dtype.kind in "US" or any(
        isinstance(entry, (str, bytes)) for entry in entries[:100]
    )


def _as_list(X: Any, name: str) -> list[Any]:
    """`X` as a list of rows, whatever the rows are; refuses what has no rows."""
    if isinstance(X, (str, bytes)):
        raise InvalidInputError(
            f"{name} is a single {type(X).__name__}, but a list with one str per row "
            f"is expected: pass [{show(X, 40)}] for one text."
        )
    if isinstance(X, (Mapping, Set)):
        raise InvalidInputError(
            f"{name} is a {type(X).__name__}, whose entries have no order: pass a list "
            "with one str per row."
        )
    if sparse.issparse(X):
        raise InvalidInputError(
            f"{name} is a sparse matrix of numbers, shape {X.shape}, but texts are "
            "expected: pass the texts themselves, one str per row."
        )
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        # A table of pyarrow has its columns themselves under that name.
        columns = getattr(X, "column_names", getattr(X, "columns", None))
        which = (
            f"its columns are {list(columns)[:8]}; pass one of them, as in "
            f"{name}[{columns[0]!r}]"
            if columns is not None and len(columns)
            else "pass the texts as a 1-D array or a list"
        )
        raise InvalidInputError(
            f"{name} has {len(shape)} dimensions (shape {tuple(shape)}), but one str "
            f"per row in 1 dimension is expected: {which}."
        )
    if isinstance(X, list):
        return X
    for convert in ("tolist", "to_list", "to_pylist"):
        if hasattr(X, convert):
            return list(getattr(X, convert)())
    if isinstance(X, Iterable):
        return list(X)
    raise InvalidInputError(
        f"{name} is of type {type(X).__name__}, which cannot be iterated over: pass a "
        "list with one str per row."
    )


def _explain_entry(text: Any, position: int, name: str) -> str:
    """One sentence on why the entry at `position` is no text and what to do."""
    where = f"{name}[{position}]"
    if text is None or (isinstance(text, float) and text != text):
        return (
            f"{where} is {text}, a missing value, but a str is expected: drop the row, "
            "or put '' where no text is meant."
        )
    kind = type(text).__name__
    if kind in {"NAType", "NaTType"}:
        return (
            f"{where} is {text!s}, a missing value, but a str is expected: drop the "
            "row, or put '' where no text is meant."
        )
    if isinstance(text, bytes):
        return (
            f"{where} is bytes ({show(text, 40)}), but a str is expected: decode it, "
            "as in text.decode('utf-8')."
        )
    if isinstance(text, (list, tuple, np.ndarray)):
        return (
            f"{where} is a {kind} of length {len(text)}, but a str is expected: join "
            "tokens into one str, or pass one column of a table."
        )
    return (
        f"{where} is {show(text, 40)} of type {kind}, but a str is expected: pass one "
        "str per row."
    )
