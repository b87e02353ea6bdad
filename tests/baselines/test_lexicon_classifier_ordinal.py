from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from sktransfer.baselines.lexicon_classifier import _loss, fit_ordinal, order_classes


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def test_two_classes_make_it_logistic_regression(draw):
    scores = draw.normal(size=400)
    ranks = (scores + draw.normal(size=400) > 0.5).astype(int)
    model = fit_ordinal(scores, ranks, 2, np.ones(400))
    peer = LogisticRegression(C=1e6, tol=1e-8).fit(scores[:, None], ranks)
    assert model.slope == pytest.approx(peer.coef_[0, 0], rel=1e-2)
    assert model.cuts[0] == pytest.approx(-peer.intercept_[0], rel=1e-2)


def test_more_classes_have_cuts_where_they_were_drawn(draw):
    scores = draw.normal(size=20_000)
    noisy = 2 * scores + draw.logistic(size=20_000)
    ranks = np.searchsorted([-1.0, 0.0, 2.0], noisy)
    model = fit_ordinal(scores, ranks, 4, np.ones(20_000))
    assert model.slope == pytest.approx(2, abs=0.1)
    np.testing.assert_allclose(model.cuts, [-1, 0, 2], atol=0.1)


def test_the_gradient_is_that_of_the_loss(draw):
    scores, ranks = draw.normal(size=30), draw.integers(4, size=30)
    weight = draw.uniform(0.5, 2, size=30)
    at = np.array([0.7, -1.0, 0.2, -0.3])
    numeric = approx_fprime(at, lambda x: _loss(x, scores, ranks, weight)[0], 1e-7)
    np.testing.assert_allclose(
        _loss(at, scores, ranks, weight)[1], numeric, rtol=1e-4, atol=1e-4
    )


def test_scores_that_tell_all_apart_have_a_finite_slope():
    model = fit_ordinal(
        np.array([-1.0, -2, 1, 2]), np.array([0, 0, 1, 1]), 2, np.ones(4)
    )
    assert 1 < model.slope < 100


def test_scores_that_are_all_the_same_leave_the_shares():
    model = fit_ordinal(np.zeros(4), np.array([0, 0, 0, 1]), 2, np.ones(4))
    found = model.probabilities(np.zeros(1))
    np.testing.assert_allclose(found, [[0.75, 0.25]], atol=1e-3)


def test_a_weight_of_two_counts_like_two_rows(draw):
    scores, ranks = draw.normal(size=20), np.arange(20) % 3
    weight = np.ones(20)
    weight[:5] = 2
    twice = np.concatenate([np.arange(20), np.arange(5)])
    one = fit_ordinal(scores, ranks, 3, weight)
    # The spread, by which the ridge goes, differs a little.
    other = fit_ordinal(scores[twice], ranks[twice], 3, np.ones(25))
    assert one.slope == pytest.approx(other.slope, abs=1e-3)
    np.testing.assert_allclose(one.cuts, other.cuts, atol=1e-2)


def test_classes_are_ordered_by_their_mean():
    scores, numbers = np.array([5.0, 1, 3, 3]), np.array([0, 1, 2, 2])
    assert order_classes(scores, numbers, 3, np.ones(4)).tolist() == [1, 2, 0]
