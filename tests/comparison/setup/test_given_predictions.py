import numpy as np
import pandas as pd
import polars as pl
import pytest

from sktransfer.comparison.setup.given_predictions import (
    read_classes,
    read_predictions,
)
from sktransfer.exceptions import InvalidInputError

Y = np.array(["bad", "good", "good", "bad", "good"])
TOLD = ["bad", "good", "bad", "bad", "good"]
NUMBERS = [0, 1, 0, 0, 1]
GIVEN = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0], [0.3, 0.7]])


def read(given, y=Y, classes=None):
    labels = np.asarray(y)
    order = read_classes(classes, labels)
    return read_predictions(y, labels, {"mine": given}, order)["mine"]


class TestLabels:
    @pytest.mark.parametrize(
        "given",
        [
            TOLD,
            tuple(TOLD),
            np.array(TOLD),
            np.array(TOLD, dtype=object),
            pd.Series(TOLD, index=list("abcde")),
            pd.Series(TOLD, dtype="category"),
            pl.Series(TOLD),
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_containers_make_no_difference(self, given):
        said = read(given)
        assert said.predicted.tolist() == NUMBERS
        assert said.rows.tolist() == [0, 1, 2, 3, 4]
        assert not said.has_probabilities

    @pytest.mark.parametrize(
        "given", [[0, 1, 0], [0.0, 1.0, 0.0], [False, True, False]]
    )
    def test_numbers_that_are_equal_are_the_same_label(self, given):
        said = read(np.array(given), np.array([0, 1, 1]))
        assert said.predicted.tolist() == [0, 1, 0]
        # Zeros and ones claim no certainty.
        assert not said.has_probabilities

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (TOLD[:4], r"\['mine'\] has 4 entries, but y has 5 labels"),
            ([*TOLD[:4], None], r"\['mine'\]\[4\] is None, a missing value"),
            ([*TOLD[:4], float("nan")], r"\[4\] is nan, a missing value"),
            ([*TOLD[:4], "so-so"], r"\[4\] is 'so-so', but one of the labels \['bad'"),
            ([0, 1, 0, 0, 1], r"\[0\] is 0, but one of the labels"),
            ("bad", "of type str, but labels"),
            (7, "of type int, but labels"),
            (
                [*TOLD[:4], ["good"]],
                r"\[4\] differs from predictions\['mine'\]\[0\] in",
            ),
        ],
    )
    def test_what_is_no_label_is_told_with_its_place(self, given, message):
        with pytest.raises(InvalidInputError, match=message):
            read(given)

    def test_another_type_is_told(self):
        with pytest.raises(
            InvalidInputError, match="of type str, and those of y are int"
        ):
            read(["0", "1"], np.array([0, 1]))

    def test_rows_of_pandas_in_another_order_are_refused(self):
        y = pd.Series(Y, index=[3, 1, 2, 0, 4])
        with pytest.raises(InvalidInputError, match=r"\.loc\[y\.index\]"):
            read(pd.Series(TOLD), y)
        # Rows of a part count by their place.
        assert read(pd.Series(TOLD), pd.Series(Y, index=[3, 1, 2, 0, 9])) is not None


