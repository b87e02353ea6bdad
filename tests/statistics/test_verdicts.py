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
        found = verdict("a", "b", 0.004, 0.3, interval=(-0.019, 0.06))
        assert found == "a is as good as b"
        assert "could be shown" in verdict(
            "a", "b", 0.004, 0.3, interval=(-0.019, 0.06), margin=0.01
        )

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

    def test_the_cost_is_told_where_no_difference_was_shown_too(self):
        found = verdict("a", "b", 0.0, 0.9, seconds=1, baseline_seconds=2)
        assert found.endswith("; a comes at half the time")

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
