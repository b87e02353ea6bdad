from __future__ import annotations

import itertools

import numpy as np
import pytest

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.statistics import calibration_error


def test_it_gives_what_a_hand_computes():
    # Bins of a half: confidences 0.6 0.7 (one right), 0.9 0.9 (both right) share one.
    probabilities = [[0.4, 0.6], [0.7, 0.3], [0.1, 0.9], [0.1, 0.9]]
    labels = ["b", "b", "b", "b"]
    error = calibration_error(labels, probabilities, n_bins=2, classes=["a", "b"])
    assert error == pytest.approx(abs(3 / 4 - (0.6 + 0.7 + 0.9 + 0.9) / 4))
    # Bins of a fifth: 0.6 is in the third, 0.7 in the fourth, 0.9 in the fifth.
    error = calibration_error(labels, probabilities, n_bins=5, classes=["a", "b"])
    assert error == pytest.approx((0.4 + 0.7 + 2 * 0.1) / 4)


def test_honest_probabilities_have_next_to_none():
    generator = np.random.default_rng(0)
    chance = generator.uniform(size=20_000)
    labels = (generator.uniform(size=20_000) < chance).astype(int)
    assert calibration_error(labels, chance) < 0.02
    assert calibration_error(labels, (chance > 0.5).astype(float)) > 0.2


@pytest.mark.parametrize(("n_rows", "plain"), [(60, 0.115), (1000, 0.028)])
def test_debiased_honest_probabilities_have_none_on_average(n_rows, plain):
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        chance = generator.uniform(size=n_rows)
        labels = (generator.uniform(size=n_rows) < chance).astype(int)
        errors.append(
            [
                calibration_error(labels, chance, classes=[0, 1], debiased=debiased)
                for debiased in (False, True)
            ]
        )
    means, spread = np.mean(errors, axis=0), np.std(errors, axis=0)[1]
    assert means[0] == pytest.approx(plain, rel=0.15)
    assert abs(means[1]) < 3 * spread / np.sqrt(200)
    assert spread < plain / 2


def test_what_is_subtracted_is_what_all_outcomes_come_to():
    chance = np.array([0.55, 0.6, 0.63, 0.9, 0.97])
    expected = 0.0
    for outcome in itertools.product([0, 1], repeat=5):
        probability = np.prod(np.where(outcome, chance, 1 - chance))
        expected += probability * calibration_error(outcome, chance, 4, classes=[0, 1])
    labels = [1, 0, 1, 1, 1]
    plain = calibration_error(labels, chance, 4)
    debiased = calibration_error(labels, chance, 4, debiased=True)
    assert debiased == pytest.approx(plain - expected, abs=1e-12)


def test_debiased_overconfidence_stays_visible():
    # Right in 7 of 10, and sure of each: nothing of that is chance.
    labels, sure = [1] * 7 + [0] * 3, np.ones(10)
    assert calibration_error(labels, sure, debiased=True) == pytest.approx(0.3)


def test_three_classes_count_by_their_largest_probability():
    probabilities = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    assert calibration_error([0, 1, 2], probabilities) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"y_true has shape \(2,\) and probabilities \(1, 2\)"),
        ([0], [[1.5, -0.5]], "not in"),
        ([], np.zeros((0, 2)), "has no row"),
        ([1, 1], [0.5, 0.5], "there are 1 classes"),
    ],
)
def test_what_does_not_match_is_refused(labels, probabilities, message):
    with pytest.raises(InvalidInputError, match=message):
        calibration_error(labels, probabilities)


def test_a_label_without_a_column_is_refused():
    with pytest.raises(InvalidInputError, match="y_true holds 'c', which is none"):
        calibration_error(["c"], [[0.5, 0.5]], classes=["a", "b"])


def test_no_bins_are_refused():
    with pytest.raises(InvalidParameterError, match="n_bins=0"):
        calibration_error([0, 1], [0.5, 0.5], n_bins=0)
