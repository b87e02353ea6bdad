"""Comparisons that take tenths of a second, and outcomes made up by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.comparing import compare_strategies
from sktransfer.comparison.run import speed
from sktransfer.encoders.featurizer import BertFeaturizer


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(autouse=True)
def quick_speed(monkeypatch):
    """One text after a first one is enough."""
    monkeypatch.setattr(speed, "SECONDS", 1e-6)


@pytest.fixture
def words():
    """A classifier that learns which words are good."""
    return make_pipeline(CountVectorizer(), LogisticRegression())


@pytest.fixture
def guess():
    """A classifier that has no idea."""
    return DummyClassifier(strategy="uniform")


@pytest.fixture
def network(tiny_bert):
    """Classifiers on the tiny BERT, one epoch long."""

    def network(**parameters):
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu")
        defaults = {"max_epochs": 1, "device": "cpu", "dtype": "float32"}
        return TransferSentimentClassifier(encoder, **defaults | parameters)

    return network


@pytest.fixture
def source_texts():
    """Texts of another domain with the same labels."""
    texts = [f"a {word} book no {n}" for n in range(10) for word in ("good", "bad")]
    return texts, np.tile(["pos", "neg"], 10)


@pytest.fixture
def compare(sentiment_texts):
    """`compare_strategies` on the short texts, three folds, no baseline."""

    def compare(strategies, X=None, y=None, **options):
        texts, labels = sentiment_texts if X is None else (X, y)
        defaults = {"cv": 3, "baseline": None, "random_state": 0}
        options = defaults | options
        return compare_strategies(texts, labels, strategies=strategies, **options)

    return compare
