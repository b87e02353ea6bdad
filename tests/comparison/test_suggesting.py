from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.suggesting import suggest
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidInputError, InvalidParameterError


@pytest.fixture
def plane():
    """A model that is uncertain along a line, and points."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(400, 2))
    return LogisticRegression().fit(X, X[:, 0] > 0), generator.normal(size=(300, 2))


def test_uncertain_ones_that_differ_are_suggested(plane):
    model, X = plane
    rows = suggest(model, X, 6, random_state=0)
    assert len(set(rows.tolist())) == 6
    distance = np.abs(model.decision_function(X))
    assert set(rows) <= set(np.argsort(distance)[:18].tolist())
    assert np.all(np.diff(distance[rows]) >= 0)
    # Along the line they lie further apart than the most uncertain do.
    gaps = [
        np.diff(np.sort(X[some, 1])).min() for some in (rows, np.argsort(distance)[:6])
    ]
    assert gaps[0] > gaps[1]


def test_seeds_decide(plane):
    found = [suggest(*plane, 6, random_state=seed).tolist() for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert len({tuple(rows) for rows in found}) > 1


class TestTexts:
    @pytest.fixture
    def words(self, sentiment_texts):
        return make_pipeline(CountVectorizer(), LogisticRegression()).fit(
            *sentiment_texts
        )

    def test_copies_are_suggested_once(self, words):
        texts = ["good", "lamp", "lamp", " lamp", "table", "bad"]
        assert suggest(words, texts, 10).tolist()[:2] == [1, 4]
        assert sorted(suggest(words, texts, 10)) == [0, 1, 4, 5]
        # Words that the model does not know are all alike to it.
        rows = suggest(words, texts, 2, random_state=0)
        assert rows[0] == 1
        assert rows[1] in (0, 5)

    def test_decisions_will_do(self, sentiment_texts):
        model = make_pipeline(CountVectorizer(), LinearSVC()).fit(*sentiment_texts)
        assert suggest(model, ["good", "bad", "lamp"], 1).tolist() == [2]

    def test_vectors_are_the_encoders_own(self, tiny_bert, sentiment_texts):
        texts, labels = sentiment_texts
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu")
        model = TransferSentimentClassifier(
            encoder, hidden_layer_sizes=(), device="cpu", random_state=0
        ).fit(texts, labels)
        rows = suggest(model, texts, 3, random_state=0)
        piped = make_pipeline(encoder, LogisticRegression()).fit(texts, labels)
        assert len(rows) == len(suggest(piped, texts, 3, random_state=0)) == 3

    def test_without_vectors_the_margin_decides(self, sentiment_texts):
        class Bag(LogisticRegression):
            """Counts inside, which nobody sees."""

            def fit(self, X, y):
                self.inner = CountVectorizer().fit(X)
                return super().fit(self.inner.transform(X), y)

            def predict(self, X):
                return super().predict(self.inner.transform(X))

            def predict_proba(self, X):
                return super().predict_proba(self.inner.transform(X))

        model = Bag().fit(*sentiment_texts)
        assert suggest(model, ["good", "lamp", "bad", "bad bad"], 1).tolist() == [1]


class TestBadInput:
    @pytest.mark.parametrize("n", [0, 1.5, True, "3"])
    def test_numbers_are_checked(self, plane, n):
        with pytest.raises(InvalidParameterError, match="n="):
            suggest(*plane, n)

    @pytest.mark.parametrize(
        "unlabelled",
        ["one text", [], [1, 2], np.array([["a", "b"]]), np.array([[np.nan, 1.0]])],
    )
    def test_texts_are_checked(self, plane, unlabelled):
        with pytest.raises(InvalidInputError):
            suggest(plane[0], unlabelled)

    @pytest.mark.parametrize("model", [None, CountVectorizer(), DummyClassifier])
    def test_models_are_checked(self, model):
        with pytest.raises(InvalidInputError, match="a fitted classifier"):
            suggest(model, ["a"])

    def test_they_are_fitted(self):
        with pytest.raises(NotFittedError):
            suggest(LogisticRegression(), ["a"])
