from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sktransfer.comparison.findings.suspects import weigh_doubts
from sktransfer.comparison.result import StrategyComparison
from sktransfer.exceptions import InvalidParameterError

N_TEXTS = 200


def predictions(given, labels, repeat=0):
    """A strategy's table, labels as words."""
    names = np.array(["bad", "good"])
    return pd.DataFrame(
        {
            "row": np.arange(len(labels)),
            "repeat": repeat,
            "label": names[labels],
            "predicted": names[given.argmax(axis=1)],
            "probability_bad": given[:, 0],
            "probability_good": given[:, 1],
        }
    )


def say(truth, sharpness, generator, times=1.0):
    """Probabilities that know the truth, and are as sure as `times` says."""
    logits = sharpness * (2 * truth - 1) + generator.normal(size=len(truth))
    good = 1 / (1 + np.exp(-times * 2 * sharpness * logits))
    return np.column_stack([1 - good, good])


@pytest.fixture
def planted():
    """Labels of which 20 are wrong, the rows of these, and three strategies."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, N_TEXTS)
    wrong = generator.choice(N_TEXTS, 20, replace=False)
    labels = truth.copy()
    labels[wrong] = 1 - labels[wrong]
    said = {
        "sharp": say(truth, 2.0, generator),
        "too sure": say(truth, 1.0, generator, times=8.0),
        "blind": say(truth, 0.0, generator) * [0.4, 0.6] + [0.2, 0.0],
    }
    return labels, wrong, said


def compare(labels, tables, texts=None):
    done = {"train_size": 160, "score": 0.9, "status": "done"}
    return StrategyComparison(
        pd.DataFrame([{"strategy": name} | done for name in tables]),
        pd.DataFrame(),
        tables,
        classes=np.array(["bad", "good"]),
        texts=texts or [f"text {row}" for row in range(len(labels))],
        labels=np.array(["bad", "good"])[labels],
        scoring="accuracy",
    )


class TestSuspects:
    def test_planted_errors_come_first(self, planted):
        labels, wrong, said = planted
        tables = {name: predictions(given, labels) for name, given in said.items()}
        found = compare(labels, tables).suspects(15)
        assert np.isin(found["row"], wrong).mean() > 0.9
        assert found.columns.tolist() == [
            "row", "text", "label", "suggested", "probability", "n_against",
            "n_strategies", "said_by_sharp", "said_by_too sure",
        ]  # fmt: skip
        assert (found["label"] != found["suggested"]).all()
        assert found["probability"].max() < 0.5
        first = found.iloc[0]
        assert first["text"] == f"text {first['row']}"
        assert first["label"] == ["bad", "good"][labels[first["row"]]]
        assert (first["n_against"], first["n_strategies"]) == (2, 2)

    def test_all_of_them_are_those_that_more_likely_are_another(self, planted):
        labels, _, said = planted
        table = predictions(said["sharp"], labels)
        found = compare(labels, {"sharp": table}).suspects(None)
        mistaken = said["sharp"].argmax(axis=1) != labels
        assert sorted(found["row"]) == np.flatnonzero(mistaken).tolist()

    def test_repeats_are_averaged(self, planted):
        labels, _, said = planted
        once = compare(labels, {"a": predictions(said["sharp"], labels)})
        twice = compare(
            labels,
            {"a": pd.concat([predictions(said["sharp"], labels, n) for n in (0, 1)])},
        )
        pd.testing.assert_frame_equal(once.suspects(), twice.suspects())

    def test_texts_that_no_fold_tested_are_left_out(self, planted):
        labels, _, said = planted
        table = predictions(said["sharp"], labels)
        rows = compare(labels, {"a": table}).suspects(None)["row"]
        fewer = compare(labels, {"a": table[table["row"] != rows[0]]})
        assert rows[0] not in fewer.suspects(None)["row"].tolist()

    def test_half_a_character_is_no_obstacle(self, planted):
        labels, _, said = planted
        texts = ["half \ud83d"] * len(labels)
        found = compare(labels, {"a": predictions(said["sharp"], labels)}, texts)
        assert found.suspects(1)["text"][0] == "half \ud83d"

    def test_none_can_be_found_by_those_who_know_nothing(self, planted):
        labels, _, _ = planted
        shares = np.tile([0.5, 0.5], (len(labels), 1))
        tables = {"even": predictions(shares, labels)}
        tables["silent"] = predictions(shares, labels).assign(
            probability_bad=np.nan, probability_good=np.nan
        )
        with pytest.raises(InvalidParameterError, match="none can say which labels"):
            compare(labels, tables).suspects()

    def test_at_least_one_is_asked_for(self, planted):
        labels, _, said = planted
        found = compare(labels, {"a": predictions(said["sharp"], labels)})
        with pytest.raises(InvalidParameterError, match="n=0"):
            found.suspects(0)


class TestWeights:
    def weigh(self, labels, said):
        rows = np.arange(len(labels))
        return weigh_doubts({name: (rows, p) for name, p in said.items()}, labels)

    def test_who_tells_more_has_more(self, planted):
        labels, _, said = planted
        weights = self.weigh(labels, said).weights
        assert list(weights) == ["sharp", "too sure"]
        assert weights["sharp"] > 2 * weights["too sure"]

    def test_how_sure_one_is_of_itself_makes_no_difference(self, planted):
        labels, _, _ = planted
        plain = say(labels, 1.0, np.random.default_rng(0), times=0.5)
        mild = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
        found, other = (self.weigh(labels, {"a": given}) for given in (plain, mild))
        assert other.logs == pytest.approx(found.logs, abs=0.05)
