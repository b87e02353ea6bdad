from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.statistics import corrected_resampled_ttest, mean_interval

DIFFERENCES = [0.031, -0.012, 0.044, 0.027, 0.009, 0.038, -0.004, 0.022, 0.051, 0.016]


def accuracy_of_nearest_means(X, y, train, test):
    """Of rows that go to the class, 0 or 1, with the nearer mean."""
    low, high = (X[train][y[train] == label].mean(axis=0) for label in (0, 1))
    found = (X[test] - (low + high) / 2) @ (high - low) > 0
    return np.mean(found == y[test])


class TestCorrectedResampledTTest:
    def test_it_is_what_the_formula_gives(self):
        found = corrected_resampled_ttest(DIFFERENCES, 180, 20)
        mean = sum(DIFFERENCES) / 10
        variance = sum((d - mean) ** 2 for d in DIFFERENCES) / 9
        error = ((1 / 10 + 20 / 180) * variance) ** 0.5
        assert found.statistic == pytest.approx(mean / error, abs=1e-6)
        both_tails = 2 * (1 - stats.t(9).cdf(mean / error))
        assert found.pvalue == pytest.approx(both_tails, abs=1e-6)
        assert found.df == 9
        assert found.mean_difference == pytest.approx(mean, abs=1e-6)
        reach = stats.t(9).ppf(0.975) * error
        expected = (mean - reach, mean + reach)
        assert found.confidence_interval == pytest.approx(expected, abs=1e-6)

    def test_it_gives_the_published_figures_of_scikit_learns_example(self):
        # "Statistical comparison of models using grid search": t 0.750, p 0.227.
        X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
        folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
        scores = [
            cross_val_score(
                SVC(kernel=kernel, random_state=0), X, y, scoring="roc_auc", cv=folds
            )
            for kernel in ("rbf", "linear")
        ]
        found = corrected_resampled_ttest(
            scores[0] - scores[1], 90, 10, alternative="greater"
        )
        assert found.statistic == pytest.approx(0.750, abs=5e-4)
        assert found.pvalue == pytest.approx(0.227, abs=5e-4)

    def test_without_shared_rows_it_is_the_paired_t_test(self):
        found = corrected_resampled_ttest(DIFFERENCES, 1e12, 1)
        usual = stats.ttest_1samp(DIFFERENCES, 0)
        assert found.statistic == pytest.approx(usual.statistic, rel=1e-6)
        assert found.pvalue == pytest.approx(usual.pvalue, rel=1e-6)

    def test_one_sided_p_values_share_the_two_tails(self):
        two, greater, less = (
            corrected_resampled_ttest(DIFFERENCES, 180, 20, alternative=side)
            for side in ("two-sided", "greater", "less")
        )
        assert greater.pvalue == pytest.approx(two.pvalue / 2)
        assert less.pvalue == pytest.approx(1 - two.pvalue / 2)
        assert greater.confidence_interval[1] == np.inf
        assert less.confidence_interval[0] == -np.inf
        assert greater.confidence_interval[0] > two.confidence_interval[0]

    def test_turned_round_it_finds_the_opposite(self):
        one = corrected_resampled_ttest(DIFFERENCES, 180, 20)
        other = corrected_resampled_ttest(np.negative(DIFFERENCES), 180, 20)
        assert other.statistic == pytest.approx(-one.statistic)
        assert other.pvalue == pytest.approx(one.pvalue)

    def test_sizes_that_differ_count_with_their_mean(self):
        sizes = corrected_resampled_ttest([1, 2, 3], [79, 80, 81], [21, 20, 19])
        assert sizes == corrected_resampled_ttest([1, 2, 3], 80, 20)

    @pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
    def test_no_difference_anywhere_is_no_evidence(self, alternative):
        found = corrected_resampled_ttest(
            [0.0, 0.1 + 0.2 - 0.3, 0.0], 80, 20, alternative=alternative
        )
        assert (found.statistic, found.pvalue, found.mean_difference) == (0, 1, 0)
        assert np.isnan(found.confidence_interval).all()

    @pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
    def test_one_difference_everywhere_is_no_certainty(self, alternative):
        found = corrected_resampled_ttest(
            [0.3, 0.1 + 0.2, 0.3], 80, 20, alternative=alternative
        )
        assert np.isnan(
            [found.statistic, found.pvalue, *found.confidence_interval]
        ).all()
        assert found.mean_difference == pytest.approx(0.3)

    def test_where_folds_agree_other_evidence_counts(self):
        found = corrected_resampled_ttest(
            [0.05] * 3, 40, 20, least_error=0.028, least_df=59
        )
        usual = 2 * stats.t.sf(0.05 / 0.028, 59)
        assert found.pvalue == pytest.approx(usual)
        assert (found.statistic, found.df) == (pytest.approx(0.05 / 0.028), 59)
        reach = stats.t.ppf(0.975, 59) * 0.028
        expected = (0.05 - reach, 0.05 + reach)
        assert found.confidence_interval == pytest.approx(expected)

    def test_of_two_errors_the_less_certain_counts(self):
        folds = corrected_resampled_ttest(DIFFERENCES, 180, 20)
        for least, same in ((0.001, True), (0.1, False)):
            found = corrected_resampled_ttest(
                DIFFERENCES, 180, 20, least_error=least, least_df=199
            )
            assert (found == folds) is same
            assert found.pvalue >= folds.pvalue
            assert found.confidence_interval[0] <= folds.confidence_interval[0]

    def test_one_fold_is_refused(self):
        with pytest.raises(InvalidInputError, match="holds 1 numbers, but at least 2"):
            corrected_resampled_ttest([0.1], 80, 20)

    def test_a_failed_fold_is_named(self):
        with pytest.raises(InvalidInputError, match=r"differences\[1\] is nan"):
            corrected_resampled_ttest([0.1, np.nan], 80, 20)

    def test_a_table_is_refused(self):
        with pytest.raises(InvalidInputError, match=r"shape \(2, 2\)"):
            corrected_resampled_ttest(np.zeros((2, 2)), 80, 20)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"alternative": "both"}, "alternative='both', but one of"),
            ({"confidence_level": 95}, "confidence_level=95, but a number between"),
            ({"n_test": 0}, "n_test=0, but positive numbers"),
            ({"least_error": -1}, "least_error=-1, but"),
            ({"least_error": np.nan}, "least_error=nan, but"),
            ({"least_df": 0}, "least_df=0, but"),
        ],
    )
    def test_parameters_out_of_range_are_refused(self, parameters, message):
        with pytest.raises(InvalidParameterError, match=message):
            corrected_resampled_ttest(
                **{"differences": [1, 2], "n_train": 80, "n_test": 20} | parameters
            )

    @pytest.mark.slow
    def test_under_the_null_one_test_in_twenty_rejects(self):
        """Two models of noise, 200 times: 2 to 8 % is found to differ at 5 %."""
        generator = np.random.default_rng(0)
        folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
        rejected = 0
        for _ in range(200):
            X = generator.normal(size=(60, 4))
            y = generator.permutation(np.repeat([0, 1], 30))
            differences = []
            for train, test in folds.split(X, y):
                one, other = (
                    accuracy_of_nearest_means(part, y, train, test)
                    for part in (X[:, :2], X[:, 2:])
                )
                differences.append(one - other)
            rejected += corrected_resampled_ttest(differences, 48, 12).pvalue < 0.05
        assert 4 <= rejected <= 16


