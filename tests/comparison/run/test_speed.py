"""Texts a second: of new texts, by a warm model, once a strategy."""

import json
import math
import os
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.comparison.run import schedule, speed
from sktransfer.comparison.run.speed import fresh_texts, measure_speed
from sktransfer.comparison.setup.candidates import PooledClassifier
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer

FIRST, CALL, TEXT = 3.0, 0.1, 0.001


class Clock:
    """A clock that stands still unless somebody works."""

    now = 0.0

    def __call__(self):
        return self.now


class Worker(ClassifierMixin, BaseEstimator):
    """Takes three seconds at first, then a tenth a call and a thousandth a text."""

    clock: ClassVar = Clock()
    asked: ClassVar = []

    def __init__(self, refuses=(), locked=False, seconds=0.0):
        self.refuses = refuses
        self.locked = locked
        self.seconds = seconds

    def fit(self, X, y):
        time.sleep(self.seconds)
        self.clock.now += 1.0
        self.classes_ = np.unique(y)
        self.known_ = set(X)
        self.called_ = False
        if self.locked:
            self.lock_ = threading.Lock()
        return self

    def predict(self, X):
        self.clock.now += FIRST * (not self.called_) + CALL + TEXT * len(X)
        self.called_ = True
        self.asked.append(list(X))
        if self.refuses and not all(text.endswith(self.refuses) for text in X):
            raise ValueError("no text that I know")
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def worker(monkeypatch):
    """The class, on a clock of its own; SECONDS is as for users."""
    monkeypatch.setattr(Worker, "clock", Clock())
    monkeypatch.setattr(Worker, "asked", [])
    monkeypatch.setattr(time, "perf_counter", Worker.clock)
    monkeypatch.setattr(speed, "SECONDS", 1.0)
    return Worker


@pytest.fixture
def measured(monkeypatch):
    """Models, and where they were measured; each labels 5 texts a second."""
    calls = []

    def measure(model, texts, most):
        calls.append((type(model).__name__, model, os.getpid()))
        return 5.0

    monkeypatch.setattr(speed, "measure_speed", measure)
    return calls


class TestSteadyState:
    def test_the_table_tells_it_and_no_other_seconds_contain_it(self, compare, worker):
        found = compare({"w": worker()})
        row = found.results.iloc[0]
        # Of full batches; a fold of 32 texts says 10.
        assert 800 < row["texts_per_second"] < 1000
        assert row["fit_seconds"] == pytest.approx(1.0)
        assert row["predict_seconds"] == pytest.approx(FIRST + CALL + 32 * TEXT)

    def test_texts_are_new_and_each_is_read_once(
        self, compare, worker, sentiment_texts
    ):
        compare({"a": worker(), "b": worker()})
        own = set(sentiment_texts[0])
        fresh = [text for call in worker.asked for text in call if text not in own]
        assert len(set(fresh)) == len(fresh) > 1000

    def test_it_is_measured_once_a_strategy(self, compare, words, measured):
        found = compare({"w": words}, train_sizes=[8, 64], n_repeats=2)
        assert [name for name, *_ in measured] == ["Pipeline"]
        assert found.results["texts_per_second"].tolist() == [5.0, 5.0]

    def test_it_takes_about_a_second_and_a_half(self, worker, sentiment_texts):
        model = worker().fit(*sentiment_texts)
        started = worker.clock.now
        measure_speed(model, fresh_texts(sentiment_texts[0]))
        assert worker.clock.now - started < FIRST + CALL + 2.0

    def test_a_call_that_was_held_up_is_no_measure(self, worker, sentiment_texts):
        class HeldUp(worker):
            def predict(self, X):
                self.clock.now += 0.5 * (len(self.asked) == 2)
                return super().predict(X)

        model = HeldUp().fit(*sentiment_texts)
        assert 800 < measure_speed(model, fresh_texts(sentiment_texts[0])) < 1000
        assert len(worker.asked[2]) == 8

    def test_long_texts_are_few(self, compare, worker, monkeypatch):
        monkeypatch.setattr(speed, "_MAX_CHARACTERS", 1000)
        compare({"w": worker()})
        assert max(map(len, worker.asked)) < 80

    def test_a_search_is_measured_by_what_it_found(self, compare, words, measured):
        compare({"w": words}, param_grids={"w": {"logisticregression__C": [0.1, 1.0]}})
        assert [name for name, *_ in measured] == ["GridSearchCV"]


class TestVectors:
    @pytest.fixture
    def texts(self, sentiment_texts):
        return sentiment_texts

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    @pytest.mark.parametrize("wrap", [FrozenEstimator, make_pipeline, lambda m: m])
    def test_none_is_kept_or_found(self, network, texts, strategy, wrap):
        fitted = network(strategy=strategy).fit(*texts)
        n_kept, n_encoded = memory_store().cache_info().n_bytes, n_texts_encoded()
        assert measure_speed(wrap(fitted), fresh_texts(texts[0])) > 0
        assert memory_store().cache_info().n_bytes == n_kept
        if strategy == "feature_extraction":
            assert n_texts_encoded() > n_encoded
        assert fitted.encoder_.cache == "memory"

    def test_encoders_are_found_at_any_depth(self, tiny_bert, texts):
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu")
        pooled = PooledClassifier(
            make_pipeline(encoder, LogisticRegression()), ["a book"], ["pos"]
        ).fit(*texts)
        n_kept = memory_store().cache_info().n_bytes
        assert measure_speed(pooled, fresh_texts(texts[0])) > 0
        assert memory_store().cache_info().n_bytes == n_kept
        assert pooled.estimator_[0].cache == "memory"


