"""Rows are stopped for what their first folds say, and for nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest

from sktransfer.comparison.run.racing import Racer, find_stops

N_FOLDS, N_TEST = 5, 40
N_TEXTS = N_FOLDS * N_TEST


def make_data(metric="accuracy", bound=None):
    labels = np.tile(["neg", "pos"], N_TEXTS // 2)
    return SimpleNamespace(
        labels=labels,
        classes=np.array(["neg", "pos"]),
        bound=np.arange(N_TEXTS) if bound is None else bound,
        folds=list(range(N_FOLDS)),
        scoring=SimpleNamespace(name=metric),
    )


def folds_of(data, is_right, score=np.mean):
    """Outcomes of a strategy that gets these texts right."""
    truth = np.searchsorted(data.classes, data.labels)
    predicted = np.where(is_right, truth, 1 - truth)
    found = []
    for fold in range(N_FOLDS):
        rows = np.arange(fold * N_TEST, (fold + 1) * N_TEST)
        found.append(
            {
                "status": "done",
                "metrics": {"score": float(score(is_right[rows]))},
                "predictions": {
                    "rows": rows.tolist(),
                    "predicted": predicted[rows].tolist(),
                },
            }
        )
    return found


def draw(share, seed=0):
    return np.random.default_rng(seed).random(N_TEXTS) < share


def stops(data, n_folds, rows, **options):
    racers = [Racer(name, folds[:n_folds]) for name, folds in rows.items()]
    return find_stops(data, racers, n_folds, **options)


class TestRule:
    def test_what_is_far_behind_is_stopped_and_says_by_how_much(self):
        data = make_data()
        rows = {
            "good": folds_of(data, draw(0.95)),
            "bad": folds_of(data, draw(0.5, seed=1)),
        }
        stop = stops(data, 2, rows)["bad"]
        assert list(stops(data, 2, rows)) == ["bad"]
        means = [np.mean([o["metrics"]["score"] for o in rows[n][:2]]) for n in rows]
        assert stop.behind == pytest.approx(means[0] - means[1])
        told = stop.tell(N_FOLDS, in_points=True)
        assert told.startswith("after 2 of 5 folds ")
        assert "points behind good on the same texts" in told

    def test_a_near_tie_runs_on(self):
        data = make_data()
        rows = {
            "one": folds_of(data, draw(0.85)),
            "other": folds_of(data, draw(0.8, seed=1)),
        }
        assert all(not stops(data, n, rows) for n in range(1, N_FOLDS))

    def test_a_mean_above_the_leaders_worst_fold_runs_on(self):
        data = make_data()
        right = draw(0.97)
        right[:N_TEST] = draw(0.3)[:N_TEST]  # the leader has had a bad fold
        rows = {
            "leader": folds_of(data, right),
            "behind": folds_of(data, right & draw(0.7, seed=1)),
        }
        mean = np.mean([o["metrics"]["score"] for o in rows["behind"][:4]])
        assert mean > rows["leader"][0]["metrics"]["score"]
        assert not stops(data, 4, rows, level=0.5)

    def test_after_the_last_fold_there_is_nothing_to_stop(self):
        data = make_data()
        rows = {
            "good": folds_of(data, draw(1.0)),
            "bad": folds_of(data, draw(0.1, seed=1)),
        }
        assert stops(data, N_FOLDS, rows) == {}

    def test_more_rivals_need_more_evidence(self):
        data = make_data()
        rows = {
            "good": folds_of(data, draw(0.95)),
            "bad": folds_of(data, draw(0.5, seed=1)),
        }
        alone = stops(data, 2, rows)["bad"].by_chance
        others = {f"copy {n}": rows["good"] for n in range(10)}
        assert stops(data, 2, rows | others)["bad"].by_chance > alone

    def test_texts_that_are_bound_count_as_one(self):
        apart = make_data()
        together = make_data(bound=np.arange(N_TEXTS) // 4)
        right, wrong = np.repeat(draw(0.9)[::4], 4), np.repeat(draw(0.5, 1)[::4], 4)
        chances = [
            stops(data, 4, {"a": folds_of(data, right), "b": folds_of(data, wrong)})[
                "b"
            ].by_chance
            for data in (apart, together)
        ]
        assert chances[1] == pytest.approx(2 * chances[0], rel=0.1)

    def test_few_texts_stop_nobody(self):
        data = make_data(bound=np.arange(N_TEXTS) // 20)
        rows = {
            "good": folds_of(data, draw(1.0)),
            "bad": folds_of(data, draw(0.1, seed=1)),
        }
        assert not stops(data, 1, rows)


class TestWhoMayBeStopped:
    @pytest.fixture
    def rows(self):
        data = make_data()
        return data, folds_of(data, draw(0.98))[:2], folds_of(data, draw(0.3, 1))[:2]

    def test_protected_rows_run_on(self, rows):
        data, good, bad = rows
        racers = [Racer("good", good), Racer("bad", bad, runs_on=True)]
        assert find_stops(data, racers, 2) == {}

    def test_a_field_races_among_itself(self, rows):
        data, good, bad = rows
        racers = [Racer("good", good), Racer("bad", bad, "encoders")]
        assert find_stops(data, racers, 2) == {}
        racers.append(Racer("better", good, "encoders"))
        assert find_stops(data, racers, 2)["bad"].leader == "better"

    def test_rows_that_failed_neither_lead_nor_are_stopped(self, rows):
        data, good, bad = rows
        failed = [good[0], {"status": "failed"}]
        assert find_stops(data, [Racer("f", failed), Racer("bad", bad)], 2) == {}


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro"])
def test_metrics_of_labels_have_errors_near_those_of_accuracy(metric):
    # Both classes are as frequent, and mistakes as likely in each.
    data, other = make_data(), make_data(metric)
    chances = [
        stops(d, 3, {"a": folds_of(d, draw(0.95)), "b": folds_of(d, draw(0.6, 1))})[
            "b"
        ].by_chance
        for d in (data, other)
    ]
    assert chances[1] == pytest.approx(chances[0], rel=0.1)


def test_a_metric_of_the_model_goes_by_its_folds():
    data = make_data("my_own")
    rows = {
        "a": folds_of(data, draw(0.95)),
        "b": folds_of(data, draw(0.3, 1)),
    }
    assert not stops(data, 2, rows, level=0.5)
    assert list(stops(data, 4, rows, level=0.5)) == ["b"]


def test_of_equals_the_later_best_is_rarely_stopped():
    data, n_wrong, n_draws = make_data(), 0, 25
    for seed in range(n_draws):
        rows = {
            str(n): folds_of(data, draw(0.8, seed=1000 * seed + n)) for n in range(6)
        }
        best = max(
            rows, key=lambda n: np.mean([o["metrics"]["score"] for o in rows[n]])
        )
        stopped = {}
        for n_folds in range(1, N_FOLDS):
            left = {name: o for name, o in rows.items() if name not in stopped}
            stopped |= stops(data, n_folds, left)
        n_wrong += best in stopped
    assert n_wrong <= 2
