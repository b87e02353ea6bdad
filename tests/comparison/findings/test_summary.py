import numpy as np
import pytest
from scipy import stats

from sktransfer.comparison.findings.rendering import format_rows
from sktransfer.comparison.findings.sentences import tell
from sktransfer.comparison.findings.summary import Summary, choose_leader
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.folds import Fold, TrainSize
from sktransfer.statistics import (
    corrected_resampled_ttest,
    holm_correction,
    mean_interval,
)

N_TEST, N_FOLDS = 20, 5


def make(
    scores, *, baseline="a", uses=(), seconds=None, labels=None, scoring="accuracy"
):
    """Summary of scores written down as {name: {size: one a fold}}."""
    labels = np.array(["neg", "pos"] * 50) if labels is None else labels
    rows = np.arange(len(labels))
    folds = [
        Fold(0, n, np.delete(rows, rows[n::N_FOLDS]), rows[n::N_FOLDS])
        for n in range(N_FOLDS)
    ]
    sizes = sorted({size for by_size in scores.values() for size in by_size} - {0})
    data = Data(
        texts=[f"text {row}" for row in rows],
        labels=labels,
        classes=np.unique(labels),
        bound=rows,
        folds=folds,
        sizes=[TrainSize(size, whole=size == 80) for size in sizes],
        scoring=Scoring.resolve(scoring),
        seed=0,
    )
    places = dict(zip(data.classes.tolist(), range(len(data.classes)), strict=True))
    true = np.array([places[label] for label in labels.tolist()])
    candidates, outcomes = [], {}
    for name, by_size in scores.items():
        use = dict(uses).get(name)
        base = "fine_tune" if use else ""
        candidates.append(Candidate(name, "strategy", None, use=use, base=base))
        for size, numbers in by_size.items():
            outcomes[name, size] = [
                outcome(name, size, fold, number, (seconds or {}).get(name, 1.0))
                for fold, number in zip(folds, numbers, strict=False)
            ]
            for fold, told in zip(folds, outcomes[name, size], strict=False):
                predict(told, fold.test, true)
    return Summary(data, candidates, outcomes, baseline, "no time is left")


def outcome(name, size, fold, score, seconds):
    key = {"strategy": name, "train_size": size, "repeat": 0, "fold": fold.number}
    key |= {"n_train": size, "n_test": len(fold.test)}
    if isinstance(score, str):
        return key | {"status": "failed", "error": score}
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro"), score)
    return key | {
        "status": "done",
        "error": "",
        "metrics": metrics | {"score": score},
        "fit_seconds": seconds,
        "predict_seconds": 0.5,
        "fit_peak_mib": 10.0 * fold.number,
        "n_trainable_parameters": 10.0,
    }


def predict(told, rows, true):
    """Predictions of that accuracy; what is right at a lower one is right here, too."""
    score = told.get("metrics", {}).get("score", -1)
    if 0 <= score <= 1:
        right = np.arange(len(rows)) < round(score * len(rows))
        predicted = np.where(right, true[rows], 1 - true[rows])
        told["predictions"] = {
            "rows": rows.tolist(),
            "predicted": predicted.tolist(),
            "probabilities": [[np.nan, np.nan]] * len(rows),
        }


def least(scores, others=None):
    """Standard error of the mean over 100 texts, or of the mean of differences."""
    found = right(scores) - (0.0 if others is None else right(others))
    return {"least_error": np.std(found, ddof=1) / 10, "least_df": 99}


def right(scores):
    counts = [round(score * N_TEST) for score in scores]
    return np.concatenate([np.arange(N_TEST) < n for n in counts]).astype(float)


A = [0.70, 0.75, 0.70, 0.65, 0.70]
B = [0.80, 0.85, 0.85, 0.75, 0.80]
C = [0.72, 0.71, 0.74, 0.66, 0.69]


