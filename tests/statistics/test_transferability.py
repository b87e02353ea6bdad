import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from sktransfer.exceptions import InvalidInputError
from sktransfer.statistics import log_evidence


@pytest.fixture(scope="module")
def cloud():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    return random.normal(size=(60, 8)) + labels[:, None] * 0.5, labels


def by_definition(X, target):
    """Evidence a text, maximised over both precisions, from the density itself."""

    def loss(precisions):
        alpha, beta = np.exp(precisions)
        covariance = X @ X.T / alpha + np.eye(len(X)) / beta
        return -multivariate_normal.logpdf(target, np.zeros(len(X)), covariance)

    return -minimize(loss, [0, 0]).fun / len(X)


def test_it_is_the_maximum_of_the_density(cloud):
    X, labels = cloud
    expected = np.mean([by_definition(X, (labels == k) * 1.0) for k in range(3)])
    assert log_evidence(X, labels) == pytest.approx(expected, abs=1e-3)


def test_it_does_not_depend_on_scale_rotation_or_names(cloud):
    X, labels = cloud
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))
    names = np.array(["a", "b", "c"])[labels]
    assert log_evidence(7 * X @ turn, names) == pytest.approx(
        log_evidence(X, labels), abs=1e-4
    )


def test_features_that_tell_the_classes_are_better(cloud):
    X, labels = cloud
    noise = np.random.default_rng(2).normal(size=X.shape)
    assert log_evidence(X, labels) > log_evidence(noise, labels) + 0.1


def test_more_features_than_texts_and_equal_columns():
    random = np.random.default_rng(3)
    X, labels = random.normal(size=(10, 30)), [0, 1] * 5
    doubled = np.hstack([X, X])
    assert np.isfinite(log_evidence(X, labels))
    # Two equal columns say what one of twice the variance does.
    assert log_evidence(doubled, labels) == pytest.approx(
        log_evidence(X * np.sqrt(2), labels), abs=1e-6
    )


def test_one_class_is_an_error(cloud):
    with pytest.raises(InvalidInputError, match="1 class, but 2 or more"):
        log_evidence(cloud[0], np.zeros(60))
