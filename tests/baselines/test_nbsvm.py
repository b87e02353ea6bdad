from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer.baselines import NBSVMClassifier
from sktransfer.exceptions import InvalidInputError

EARLY = "LIBLINEAR stops early, by a rule that repeated rows change"
NEGATIVE = "the check passes negative numbers, which are no counts"


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": EARLY,
        "check_sample_weight_equivalence_on_sparse_data": EARLY,
        "check_class_weight_classifiers": NEGATIVE,
        "check_class_weight_balanced_linear_classifier": NEGATIVE,
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [NBSVMClassifier(random_state=0)], expected_failed_checks=expected_failures
)
def test_scikit_learn_finds_nothing_amiss(estimator, check):
    check(estimator)


@pytest.fixture
def counts():
    """Eight texts of four words: the first marks class 1, the second class 0."""
    X = np.array(
        [
            *([1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 1, 1], [1, 0, 0, 0]),
            *([0, 1, 1, 0], [0, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 1]),
        ],
        dtype=float,
    )
    return X, np.repeat([1, 0], 4)


def test_weights_are_those_of_the_paper(counts):
    X, y = counts
    model = NBSVMClassifier(alpha=1.0, beta=0.25, random_state=0).fit(X, y)
    # Sums of class 1 are 4 1 2 2, of class 0 are 0 3 2 3; one is added to each.
    p, q = np.array([5, 2, 3, 3]) / 13, np.array([1, 4, 3, 4]) / 12
    ratio = np.log(p / q)
    machine = LinearSVC(random_state=0, max_iter=10_000).fit(X * ratio, y)
    w = machine.coef_[0]
    expected = ratio * (0.75 * np.abs(w).mean() + 0.25 * w)
    np.testing.assert_allclose(model.coef_[0], expected)
    # As many texts of either class: naive Bayes has no intercept.
    np.testing.assert_allclose(model.intercept_, 0.25 * machine.intercept_)


def test_the_two_ends_are_naive_bayes_and_the_machine(counts):
    X, y = counts
    few, labels = X[:-1], y[:-1]
    found = NBSVMClassifier(beta=0.0, random_state=0).fit(few, labels)
    bayes = MultinomialNB(alpha=1.0).fit(few, labels)
    odds = np.diff(bayes.predict_joint_log_proba(few), axis=1)[:, 0]
    quotients = found.decision_function(few) / odds
    np.testing.assert_allclose(quotients, quotients[0])
    ratio = np.log(np.array([5, 2, 3, 3]) / 13) - np.log(np.array([1, 4, 3, 4]) / 12)
    machine = NBSVMClassifier(beta=1.0, random_state=0).fit(X, y)
    peer = LinearSVC(random_state=0, max_iter=10_000).fit(X * ratio, y)
    np.testing.assert_allclose(
        machine.decision_function(X), peer.decision_function(X * ratio)
    )


def test_sparse_and_dense_counts_give_the_same(counts):
    X, y = counts
    dense = NBSVMClassifier(random_state=0).fit(X, y)
    thin = NBSVMClassifier(random_state=0).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(thin.coef_, dense.coef_, rtol=1e-3)


def test_more_classes_are_each_told_from_the_rest():
    X = np.repeat(np.eye(3), 4, axis=0)
    y = np.repeat(["a", "b", "c"], 4)
    model = NBSVMClassifier(random_state=0).fit(X, y)
    assert model.coef_.shape == (3, 3)
    assert (model.predict(X) == y).all()


def test_weights_of_classes_move_the_decision(counts):
    X, y = counts
    plain, bent = (
        NBSVMClassifier(class_weight=weight, random_state=0).fit(X, y)
        for weight in (None, {0: 1, 1: 50})
    )
    assert bent.intercept_[0] > plain.intercept_[0]


def test_one_class_is_refused(counts):
    with pytest.raises(InvalidInputError, match="1 class only, 'a'"):
        NBSVMClassifier().fit(counts[0], ["a"] * 8)


def test_rows_of_weight_0_are_as_if_they_were_not_there(counts):
    X, y = counts
    weight = np.array([1, 2, 0, 1, 3, 1, 0, 0])
    kept = weight > 0
    whole = NBSVMClassifier(random_state=0).fit(X, y, weight)
    part = NBSVMClassifier(random_state=0).fit(X[kept], y[kept], weight[kept])
    np.testing.assert_array_equal(whole.coef_, part.coef_)
    np.testing.assert_array_equal(whole.intercept_, part.intercept_)


def test_texts_are_told_what_counts_them():
    with pytest.raises(InvalidInputError, match=r"make_pipeline\(CountVectorizer\(\)"):
        NBSVMClassifier().fit(["good film", "bad film"], [1, 0])
