from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

N = 200


@pytest.fixture
def check(facts, say):
    """The check on strategies, each by its probabilities of "pos"."""
    labels = np.tile(["neg", "pos"], N // 2)

    def check(**probabilities):
        tables = {
            name: pd.DataFrame(
                {
                    "row": np.arange(N),
                    "probability_neg": 1 - values,
                    "probability_pos": values,
                }
            )
            for name, values in probabilities.items()
        }
        known = facts(labels, predictions=tables)
        return say("results.doubtful_labels", known)

    return check


@pytest.fixture
def sure():
    """Probabilities that are right and sure."""
    return np.tile([0.05, 0.95], N // 2)


def test_what_all_good_strategies_doubt_is_told(check, sure):
    wrong = sure.copy()
    wrong[:10] = 1 - wrong[:10]
    other = wrong.copy()
    other[50:80] = 1 - other[50:80]
    (remark,) = check(a=wrong, b=other)
    assert remark.rows == tuple(range(10))
    assert remark.strategies == ("a", "b")
    assert "comparison.suspects()" in remark.remedy


def test_what_one_of_them_doubts_is_not(check, sure):
    one = sure.copy()
    one[:20] = 1 - one[:20]
    assert check(a=one, b=sure) == []


def test_doubts_without_certainty_are_not(check, sure):
    wrong = sure.copy()
    wrong[:20] = np.tile([0.75, 0.25], 10)
    assert check(a=wrong, b=wrong) == []


def test_one_strategy_alone_is_no_witness(check, sure):
    wrong = sure.copy()
    wrong[:20] = 1 - wrong[:20]
    guess = np.full(N, 0.5)
    assert check(a=wrong, guess=guess) == []


def test_strategies_without_probabilities_are_left_out(check, sure):
    wrong = sure.copy()
    wrong[:20] = 1 - wrong[:20]
    assert check(a=wrong, b=np.full(N, np.nan)) == []
