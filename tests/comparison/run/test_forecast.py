"""What is told of the cost of folds, before and after some of them were run."""

import math

import pytest

from sktransfer.comparison.run.forecast import Costs, RowCost, forecast, tell_costs
from sktransfer.comparison.setup.candidates import Candidate


@pytest.fixture
def tuned(network):
    return Candidate("tuned", "strategy", network(strategy="fine_tune"), encoder="tiny")


@pytest.fixture
def frozen(network):
    return Candidate("frozen", "strategy", network(), encoder="tiny")


class TestCostOfAFold:
    def test_it_grows_with_texts_and_epochs(self, network, frozen):
        costs = Costs({"tiny": 0.01})

        def seconds(n_train, n_epochs):
            made = network(strategy="fine_tune", max_epochs=n_epochs)
            tuned = Candidate("t", "strategy", made, encoder="tiny")
            return costs.of(tuned, n_train, 0).fold

        assert seconds(200, 2) == pytest.approx(2 * seconds(200, 1))
        assert seconds(400, 1) == pytest.approx(2 * seconds(200, 1))
        assert seconds(200, 1) > costs.of(frozen, 200, 0).fold

    def test_own_folds_count_and_nothing_else(self, tuned):
        costs = Costs({"tiny": 0.01})
        found = costs.of(tuned, 200, 50, [(200, 3.0), (201, 4.0)])
        assert (found.fold, found.basis) == (4.0, "measured")

    def test_folds_of_fewer_texts_are_scaled(self, tuned):
        found = Costs({"tiny": 0.01}).of(tuned, 199, 50, [(99, 3.0)])
        assert found.fold == pytest.approx(6.0)

    def test_a_fold_of_one_strategy_corrects_others(self, tuned, network):
        costs = Costs({"tiny": 0.01})
        other = Candidate("p", "strategy", network(strategy="partial"), encoder="tiny")
        before = costs.of(other, 200, 50).fold
        costs.learn(tuned, 200, 50, 3 * costs.of(tuned, 200, 50).fold)
        assert costs.of(other, 200, 50).fold == pytest.approx(3 * before)

    def test_the_source_is_learnt_once_before(self, tuned):
        costs = Costs({"tiny": 0.01}, n_source=500)
        only = costs.of(tuned.with_use("only", "o"), 0, 50)
        assert only.before > only.fold > 0
        joint = costs.of(tuned.with_use("joint", "j"), 200, 50)
        assert joint.before == 0
        assert joint.fold > costs.of(tuned, 200, 50).fold

    def test_of_what_nothing_is_known_nothing_is_said(self, words):
        found = Costs().of(Candidate("mine", "given", words), 200, 50)
        assert math.isnan(found.fold)
        assert found.basis == "unknown"


class TestTelling:
    def test_what_does_not_fit_takes_no_time_from_what_does(self):
        rows = [("a", 5, 50.0, ""), ("b", 5, 90.0, ""), ("c", 5, 40.0, "")]
        assert [row.fits for row in forecast(rows, 100.0)] == [True, False, True]

    def test_what_is_not_known_is_named(self):
        rows = [RowCost("mine", 5, math.nan, "unknown"), RowCost("a", 5, 7.0, "")]
        assert tell_costs(rows) == [
            "This will take about 7 s: a 7 s, not known before the first fold: mine."
        ]

    def test_where_all_was_run_nothing_is_told(self):
        assert tell_costs([RowCost("a", 0, 0.0, "measured")]) == []

    def test_what_takes_no_time_is_not_worth_a_line(self):
        assert tell_costs([RowCost("a", 5, 0.4, "estimated")]) == []
