import re

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from sktransfer.comparison.findings.rendering import format_rows
from sktransfer.comparison.findings.sentences import tell
from sktransfer.comparison.findings.summary import Summary, choose_leader
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.folds import Fold, TrainSize
from sktransfer.statistics import (
    family_test,
    paired_test,
    score_interval,
)

N_TEST, N_FOLDS = 20, 5


def make(
    scores,
    *,
    baseline="a",
    uses=(),
    seconds=None,
    labels=None,
    scoring="accuracy",
    encoders=(),
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
        scoring=Scoring.resolve(scoring, labels),
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
    why = "no time is left"
    return Summary(data, candidates, outcomes, baseline, why, encoders)


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


def right(scores):
    counts = [round(score * N_TEST) for score in scores]
    return np.concatenate([np.arange(N_TEST) < n for n in counts]).astype(float)


A = [0.70, 0.75, 0.70, 0.65, 0.70]
B = [0.80, 0.85, 0.85, 0.75, 0.80]
C = [0.72, 0.71, 0.74, 0.66, 0.69]


class TestTable:
    def test_means_and_intervals(self):
        row = make({"a": {80: A}}).results().iloc[0]
        assert row["score"] == pytest.approx(np.mean(A))
        assert row["score_std"] == pytest.approx(np.std(A, ddof=1))
        ends = pytest.approx(score_interval(right(A)))
        assert (row["score_low"], row["score_high"]) == ends
        assert row["fit_seconds"] == 1.0

    def test_intervals_of_shares_stay_within_them(self):
        row = make({"a": {80: [0.9, 1.0, 1.0, 0.9, 1.0]}}).results().iloc[0]
        assert 0.96 < row["score_high"] < 1.0

    def test_tests_are_against_the_baseline_and_corrected(self):
        table = make({"a": {80: A}, "b": {80: B}, "c": {80: C}}).results()
        differences = [right(other) - right(A) for other in (B, C)]
        expected = family_test(differences).pvalues
        assert table["pvalue"][1:].tolist() == pytest.approx(expected.tolist())
        assert np.isnan(table["pvalue"][0])
        assert table["difference"][1] == pytest.approx(0.11)
        ends = table.loc[1, ["difference_low", "difference_high"]].tolist()
        assert ends == pytest.approx(paired_test(right(B), right(A)).interval)

    def test_all_train_sizes_are_one_family(self):
        scores = {"a": {8: A, 80: A}, "b": {8: B, 80: B}, "c": {8: C, 80: C}}
        table = make(scores).results()
        differences = [right(other) - right(A) for other in (B, B, C, C)]
        expected = family_test(differences).pvalues.tolist()
        assert table["pvalue"].dropna().tolist() == pytest.approx(expected)

    def test_what_guesses_is_in_no_family(self):
        candidate = Candidate("majority", "baseline", None)
        summary = make({"a": {80: A}, "majority": {80: C}, "b": {80: B}})
        summary.evidence.candidates[1] = candidate
        table = summary.results().set_index("strategy")
        assert np.isnan(table.loc["majority", "pvalue"])
        assert table.loc["majority", "difference"] == pytest.approx(
            np.mean(C) - np.mean(A), abs=0.01
        )
        alone = paired_test(right(B), right(A)).pvalue
        assert table.loc["b", "pvalue"] == pytest.approx(alone, rel=0.5)

    def test_those_that_may_be_best_are_marked(self):
        worse = [0.3] * 5
        table = make({"a": {80: A}, "b": {80: A}, "c": {80: worse}}).results()
        assert table["could_be_best"].tolist() == [True, True, False]

    def test_equal_strategies_may_all_be_best_where_nothing_else_is_shown(self):
        table = make({"a": {80: A}, "b": {80: C}, "c": {80: A[::-1]}}).results()
        assert table["could_be_best"].all()

    def test_macro_f1_is_that_of_all_predictions_together(self):
        labels = np.array(["pos"] * 90 + ["neg"] * 10)
        summary = make({"a": {80: A}}, labels=labels)
        said = summary.predictions()["a"]
        expected = f1_score(said["label"], said["predicted"], average="macro")
        assert summary.results()["f1_macro"][0] == pytest.approx(expected)

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
        assert (row["score_low"], row["score_high"]) == pytest.approx(
            (0.946, 1), abs=2e-3
        )

    def test_who_agrees_on_all_texts_may_differ_on_others(self):
        row = make({"a": {80: A}, "b": {80: A}}).results().iloc[1]
        assert row["difference_low"] == pytest.approx(-0.0238, abs=1e-4)
        assert row["pvalue"] == 1

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
        # What nobody knows of any row is no column.
        heads, _ = format_rows(results, "accuracy")
        assert "fit MiB" not in {head.title for head in heads}


def verdicts(summary, distance=None):
    return tell(summary, summary.results(), distance)


class TestSentences:
    def test_the_best_is_told_corrected_for_choice(self):
        said = verdicts(make({"a": {80: A}, "b": {80: B}}))
        assert said[0].startswith(
            "b has the highest accuracy of this run, 0.810, and as much is to be "
            "expected of it on new texts, 95 % interval 0.7"
        )
        assert said[1].startswith("b is better than a by 11.0 points (3.")
        assert said[2] == "With 95 % confidence b is the best of these strategies."

    def test_what_falls_behind_the_baseline_is_told(self):
        worse = np.subtract(A, [0.31, 0.3, 0.29, 0.3, 0.3]).tolist()
        said = verdicts(make({"a": {80: A}, "b": {80: worse}}))
        assert said[1] == (
            "No strategy scores higher than a, the baseline, in this run."
        )
        assert said[2] == "Shown to be worse than a: b (-30.0)."

    def test_equal_scores_share_the_first_place(self):
        said = verdicts(make({"a": {80: A}, "b": {80: A}}))
        assert said[0].startswith(
            "a has the highest accuracy of this run, 0.700, shared with b, and as much"
        )

    def test_a_best_one_of_many_that_are_close_is_told_corrected_for_choice(self):
        others = {f"s{n}": {80: np.roll(A, n).tolist()} for n in range(1, 5)}
        near = np.add(A, [0.05, 0, 0, 0, 0]).tolist()
        said = verdicts(make({"a": {80: A}, "b": {80: near}, **others}))
        assert said[0].startswith(
            "b has the highest accuracy of this run, 0.710: as it was chosen among 6, "
            "0."
        )

    def test_where_nothing_is_shown_it_says_what_could_have_been(self):
        near = np.add(A, [0.05, 0, 0, 0.05, 0]).tolist()
        said = verdicts(make({"a": {80: A}, "b": {80: near}}))
        assert said[1].startswith("No difference between b and a could be shown (+2.0")
        found = re.match(
            r"With 100 texts, a difference of (\d+\.\d) points or more would be shown "
            r"four times in five; to show the 2.0 that were seen, if they are real, "
            r"about (\d+) texts are needed\.",
            said[2],
        )
        least, needed = map(float, found.groups())
        assert needed == pytest.approx(100 * (least / 2) ** 2, rel=0.1)
        assert said[3] == "None of these strategies can be ruled out as the best one."

    def test_texts_that_were_not_tested_make_no_groups(self):
        near = np.add(A[:3], [0.05, 0, 0]).tolist()
        summary = make({"a": {80: A[:3]}, "b": {80: near}})
        summary.data.folds[3:] = []
        summary = Summary(summary.data, summary.candidates, summary.outcomes, "a")
        assert verdicts(summary)[2].startswith("With 60 texts, a difference of ")

    @staticmethod
    def on_cheaper(n_texts, drop=0.01, others=None):
        near = np.subtract(B, [drop, 0, 0, drop, 0]).tolist()
        scores = {"a": {80: A}, "frozen": {80: near}, "tuned": {80: B}}
        scores |= {name: {80: given} for name, given in (others or {}).items()}
        seconds = {"a": 0.1, "tuned": 40.0}
        labels = np.array(["neg", "pos"] * (n_texts // 2))
        said = verdicts(make(scores, seconds=seconds, labels=labels))
        return [sentence for sentence in said if "fortieth" in sentence]

    def test_a_cheaper_one_that_comes_close_is_told(self):
        assert self.on_cheaper(400) == [
            "frozen is as good as tuned within 2 points, at a fortieth of the time."
        ]

    def test_a_cheaper_one_that_may_be_worse_is_not_passed_off_as_equal(self):
        (told,) = self.on_cheaper(100, drop=0.05)
        assert told.startswith(
            "frozen takes less time than tuned and may be as good, but that is not "
            "shown: it may score up to 5."
        )

    def test_the_more_are_tried_the_wider_is_the_interval_of_the_closest(self):
        assert "is as good as" in self.on_cheaper(300)[0]
        near = np.subtract(B, [0.01, 0, 0, 0.01, 0]).tolist()
        others = {f"other {n}": near for n in range(40)}
        (told,) = self.on_cheaper(300, others=others)
        assert "that is not shown" in told

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

    def test_what_decides_is_told_where_classes_are_skewed(self):
        labels = np.array(["pos"] * 90 + ["neg"] * 10)
        scores = {"a": {80: A}, "b": {80: B}}
        said = verdicts(make(scores, labels=labels, scoring="auto"))
        assert "10 of 100 texts are 'neg', so balanced accuracy decides." in said

    def test_what_was_skipped_may_be_better_than_the_best(self):
        said = verdicts(make({"a": {80: A}, "b": {80: B}, "c": {80: []}}))
        assert said[2] == (
            "With 95 % confidence b is the best of those that were run to their end."
        )

    def test_one_score_beside_a_guess_says_nothing_of_the_best(self):
        candidates = {"a": {80: A}, "majority": {80: C}}
        summary = make(candidates)
        summary.candidates[1] = Candidate("majority", "baseline", None)
        summary = Summary(summary.data, summary.candidates, summary.outcomes, "a")
        said = " ".join(verdicts(summary))
        assert "chosen" not in said
        assert "confidence" not in said

    def test_who_is_better_is_told_for_each_number_of_texts(self):
        said = verdicts(make({"a": {8: A, 80: A}, "b": {8: C, 80: B}}))
        assert said[-1] == (
            "Shown to be better than a, by the number of labelled texts to learn from: "
            "with 8: none; with 80: b (+11.0)."
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
        summary = Summary(summary.data, summary.candidates, summary.outcomes, "a")
        assert any("1.5 of accuracy" in sentence for sentence in verdicts(summary))

    def test_what_did_not_run_is_named(self):
        said = verdicts(make({"a": {80: A}, "b": {80: ["oh"]}, "c": {80: []}}))
        assert said[-2:] == [
            "Failed: b (see the column error).",
            "Skipped, as the time budget was too short: c.",
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
        summary = make(given, baseline=None, encoders=list(given))
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
        choice, _ = self.choose({80: A}, {80: B}, {80: C})
        differences = [right(other) - right(B) for other in (C, A)]
        expected = family_test(differences).pvalues.tolist()
        found = [standing.pvalue for standing in choice.standings[1:]]
        assert found == pytest.approx(expected)
        assert choice.standings[1].difference == pytest.approx(-0.112, abs=0.01)

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
        assert tell(summary, summary.results(), None, choice)[2].startswith(
            "Of the frozen encoders two leads with 0.810; one is 11.0 points behind "
            "(p = 0.00"
        )
