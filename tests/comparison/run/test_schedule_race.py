"""A race runs fewer folds, and ends with the same answer however it came about."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from sktransfer.comparison.comparing import compare_strategies
from sktransfer.comparison.run import schedule

N = 200
TEXTS = [f"text {n} {'good' if n % 2 else 'bad'}" for n in range(N)]
LABELS = np.array(["neg", "pos"])[np.arange(N) % 2]
CALLS = []


class Knows(ClassifierMixin, BaseEstimator):
    """Gets a share of the texts right, always the same ones."""

    def __init__(self, share=1.0, seed=0):
        self.share = share
        self.seed = seed

    def fit(self, X, y):
        CALLS.append(("fit", self.share))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        drawn = np.random.default_rng(self.seed).random(N)
        numbers = [int(text.split()[1]) for text in X]
        right = drawn[numbers] < self.share
        truth = np.array(numbers) % 2
        return self.classes_[np.where(right, truth, 1 - truth)]


class Fragile(Knows):
    """Falls over in the last fold."""

    def fit(self, X, y):
        super().fit(X, y)
        if CALLS.count(("fit", self.share)) == 5:
            raise ValueError("oh")
        return self


STRATEGIES = {
    "good": Knows(0.95),
    "near": Knows(0.93, seed=1),
    "weak": Knows(0.6, seed=2),
    "hopeless": Knows(0.2, seed=3),
}


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def compare(strategies=STRATEGIES, **options):
    defaults = {"baseline": None, "cv": 5, "random_state": 0, "race": True}
    return compare_strategies(
        TEXTS, LABELS, strategies=strategies, **defaults | options
    )


def told(comparison):
    rows = comparison.results.set_index("strategy")
    return {
        name: (rows.loc[name, "status"], rows.loc[name, "n_folds"])
        for name in rows.index
    }


class TestRace:
    def test_what_cannot_lead_is_stopped_and_says_so(self):
        found = compare()
        rows = told(found)
        assert rows["good"] == rows["near"] == ("done", 5)
        assert rows["hopeless"] == ("stopped", 1)
        assert rows["weak"][0] == "stopped"
        whole = compare(race=False)
        assert found.best_strategy == whole.best_strategy
        row = found.results.set_index("strategy").loc["hopeless"]
        assert row["error"].startswith("after 1 of 5 folds ")
        assert np.isnan(row["score"])
        assert "hopeless" not in found.predictions
        assert any(v.startswith("Stopped by the race") for v in found.verdicts)
        assert "stopped: after 1 of 5 folds" in found.to_markdown()

    def test_first_folds_come_first(self):
        compare({"good": Knows(0.95), "near": Knows(0.93, seed=1)})
        # The last fit of each pair is of the same fold.
        assert [share for _, share in CALLS][:10] == [0.95, 0.93] * 5

    def test_small_sizes_come_first_and_decide_nothing_of_large_ones(self):
        found = compare(
            {"good": Knows(0.95), "bad": Knows(0.2, seed=3)}, train_sizes=[20, 1.0]
        )
        sizes = found.results.set_index(["strategy", "train_size"])["status"]
        assert sizes["bad", 20] == sizes["bad", 160] == "stopped"
        assert found.folds["n_train"].tolist().count(20) == 6

    def test_what_was_stopped_for_one_that_fails_later_is_run(self):
        found = compare(
            {
                "fragile": Fragile(0.95),
                "fair": Knows(0.5, seed=2),
                "hopeless": Knows(0.2, seed=3),
            }
        )
        rows = told(found)
        assert rows["fragile"][0] == "failed"
        assert rows["fair"] == ("done", 5)
        assert found.best_strategy == "fair"

    def test_the_baseline_is_never_stopped(self):
        found = compare(baseline="hopeless")
        assert told(found)["hopeless"] == ("done", 5)

    def test_without_it_all_folds_are_run(self):
        assert {n for _, n in told(compare(race=False)).values()} == {5}

    def test_stopped_rows_count_in_the_number_of_tests(self):
        def pvalue(**options):
            found = compare(
                {"hopeless": Knows(0.2, seed=3), **STRATEGIES},
                baseline="near",
                **options,
            )
            return found.results.set_index("strategy")["pvalue"]

        assert pvalue()["good"] >= pvalue(race=False)["good"]
        assert np.isnan(pvalue()["hopeless"])


class TestSameAnswer:
    @pytest.fixture
    def straight(self):
        return compare()

    def test_with_several_workers(self, straight):
        assert told(compare(n_jobs=2)) == told(straight)

    @pytest.mark.parametrize("n_before", [1, 4, 5, 9])
    def test_when_it_was_interrupted(self, straight, n_before, tmp_path, monkeypatch):
        evaluate, n_run = schedule.evaluate, []

        def interrupted(task, *args, **kwargs):
            if len(n_run) == n_before:
                raise KeyboardInterrupt
            n_run.append(task.key)
            return evaluate(task, *args, **kwargs)

        monkeypatch.setattr(schedule, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(folder=tmp_path)
        monkeypatch.setattr(schedule, "evaluate", evaluate)
        found = compare(folder=tmp_path)
        assert told(found) == told(straight)
        assert found.results["error"].equals(straight.results["error"])
        CALLS.clear()
        again = compare(folder=tmp_path)
        assert CALLS == []
        assert told(again) == told(straight)

    def test_what_was_run_to_its_end_before_is_kept(self, tmp_path):
        compare(race=False, folder=tmp_path)
        assert {status for status, _ in told(compare(folder=tmp_path)).values()} == {
            "done"
        }

    def test_a_race_can_be_run_to_its_end(self, tmp_path):
        compare(folder=tmp_path)
        found = compare(race=False, folder=tmp_path)
        assert {n for _, n in told(found).values()} == {5}