class TestProbabilities:
    @pytest.mark.parametrize(
        "given",
        [
            GIVEN,
            GIVEN.tolist(),
            list(GIVEN),
            GIVEN[:, 1],
            GIVEN[:, 1].tolist(),
            list(GIVEN[:, 1]),
            pd.DataFrame(GIVEN, columns=["bad", "good"]),
            pd.DataFrame(GIVEN[:, ::-1], columns=["good", "bad"]),
            pl.DataFrame({"good": GIVEN[:, 1], "bad": GIVEN[:, 0]}),
        ],
    )
    def test_the_most_probable_class_is_the_label(self, given):
        said = read(given)
        assert said.predicted.tolist() == NUMBERS
        np.testing.assert_allclose(said.probabilities, GIVEN)

    def test_columns_are_in_the_order_of_the_classes(self):
        said = read(GIVEN[:, ::-1], classes=["good", "bad"])
        np.testing.assert_array_equal(said.probabilities, GIVEN)
        # The second class is the second that is named.
        assert read(GIVEN[:, 0], classes=["good", "bad"]).predicted.tolist() == NUMBERS

    def test_classes_may_be_more_than_those_of_y(self):
        given = np.column_stack([GIVEN, np.zeros(5)])
        said = read(given, classes=["bad", "good", "mixed"])
        assert said.probabilities.shape == (5, 3)

    def test_rounded_rows_are_scaled_and_others_stay(self):
        given = GIVEN.copy()
        given[0] = [0.33, 0.66]
        said = read(given)
        np.testing.assert_allclose(said.probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(said.probabilities[1:], GIVEN[1:])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda p: p * 0.9, r"\['mine'\]\[0\] sums to 0.9, but the probabilities"),
            (
                lambda p: p * 3 - 1,
                r"\[0, 0\] is 1.7, but a probability between 0 and 1",
            ),
            (lambda p: p[:3], r"has the shape \(3, 2\), but \(5, 2\) is expected"),
            (lambda p: p[:, :1], r"has the shape \(5, 1\), but \(5, 2\)"),
            (lambda p: p[:, 1] * 3 - 1, r"\[0\] is -0.7, but labels of y, one of"),
            (lambda p: p * np.nan, r"\[0, 0\] is nan, but a number is expected"),
            (
                lambda p: p[None, :3],
                r"\(1, 3, 2\), but \(n_repeats, 5, 2\) is expected",
            ),
            (lambda p: p[:, None, None, :], r"shape \(5, 1, 1, 2\)"),
            (
                lambda p: p.astype(str),
                "table of <U32, but probabilities",
            ),
            (
                lambda p: pd.DataFrame(p, columns=["a", "b"]),
                r"has the columns \['a', 'b'\], but a column of probabilities for each",
            ),
        ],
    )
    def test_what_is_none_is_told(self, change, message):
        with pytest.raises(InvalidInputError, match=message):
            read(change(GIVEN))

    def test_floats_that_mean_two_things_are_refused(self):
        with pytest.raises(InvalidInputError, match="labels of y, or probabilities of"):
            read(np.array([1.0, 1.0, 1.0]), np.array([1, 2, 1]))

    def test_floats_of_three_classes_are_no_probabilities(self):
        with pytest.raises(
            InvalidInputError, match=r"is 0.5, but one of the labels \[0,"
        ):
            read([0.5, 1.0, 2.0], np.array([0, 1, 2]))


class TestRepeats:
    @pytest.mark.parametrize(
        "given",
        [
            [TOLD, TOLD],
            np.array([TOLD, TOLD]),
            [GIVEN, TOLD],
            np.stack([GIVEN, GIVEN]),
            np.stack([GIVEN[:, 1], GIVEN[:, 1]]),
            [pd.DataFrame(GIVEN, columns=["bad", "good"]), pd.Series(TOLD)],
        ],
    )
    def test_each_is_an_array(self, given):
        said = read(given)
        assert said.repeats.tolist() == [0] * 5 + [1] * 5
        assert said.predicted.tolist() == NUMBERS * 2

    def test_a_wrong_one_is_told_by_its_number(self):
        with pytest.raises(InvalidInputError, match=r"\['mine'\]\[1\] has 4 entries"):
            read([TOLD, TOLD[:4]])

    def test_as_many_rows_as_classes_are_ambiguous(self):
        with pytest.raises(InvalidInputError, match="2 rows and 2 columns, which are"):
            read(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))

    def test_their_number_is_the_same_for_all(self):
        given = {"a": TOLD, "b": [TOLD, TOLD]}
        with pytest.raises(
            InvalidInputError, match=r"\['a'\] has 1 repeats and .*has 2"
        ):
            read_predictions(Y, Y, given, ["bad", "good"])