class TestFailures:
    def test_who_takes_known_texts_only_has_no_speed(self, compare, worker):
        found = compare(
            {"w": worker(refuses=(".", "!", *"abcdefghijklmnopqrstuvwxyz"))}
        )
        assert found.results["texts_per_second"].notna().all()
        endings = ("good.", "bad.")
        found = compare({"w": worker(refuses=endings)})
        assert found.results["status"].tolist() == ["failed"]
        model = worker(refuses=endings).fit(["so good.", "so bad."], ["pos", "neg"])
        assert math.isnan(measure_speed(model, fresh_texts(["so fine!"])))

    def test_a_strategy_without_a_speed_is_done(self, compare, words, monkeypatch):
        monkeypatch.setattr(speed, "_measure", None)
        found = compare({"w": words})
        row = found.results.iloc[0]
        assert row["status"] == "done"
        assert math.isnan(row["texts_per_second"])
        assert "nan" not in found.to_markdown()

    def test_rows_that_are_not_done_have_none(self, compare, words, measured):
        def broken(model, X, y):
            broken.n += 1
            return float("nan") if broken.n > 1 else 1.0

        broken.n = 0
        found = compare({"w": words}, scoring=broken)
        assert found.results["status"].tolist() == ["failed"]
        assert found.results["texts_per_second"].isna().all()

    def test_when_the_time_is_up_nothing_is_measured(self, compare, measured, words):
        fold = [(np.arange(64), np.arange(64, 96))]
        found = compare({"w": Worker(seconds=0.2)}, cv=fold, time_budget=0.15)
        assert not measured
        assert found.results["status"].tolist() == ["done"]
        assert found.results["texts_per_second"].isna().all()


class TestWorkers:
    def test_it_is_measured_in_this_process(self, compare, words, network, measured):
        found = compare({"w": words, "n": network()}, n_jobs=2, train_sizes=[32, 64])
        assert [(name, process) for name, _, process in measured] == [
            ("Pipeline", os.getpid()),
            ("TransferSentimentClassifier", os.getpid()),
        ]
        assert measured[1][1].predict(["a good film"]).shape == (1,)
        assert found.results["texts_per_second"].tolist() == [5.0] * 4

    def test_a_model_that_stays_in_its_process_has_no_speed(
        self, compare, words, measured
    ):
        found = compare({"l": Worker(locked=True), "w": words}, n_jobs=2)
        assert found.results["status"].tolist() == ["done", "done"]
        assert math.isnan(found.results["texts_per_second"][0])
        assert found.results["texts_per_second"][1] == 5.0


def forget_speeds(folder):
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"entry":"speed"' not in line]
    assert len(kept) < len(lines)
    path.write_bytes(b"".join(kept))


class TestGoingOn:
    def test_it_is_not_measured_again(self, compare, words, tmp_path, measured):
        one, other = (compare({"w": words}, folder=tmp_path) for _ in range(2))
        assert len(measured) == 1
        assert one.results.equals(other.results)

    def test_a_failure_is_not_tried_again(self, compare, words, tmp_path, monkeypatch):
        monkeypatch.setattr(speed, "_measure", None)
        compare({"w": words}, folder=tmp_path)
        last = (tmp_path / "journal.jsonl").read_text("utf-8")
        entries = [
            json.loads(line.partition(" ")[2])
            for line in last.splitlines()
            if '"entry":"speed"' in line
        ]
        assert [entry["texts_per_second"] for entry in entries] == [None]
        monkeypatch.setattr(schedule, "evaluate", None)
        found = compare({"w": words}, folder=tmp_path)
        assert found.results["texts_per_second"].isna().all()

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_journal_without_it_is_measured_by_one_fit(
        self, compare, words, tmp_path, measured, monkeypatch, n_jobs
    ):
        one = compare({"w": words}, folder=tmp_path)
        forget_speeds(tmp_path)
        evaluated = []
        evaluate = schedule.evaluate

        def spy(task, *args, **kwargs):
            evaluated.append(task.key)
            return evaluate(task, *args, **kwargs)

        monkeypatch.setattr(schedule, "evaluate", spy)
        for _ in range(2):
            other = compare({"w": words}, folder=tmp_path, n_jobs=n_jobs)
            assert len(evaluated) == 1
            assert len(measured) == 2
        assert other.folds.equals(one.folds)
        assert other.results.equals(one.results)

    def test_long_fits_are_not_done_again_for_it(
        self, compare, words, tmp_path, measured, monkeypatch
    ):
        compare({"w": words}, folder=tmp_path)
        forget_speeds(tmp_path)
        monkeypatch.setattr(schedule, "_LONGEST_REFIT", 0.0)
        monkeypatch.setattr(schedule, "evaluate", None)
        found = compare({"w": words}, folder=tmp_path)
        assert found.results["texts_per_second"].isna().all()
