from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sktransfer.comparison.result import StrategyComparison
from sktransfer.exceptions import InvalidParameterError
from sktransfer.statistics import confidence_table, label_sets


@pytest.fixture
def made():
    """A strategy that is the more often right the surer it is, in two repeats."""
    generator = np.random.default_rng(0)
    rows = np.tile(np.arange(300), 2)
    sure = np.tile(np.linspace(0.5, 1.0, 300), 2)
    predicted = generator.integers(0, 2, 600).astype(bool)
    right = generator.uniform(size=600) < sure
    truth = np.where(right, predicted, ~predicted)
    table = pd.DataFrame(
        {
            "row": rows,
            "repeat": np.repeat([0, 1], 300),
            "label": truth,
            "predicted": predicted,
            # Single precision may exceed 1.
            "probability_False": np.where(predicted, 1 - sure, sure + 1e-7),
            "probability_True": np.where(predicted, sure + 1e-7, 1 - sure),
        }
    )
    silent = table.assign(probability_False=np.nan, probability_True=np.nan)
    done = {"train_size": 240, "status": "done"}
    return StrategyComparison(
        pd.DataFrame(
            [
                {"strategy": "a", "score": 0.8} | done,
                {"strategy": "silent", "score": 0.7} | done,
            ]
        ),
        pd.DataFrame(),
        {"a": table, "silent": silent},
        classes=np.array([False, True]),
        texts=[f"text {row}" for row in range(300)],
        labels=truth[:300],
        scoring="accuracy",
    )


def test_accuracy_is_told_for_each_tenth(made):
    table = made.confidence()
    assert table.columns.tolist() == [
        "confidence", "share", "accuracy", "least_accuracy",
    ]  # fmt: skip
    assert table["share"].tolist() == pytest.approx(np.arange(0.1, 1.05, 0.1), abs=0.03)
    assert (table["least_accuracy"] < table["accuracy"]).all()
    assert table["confidence"].is_monotonic_decreasing
    assert table["confidence"].iloc[-1] == 0
    said = made.predictions["a"]
    assert table["accuracy"].iloc[-1] == (said["label"] == said["predicted"]).mean()
    surer = made.confidence(level=0.99)["least_accuracy"]
    assert (surer < table["least_accuracy"]).all()


def test_few_confidences_are_few_rows(made):
    said = made.predictions["a"]
    made.predictions["a"] = said.assign(probability_False=0.7, probability_True=0.7)
    assert made.confidence()["share"].tolist() == [1.0]


def test_a_text_counts_once_however_often_it_is_repeated(made):
    assert made.confidence_table().n_effective[-1] == pytest.approx(300)


def test_texts_that_belong_together_count_as_one(made):
    made.bound = np.arange(300) // 3
    assert made.confidence_table("a").n_effective[-1] == pytest.approx(100)
    spread = made.label_sets(0.8, "a")
    made.bound = None
    alone = made.label_sets(0.8, "a")
    assert spread.high[0] - spread.low[0] > 1.5 * (alone.high[0] - alone.low[0])


def test_labels_are_what_the_strategy_said(made):
    said = made.predictions["a"]
    confidence = said[["probability_False", "probability_True"]].max(axis=1).clip(0, 1)
    right = said["label"] == said["predicted"]
    by_hand = confidence_table(confidence, right, sets=said["row"])
    assert made.confidence_table() == by_hand
    given = said[["probability_False", "probability_True"]].clip(0, 1)
    sets = label_sets(said["label"].astype(int), given, 0.9, sets=said["row"])
    assert made.label_sets() == sets
    assert made.label_sets(by_class=True).least != sets.least


def test_who_is_silent_is_not_trusted(made):
    for ask in (made.confidence, made.confidence_table):
        with pytest.raises(InvalidParameterError, match="gave no probabilities"):
            ask("silent")
    with pytest.raises(InvalidParameterError, match="gave no probabilities"):
        made.label_sets(strategy="silent")


def test_unknown_names_are_refused(made):
    with pytest.raises(InvalidParameterError, match="is not in this comparison"):
        made.confidence("b")
