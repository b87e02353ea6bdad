import numpy as np
import pytest

from sktransfer.classifier.data.rows import FeatureRows, LabelledRows
from sktransfer.classifier.training.temperature import (
    temperature_from_folds,
    temperature_like,
)


def rows_of(classes):
    classes = np.asarray(classes)
    return LabelledRows(FeatureRows(np.arange(len(classes))[:, None]), classes)


class TestTemperatureFromFolds:
    def test_logits_that_are_too_large_by_a_factor_are_divided_by_it(self):
        random = np.random.default_rng(0)
        logits = random.normal(size=4000)
        classes = (random.random(4000) < 1 / (1 + np.exp(-logits))).astype(int)

        def fit(rows, others):
            return 3 * logits[others.rows.matrix[:, 0], None]

        assert temperature_from_folds(rows_of(classes), fit) == pytest.approx(3, 0.1)

    def test_each_row_is_tested_once_by_who_has_not_seen_it(self):
        tested = []

        def fit(rows, others):
            assert not {*rows.rows.matrix[:, 0]} & {*others.rows.matrix[:, 0]}
            tested.extend(others.rows.matrix[:, 0])
            return np.zeros((len(others), 3))

        # The last row has nobody to learn its class from.
        temperature_from_folds(rows_of([0] * 7 + [1] * 4 + [2]), fit)
        assert sorted(tested) == list(range(11))

    def test_single_rows_tell_nothing(self):
        assert temperature_from_folds(rows_of([0, 1]), None) == 1


class TestTemperatureLike:
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_the_same_logits_times_a_factor_have_that_factor(self, n_outputs):
        logits = np.random.default_rng(0).normal(size=(50, n_outputs))
        assert temperature_like(4 * logits, logits) == pytest.approx(4, 1e-3)
