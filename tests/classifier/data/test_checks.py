import datetime as dt
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from packaging.version import Version
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.data.checks import (
    check_labels,
    check_weights,
    number_labels,
    split_rows,
)
from sktransfer.exceptions import InvalidInputError, InvalidParameterError


class TestLabels:
    @pytest.mark.parametrize(
        "y",
        [
            ["a", "b", "a"],
            ("a", "b", "a"),
            np.array(["a", "b", "a"], dtype=object),
            pd.Series(["a", "b", "a"]),
            pd.Series(["a", "b", "a"], dtype="category"),
            pd.Categorical(["a", "b", "a"]),
            pl.Series(["a", "b", "a"]),
            pl.Series(["a", "b", "a"], dtype=pl.Categorical),
        ],
    )
    def test_any_container_will_do(self, y):
        assert check_labels(y, 3).tolist() == ["a", "b", "a"]

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "the target y is None: pass one label per row"),
            (["a"], "X has 2 rows but y has 1 labels"),
            (["a", None], "y contains a missing value, first at position 1"),
            (
                np.array(["a", np.nan], dtype=object),
                "y contains a missing value, first at position 1",
            ),
            (
                pd.Series(["a", pd.NA], dtype=object),
                "y contains a missing value, first at position 1",
            ),
            (pd.Series([None, "a"]), "y contains a missing value, first at position 0"),
            ([0.0, np.nan], "y contains NaN or infinity, first at position 1"),
            (np.array(["a", 1], dtype=object), "y mixes labels of the types int, str"),
            ([np.inf, 0.0], "y contains NaN or infinity, first at position 0"),
            # numpy would make a label "nan" and one "1" of these.
            (["a", math.nan], "y contains a missing value, first at position 1"),
            (["a", 1], "y mixes labels of the types int, str"),
            (
                np.ma.array(["a", "b"], mask=[0, 1]),
                "missing value, first at position 1",
            ),
            ("ab", "y is a single str"),
            ({"a": 1, "b": 2}, "y is a single dict"),
            (3, "y, of type int, cannot be read as labels"),
            (sparse.eye(2, format="csr"), "y, of type csr_matrix, cannot be read"),
            ([["a"], ["b", "c"]], "y, of type list, cannot be read as labels"),
            ([{"a": 1}, {"b": 2}], "y holds no classes but {'a': 1} of type dict"),
        ],
    )
    def test_unusable_labels_are_named(self, y, message):
        with pytest.raises(InvalidInputError, match=message):
            check_labels(y, 2)

    def test_a_continuous_target_is_no_label(self):
        with pytest.raises(InvalidInputError, match="Unknown label type: continuous"):
            check_labels([0.5, 1.25], 2)

    @pytest.mark.parametrize(
        "y",
        [
            [dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
            [2**70, 1],
            [(1, 2), (3, 4)],
            pytest.param(
                [b"a", b"b"],
                marks=pytest.mark.skipif(
                    Version(sklearn.__version__) < Version("1.7"),
                    reason="scikit-learn 1.6 takes bytes, and warns",
                ),
            ),
            [1j, 2j],
        ],
    )
    def test_what_is_no_label_is_told_in_our_words(self, y):
        with pytest.raises(
            InvalidInputError, match=r"^y(,.*)? (holds no|cannot be read as) "
        ):
            check_labels(y, 2)

    @pytest.mark.parametrize(
        ("y", "dtype"),
        [
            (pd.Series([1, 2], dtype="Int64"), np.int64),
            (pd.array([True, False], dtype="boolean"), bool),
            (pd.Series(["a", "b"], dtype="string"), object),
            (pl.Series([1, 2]), np.int64),
        ],
    )
    def test_the_type_is_that_which_was_given(self, y, dtype):
        found = check_labels(y, 2)
        assert found.dtype == dtype
        assert found.tolist() == list(y)

    def test_a_zero_character_at_the_end_is_part_of_a_label(self):
        assert check_labels(["a\0", "a"], 2).tolist() == ["a\0", "a"]

    def test_a_label_that_is_no_class_is_named(self):
        with pytest.raises(InvalidInputError, match=r"y_val holds the labels \['c'\]"):
            number_labels(np.array(["a", "c"]), np.array(["a", "b"]), name="y_val")

    def test_labels_become_positions_among_the_classes(self):
        numbers = number_labels(np.array([30, 10, 30]), np.array([10, 20, 30]))
        assert numbers.tolist() == [2, 0, 2]


class TestWeights:
    labels = np.array(["a", "a", "a", "b"])

    def weigh(self, sample_weight=None, class_weight=None):
        return check_weights(
            sample_weight,
            class_weight,
            np.empty((4, 1)),
            self.labels,
            np.array(["a", "b"]),
        )

    @pytest.mark.parametrize("weight", [None, 2.0, [3, 3, 3, 3]])
    def test_equal_weights_are_no_weights(self, weight):
        assert self.weigh(weight) is None

    def test_weights_are_scaled_to_a_mean_of_one(self):
        np.testing.assert_allclose(self.weigh([2, 4, 6, 4]), [0.5, 1, 1.5, 1])

    def test_balanced_gives_each_class_the_same_sum(self):
        np.testing.assert_allclose(
            self.weigh(class_weight="balanced"), [2 / 3, 2 / 3, 2 / 3, 2]
        )

    def test_balanced_counts_the_weights_of_rows(self):
        weight = self.weigh([1, 1, 2, 1], "balanced")
        assert weight[:3].sum() == pytest.approx(weight[3])

    def test_balanced_passes_over_classes_that_are_not_there(self):
        weight = check_weights(
            None, "balanced", np.empty((4, 1)), self.labels, np.array(["a", "b", "c"])
        )
        np.testing.assert_allclose(weight, [2 / 3, 2 / 3, 2 / 3, 2])

    @pytest.mark.parametrize("weight", [-1, math.nan, math.inf, "x", None])
    def test_a_class_weight_that_is_no_weight_is_refused(self, weight):
        with pytest.raises(InvalidParameterError, match=r"class_weight=\{'a': "):
            self.weigh(class_weight={"a": weight, "b": 1})

    def test_a_class_without_a_weight_of_its_own_is_named(self):
        with pytest.raises(ValueError, match=r"'b'.*not in class_weight"):
            self.weigh(class_weight={"a": 1, "typo": 2})

    def test_class_weights_multiply_sample_weights(self):
        weight = self.weigh([1, 1, 1, 2], {"a": 1, "b": 3})
        np.testing.assert_allclose(weight, np.array([1, 1, 1, 6]) / 9 * 4)

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            ([1, 1, 1, -1], r"sample_weight\[3\] is -1"),
            ([0, 0, 0, 0], "0 for every row|at least one non-zero"),
            ([1, 1, 1], "sample_weight"),
            ([1, 1, 1, np.nan], r"sample_weight\[3\] is nan"),
            ({"a": 1}, "sample_weight={'a': 1}"),
            (np.ones((4, 1)), r"\(4, 1\)"),
        ],
    )
    def test_unusable_weights_are_refused(self, weight, message):
        with pytest.raises(ValueError, match=message):
            self.weigh(weight)


