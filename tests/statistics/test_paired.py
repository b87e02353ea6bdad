import numpy as np
import pytest
from scipy import stats

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.statistics import (
    best_after_choice,
    could_be_best,
    detectable_difference,
    family_test,
    holm_correction,
    paired_test,
    score_interval,
)


def draw(seed, n_models=11, n=200, share=0.7, better=0.0):
    """Right or wrong for models that have much in common; the last one is better."""
    generator = np.random.default_rng(seed)
    common, own = generator.normal(size=n), generator.normal(size=(n_models, n))
    least = np.full((n_models, 1), stats.norm.ppf(1 - share))
    least[-1] = stats.norm.ppf(1 - share - better)
    return (0.7 * common + np.sqrt(0.51) * own > least).astype(float)


class TestPaired:
    def test_without_widening_it_is_the_paired_t_test(self):
        one, other = draw(0)[:2]
        found = paired_test(one, other, widening=1)
        expected = stats.ttest_rel(one, other)
        assert found.pvalue == pytest.approx(expected.pvalue)
        assert found.interval == pytest.approx(tuple(expected.confidence_interval()))

    def test_widening_stretches_the_interval(self):
        one, other = draw(0)[:2]
        narrow, wide = (paired_test(one, other, widening=w) for w in (1, 1.5))
        assert np.ptp(wide.interval) == pytest.approx(1.5 * np.ptp(narrow.interval))
        assert wide.pvalue > narrow.pvalue

    def test_turned_around_it_says_the_same(self):
        one, other = draw(0)[:2]
        found, turned = paired_test(one, other), paired_test(other, one)
        assert turned.pvalue == found.pvalue
        assert turned.interval == pytest.approx(
            (-found.interval[1], -found.interval[0])
        )

    def test_models_that_agree_everywhere_are_not_shown_to_be_equal(self):
        found = paired_test([1, 0, 1, 1], [1, 0, 1, 1])
        assert (found.difference, found.pvalue) == (0, 1)
        assert found.interval[0] < 0 < found.interval[1]

    def test_sets_that_all_say_the_same_are_no_certainty(self):
        found = paired_test([0.35] * 3, [0.3] * 3)
        assert found.pvalue > 0.1

    def test_few_texts_that_differ_are_no_proof(self):
        other = np.zeros(60)
        other[:3] = 1  # 5 points, all in one direction
        assert paired_test(other, np.zeros(60)).pvalue > 0.1

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (([1, 2], [1, 2, 3]), "one has 2 sets of texts and other 3"),
            (([1], [1]), "one has 1 sets"),
            (([1, np.nan], [1, 2]), "one holds a number that is not finite"),
        ],
    )
    def test_what_cannot_be_paired_is_told(self, given, told):
        with pytest.raises(InvalidInputError, match=told):
            paired_test(*given)

    def test_parameters_are_checked(self):
        with pytest.raises(InvalidParameterError, match="widening=0"):
            paired_test([1, 2], [1, 3], widening=0)
        with pytest.raises(InvalidParameterError, match="confidence_level=1"):
            paired_test([1, 2], [1, 3], confidence_level=1)


