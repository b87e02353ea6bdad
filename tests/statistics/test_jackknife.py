import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from sktransfer.statistics.jackknife import (
    COUNTED,
    Predictions,
    contributions,
)

N = 60
GENERATOR = np.random.default_rng(0)
TRUE = np.arange(N) % 3
SCORES = {
    "accuracy": lambda true, said: np.mean(true == said),
    "balanced_accuracy": balanced_accuracy_score,
    "f1_macro": lambda true, said: f1_score(true, said, average="macro"),
}


def make(sets=None, n_repeats=1, n_classes=3):
    """Predictions of which about half are right, in three folds."""
    true = np.tile(TRUE % n_classes, n_repeats)
    guessed = GENERATOR.integers(0, n_classes, N * n_repeats)
    right = GENERATOR.random(N * n_repeats) < 0.5
    return Predictions(
        true,
        np.where(right, true, guessed),
        np.tile(np.arange(N) if sets is None else sets, n_repeats),
        np.repeat(np.arange(n_repeats), N),
        np.tile(np.arange(N) // 20, n_repeats),
        n_classes,
    )


def test_of_accuracy_a_text_contributes_whether_it_is_right():
    said = make(n_repeats=2)
    found = contributions(said, "accuracy")
    right = (said.true == said.predicted).reshape(2, N).mean(axis=0)
    np.testing.assert_allclose(found.values, right, atol=1e-9)
    assert found.score == pytest.approx(right.mean())


@pytest.mark.parametrize("metric", COUNTED)
def test_the_score_is_that_of_all_folds_together(metric):
    said = make()
    found = contributions(said, metric)
    assert found.score == pytest.approx(SCORES[metric](said.true, said.predicted))
    assert found.values.mean() == pytest.approx(found.score)


@pytest.mark.parametrize("metric", COUNTED)
def test_the_spread_is_that_of_scores_with_a_set_left_out(metric):
    sets = np.arange(N) // 4
    said = make(sets)
    found = contributions(said, metric)
    without = [
        SCORES[metric](said.true[sets != out], said.predicted[sets != out])
        for out in range(15)
    ]
    expected = 14 * np.std(without)
    assert found.values.std() == pytest.approx(expected)


def test_an_order_is_scored_fold_by_fold():
    said = make(n_classes=2)
    given = GENERATOR.random(N) + said.folds  # each fold on a scale of its own

    def auc(rows):
        return roc_auc_score(said.true[rows], given[rows])

    found = contributions(said, auc, by_fold=True)
    parts = [np.flatnonzero(said.folds == fold) for fold in range(3)]
    assert found.score == pytest.approx(np.mean([auc(part) for part in parts]))
    assert found.score != pytest.approx(auc(np.arange(N)))
    without = [np.mean([auc(part[part != out]) for part in parts]) for out in range(N)]
    assert found.values.std() == pytest.approx((N - 1) * np.std(without))


def test_who_predicts_what_another_does_contributes_the_same():
    said = make()
    one, other = (contributions(said, "f1_macro") for _ in range(2))
    np.testing.assert_array_equal(one.values, other.values)


def test_one_set_tells_nothing():
    assert contributions(make(np.zeros(N, dtype=int)), "accuracy") is None


def test_a_metric_without_a_value_tells_nothing():
    assert contributions(make(), lambda rows: np.nan) is None