def split(numbers, texts=None, validation_fraction=0.1, seed=0):
    return split_rows(
        np.asarray(numbers),
        texts,
        validation_fraction=validation_fraction,
        seed=seed,
    )


class TestSplit:
    def test_a_text_is_never_on_both_sides(self):
        generator = np.random.default_rng(0)
        texts = [str(number) for number in generator.integers(0, 60, 300)]
        train, held_out = split([int(text) % 2 for text in texts], texts)
        assert len({texts[row] for row in held_out}) == 6
        assert not {texts[row] for row in held_out} & {texts[row] for row in train}
        assert sorted([*train, *held_out]) == list(range(300))

    def test_classes_keep_their_shares(self):
        numbers = np.array([0] * 160 + [1] * 40)
        _, held_out = split(numbers)
        assert np.bincount(numbers[held_out]).tolist() == [16, 4]

    def test_the_seed_decides(self):
        numbers = np.arange(100) % 2
        assert split(numbers)[1].tolist() == split(numbers)[1].tolist()
        assert split(numbers)[1].tolist() != split(numbers, seed=1)[1].tolist()

    @pytest.mark.parametrize(
        "numbers",
        [
            [0] * 99 + [1],  # a class of one row
            [0] * 5 + [1] * 5,  # one validation row for two classes
        ],
    )
    def test_without_a_row_of_each_class_there_is_no_split(self, numbers):
        with pytest.raises(InvalidParameterError, match="needs a row of each class"):
            split(numbers)


class TestNumbers:
    """What is amiss with a table is told in the words of who made it."""

    @pytest.fixture
    def fitted(self):
        table = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
        model = TransferSentimentClassifier(hidden_layer_sizes=(), random_state=0)
        return model.fit(table, [0, 1, 0, 1])

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_number_that_is_none_is_named_by_its_place(self, fitted, value):
        rows = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, value]}).to_numpy()
        message = rf"X\[1, 1\] is {value}, but a finite number is expected: drop"
        with pytest.raises(InvalidInputError, match=message):
            TransferSentimentClassifier().fit(rows, [0, 1])

    def test_one_row_or_column_is_no_table(self):
        with pytest.raises(
            InvalidInputError, match=r"shape \(4,\).*X.reshape\(-1, 1\)"
        ):
            TransferSentimentClassifier().fit(np.arange(4.0), [0, 1, 0, 1])

    def test_columns_in_another_order(self, fitted):
        rows = pd.DataFrame({"b": [1.0], "a": [0.0]})
        message = (
            r"not those that the model was fitted on .*X\[model.feature_names_in_\]"
        )
        with pytest.raises(InvalidInputError, match=message):
            fitted.predict(rows)
        fitted.predict(rows[fitted.feature_names_in_])

    def test_texts_to_validate_on_beside_numbers(self):
        given = {"X_val": ["a", "b"], "y_val": [0, 1]}
        with pytest.raises(InvalidInputError, match=r"transform_input=\['X_val'\]"):
            TransferSentimentClassifier().fit(np.eye(2), [0, 1], **given)

    def test_the_rows_that_lack_labels_are_named(self):
        given = {"X_val": np.eye(2), "y_val": [0, 1, 1]}
        with pytest.raises(InvalidInputError, match="X_val has 2 rows but y_val has 3"):
            TransferSentimentClassifier().fit(np.eye(2), [0, 1], **given)

    def test_a_column_of_labels_is_told_of_at_the_users_line(self):
        model = TransferSentimentClassifier(hidden_layer_sizes=())
        with pytest.warns(DataConversionWarning, match="column-vector") as caught:
            model.fit(np.eye(4), np.array([[0], [1], [0], [1]]))
        assert caught[0].filename == __file__
