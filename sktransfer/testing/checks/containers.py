"""Texts in any container give what the same texts give in a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.testing.assertions import (
    assert_same_answers,
    fail,
    import_or_skip,
    skip,
)
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject


def check_reads_tuple(subject: Subject) -> None:
    """A tuple of texts is read as a list is."""
    _assert_read(subject, tuple, "a tuple")


def check_reads_object_array(subject: Subject) -> None:
    """A numpy array of objects, as splits give it, is read as a list is."""
    _assert_read(
        subject, lambda texts: np.array(texts, dtype=object), "an object array"
    )


def check_reads_str_array(subject: Subject) -> None:
    """A numpy array of fixed width (dtype <U) is read as a list is."""
    _assert_read(subject, np.array, "a str array")


def check_reads_string_dtype_array(subject: Subject) -> None:
    """A numpy array of StringDType, new in numpy 2, is read as a list is."""
    strings = getattr(np.dtypes, "StringDType", None)
    if strings is None:
        skip("numpy has StringDType from 2.0 on")
    _assert_read(
        subject, lambda texts: np.array(texts, dtype=strings()), "a StringDType array"
    )


def check_reads_slice_of_array(subject: Subject) -> None:
    """A view with a stride is read as a list is, in its own order."""
    twice = np.array([t for text in TEXTS for t in (text, "not this")], dtype=object)
    one = subject.fit(twice[::2])
    found = subject.answers(one, twice[::2])
    assert_same_answers(subject, found, subject.expected, "of a view", "a list")


def check_reads_pandas_object_series(subject: Subject) -> None:
    """A pandas Series of objects is read row by row, whatever its index."""
    pandas = import_or_skip("pandas")
    _assert_read(subject, lambda t: _series(pandas, t, object), "a Series of objects")


def check_reads_pandas_string_series(subject: Subject) -> None:
    """A pandas Series of dtype string is read row by row, whatever its index."""
    pandas = import_or_skip("pandas")
    _assert_read(subject, lambda t: _series(pandas, t, "string"), "a Series of string")


def check_reads_pandas_pyarrow_series(subject: Subject) -> None:
    """A pandas Series that pyarrow holds is read row by row, whatever its index."""
    pandas = import_or_skip("pandas")
    arrow = import_or_skip("pyarrow")
    dtype = pandas.ArrowDtype(arrow.string())
    _assert_read(subject, lambda t: _series(pandas, t, dtype), "a Series of pyarrow")


def check_reads_pandas_categorical_series(subject: Subject) -> None:
    """A pandas Series of categories is read by its texts, not by their numbers."""
    pandas = import_or_skip("pandas")
    _assert_read(
        subject, lambda t: _series(pandas, t, "category"), "a Series of categories"
    )


def check_reads_polars_series(subject: Subject) -> None:
    """A polars Series is read as a list is."""
    polars = import_or_skip("polars")
    _assert_read(subject, lambda texts: polars.Series("text", texts), "a polars Series")


def check_reads_pyarrow_array(subject: Subject) -> None:
    """A pyarrow Array is read by its texts, not by its scalars."""
    arrow = import_or_skip("pyarrow")
    _assert_read(subject, arrow.array, "a pyarrow Array")


def check_reads_pyarrow_chunked_array(subject: Subject) -> None:
    """A pyarrow ChunkedArray, as a column of a table is, is read across its chunks."""
    arrow = import_or_skip("pyarrow")
    _assert_read(
        subject,
        lambda texts: arrow.chunked_array([texts[:3], texts[3:]]),
        "a ChunkedArray",
    )


def check_reads_generator(subject: Subject) -> None:
    """A generator is read once, to its end, as scikit-learn's vectorizers read it."""
    _assert_read(subject, lambda texts: (text for text in texts), "a generator")


def check_reads_subclass_of_str(subject: Subject) -> None:
    """Texts of a subclass of str, such as numpy's str_, are read as str."""
    _assert_read(subject, lambda texts: [np.str_(text) for text in texts], "numpy.str_")


def _series(pandas: Any, texts: list[str], dtype: Any) -> Any:
    """Series whose index starts nowhere near 0, and says some things twice."""
    index = [7, 7, -1, *range(100, 100 + len(texts) - 3)]
    return pandas.Series(texts, index=index, dtype=dtype, name="text")


def _assert_read(subject: Subject, pack: Any, what: str) -> None:
    one = subject.fit(pack(list(TEXTS)))
    # A generator is used up by the first method.
    found: dict[str, Any] = {}
    for method in subject.methods(one):
        try:
            found[method] = getattr(one, method)(pack(list(TEXTS)))
        except Exception as error:
            fail(f"{method} of {what} raised {type(error).__name__}: {error}")
    assert_same_answers(subject, found, subject.expected, f"of {what}", "a list")
