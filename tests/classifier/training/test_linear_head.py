import numpy as np
import pytest
from scipy import sparse

from sktransfer.classifier.training.linear_head import LinearProblem, choose_decay


@pytest.fixture
def draw():
    """Draw n rows of 20 numbers, the first of which tells how likely class 1 is."""

    def draw(n, slope=3.0, seed=0):
        random = np.random.default_rng(seed)
        X = random.normal(size=(n, 20))
        return X, (random.random(n) < 1 / (1 + np.exp(-slope * X[:, 0]))).astype(int)

    return draw


def chosen(X, y, weight=None, start=None):
    problem = LinearProblem.of(X, y, np.ones(len(y)) if weight is None else weight, 1)
    start = np.zeros((1, X.shape[1])) if start is None else start
    return choose_decay(problem, start, np.zeros(1))


@pytest.mark.slow
def test_noise_is_penalised_more_than_signal(draw):
    assert chosen(*draw(200, slope=0.2)) > 3 * chosen(*draw(200, slope=9.0))


@pytest.mark.slow
def test_the_order_of_the_rows_does_not_matter(draw):
    X, y = draw(100)
    order = np.random.default_rng(1).permutation(100)
    assert chosen(X[order], y[order]) == pytest.approx(chosen(X, y), rel=1e-12)


@pytest.mark.slow
def test_weights_choose_what_repeated_rows_would(draw):
    X, y = draw(80)
    counts = np.arange(80) % 3 + 1
    repeated = chosen(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert chosen(X, y, counts / counts.mean()) == pytest.approx(repeated, rel=1e-9)


@pytest.mark.slow
def test_sparse_rows_choose_what_dense_ones_do(draw):
    X, y = draw(80)
    X[np.abs(X) < 0.5] = 0.0
    dense = chosen(X, y)
    thin = sparse.csr_array(X)
    assert chosen(thin, y) == pytest.approx(dense, rel=1e-9)
    # The same numbers, written down otherwise.
    reverse = sparse.csr_array(X[:, ::-1])
    reverse.indices = 19 - reverse.indices
    reverse.has_sorted_indices = False
    assert chosen(reverse, y) == pytest.approx(dense, rel=1e-9)


@pytest.mark.slow
def test_a_narrow_peak_of_the_scores_is_passed_over(draw, monkeypatch):
    X, y = draw(60)
    sums = iter([0.0, 1.0, 0.0, 0.0, 0.8, 0.9, 0.8, 0.0])
    monkeypatch.setattr(
        "sktransfer.classifier.training.linear_head._rate", lambda *one: next(sums)
    )
    lengths = np.square(X).sum(axis=1).mean()
    # The sixth of eight strengths from 10 ** -0.5 up, half a power each.
    assert chosen(X, y) == pytest.approx(lengths / (100 * 60))


@pytest.mark.slow
def test_a_start_that_is_right_is_held_more_firmly_than_a_wrong_one(draw):
    X, y = draw(30)
    start = np.zeros((1, 20))
    start[0, 0] = 3.0
    assert chosen(X, y, start=start) > chosen(X, y, start=-start)


@pytest.mark.slow
@pytest.mark.parametrize("n_rare", [1, 2, 3])
def test_a_class_of_few_rows_leaves_a_choice(draw, n_rare):
    X, y = draw(40)
    rows = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:n_rare]])
    assert 0 < chosen(X[rows], y[rows]) < np.inf


def test_two_rows_get_the_usual_penalty(draw):
    X = np.eye(2, 20)
    assert chosen(X, np.array([0, 1])) == pytest.approx(1 / (10 * 2))


@pytest.mark.slow
def test_thousands_of_rows_are_chosen_on_a_part(draw, monkeypatch):
    X, y = draw(900)
    whole = chosen(X, y)
    monkeypatch.setattr("sktransfer.classifier.training.linear_head._MOST_ROWS", 300)
    assert 1 / 35 < chosen(X, y) / whole < 35
