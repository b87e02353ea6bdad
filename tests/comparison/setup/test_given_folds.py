import numpy as np
import pytest
from sklearn.model_selection import RepeatedKFold, ShuffleSplit

from sktransfer.comparison.setup.given_folds import guess_commonest, plan_folds
from sktransfer.comparison.setup.given_predictions import GivenPredictions
from sktransfer.exceptions import InvalidInputError

N = 6
BOUND = np.arange(N)


def said(n_repeats=1, folds=None):
    size = N * n_repeats
    return GivenPredictions(
        np.tile(np.arange(N), n_repeats),
        np.repeat(np.arange(n_repeats), N),
        folds,
        np.zeros(size, np.intp),
        np.full((size, 2), np.nan),
    )


def held_out(planned):
    return [(f.repeat, f.number, f.test.tolist()) for f in planned[0]]


EXPECTED = [(0, 0, [0, 3]), (0, 1, [1, 4]), (0, 2, [2, 5])]


@pytest.mark.parametrize(
    "folds", [[0, 1, 2, 0, 1, 2], np.array(["a", "b", "c", "a", "b", "c"])]
)
def test_numbers_or_names_say_where_each_text_was_held_out(folds):
    planned = plan_folds(said(), folds, BOUND)
    assert held_out(planned) == EXPECTED
    assert planned[0][0].train.tolist() == [1, 2, 4, 5]
    assert [places.tolist() for places in planned[1]] == [[0, 3], [1, 4], [2, 5]]


def test_they_hold_for_all_repeats_or_for_each():
    once = np.array([0, 1, 2, 0, 1, 2])
    planned = plan_folds(said(2), once, BOUND)
    assert [fold.repeat for fold in planned[0]] == [0, 0, 0, 1, 1, 1]
    assert planned[1][3].tolist() == [6, 9]
    planned = plan_folds(said(2), np.stack([once, 2 - once]), BOUND)
    assert planned[0][3].test.tolist() == [2, 5]


def test_pairs_of_a_splitter_say_what_was_learnt_from():
    planned = plan_folds(said(), [([1, 2], [0, 3, 4]), ([0], [1, 2, 5])], BOUND)
    assert [fold.train.tolist() for fold in planned[0]] == [[1, 2], [0]]
    mask = np.arange(N) < 3
    planned = plan_folds(said(), [(mask, ~mask), (~mask, mask)], BOUND)
    assert [fold.test.tolist() for fold in planned[0]] == [[3, 4, 5], [0, 1, 2]]


def test_pairs_of_several_repeats_follow_one_another():
    splitter = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    planned = plan_folds(said(2), splitter.split(BOUND), BOUND)
    assert [(f.repeat, f.number) for f in planned[0]] == [
        (repeat, number) for repeat in range(2) for number in range(3)
    ]


def test_a_column_of_folds_is_without_what_is_bound():
    bound = np.array([0, 1, 2, 3, 1, 4])
    planned = plan_folds(said(folds=np.array([0, 0, 1, 1, 1, 1])), None, bound)
    assert planned[0][0].train.tolist() == [2, 3, 5]
    assert planned[0][1].train.tolist() == [0]


def test_nobody_need_know():
    assert plan_folds(said(), None, BOUND) is None


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (5, r"folds=5, but the number of the fold .*list\(cv.split"),
        (ShuffleSplit(), "folds=ShuffleSplit"),
        ([0, 1, 2], r"folds has the shape \(3,\), but the number"),
        ([0, 1, 2, 0, 1, float("nan")], "missing value at position 5"),
        ([0] * 6, "fold 0 of repeat 0 tests all 6 texts"),
        ([([0, 1], [2, 3])], "no pair of folds tests row 0 in repeat 0"),
        ([([0], [1, 2]), ([0], [2, 3])], r"folds\[1\] tests row 2, which an earlier"),
        ([([0], [1, 2, 7])], r"folds\[0\] is no pair of training and test rows"),
        ([([0], [1.5])], r"folds\[0\] is no pair"),
        (list(RepeatedKFold(n_splits=3, n_repeats=2).split(BOUND)), "the first 3 test"),
    ],
)
def test_what_says_nothing_is_told(folds, message):
    with pytest.raises(InvalidInputError, match=message):
        plan_folds(said(), folds, BOUND)


def test_folds_are_told_once():
    with pytest.raises(InvalidInputError, match="pass one of both"):
        plan_folds(said(folds=np.array([0, 0, 1, 1, 1, 1])), [0] * 6, BOUND)


def test_the_commonest_class_comes_from_the_training_rows():
    labels, classes = np.array(["b", "a", "b", "a", "a"]), np.array(["a", "b", "c"])
    train, test = np.array([0, 1, 2]), np.array([3, 4])
    predicted, given = guess_commonest(labels, classes, train, test)
    assert predicted.tolist() == [1, 1]
    np.testing.assert_allclose(given, [[1 / 3, 2 / 3, 0]] * 2)
