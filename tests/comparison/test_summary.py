import numpy as np
import pytest

from sktransfer.comparison.candidates import Candidate
from sktransfer.comparison.curves import TrainSize
from sktransfer.comparison.folds import Fold
from sktransfer.comparison.plan import Data
from sktransfer.comparison.scoring import Scoring
from sktransfer.comparison.sentences import tell
from sktransfer.comparison.summary import Summary
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
    candidates, outcomes = [], {}
    for name, by_size in scores.items():
        use = dict(uses).get(name)
        base = "fine_tune" if use else ""
        candidates.append(Candidate(name, "strategy", None, use=use, base=base))
        for size, numbers in by_size.items():
            outcomes[name, size] = [
                outcome(name, size, fold, number, (seconds or {}).get(name, 1.0))
                for fold, number in enumerate(numbers)
            ]
    return Summary(data, candidates, outcomes, baseline, "no time is left")


def outcome(name, size, fold, score, seconds):
    key = {"strategy": name, "train_size": size, "repeat": 0, "fold": fold}
    key |= {"n_train": size, "n_test": N_TEST}
    if isinstance(score, str):
        return key | {"status": "failed", "error": score}
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro"), score)
    return key | {
        "status": "done",
        "error": "",
        "metrics": metrics | {"score": score},
        "fit_seconds": seconds,
        "predict_seconds": 0.5,
        "n_trainable_parameters": 10.0,
    }


A = [0.70, 0.75, 0.70, 0.65, 0.70]
B = [0.80, 0.85, 0.85, 0.75, 0.80]
C = [0.72, 0.71, 0.74, 0.66, 0.69]


class TestTable:
    def test_means_and_intervals(self):
        row = make({"a": {80: A}}).results().iloc[0]
        interval = mean_interval(A, 80, N_TEST)
        assert row["score"] == pytest.approx(np.mean(A))
        assert row["score_std"] == pytest.approx(np.std(A, ddof=1))
        assert (row["score_low"], row["score_high"]) == (interval.low, interval.high)
        assert row["texts_per_second"] == N_TEST / 0.5

    def test_intervals_of_shares_stay_within_them(self):
        row = make({"a": {80: [0.9, 1.0, 1.0, 0.9, 1.0]}}).results().iloc[0]
        assert row["score_high"] == 1.0

    def test_tests_are_against_the_baseline_and_corrected(self):
        table = make({"a": {80: A}, "b": {80: B}, "c": {80: C}}).results()
        raw = [
            corrected_resampled_ttest(np.subtract(other, A), 80, N_TEST).pvalue
            for other in (B, C)
        ]
        assert table["pvalue"][1:].tolist() == holm_correction(raw).tolist()
        assert np.isnan(table["pvalue"][0])
        assert table["difference"][1] == pytest.approx(0.11)

    def test_train_sizes_are_families_of_their_own(self):
        scores = {"a": {8: A, 80: A}, "b": {8: B, 80: B}, "c": {8: C, 80: C}}
        table = make(scores).results()
        small = table[table["train_size"] == 8]
        raw = [
            corrected_resampled_ttest(np.subtract(other, A), 8, N_TEST).pvalue
            for other in (B, C)
        ]
        assert small["pvalue"].iloc[1:].tolist() == holm_correction(raw).tolist()

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


def verdicts(summary, distance=None):
    return tell(summary, summary.results(), distance)


class TestSentences:
    def test_the_best_is_told_and_what_it_is_better_than(self):
        said = verdicts(make({"a": {80: A}, "b": {80: B}}))
        assert said[0].startswith("b scores best: accuracy 0.810, 95 % interval 0.7")
        assert said[1].startswith("b is better than a by 11.0 points, p = 0.00")

    def test_what_falls_behind_the_baseline_is_told(self):
        worse = np.subtract(A, [0.31, 0.3, 0.29, 0.3, 0.3]).tolist()
        said = verdicts(make({"a": {80: A}, "b": {80: worse}}))
        assert said[1] == "No strategy scores better than the baseline."
        assert said[2].startswith("b is worse than a by 30.0 points")

    def test_a_cheaper_one_that_comes_close_is_told(self):
        near = np.subtract(B, [0.01, 0, 0, 0.01, 0]).tolist()
        scores = {"a": {80: A}, "frozen": {80: near}, "tuned": {80: B}}
        seconds = {"a": 0.1, "frozen": 1.0, "tuned": 40.0}
        said = verdicts(make(scores, seconds=seconds))
        assert "frozen is as good as tuned, at a fortieth of the time." in said

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

    def test_learning_curves_cross(self):
        scores = {"a": {8: B, 80: A}, "b": {8: A, 80: B}}
        said = verdicts(make(scores))
        assert "b scores best from 80 labelled texts on; with 8 it is a." in said

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
