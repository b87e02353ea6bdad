import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from sktransfer.comparison.findings.out_of_fold import (
    jackknife_error,
    least_error,
    score_without,
)
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.folds import Fold, TrainSize

N = 60


def make(scoring, *, bound=None, n=N, seed=0, n_repeats=1, with_probabilities=True):
    """Data, outcomes and the predicted labels and probabilities of each repeat."""
    generator = np.random.default_rng(seed)
    labels = np.array(["a", "b", "c"])[np.arange(n) % 3]
    if scoring == "roc_auc":
        labels = labels == "a"
    classes = np.unique(labels)
    rows = np.arange(n)
    folds = [
        Fold(repeat, number, np.delete(rows, test), test)
        for repeat in range(n_repeats)
        for number, test in enumerate(np.split(generator.permutation(n), 3))
    ]
    data = Data(
        texts=[f"text {row}" for row in rows],
        labels=labels,
        classes=classes,
        bound=rows if bound is None else bound,
        folds=folds,
        sizes=[TrainSize(40)],
        scoring=Scoring.resolve(scoring),
        seed=0,
    )
    given = generator.dirichlet(np.ones(len(classes)), size=(n_repeats, n))
    predicted = given.argmax(axis=2)
    if not with_probabilities:
        given = np.full_like(given, np.nan)
    outcomes = [
        {
            "repeat": fold.repeat,
            "predictions": {
                "rows": fold.test.tolist(),
                "predicted": predicted[fold.repeat][fold.test].tolist(),
                "probabilities": given[fold.repeat][fold.test].tolist(),
            },
        }
        for fold in folds
    ]
    return data, outcomes, classes[predicted], given


def test_of_accuracy_it_is_the_standard_error_of_the_mean_over_texts():
    data, outcomes, predicted, _ = make("accuracy", n_repeats=2)
    right = (predicted == data.labels).mean(axis=0)  # over repeats
    usual = np.std(right, ddof=1) / np.sqrt(N)
    found = least_error(data, [right.mean()], [score_without(data, outcomes)])
    assert found.error == pytest.approx(usual)
    assert found.df == N - 1


def test_a_difference_is_judged_text_by_text():
    data, one, predicted, _ = make("accuracy")
    _, other, others, _ = make("accuracy", seed=1)
    pairs = np.subtract(predicted == data.labels, others == data.labels, dtype=float)
    without = [score_without(data, outcomes) for outcomes in (one, other)]
    found = least_error(data, [0.3, 0.3], without)
    assert found.error == pytest.approx(np.std(pairs, ddof=1) / np.sqrt(N))


def test_texts_that_belong_together_are_left_out_together():
    bound = np.arange(N) // 6
    data, outcomes, predicted, _ = make("accuracy", bound=bound)
    by_group = (predicted[0] == data.labels).reshape(10, 6).mean(axis=1)
    found = least_error(data, [0.3], [score_without(data, outcomes)])
    assert found.error == pytest.approx(np.std(by_group, ddof=1) / np.sqrt(10))
    assert found.df == 9


@pytest.mark.parametrize(
    ("scoring", "metric"),
    [
        ("balanced_accuracy", balanced_accuracy_score),
        ("f1_macro", lambda true, said: f1_score(true, said, average="macro")),
    ],
)
@pytest.mark.parametrize("with_probabilities", [True, False])
def test_metrics_of_labels_are_those_of_scikit_learn(
    scoring, metric, with_probabilities
):
    data, outcomes, predicted, _ = make(scoring, with_probabilities=with_probabilities)
    expected = [
        metric(np.delete(data.labels, row), np.delete(predicted[0], row))
        for row in range(N)
    ]
    assert score_without(data, outcomes) == pytest.approx(np.array(expected))


def test_metrics_of_probabilities_are_too():
    data, outcomes, _, given = make("roc_auc")
    expected = [
        roc_auc_score(np.delete(data.labels, row), np.delete(given[0][:, 1], row))
        for row in range(N)
    ]
    assert score_without(data, outcomes) == pytest.approx(np.array(expected))


def test_a_scorer_is_not_called_for_each_of_many_texts():
    data, outcomes, predicted, _ = make("f1_micro", n=900)
    without = score_without(data, outcomes)
    assert len(without) == 100
    # For one label a text, this is accuracy.
    usual = np.std(predicted[0] == data.labels, ddof=1) / 30
    found = least_error(data, [0.3], [without])
    assert found.error == pytest.approx(usual, rel=0.2)
    assert found.df == 99


def test_a_class_that_is_left_without_texts_cannot_be_scored():
    data, outcomes, _, _ = make("roc_auc", bound=(np.arange(N) % 3 == 0).astype(int))
    assert score_without(data, outcomes) is None


def test_a_function_of_the_model_needs_more_than_predictions():
    data, outcomes, _, _ = make(lambda model, texts, labels: 0.5)
    assert score_without(data, outcomes) is None
    assert least_error(data, [0.5], [None]).error == 0


def test_texts_that_all_belong_together_say_nothing_of_others():
    data, outcomes, _, _ = make("accuracy", bound=np.zeros(N, dtype=int))
    assert score_without(data, outcomes) is None


def test_rounding_is_no_variance():
    assert jackknife_error([0.3, 0.1 + 0.2, 0.3]) == 0