class TestTables:
    @pytest.fixture
    def table(self):
        return pd.DataFrame(
            {
                "row": [4, 0, 1, 2, 3],
                "repeat": 0,
                "fold": [1, 0, 0, 0, 1],
                "label": Y[[4, 0, 1, 2, 3]],
                "predicted": np.array(TOLD)[[4, 0, 1, 2, 3]],
                "probability_bad": GIVEN[[4, 0, 1, 2, 3], 0],
                "probability_good": GIVEN[[4, 0, 1, 2, 3], 1],
            }
        )

    def test_rows_come_by_fold(self, table):
        said = read(table)
        assert said.rows.tolist() == [0, 1, 2, 3, 4]
        assert said.folds.tolist() == [0, 0, 0, 1, 1]
        assert said.predicted.tolist() == NUMBERS
        np.testing.assert_array_equal(said.probabilities, GIVEN)

    def test_a_label_need_not_be_the_most_probable(self, table):
        table["predicted"] = "good"
        assert read(table).predicted.tolist() == [1] * 5

    def test_other_forms_follow_its_folds(self, table):
        given = {"mine": TOLD, "table": table}
        found = read_predictions(Y, Y, given, ["bad", "good"])
        assert found["mine"].folds.tolist() == found["table"].folds.tolist()
        assert found["mine"].predicted.tolist() == NUMBERS

    def test_it_may_be_of_some_rows_if_all_are(self, table):
        part = table[table["row"] < 3]
        found = read_predictions(Y, Y, {"a": part, "b": part}, ["bad", "good"])
        assert found["b"].rows.tolist() == [0, 1, 2]
        with pytest.raises(
            InvalidInputError, match=r"same texts \(row 3 of repeat 0\)"
        ):
            read_predictions(Y, Y, {"a": part, "b": TOLD}, ["bad", "good"])

    def test_folds_are_the_same_for_all(self, table):
        given = {"a": table, "b": table.assign(fold=[0, 0, 0, 1, 1])}
        with pytest.raises(InvalidInputError, match="have other folds"):
            read_predictions(Y, Y, given, ["bad", "good"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"row": [5, 0, 1, 2, 3]}, r"\['row'\] has 5 at position 0, but y has 5"),
            ({"row": [0.5, 0, 1, 2, 3]}, r"\['row'\] is .*0.5.* at position 0"),
            ({"row": [4, 4, 1, 2, 3], "fold": 0, "label": Y[[4, 4, 1, 2, 3]]},
             "two predictions for row 4 in repeat 0"),
            ({"repeat": -1}, r"\['repeat'\] is -1 at position 0"),
            ({"label": "good"}, r"'label'\] is 'good' at position 1, but y has"),
            ({"predicted": "so-so"}, r"\['predicted'\]\[0\] is 'so-so'"),
            ({"probability_bad": [np.nan, 0, 0, 0, 0]}, r"\[0, 0\] is nan"),
            ({"probability_bad": 0.9}, r"sums to 1.6, but"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told(self, table, changes, message):
        with pytest.raises(InvalidInputError, match=message):
            read(table.assign(**changes))

    def test_columns_and_rows_have_to_be_there(self, table):
        with pytest.raises(InvalidInputError, match="no column 'probability_good'"):
            read(table.drop(columns="probability_good"))
        with pytest.raises(InvalidInputError, match="has no rows"):
            read(table.iloc[:0])


class TestClasses:
    @pytest.mark.parametrize(
        ("classes", "message"),
        [
            (["bad"], r"classes=\['bad'\], but 'good' of y is not in it"),
            (["bad", "good", "bad"], "one is in it twice"),
        ],
    )
    def test_each_label_is_there_once(self, classes, message):
        with pytest.raises(InvalidInputError, match=message):
            read_classes(classes, Y)

    def test_one_class_is_too_few(self):
        with pytest.raises(InvalidInputError, match="holds the class 'a' only"):
            read_classes(None, np.array(["a", "a"]))


class TestNames:
    @pytest.mark.parametrize(
        ("predictions", "message"),
        [
            (TOLD, "predictions is of type list, but a mapping from names"),
            ({}, "predictions is empty"),
            ({"": TOLD}, "names a strategy '', but a str"),
            ({1: TOLD}, "names a strategy 1, but a str"),
        ],
    )
    def test_they_are_needed(self, predictions, message):
        with pytest.raises(InvalidInputError, match=message):
            read_predictions(Y, Y, predictions, ["bad", "good"])
