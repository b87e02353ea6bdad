from __future__ import annotations

import pytest

from sktransfer.exceptions import InvalidParameterError
from sktransfer.statistics import transfer_verdict, verdict

NAN = float("nan")


class TestVerdict:
    def test_a_difference_that_was_shown(self):
        found = verdict("a", "b", -0.0312, 0.0004)
        assert found == "a is worse than b by 3.1 points, p < 0.001"

    def test_one_that_was_not(self):
        found = verdict("a", "b", 0.004, 0.3, interval=(-0.05, 0.06))
        assert found == (
            "no difference between a and b could be shown (+0.4 points, p = 0.30)"
        )

    def test_as_good_is_said_only_where_the_interval_says_it(self):
        found = verdict("a", "b", 0.004, 0.3, interval=(-0.012, 0.019))
        assert found == "a is as good as b within 2 points"

    @pytest.mark.parametrize(
        ("interval", "margin"),
        [
            ((-0.012, 0.019), 0.01),
            ((-0.03, 0.01), 0.02),
            ((-0.01, 0.03), 0.02),
            ((NAN, NAN), 0.02),
        ],
    )
    def test_an_interval_beyond_the_margin_is_no_equality(self, interval, margin):
        found = verdict("a", "b", 0.004, 0.3, interval=interval, margin=margin)
        assert found.startswith("no difference between a and b could be shown")

    def test_the_margin_is_told_in_the_unit_of_the_score(self):
        interval = (-0.01, 0.01)
        found = verdict("a", "b", 0.0, 1, interval=interval, scale=1, unit="nats")
        assert found == "a is as good as b within 0.02 nats"

    def test_what_could_not_be_compared(self):
        assert verdict("a", "b", NAN, NAN) == "a and b could not be compared"
        assert verdict("a", "b", 0.1, NAN).endswith("(+10.0 points, not tested)")

    def test_zero_has_no_sign(self):
        assert "(+0.0 points" in verdict("a", "b", -1e-9, 0.9)

    def test_other_units(self):
        found = verdict("a", "b", 0.25, 0.01, scale=1, unit="nats")
        assert found == "a is better than b by 0.2 nats, p = 0.010"

    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            (100, "in the same time"),
            (75, "at three quarters of the time"),
            (48, "at half the time"),
            (2.4, "at a fortieth of the time"),
            (0.09, "at a thousandth of the time"),
            (0.01, "at less than a thousandth of the time"),
            (150, "at 1.5 times the time"),
            (300, "at 3 times the time"),
            (4231, "at 42 times the time"),
            (423100, "at 4,200 times the time"),
        ],
    )
    def test_the_cost_is_told_as_people_say_it(self, seconds, told):
        found = verdict("a", "b", 0.1, 0.01, seconds=seconds, baseline_seconds=100)
        assert found.endswith(f"p = 0.010, {told}")

    @pytest.mark.parametrize(
        ("interval", "risk"),
        [(None, ""), ((-0.08, 0.04), " by up to 8.0 points"), ((0.01, 0.04), "")],
    )
    def test_a_low_cost_makes_no_equal_of_what_may_be_worse(self, interval, risk):
        found = verdict(
            "a", "b", -0.02, 0.4, interval=interval, seconds=1, baseline_seconds=2
        )
        assert found == (
            "no difference between a and b could be shown (-2.0 points, p = 0.40), nor "
            f"that they are equal: a may score lower{risk}, at half the time"
        )

    @pytest.mark.parametrize("seconds", [0, NAN, None, float("inf")])
    def test_a_cost_that_nobody_knows_is_left_out(self, seconds):
        assert verdict("a", "b", 0.1, 0.01, seconds=seconds, baseline_seconds=1) == (
            "a is better than b by 10.0 points, p = 0.010"
        )

    def test_parameters_out_of_range_are_refused(self):
        with pytest.raises(InvalidParameterError, match="alpha=5"):
            verdict("a", "b", 0.1, 0.01, alpha=5)
        with pytest.raises(InvalidParameterError, match="margin=0"):
            verdict("a", "b", 0.1, 0.01, margin=0)


class TestTransferVerdict:
    @pytest.mark.parametrize(
        ("difference", "pvalue", "sentence"),
        [
            (0.04, 0.02, "the source adds 4.0 points, p = 0.020"),
            (-0.04, 0.02, "negative transfer: the source costs 4.0 points, p = 0.020"),
            (
                -0.04,
                0.2,
                "no effect of the source could be shown (-4.0 points, p = 0.20)",
            ),
            (NAN, NAN, "whether the source helps could not be tested"),
        ],
    )
    def test_it_says_what_the_source_did(self, difference, pvalue, sentence):
        assert transfer_verdict(difference, pvalue) == sentence

    def test_a_p_value_on_the_border_shows_nothing(self):
        assert transfer_verdict(0.04, 0.05).startswith("no effect of the source")
        assert verdict("a", "b", 0.04, 0.05).startswith("no difference between")

    def test_bounds_are_told_in_the_unit_of_the_score(self):
        found = transfer_verdict(0.4, 0.01, interval=(0.12, 0.68), scale=10, unit="dm")
        assert found == "the source adds 4.0 dm (1.2 to 6.8), p = 0.010"
