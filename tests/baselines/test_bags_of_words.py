from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sktransfer.baselines import nbsvm_baseline, tfidf_baseline
from sktransfer.baselines.tfidf import TunedLogisticRegression
from sktransfer.datasets import load_mini_reviews
from sktransfer.exceptions import InvalidParameterError
from sktransfer.persistence import load, save

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


class TestPenalty:
    """TF-IDF chooses its penalty within the texts that it is fitted on."""

    @pytest.fixture
    def words(self):
        """Features whose first column tells two classes apart, and noise."""
        generator = np.random.default_rng(0)
        y = np.repeat([0, 1], [80, 12])
        X = np.column_stack([y + generator.normal(0, 0.4, 92), np.zeros((92, 3))])
        return X / 3, y

    def test_it_is_weak_where_words_tell_and_strong_where_they_do_not(self, words):
        X, y = words
        assert TunedLogisticRegression().fit(X, y).C_ == 100
        noise = np.random.default_rng(1).normal(size=(92, 60))
        assert TunedLogisticRegression().fit(noise, y).C_ == 4

    def test_it_takes_tables_with_named_columns(self, words):
        X, y = words
        model = TunedLogisticRegression().fit(pd.DataFrame(X, columns=[*"abcd"]), y)
        assert model.C_ == 100
        assert model.feature_names_in_.tolist() == [*"abcd"]

    def test_the_rest_is_the_regression_of_that_penalty(self, words):
        X, y = words
        ours = TunedLogisticRegression().fit(X, y)
        theirs = LogisticRegression(C=ours.C_, max_iter=1000).fit(X, y)
        np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
        assert clone(ours).get_params() == TunedLogisticRegression().get_params()

    @pytest.mark.parametrize("n_rare", [1, 2])
    def test_a_class_of_fewer_than_three_leaves_no_choice(self, n_rare):
        texts = ["a good film", "a fine film", "a bad film"] * 4 + ["rain"] * n_rare
        labels = ["pos", "pos", "neg"] * 4 + ["off"] * n_rare
        model = tfidf_baseline(texts).fit(texts, labels)
        assert model[-1].C_ == 10
        assert model.predict(["rain"]).tolist() == ["off"]

    def test_three_classes_of_three_are_enough(self):
        texts = ["good", "bad", "rain"] * 3
        model = tfidf_baseline(texts).fit(texts, [2, 0, 1] * 3)
        assert model[-1].C_ == 100
        assert model.predict(["rain", "good"]).tolist() == [1, 2]

    def test_weights_count_as_rows_do(self, words):
        X, y = words
        twice = np.where(np.arange(len(y)) % 5, 1, 2)
        weighted = TunedLogisticRegression(C=3.0, class_weight="balanced")
        weighted.fit(X, y, twice)
        theirs = LogisticRegression(C=3.0, class_weight="balanced", max_iter=1000)
        theirs.fit(X, y, twice)
        np.testing.assert_array_equal(weighted.coef_, theirs.coef_)

    def test_it_may_be_fixed(self, words):
        assert TunedLogisticRegression(C=2.5).fit(*words).C_ == 2.5
        with pytest.raises(InvalidParameterError, match="C=0, but"):
            TunedLogisticRegression(C=0).fit(*words)

    @pytest.mark.slow
    def test_it_saves_and_loads(self, sentiment_texts, tmp_path):
        texts, labels = sentiment_texts
        model = tfidf_baseline(texts).fit(texts, labels)
        save(model, tmp_path / "model")
        loaded = load(tmp_path / "model")
        np.testing.assert_array_equal(
            loaded.predict_proba(texts), model.predict_proba(texts)
        )
        assert loaded[-1].C_ == model[-1].C_
