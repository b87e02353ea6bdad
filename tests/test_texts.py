"""What counts as texts, and what is said of everything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from sktransfer.exceptions import InvalidInputError
from sktransfer.texts import check_texts, holds_numbers

TEXTS = ["good", "", "很好"]

CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "object array": lambda texts: np.array(texts, dtype=object),
    "str array": np.array,
    "pandas Series": lambda texts: pd.Series(texts, index=[7, 7, 3]),
    "pandas Series of objects": lambda texts: pd.Series(texts, dtype=object),
    "pandas Categorical": lambda texts: pd.Series(texts, dtype="category"),
    "pandas Index": pd.Index,
    "polars Series": pl.Series,
    "pyarrow array": pa.array,
    "pyarrow chunked array": lambda texts: pa.chunked_array([texts[:1], texts[1:]]),
    "generator": lambda texts: (text for text in texts),
    "list of numpy strings": lambda texts: [np.str_(text) for text in texts],
}


class TestAccepted:
    @pytest.mark.parametrize("kind", CONTAINERS)
    def test_any_ordered_container_gives_the_same_list(self, kind):
        texts = check_texts(CONTAINERS[kind](TEXTS))
        assert type(texts) is list
        assert texts == TEXTS

    def test_a_list_is_not_copied(self):
        assert check_texts(TEXTS) is TEXTS

    def test_subclasses_of_str_are_texts(self):
        class Tagged(str):
            __slots__ = ()

        assert check_texts([Tagged("good"), "bad"]) == ["good", "bad"]


class TestRefused:
    @pytest.mark.parametrize(
        ("X", "message"),
        [
            ("good", r"X is a single str, .* pass \['good'\] for one text"),
            (b"good", "X is a single bytes"),
            ({"a": "good"}, "X is a dict, whose entries have no order"),
            ({"good"}, "X is a set, whose entries have no order"),
            (None, "X is of type NoneType, which cannot be iterated over"),
            (3.5, "X is of type float, which cannot be iterated over"),
            (np.array("good"), r"X has 0 dimensions \(shape \(\)\)"),
            (np.array([["good"], ["bad"]]), r"X has 2 dimensions \(shape \(2, 1\)\)"),
            (sparse.eye_array(3), r"X is a sparse matrix of numbers, shape \(3, 3\)"),
            (
                pd.DataFrame({"review": TEXTS, "stars": 1}),
                r"its columns are \['review', 'stars'\]; pass one of them, .*X\['revie",
            ),
            (pl.DataFrame({"review": TEXTS}), r"pass one of them, as in X\['review'\]"),
            (pa.table({"review": TEXTS}), r"pass one of them, as in X\['review'\]"),
            ([], "X holds no texts, and at least 1 is needed"),
            (np.array([], dtype=object), "X holds no texts"),
        ],
        ids=lambda value: None if isinstance(value, str) else type(value).__name__,
    )
    def test_containers_without_a_text_per_row(self, X, message):
        with pytest.raises(InvalidInputError, match=message):
            check_texts(X)

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            (None, r"X\[1\] is None, a missing value, .*: drop the row"),
            (float("nan"), r"X\[1\] is nan, a missing value"),
            (pd.NA, r"X\[1\] is <NA>, a missing value"),
            (pd.NaT, r"X\[1\] is NaT, a missing value"),
            (b"bad", r"X\[1\] is bytes \(b'bad'\), .*text.decode\('utf-8'\)"),
            (["not", "good"], r"X\[1\] is a list of length 2, .*: join tokens"),
            (np.zeros(3), r"X\[1\] is a ndarray of length 3"),
            (5, r"X\[1\] is 5 of type int, but a str is expected"),
            (True, r"X\[1\] is True of type bool"),
            ({"a": "b" * 50}, r"X\[1\] is \{'a': 'b+\.\.\. of type dict"),
        ],
    )
    def test_entries_that_are_no_texts_are_named(self, entry, message):
        with pytest.raises(InvalidInputError, match=message):
            check_texts(["good", entry, "bad"])

    def test_the_argument_is_called_by_its_name(self):
        with pytest.raises(InvalidInputError, match=r"^X_val\[0\] is None"):
            check_texts([None], name="X_val")

    def test_the_error_is_the_builtin_that_a_caller_expects(self):
        for builtin in (TypeError, ValueError):
            with pytest.raises(builtin, match="X is a single str"):
                check_texts("good")


class TestHoldsNumbers:
    @pytest.mark.parametrize(
        "X",
        [
            np.zeros((2, 3)),
            np.zeros(2),
            np.array([[True]]),
            sparse.eye_array(2),
            [[1.0, 2.0]],
            [1, 2],
            (np.zeros(3), np.zeros(3)),
            pd.DataFrame({"a": [1.0]}),
            pd.Series([1, 2]),
        ],
        ids=lambda X: type(X).__name__,
    )
    def test_numbers(self, X):
        assert holds_numbers(X)

    @pytest.mark.parametrize(
        "X",
        [
            *("good", b"good", None, [], ["good"], [["good", "bad"]], iter(["good"])),
            np.array([["good"]], dtype=object),
            pd.DataFrame({"a": ["good"]}),
            pd.Series(["good"]),
        ],
        ids=lambda X: type(X).__name__,
    )
    def test_no_numbers(self, X):
        assert not holds_numbers(X)
