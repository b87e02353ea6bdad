from itertools import pairwise

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)

from sktransfer.comparison.setup.folds import bind_rows, make_folds, text_keys
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

LABELS = np.array(["neg", "pos"] * 15)
ALONE = np.arange(30)


class TestTextKeys:
    def test_case_blanks_and_punctuation_do_not_tell_texts_apart(self):
        assert len(set(text_keys(["It works!", "it  works", "IT WORKS..."]))) == 1

    def test_full_width_forms_are_the_same_letters(self):
        assert len(set(text_keys(["ＯＫ，很好", "ok很好！"]))) == 1  # noqa: RUF001

    def test_texts_without_letters_are_compared_as_they_are(self):
        assert len(set(text_keys([":)", ":(", "", "  "]))) == 3


class TestBindRows:
    def test_copies_are_bound(self):
        assert bind_rows(["a b", "c", "A B!"]).tolist() == [0, 1, 0]

    def test_groups_that_share_a_text_are_bound(self):
        bound = bind_rows(["a", "b", "b", "c", "d"], groups=[1, 1, 2, 2, 3])
        assert bound.tolist() == [0, 0, 0, 0, 1]

    def test_groups_of_any_kind_will_do(self):
        assert bind_rows(["a", "b", "c"], groups=["x", 1, "x"]).tolist() == [0, 1, 0]


class TestNumberOfFolds:
    def test_each_row_is_tested_once_a_repeat(self):
        folds = make_folds(LABELS, ALONE, cv=3, n_repeats=2)
        for repeat in (0, 1):
            tested = [fold.test for fold in folds if fold.repeat == repeat]
            assert np.sort(np.concatenate(tested)).tolist() == ALONE.tolist()

    def test_classes_are_shared_out(self):
        for fold in make_folds(LABELS, ALONE, cv=5):
            assert (LABELS[fold.test] == "pos").sum() == 3

    def test_repeats_differ_and_seeds_decide(self):
        def tests(seed):
            return [f.test.tolist() for f in make_folds(LABELS, ALONE, cv=3, seed=seed)]

        assert tests(0) == tests(0)
        assert tests(0) != tests(1)

    @pytest.mark.parametrize("groups", [None, np.repeat(np.arange(15), 2)])
    def test_what_is_bound_stays_on_one_side(self, groups):
        bound = np.arange(30) // 2
        labels = np.repeat(["neg", "pos", "pos", "neg", "neg"], 6)
        for fold in make_folds(labels, bound, cv=3, groups=groups):
            assert not set(bound[fold.train]) & set(bound[fold.test])
            assert len(fold.train) + len(fold.test) == 30

    def test_a_class_that_is_too_small_is_named(self):
        labels = np.array(["a"] * 10 + ["b"] * 2)
        with pytest.raises(InvalidInputError, match="'b' is in 2 different texts only"):
            make_folds(labels, np.arange(12), cv=3)

    def test_copies_do_not_make_a_class_larger(self):
        labels = np.array(["a"] * 10 + ["b"] * 6)
        bound = np.array([*range(10), *[10] * 6])
        with pytest.raises(InvalidInputError, match="'b' is in 1 different texts"):
            make_folds(labels, bound, cv=3)

    @pytest.mark.parametrize("cv", [1, 0, -2])
    def test_fewer_than_two_folds_are_refused(self, cv):
        with pytest.raises(InvalidParameterError, match=f"cv={cv}, but at least 2"):
            make_folds(LABELS, ALONE, cv=cv)

    def test_no_repeats_are_refused(self):
        with pytest.raises(InvalidParameterError, match="n_repeats=0"):
            make_folds(LABELS, ALONE, n_repeats=0)


class TestSplitters:
    def test_a_splitter_decides(self):
        splitter = StratifiedKFold(3)
        expected = [test.tolist() for _, test in splitter.split(LABELS, LABELS)]
        folds = make_folds(LABELS, ALONE, cv=splitter)
        assert [fold.test.tolist() for fold in folds] == expected

    def test_groups_reach_it(self):
        groups = [row // 3 for row in range(30)]
        folds = make_folds(LABELS, ALONE, cv=GroupKFold(5), groups=groups)
        assert len(folds) == 5

    def test_repeats_of_a_splitter_are_counted(self):
        splitter = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
        folds = make_folds(LABELS, ALONE, cv=splitter)
        assert [fold.repeat for fold in folds] == [0, 0, 0, 1, 1, 1]
        assert all(a.number < b.number for a, b in pairwise(folds[:3]))

    def test_copies_of_test_texts_leave_the_training_part(self):
        bound = ALONE // 2
        splitter = ShuffleSplit(3, test_size=5, random_state=0)
        for fold in make_folds(LABELS, bound, cv=splitter):
            assert len(fold.test) == 5
            assert not set(bound[fold.train]) & set(bound[fold.test])

    def test_pairs_of_rows_and_of_masks_will_do(self):
        mask = np.arange(30) < 20
        (rows,) = make_folds(LABELS, ALONE, cv=[(ALONE[mask], ALONE[~mask])])
        (masks,) = make_folds(LABELS, ALONE, cv=[(mask, ~mask)])
        assert rows.train.tolist() == masks.train.tolist() == list(range(20))

    def test_repeating_a_splitter_is_refused(self):
        with pytest.raises(InvalidParameterError, match="RepeatedStratifiedKFold"):
            make_folds(LABELS, ALONE, cv=StratifiedKFold(3), n_repeats=2)

    def test_what_is_no_splitter_is_refused(self):
        with pytest.raises(InvalidParameterError, match="cv='five'"):
            make_folds(LABELS, ALONE, cv="five")

    def test_a_training_part_of_one_class_is_refused(self):
        pairs = [(np.flatnonzero(LABELS == "pos"), np.flatnonzero(LABELS == "neg"))]
        with pytest.raises(
            InvalidInputError, match=r"holds the classes \['pos'\] only"
        ):
            make_folds(LABELS, ALONE, cv=pairs)

    def test_a_fold_without_test_rows_is_refused(self):
        with pytest.raises(InvalidInputError, match="has no test texts"):
            make_folds(LABELS, ALONE, cv=[(ALONE, ALONE[:0])])
