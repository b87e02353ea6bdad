from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from sktransfer.baselines import nbsvm_baseline, tfidf_baseline
from sktransfer.datasets import load_mini_reviews

BASELINES = [tfidf_baseline, nbsvm_baseline]


@pytest.mark.parametrize("baseline", BASELINES)
def test_it_learns_english(baseline, sentiment_texts):
    texts, labels = sentiment_texts
    assert cross_val_score(baseline(texts), texts, labels, cv=3).mean() > 0.95


@pytest.mark.parametrize("baseline", BASELINES)
def test_it_learns_chinese(baseline):
    texts = [
        f"{thing}{word}" for thing in "酒店房间服务屏幕" for word in ("很好", "不好")
    ]
    labels = [1, 0] * 8
    assert cross_val_score(baseline(texts), texts, labels, cv=4).mean() > 0.95


@pytest.mark.parametrize("baseline", BASELINES)
def test_english_is_counted_by_words_and_chinese_by_characters(baseline):
    def pieces(text):
        features = baseline([text]).named_steps["features"]
        return set(features.build_analyzer()(text))

    assert pieces("I don't") == {"i", "don't", "i don't"}
    assert pieces("I don\u2019t") == {"i", "don\u2019t", "i don\u2019t"}
    assert pieces("不好") == {"不", "好", "不好"}
    mixed = baseline(["好", "good"]).named_steps["features"]
    assert {"好", "good"} <= set(mixed.build_analyzer()("好 good"))


def test_nbsvm_counts_a_word_once_a_text():
    features = nbsvm_baseline(["good"]).named_steps["features"]
    assert features.fit_transform(["good good"]).max() == 1


@pytest.mark.parametrize("baseline", BASELINES)
def test_two_fits_are_the_same(baseline):
    texts, labels = load_mini_reviews("en", return_X_y=True)
    found = [baseline(texts).fit(texts, labels).decision_function(texts) for _ in "ab"]
    np.testing.assert_array_equal(*found)
