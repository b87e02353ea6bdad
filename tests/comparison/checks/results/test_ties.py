from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

LABELS = np.tile(["neg", "pos"], 30)


def said(predicted):
    rows = np.random.default_rng(0).permutation(60)
    return pd.DataFrame(
        {"row": rows, "repeat": 0, "predicted": np.asarray(predicted)[rows]}
    )


@pytest.fixture
def check(facts, say):
    def check(predictions, **known):
        tables = {name: said(labels) for name, labels in predictions.items()}
        return say("results.ties", facts(LABELS, predictions=tables, **known))

    return check


def test_strategies_that_agree_everywhere_are_told_of(check):
    other = LABELS.copy()
    other[0] = "pos"
    (remark,) = check({"a": LABELS, "b": LABELS.copy(), "c": other})
    assert remark.sentence.startswith("a and b give all texts the same labels")
    assert remark.strategies == ("a", "b")


def test_so_is_one_that_says_one_label(check):
    constant = np.full(60, "neg")
    (remark,) = check({"majority": constant, "a": constant, "b": LABELS})
    assert remark.sentence.startswith("a gives all texts the same label")
    assert "--threshold balanced" in remark.remedy


def test_one_label_in_spite_of_the_threshold_has_another_remedy(check):
    constant = np.full(60, "neg")
    (remark,) = check({"a": constant, "b": LABELS}, is_balanced=True)
    assert "threshold" not in remark.remedy
    assert "class_weight='balanced'" in remark.remedy


def test_different_ones_are_not(check):
    other = LABELS.copy()
    other[7] = "neg"
    assert check({"majority": np.full(60, "neg"), "a": LABELS, "b": other}) == []


def scores(**by_name):
    rows = [
        {"strategy": name, "train_size": 40, "repeat": 0, "fold": fold, "score": score}
        for name, found in by_name.items()
        for fold, score in enumerate(found)
    ]
    return pd.DataFrame(rows)


def test_folds_that_tie_are_told_of(check):
    table = scores(
        tfidf=[0.5, 0.6, 0.7],
        a=[0.55, 0.65, 0.75],
        b=[0.6, 0.6, 0.7],
        stopped=[0.3],  # by a race, after a fold
    )
    (remark,) = check({"a": LABELS}, scores=table, baseline="tfidf")
    assert remark.sentence.startswith("In all 3 folds a differs from tfidf")
    assert remark.strategies == ("a",)


def test_without_a_baseline_folds_are_compared_with_nothing(check):
    table = scores(tfidf=[0.5, 0.5, 0.5], a=[0.55, 0.55, 0.55])
    assert check({"a": LABELS}, scores=table, baseline=None) == []
