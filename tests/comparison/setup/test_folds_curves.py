import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.comparison.setup.folds import (
    Fold,
    TrainSize,
    choose_sizes,
    make_folds,
    nest_rows,
    take_rows,
)
from sktransfer.exceptions import InvalidParameterError

LABELS = np.array(["neg", "pos"] * 20)
FOLDS = make_folds(LABELS, np.arange(40), cv=4)


def sizes(train_sizes):
    return [size.n_texts for size in choose_sizes(train_sizes, FOLDS, n_classes=2)]


class TestSizes:
    def test_none_is_the_whole_training_part(self):
        assert choose_sizes(None, FOLDS, 2) == [TrainSize(30, whole=True)]

    def test_numbers_come_in_ascending_order_each_once(self):
        assert sizes([16, 4, 8, 4]) == [4, 8, 16]

    def test_shares_are_of_the_training_part(self):
        assert sizes([0.5, 1.0]) == [15, 30]

    def test_what_is_too_large_is_the_whole_once(self):
        assert sizes([8, 64, 1000]) == [8, 30]

    @pytest.mark.parametrize("size", [1, 0, -3, 1.5, "8", None, True, 0.01])
    def test_other_sizes_are_refused(self, size):
        with pytest.raises(InvalidParameterError, match="train_sizes holds"):
            sizes([8, size])

    def test_no_size_is_refused(self):
        with pytest.raises(InvalidParameterError, match="train_sizes is empty"):
            sizes([])


class TestNesting:
    @given(
        st.lists(st.sampled_from("aaab"), min_size=4, max_size=60),
        st.integers(0, 2**32),
    )
    def test_each_beginning_has_each_class_in_its_share(self, labels, seed):
        labels = np.array(labels)
        ordered = nest_rows(labels, np.arange(len(labels)), seed)
        assert sorted(ordered.tolist()) == list(range(len(labels)))
        classes, counts = np.unique(labels, return_counts=True)
        for n in range(len(classes), len(labels) + 1):
            for label, count in zip(classes, counts, strict=True):
                here = (labels[ordered[:n]] == label).sum()
                assert here >= 1
                assert abs(here - n * count / len(labels)) <= len(classes)

    def test_smaller_parts_are_inside_of_larger_ones(self):
        parts = [
            set(take_rows(FOLDS[0], TrainSize(n, whole=False), LABELS, 0).tolist())
            for n in (4, 8, 16)
        ]
        assert parts[0] < parts[1] < parts[2] <= set(FOLDS[0].train.tolist())

    def test_the_whole_part_is_as_the_fold_has_it(self):
        rows = take_rows(FOLDS[1], TrainSize(30), LABELS, 0)
        assert rows.tolist() == FOLDS[1].train.tolist()

    def test_folds_and_seeds_draw_their_own(self):
        size, train = TrainSize(4, whole=False), FOLDS[0].train
        draws = {
            tuple(take_rows(Fold(repeat, 0, train, train[:0]), size, LABELS, seed))
            for repeat in range(3)
            for seed in range(3)
        }
        assert len(draws) > 5
