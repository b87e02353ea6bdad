import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from sktransfer.comparison.findings.out_of_fold import (
    contributions_of,
    pooled_scores,
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
            "fold": fold.number,
            "predictions": {
                "rows": fold.test.tolist(),
                "predicted": predicted[fold.repeat][fold.test].tolist(),
                "probabilities": given[fold.repeat][fold.test].tolist(),
            },
        }
        for fold in folds
    ]
    return data, outcomes, classes[predicted], given


def test_of_accuracy_a_text_contributes_whether_it_is_right():
    data, outcomes, predicted, _ = make("accuracy", n_repeats=2)
    right = (predicted == data.labels).mean(axis=0)  # over repeats
    found = contributions_of(data, outcomes)
    assert found.score == pytest.approx(right.mean())
    np.testing.assert_allclose(found.values, right, atol=1e-9)


def test_texts_that_belong_together_are_one_set():
    bound = np.arange(N) // 6
    data, outcomes, predicted, _ = make("accuracy", bound=bound)
    by_group = (predicted[0] == data.labels).reshape(10, 6).mean(axis=1)
    np.testing.assert_allclose(contributions_of(data, outcomes).values, by_group)


@pytest.mark.parametrize("with_probabilities", [True, False])
def test_metrics_of_labels_are_those_of_scikit_learn(with_probabilities):
    made = {"with_probabilities": with_probabilities}
    data, outcomes, predicted, _ = make("balanced_accuracy", **made)
    found = pooled_scores(data, outcomes)
    expected = {
        "accuracy": accuracy_score(data.labels, predicted[0]),
        "balanced_accuracy": balanced_accuracy_score(data.labels, predicted[0]),
        "f1_macro": f1_score(data.labels, predicted[0], average="macro"),
    }
    assert found == pytest.approx(expected)
    assert contributions_of(data, outcomes).score == found["balanced_accuracy"]


def test_metrics_of_an_order_are_means_over_folds():
    data, outcomes, _, given = make("roc_auc")
    expected = np.mean(
        [
            roc_auc_score(data.labels[fold.test], given[0][fold.test, 1])
            for fold in data.folds
        ]
    )
    assert contributions_of(data, outcomes).score == pytest.approx(expected)


def test_a_scorer_is_not_called_for_each_of_many_texts():
    data, outcomes, predicted, _ = make("f1_micro", n=900)
    values = contributions_of(data, outcomes).values
    assert len(values) == 100
    # For one label a text, this is accuracy.
    usual = np.std(predicted[0] == data.labels, ddof=1) / 30
    assert np.std(values, ddof=1) / 10 == pytest.approx(usual, rel=0.2)


def test_a_class_that_is_left_without_texts_cannot_be_scored():
    data, outcomes, _, _ = make("roc_auc", bound=(np.arange(N) % 3 == 0).astype(int))
    assert contributions_of(data, outcomes) is None


def test_a_function_of_the_model_needs_more_than_predictions():
    data, outcomes, _, _ = make(lambda model, texts, labels: 0.5)
    assert contributions_of(data, outcomes) is None


def test_texts_that_all_belong_together_say_nothing_of_others():
    data, outcomes, _, _ = make("accuracy", bound=np.zeros(N, dtype=int))
    assert contributions_of(data, outcomes) is None


def test_folds_of_an_older_version_have_no_predictions():
    data, outcomes, _, _ = make("accuracy")
    del outcomes[1]["predictions"]
    assert contributions_of(data, outcomes) is None
    assert pooled_scores(data, outcomes) == {}
