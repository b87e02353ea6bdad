"""What is no collection of texts is refused, and the message says what came.

An error from inside, such as ``'float' object has no attribute 'lower'``, is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from sktransfer.testing.assertions import (
    assert_refused,
    assert_same_answers,
    import_or_skip,
)
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, only_if

# Where the bad entry stands.
_PLACE = 3


def check_refuses_single_string(subject: Subject) -> None:
    """A bare str is refused: it would be read letter by letter."""
    _assert_refused(subject, lambda: "the film is good", "X is a str", r"\bstr")


def check_refuses_single_bytes(subject: Subject) -> None:
    """Bare bytes are refused: they would be read as numbers."""
    _assert_refused(subject, lambda: b"good", "X is bytes", "byte|int")


def check_refuses_table_of_texts(subject: Subject) -> None:
    """An array of texts with two columns is refused, and its shape is told."""
    table = np.array([TEXTS, TEXTS], dtype=object).T
    _assert_refused(subject, lambda: table, "X is an array with 2 columns", _TABLE)


def check_refuses_column_of_texts(subject: Subject) -> None:
    """An array of one column is refused, and the message tells its shape."""
    column = np.array(TEXTS, dtype=object)[:, None]
    _assert_refused(subject, lambda: column, "X is an array with 1 column", _TABLE)


def check_refuses_data_frame(subject: Subject) -> None:
    """A data frame is refused: iterating over it reads the names of its columns."""
    pandas = import_or_skip("pandas")
    frame = pandas.DataFrame({"text": TEXTS, "more": TEXTS})
    _assert_refused(subject, lambda: frame, "X is a DataFrame", f"{_TABLE}|frame")


def check_refuses_lists_of_tokens(subject: Subject) -> None:
    """Texts that were cut into tokens before are refused, with their place."""
    tokens: list[Any] = [text.split() for text in TEXTS]
    _assert_refused(subject, lambda: tokens, "X is a list of lists", "list|dimension")


def check_refuses_numbers(subject: Subject) -> None:
    """A list of numbers is refused, and the message says that these are numbers."""
    numbers = list(range(len(TEXTS)))
    _assert_refused(subject, lambda: numbers, "X is a list of int", _NUMBERS)


def check_refuses_table_of_numbers(subject: Subject) -> None:
    """A table of numbers is refused after a fit on texts; by fit, if tags say so."""
    table = np.arange(2.0 * len(TEXTS)).reshape(-1, 2)
    said = f"{_NUMBERS}|{_TABLE}"
    _assert_refused(
        subject, lambda: table, "X is a table of numbers", said, subject.takes_numbers
    )


def check_refuses_sparse_matrix(subject: Subject) -> None:
    """A sparse matrix is refused after a fit on texts; by fit, if tags say so."""
    matrix = sparse.csr_matrix(np.eye(len(TEXTS)))
    said = f"sparse|matrix|csr|{_NUMBERS}"
    _assert_refused(
        subject, lambda: matrix, "X is a sparse matrix", said, subject.takes_sparse
    )


def check_refuses_none(subject: Subject) -> None:
    """None as X is refused, and named."""
    _assert_refused(subject, lambda: None, "X is None", "None")


def check_refuses_dict(subject: Subject) -> None:
    """A dict is refused: its keys would be read."""
    _assert_refused(subject, lambda: dict.fromkeys(TEXTS, 1), "X is a dict", "dict|map")


def check_refuses_set(subject: Subject) -> None:
    """A set is refused: it has no order, so that labels and answers fit no text."""
    _assert_refused(subject, lambda: set(TEXTS), "X is a set", r"\bset\b")


def check_refuses_no_texts(subject: Subject) -> None:
    """An empty list is refused, as scikit-learn refuses tables without rows."""
    _assert_refused(subject, list, "X is an empty list", r"empty|\b0\b|\bno\b|least")


def check_refuses_zero_dimensions(subject: Subject) -> None:
    """An array without dimensions is refused, and the message tells its dimensions."""
    _assert_refused(
        subject,
        lambda: np.array("the film is good"),
        "X is a 0-d array",
        r"0-?d|0 dim|dimension|shape|scalar",
    )


def check_refuses_nan_among_texts(subject: Subject) -> None:
    """A missing text (nan), as pandas reads empty cells, is refused with its place."""
    _assert_entry_refused(subject, float("nan"), "nan|missing")


def check_refuses_none_among_texts(subject: Subject) -> None:
    """A missing text (None) is refused, with its place."""
    _assert_entry_refused(subject, None, "None|missing")


def check_refuses_pandas_na_among_texts(subject: Subject) -> None:
    """A missing text (pandas.NA) is refused, with its place."""
    pandas = import_or_skip("pandas")
    _assert_entry_refused(subject, pandas.NA, "NA|missing")


def check_refuses_number_among_texts(subject: Subject) -> None:
    """A number among texts is refused, with its place."""
    _assert_entry_refused(subject, 5, r"int|number|\b5\b")


def check_bytes_among_texts(subject: Subject) -> None:
    """Bytes among texts are refused with their place, or decoded as UTF-8."""
    texts: list[Any] = list(TEXTS)
    texts[_PLACE] = texts[_PLACE].encode()
    try:
        found = subject.answers(subject.fitted, texts)
    except Exception:
        _assert_entry_refused(subject, texts[_PLACE], "byte")
    else:
        assert_same_answers(
            subject, found, subject.expected, "with bytes", "with the str"
        )


@only_if("learns_labels")
def check_refuses_other_number_of_labels(subject: Subject) -> None:
    """X and y of different lengths are refused, with both lengths."""
    n = len(TEXTS)
    assert_refused(
        lambda: subject.fit(TEXTS, subject.labels()[:-1]),
        f"fit on {n} texts and {n - 1} labels",
        rf"(?s)\b{n}\b.*\b{n - 1}\b|\b{n - 1}\b.*\b{n}\b",
    )


_TABLE = r"dimension|shape|column|2-?d\b|1-?d\b|ndarray|DataFrame"
_NUMBERS = r"number|\bint|\bfloat"


def _assert_refused(
    subject: Subject,
    make: Callable[[], Any],
    what: str,
    said: str,
    fit_may: bool = False,
) -> None:
    """Fit and each answer refuse it; labels are as many as it has rows."""
    # What needs no fit learns nothing from X, and need not look at it.
    if subject.needs_fit and not fit_may:
        y = None
        if subject.needs_labels:
            n = _length(make())
            y = np.resize(subject.labels(), n) if n else subject.labels()[:0]
        assert_refused(lambda: _fit(subject, make(), y), f"fit where {what}", said)
    for method in subject.methods(subject.fitted):
        assert_refused(
            lambda method=method: getattr(subject.fitted, method)(make()),  # type: ignore[misc]
            f"{method} where {what}",
            said,
        )


def _fit(subject: Subject, X: Any, y: Any) -> None:
    one = subject.new()
    one.fit(X) if y is None else one.fit(X, y)


def _length(X: Any) -> int:
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]) if shape else 1
    return len(X) if hasattr(X, "__len__") else len(TEXTS)


def _assert_entry_refused(subject: Subject, entry: Any, said: str) -> None:
    texts: list[Any] = list(TEXTS)
    texts[_PLACE] = entry
    what = f"X[{_PLACE}] is {entry!r}"
    both = rf"(?s)^(?=.*({said}))(?=.*\b{_PLACE}\b)"
    _assert_refused(subject, lambda: texts, what, both)
