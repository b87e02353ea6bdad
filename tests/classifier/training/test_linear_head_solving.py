import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sktransfer.classifier.training.linear_head import LinearProblem


@pytest.fixture
def rows():
    """Forty rows of six numbers, and a class of three for each."""
    X = np.random.default_rng(0).normal(size=(40, 6))
    return X, X[:, :3].argmax(axis=1)


def problem_of(X, y, n_outputs, weight=None, smoothing=0.0):
    weight = np.ones(len(y)) if weight is None else weight
    return LinearProblem.of(X, y, weight, n_outputs, smoothing)


def solved(problem, strength=10.0, **options):
    k = problem.wanted.shape[1]
    start = np.zeros((k, problem.features.shape[1]))
    return problem.solve(start, np.zeros(k), problem.decay(strength), **options)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("strength", [0.1, 10.0])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_it_is_logistic_regression(rows, n_classes, strength, form):
    X, y = rows[0], rows[1] % n_classes
    weight = np.arange(40) % 3 + 0.5
    weight /= weight.mean()
    problem = problem_of(form(X), y, 1 if n_classes == 2 else n_classes, weight)
    length = np.sqrt(np.average((X**2).sum(axis=1), weights=weight))
    peer = LogisticRegression(C=strength, tol=1e-10, max_iter=1000)
    peer.fit(X / length, y, sample_weight=weight)
    logits = problem.logits(*solved(problem, strength))
    expected = peer.decision_function(X / length).reshape(logits.shape)
    centre = 0 if n_classes == 2 else (logits - expected).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(logits - centre, expected, atol=1e-4)


def test_the_loss_at_the_minimum_is_below_that_of_knowing_nothing(rows):
    problem = problem_of(*rows, 3)
    found = problem.loss(problem.logits(*solved(problem)))
    assert found < problem.loss(np.zeros((40, 3))) == pytest.approx(np.log(3))


def test_smoothed_labels_make_it_less_sure(rows):
    sharp = solved(problem_of(*rows, 3), 1e3)[0]
    smooth = solved(problem_of(*rows, 3, smoothing=0.3), 1e3)[0]
    assert np.linalg.norm(smooth) < 0.5 * np.linalg.norm(sharp)


def test_the_penalty_draws_to_where_the_layer_starts(rows):
    X, y = rows
    problem = problem_of(X, y % 2, 1)
    weight, _ = problem.solve(np.full((1, 6), 0.7), np.zeros(1), decay=1e6)
    np.testing.assert_allclose(weight, 0.7, atol=1e-4)


def test_the_bias_is_free(rows):
    y = np.arange(40) // 36
    problem = problem_of(rows[0], y, 1)
    weight, bias = problem.solve(np.zeros((1, 6)), np.zeros(1), decay=1e6)
    assert np.abs(weight).max() < 1e-4
    assert bias == pytest.approx(np.log(4 / 36), abs=1e-4)


def test_where_the_search_begins_does_not_matter(rows):
    problem = problem_of(*rows, 3)
    guess = np.random.default_rng(1).normal(size=(3, 6))
    near, far = solved(problem), solved(problem, guess=guess)
    np.testing.assert_allclose(near[0], far[0], atol=1e-5)


def test_a_class_without_rows_is_never_likely(rows):
    problem = problem_of(*rows, 4)
    logits = problem.logits(*solved(problem))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.isfinite(chances).all()
    assert chances[:, 3].max() < 1e-3