class TestMeanInterval:
    SCORES = (0.80, 0.84, 0.82, 0.86, 0.78)

    def test_it_has_the_variance_of_the_test(self):
        interval = mean_interval(self.SCORES, 80, 20)
        test = corrected_resampled_ttest(self.SCORES, 80, 20)
        assert interval.mean == pytest.approx(np.mean(self.SCORES))
        assert (interval.low, interval.high) == pytest.approx(test.confidence_interval)

    def test_it_widens_with_confidence(self):
        narrow = mean_interval(self.SCORES, 80, 20, confidence_level=0.5)
        wide = mean_interval(self.SCORES, 80, 20, confidence_level=0.99)
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_one_score_has_no_interval(self):
        interval = mean_interval([0.8], 80, 20)
        assert interval.mean == 0.8
        assert np.isnan([interval.low, interval.high]).all()

    def test_the_same_score_everywhere_is_no_certainty(self):
        interval = mean_interval([0.8] * 3, 80, 20)
        assert interval.mean == pytest.approx(0.8)
        assert np.isnan([interval.low, interval.high]).all()

    def test_where_folds_agree_other_evidence_counts(self):
        interval = mean_interval([0.8] * 3, 40, 20, least_error=0.05, least_df=59)
        reach = stats.t.ppf(0.975, 59) * 0.05
        assert (interval.low, interval.high) == pytest.approx(
            (0.8 - reach, 0.8 + reach)
        )

    def test_no_score_is_refused(self):
        with pytest.raises(InvalidInputError, match="scores holds 0 numbers"):
            mean_interval([], 80, 20)
