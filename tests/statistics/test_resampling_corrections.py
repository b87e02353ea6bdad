from __future__ import annotations

import numpy as np
import pytest

from sktransfer.exceptions import InvalidInputError
from sktransfer.statistics import holm_correction


def test_it_gives_what_a_hand_computes():
    # Sorted 0.005 0.01 0.03 0.04: times 4, 3, 2, 1 and never falling.
    adjusted = holm_correction([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_a_test_that_was_not_made_counts_for_nothing():
    with_gap = holm_correction([0.01, np.nan, 0.04])
    assert np.isnan(with_gap[1])
    np.testing.assert_allclose(with_gap[[0, 2]], holm_correction([0.01, 0.04]))


def test_it_stays_a_probability():
    np.testing.assert_array_equal(holm_correction([0.9, 0.8, 1.0]), [1, 1, 1])


def test_equal_p_values_stay_equal():
    np.testing.assert_allclose(holm_correction([0.02, 0.02, 0.02]), 0.06)


def test_one_test_needs_no_correction_and_none_is_none():
    assert holm_correction([0.04]).tolist() == [0.04]
    assert holm_correction([]).shape == (0,)
    assert np.isnan(holm_correction([np.nan])).all()


def test_what_is_no_p_value_is_refused():
    with pytest.raises(InvalidInputError, match=r"pvalues\[1\] is 1.5"):
        holm_correction([0.1, 1.5])
    with pytest.raises(InvalidInputError, match=r"shape \(1, 1\)"):
        holm_correction([[0.1]])