class TestTable:
    def test_means_and_intervals(self):
        row = make({"a": {80: A}}).results().iloc[0]
        interval = mean_interval(A, 80, N_TEST, **least(A))
        assert row["score"] == pytest.approx(np.mean(A))
        assert row["score_std"] == pytest.approx(np.std(A, ddof=1))
        ends = pytest.approx((interval.low, interval.high))
        assert (row["score_low"], row["score_high"]) == ends
        assert row["fit_seconds"] == 1.0

    def test_intervals_of_shares_stay_within_them(self):
        row = make({"a": {80: [0.9, 1.0, 1.0, 0.9, 1.0]}}).results().iloc[0]
        assert row["score_high"] == 1.0

    def test_tests_are_against_the_baseline_and_corrected(self):
        table = make({"a": {80: A}, "b": {80: B}, "c": {80: C}}).results()
        raw = [
            corrected_resampled_ttest(
                np.subtract(other, A), 80, N_TEST, **least(other, A)
            ).pvalue
            for other in (B, C)
        ]
        assert table["pvalue"][1:].tolist() == pytest.approx(holm_correction(raw))
        assert np.isnan(table["pvalue"][0])
        assert table["difference"][1] == pytest.approx(0.11)

    def test_train_sizes_are_families_of_their_own(self):
        scores = {"a": {8: A, 80: A}, "b": {8: B, 80: B}, "c": {8: C, 80: C}}
        table = make(scores).results()
        small = table[table["train_size"] == 8]
        raw = [
            corrected_resampled_ttest(
                np.subtract(other, A), 8, N_TEST, **least(other, A)
            ).pvalue
            for other in (B, C)
        ]
        expected = pytest.approx(holm_correction(raw))
        assert small["pvalue"].iloc[1:].tolist() == expected

    def test_folds_that_agree_are_no_certainty(self):
        scores = {"a": {80: [0.65] * 5}, "b": {80: [0.7] * 5}, "c": {80: [0.65] * 5}}
        table = make(scores).results()
        assert table["pvalue"][1] > 0.02
        assert table["pvalue"][2] == 1
        assert (table["score_high"] - table["score_low"] > 0.15).all()

    def test_without_predictions_shares_count_as_those_of_different_texts(self):
        summary = make({"a": {80: [0.6] * 5}, "b": {80: [0.7] * 5}})
        for outcomes in summary.outcomes.values():
            for told in outcomes:
                del told["predictions"]
        error = np.sqrt((0.6 * 0.4 + 0.7 * 0.3) / 100)
        row = summary.results().iloc[1]
        assert row["pvalue"] == pytest.approx(2 * stats.t.sf(0.1 / error, 99))

    def test_perfect_scores_leave_room(self):
        row = make({"a": {80: [1.0] * 5}}).results().iloc[0]
        assert row["score_low"] == pytest.approx(1 - stats.t.ppf(0.975, 99) / 100)

    def test_who_agrees_on_all_texts_may_differ_on_others(self):
        test = make({"a": {80: A}, "b": {80: A}}).test("a", "b")
        reach = stats.t.ppf(0.975, 99) / 100
        assert test.confidence_interval == pytest.approx((-reach, reach))

    def test_a_row_without_its_folds_has_no_numbers(self):
        table = make(
            {"a": {80: A}, "b": {80: [0.9, "out of memory"]}, "c": {80: B[:2]}}
        )
        table = table.results().set_index("strategy")
        assert table["status"].tolist() == ["done", "failed", "skipped"]
        assert table.loc["b", "error"] == "out of memory"
        assert table.loc["c", "error"] == "no time is left (2 of 5 folds were run)"
        numbers = table.loc[["b", "c"], ["score", "pvalue", "accuracy"]]
        assert numbers.isna().to_numpy().all()
        assert table["n_folds"].tolist() == [5, 1, 2]

    def test_without_a_baseline_nothing_is_tested(self):
        table = make({"a": {80: A}, "b": {80: B}}, baseline=None).results()
        assert table["pvalue"].isna().all()

    def test_folds_are_listed_one_by_one(self):
        table = make({"a": {80: A}, "b": {80: [0.9, "oh"]}}).folds()
        assert len(table) == 7
        assert table["score"][:5].tolist() == A
        assert table["error"].tolist() == [""] * 6 + ["oh"]

    def test_the_fold_that_needs_most_memory_counts(self):
        assert make({"a": {80: A}}).results()["fit_peak_mib"].tolist() == [40.0]

    def test_folds_of_an_older_version_have_no_memory(self):
        summary = make({"a": {80: A}})
        del summary.outcomes["a", 80][2]["fit_peak_mib"]
        results = summary.results()
        assert np.isnan(results["fit_peak_mib"][0])
        assert summary.folds()["fit_peak_mib"].isna().tolist() == [
            False, False, True, False, False,
        ]  # fmt: skip
        (heads, (cells,)) = format_rows(results, "accuracy")
        assert cells[[head.title for head in heads].index("fit MiB")] == ""