class TestFamily:
    def test_of_one_it_is_no_less_sure_than_the_paired_test(self):
        one, other = draw(1, better=0.1)[[0, -1]]
        alone = paired_test(one, other).pvalue
        (found,) = family_test([one - other]).pvalues
        assert alone <= found < 1.5 * alone + 1e-3

    def test_copies_of_a_difference_cost_nothing(self):
        one, other = draw(1)[[0, 1]]
        alone = family_test([one - other]).pvalues[0]
        many = family_test([one - other] * 20).pvalues
        assert many == pytest.approx([alone] * 20)

    def test_models_that_have_much_in_common_pay_less_than_holm_asks(self):
        values = draw(3, better=0.08)
        differences = values[1:] - values[0]
        raw = [paired_test(row, 0 * row).pvalue for row in differences]
        assert family_test(differences).pvalues[-1] < holm_correction(raw)[-1]

    def test_false_alarms_are_as_rare_as_told(self):
        alarms = 0
        for seed in range(200):
            values = draw(seed, n=100)
            found = family_test(values[1:] - values[0], widening=1, n_flips=500)
            alarms += (found.pvalues < 0.05).any()
        assert alarms <= 20  # 10 are to be expected; 21 or more: once in 1,000 times

    def test_no_difference_is_shown_where_there_is_none(self):
        found = family_test(np.zeros((2, 50)))
        assert found.pvalues.tolist() == [1, 1]

    def test_the_largest_is_shown_where_it_reaches_the_critical_value(self):
        values = draw(5, better=0.12)
        differences = values[1:] - values[0]
        found = family_test(differences)
        tests = [paired_test(row, 0 * row) for row in differences]
        t = max(abs(test.difference / test.error) for test in tests)
        assert (found.pvalues.min() < 0.05) == (t > found.critical)

    def test_the_same_numbers_give_the_same_answer(self):
        differences = np.diff(draw(2), axis=0)
        one, other = (family_test(differences).pvalues for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_none_at_all_is_no_family(self):
        assert family_test([]).pvalues.shape == (0,)


class TestCouldBeBest:
    def test_what_is_far_behind_is_not_among_them(self):
        values = draw(0, better=0.2)
        assert could_be_best(values).nonzero()[0].tolist() == [10]

    def test_equal_models_stay(self):
        stay = [could_be_best(draw(s, n=100), n_flips=500).all() for s in range(40)]
        assert np.mean(stay) > 0.9

    def test_the_truly_best_is_among_them(self):
        held = [
            could_be_best(draw(s, n=100, better=0.05), n_flips=500)[-1]
            for s in range(60)
        ]
        assert np.mean(held) > 0.9

    def test_the_order_of_the_models_does_not_matter(self):
        values = draw(4, n_models=5, better=0.12)
        found = could_be_best(values)
        np.testing.assert_array_equal(could_be_best(values[::-1]), found[::-1])

    def test_one_that_is_alone_is_best(self):
        assert could_be_best([[1, 0, 1]]).tolist() == [True]

    def test_no_model_is_an_error(self):
        with pytest.raises(InvalidInputError, match="values has no row"):
            could_be_best(np.zeros((0, 5)))


class TestBestAfterChoice:
    def test_among_equals_the_highest_is_too_high(self):
        found = [best_after_choice(draw(s), n_bootstraps=300) for s in range(40)]
        bias = np.mean([each.score for each in found]) - 0.7
        naive = np.mean([each.score + each.optimism for each in found]) - 0.7
        assert abs(bias) < 0.01
        assert naive > 0.025

    def test_one_that_is_alone_was_not_chosen(self):
        found = best_after_choice([[1, 0, 1, 1]])
        assert (found.best, found.score, found.optimism) == (0, 0.75, 0)

    def test_of_equals_it_is_the_first(self):
        assert best_after_choice([[1, 0, 1], [1, 0, 1]]).best == 0


class TestInterval:
    def test_far_from_the_ends_it_is_that_of_the_normal_distribution(self):
        right = np.arange(1000) < 700
        low, high = score_interval(right, widening=1)
        reach = 1.962 * np.sqrt(0.7 * 0.3 / 999)
        assert (low, high) == pytest.approx((0.7 - reach, 0.7 + reach), abs=1e-3)

    def test_it_stays_within_what_a_share_can_be(self):
        low, high = score_interval([1.0] * 50)
        assert 0.88 < low < 0.92
        assert high == pytest.approx(1)

    def test_other_scores_have_no_ends(self):
        low, high = score_interval([-3.0, -1.0, 1.0, 3.0], is_share=False)
        assert low == pytest.approx(-high)
        assert high > 1


def test_a_detectable_difference_is_shown_four_times_in_five():
    least = detectable_difference(0.02, 2.5)
    draws = np.random.default_rng(0).normal(least, 0.02, 20_000)
    assert np.mean(draws > 2.5 * 0.02) == pytest.approx(0.8, abs=0.01)


def test_of_few_sets_no_more_is_said_of_the_best_one_than_its_test_says():
    # All of six sets say the same: so do 2 of 64 flips, but t has 5 degrees of freedom.
    values = np.array([[0.9] * 6, [0.85] * 6])
    assert paired_test(*values).pvalue > 0.05
    assert could_be_best(values).all()


def test_the_first_of_equals_is_best_whatever_rounding_says():
    values = np.array([[0.8, 0.6, 0.5, 0.3, 0.3], [0.8, 0.6, 0.3, 0.5, 0.3]])
    assert values.mean(axis=1).argmax() == 1
    assert best_after_choice(values).best == 0
