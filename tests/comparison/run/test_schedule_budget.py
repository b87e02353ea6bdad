"""A time budget is kept: what would end after it is not begun."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from sktransfer.comparison import comparing
from sktransfer.comparison.run import schedule
from sktransfer.encoders import loaded_models


class Slow(ClassifierMixin, BaseEstimator):
    """Takes its time to learn nothing."""

    def __init__(self, seconds=0.1):
        self.seconds = seconds

    def fit(self, X, y):
        time.sleep(self.seconds)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[np.zeros(len(X), int)]


class TestBudget:
    def test_a_row_that_cannot_end_in_time_stops_at_its_first_fold(self, compare):
        started = time.monotonic()
        found = compare({"slow": Slow(0.3), "quick": Slow(0.0)}, cv=5, time_budget=1.2)
        assert time.monotonic() - started < 1.2
        rows = found.results.set_index("strategy")
        assert rows["status"].tolist() == ["skipped", "done"]
        assert rows.loc["slow", "n_folds"] == 1
        assert rows.loc["slow", "error"].startswith(
            "4 more folds and what comes after would"
        )
        assert "(1 of 5 folds were run)" in rows.loc["slow", "error"]

    def test_time_is_left_to_fit_the_best_one(self, compare):
        started = time.monotonic()
        found = compare({"slow": Slow(0.2)}, time_budget=2.0)
        found.best_estimator()
        assert time.monotonic() - started < 2.0
        assert found.results["status"].tolist() == ["done"]

    def test_with_a_journal_folds_are_run_for_the_next_time(self, compare, tmp_path):
        found = compare(
            {"slow": Slow(0.3)}, cv=5, time_budget=1.4, folder=tmp_path
        ).results
        assert found["status"].tolist() == ["skipped"]
        assert 1 < found["n_folds"][0] < 5
        found = compare({"slow": Slow(0.3)}, cv=5, folder=tmp_path).results
        assert found["status"].tolist() == ["done"]

    def test_in_a_race_begun_rows_come_before_new_ones(self, compare, monkeypatch):
        clock, evaluate = [0.0], schedule.evaluate

        def take_a_second(*args, **kwargs):
            clock[0] += 1.0
            return evaluate(*args, **kwargs) | {"elapsed_seconds": 1.0}

        for module in (schedule, comparing):
            fake = SimpleNamespace(monotonic=lambda: clock[0])
            monkeypatch.setattr(module, "time", fake)
        monkeypatch.setattr(schedule, "evaluate", take_a_second)
        slow = {f"slow {n}": Slow(0.0) for n in range(3)}
        found = compare(slow, cv=3, time_budget=7.0, race=True).results
        # Of the third row more folds would be for nothing: 6 s of folds, a fit of 1.5.
        assert found["status"].tolist() == ["done", "skipped", "skipped"]
        assert found["n_folds"].tolist() == [3, 1, 1]


class TestForecast:
    def test_costs_are_told_before_the_first_fold(self, compare, network, monkeypatch):
        told = []
        strategies = {"tuned": network(strategy="fine_tune"), "frozen": network()}
        evaluate = schedule.evaluate

        def spy(task, *args, **kwargs):
            told.append(task.key)
            return evaluate(task, *args, **kwargs)

        monkeypatch.setattr(schedule, "evaluate", spy)
        compare(strategies, on_forecast=told.append)
        rows = {row["strategy"]: row for row in told[0]}
        assert rows["tuned"]["n_folds"] == 3
        assert rows["tuned"]["seconds"] > 0
        assert all(row["fits"] for row in told[0])

    def test_folds_that_were_run_are_not_told_again(self, compare, words, tmp_path):
        told = []
        for _ in range(2):
            compare({"w": words}, folder=tmp_path, on_forecast=told.append)
        assert [rows[0]["n_folds"] for rows in told] == [3, 0]


class TestLoading:
    def test_no_seconds_of_a_fold_contain_it(self, compare, network, monkeypatch):
        for registry in ("_encoders", "_modules", "_tokenizers"):
            monkeypatch.setattr(
                loaded_models, registry, type(getattr(loaded_models, registry))()
            )
        read = loaded_models.read_tokenizer

        def slowly(folder):
            time.sleep(1.0)
            return read(folder)

        monkeypatch.setattr(loaded_models, "read_tokenizer", slowly)
        strategies = {"tuned": network(strategy="fine_tune"), "frozen": network()}
        found = compare(strategies)
        folds = found.folds.set_index(["strategy", "fold"])
        for name in strategies:
            seconds = (
                folds.loc[name, "fit_seconds"] + folds.loc[name, "predict_seconds"]
            )
            assert seconds[0] - seconds[1:].max() < 0.8
        # Also of the second strategy, which has found the tokenizer there.
        assert (found.results["load_seconds"] >= 1.0).all()

    def test_what_loads_nothing_says_so(self, compare, words):
        found = compare({"w": words})
        assert found.results["load_seconds"].tolist() == [0.0]

    def test_a_journal_of_an_older_version_does_not_know(
        self, compare, words, tmp_path, monkeypatch
    ):
        evaluate = schedule.evaluate

        def old(*args, **kwargs):
            outcome = evaluate(*args, **kwargs)
            return {k: v for k, v in outcome.items() if k != "load_seconds"}

        monkeypatch.setattr(schedule, "evaluate", old)
        compare({"w": words}, folder=tmp_path)
        monkeypatch.undo()
        found = compare({"w": words}, folder=tmp_path)
        assert found.results["load_seconds"].isna().all()


@pytest.mark.parametrize("race", [False, True])
def test_without_time_nothing_is_run(compare, words, race):
    found = compare({"w": words}, time_budget=1e-9, race=race)
    assert found.results["error"][0].endswith("(0 of 3 folds were run)")