def verdicts(summary, distance=None):
    return tell(summary, summary.results(), distance)


class TestSentences:
    def test_the_best_is_told_and_what_it_is_better_than(self):
        said = verdicts(make({"a": {80: A}, "b": {80: B}}))
        assert said[0].startswith(
            "b has the highest score of this run: accuracy 0.810, 95 % interval 0.7"
        )
        assert said[1].startswith("b is better than a by 11.0 points, p = 0.00")

    def test_what_falls_behind_the_baseline_is_told(self):
        worse = np.subtract(A, [0.31, 0.3, 0.29, 0.3, 0.3]).tolist()
        said = verdicts(make({"a": {80: A}, "b": {80: worse}}))
        assert said[1] == ("No strategy scores higher than the baseline in this run.")
        assert said[2].startswith("b is worse than a by 30.0 points")

    def test_equal_scores_share_the_first_place(self):
        said = verdicts(make({"a": {80: A}, "b": {80: A}}))
        assert said[0].startswith(
            "a has the highest score of this run, shared with b: accuracy 0.700"
        )

    @staticmethod
    def on_cheaper(n_texts, others=()):
        near = np.subtract(B, [0.01, 0, 0, 0.01, 0]).tolist()
        scores = {"a": {80: A}, "frozen": {80: near}, "tuned": {80: B}}
        scores |= {name: {80: A} for name in others}
        seconds = {"a": 0.1, "frozen": 1.0, "tuned": 40.0}
        labels = np.array(["neg", "pos"] * (n_texts // 2))
        said = verdicts(make(scores, seconds=seconds, labels=labels))
        return [sentence for sentence in said if "fortieth" in sentence]

    def test_a_cheaper_one_that_comes_close_is_told(self):
        assert self.on_cheaper(400) == [
            "frozen is as good as tuned within 2 points, at a fortieth of the time."
        ]

    def test_a_cheaper_one_that_may_be_worse_is_not_passed_off_as_equal(self):
        assert self.on_cheaper(100) == [
            "No difference between frozen and tuned could be shown (-0.4 points, p = "
            "0.69), nor that they are equal: frozen may score lower by up to 2.4 "
            "points, at a fortieth of the time."
        ]

    def test_the_more_are_tried_the_wider_is_the_interval_of_the_closest(self):
        (told,) = self.on_cheaper(400, [f"other {n}" for n in range(20)])
        assert "nor that they are equal" in told

    def test_negative_transfer_is_warned_of(self):
        worse = np.subtract(B, [0.21, 0.2, 0.19, 0.2, 0.2]).tolist()
        scores = {"a": {80: A}, "fine_tune": {80: B}, "transferred": {80: worse}}
        said = verdicts(make(scores, uses={"transferred": "start"}), 1.5)
        warned = [sentence for sentence in said if "negative transfer" in sentence]
        assert warned[0].startswith(
            "transferred against fine_tune: negative transfer: the source costs 20.0"
        )
        assert any("proxy A-distance of source and target is 1.50" in s for s in said)

    def test_a_source_alone_is_compared_with_the_target_alone(self):
        scores = {"a": {80: A}, "fine_tune": {80: B}, "source_only": {0: A}}
        said = verdicts(make(scores, uses={"source_only": "only"}))
        assert any(s.startswith("source_only is worse than fine_tune") for s in said)

    def test_skewed_classes_are_warned_of(self):
        labels = np.array(["pos"] * 90 + ["neg"] * 10)
        said = verdicts(make({"a": {80: A}, "b": {80: B}}, labels=labels))
        assert any(s.startswith("90% of the texts are 'pos'") for s in said)

    def test_no_order_along_learning_curves_is_claimed(self):
        said = verdicts(make({"a": {8: B, 80: A}, "b": {8: A, 80: B}}))
        assert said[-1] == (
            "The highest score of this run at each number of labelled texts, not "
            "tested: with 8 it is a (0.810), with 80 it is b (0.810)."
        )

    def test_what_could_not_be_tested_is_called_so(self):
        scores = {"a": {80: [0.5] * 5}, "b": {80: [0.6] * 5}}
        summary = make(scores, scoring="neg_log_loss")
        for outcomes in summary.outcomes.values():
            for told in outcomes:
                del told["predictions"]  # as older journals leave them out
                told["metrics"]["neg_log_loss"] = told["metrics"]["score"]
        assert summary.results()["pvalue"].isna().all()
        assert verdicts(summary)[1] == (
            "No difference between b and a could be shown (+10.0 points, not tested)."
        )

    def test_differences_of_other_metrics_have_no_points(self):
        scores = {"a": {80: [-3.0, -3.1, -3.0]}, "b": {80: [-1.5, -1.5, -1.6]}}
        summary = make(scores)
        summary.data.folds[3:] = []
        assert any("1.5 of accuracy" in sentence for sentence in verdicts(summary))

    def test_what_did_not_run_is_named(self):
        said = verdicts(make({"a": {80: A}, "b": {80: ["oh"]}, "c": {80: []}}))
        assert said[-2:] == [
            "Failed: b (see the column error).",
            "Skipped: c (see the column error).",
        ]

    def test_where_nothing_ran_only_that_is_told(self):
        assert verdicts(make({"a": {80: ["oh"]}})) == [
            "Failed: a (see the column error)."
        ]


class TestLeader:
    NAMES = ("one", "two", "three")

    def choose(self, *scores):
        evidence = {name: f"frozen ({name})" for name in self.NAMES[: len(scores)]}
        given = dict(zip(evidence.values(), scores, strict=True))
        summary = make(given, baseline=None)
        return choose_leader(summary, evidence), summary

    def test_the_largest_size_decides(self):
        choice, _ = self.choose({16: B, 80: A}, {16: A, 80: B})
        assert choice.leader == "two"
        assert [s.encoder for s in choice.standings] == ["two", "one"]

    def test_of_equals_the_first_leads_which_is_the_cheapest(self):
        choice, _ = self.choose({80: A}, {80: B}, {80: B})
        assert choice.leader == "two"
        assert choice.rivals == ["three"]

    def test_others_are_tested_as_strategies_are(self):
        choice, summary = self.choose({80: A}, {80: B}, {80: C})
        raw = [
            summary.test(f"frozen ({e})", "frozen (two)").pvalue
            for e in ("three", "one")
        ]
        found = [standing.pvalue for standing in choice.standings[1:]]
        assert found == pytest.approx(holm_correction(raw).tolist())
        assert choice.standings[1].difference == pytest.approx(np.mean(C) - np.mean(B))

    def test_what_was_not_run_to_its_end_does_not_lead(self):
        choice, _ = self.choose({80: A}, {80: ["oh"]}, {80: [0.9]})
        assert choice.leader == "one"
        assert [s.status for s in choice.standings] == ["done", "failed", "skipped"]
        assert choice.rivals == []
        assert not choice.failure

    def test_where_all_fail_that_is_told(self):
        choice, _ = self.choose({80: ["oh"]}, {80: ["no"]})
        assert choice.leader is None
        assert choice.failure == "frozen (one): oh; frozen (two): no"
        assert not self.choose({80: ["oh"]}, {80: []})[0].failure

    def test_one_that_is_alone_leads(self):
        assert self.choose({80: ["oh"]})[0].leader == "one"

    def test_what_leads_is_told_where_nothing_starts_from_it(self):
        choice, summary = self.choose({80: A}, {80: B})
        assert tell(summary, summary.results(), None, choice)[1] == (
            "Of the frozen encoders two leads with 0.810; one is 11.0 points behind "
            "(p = 0.002)."
        )
