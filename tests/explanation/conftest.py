"""Fitted classifiers of every kind, small enough for tests."""

from __future__ import annotations

import pytest
import torch

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small only wait for their threads, above all on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def bert(tiny_bert):
    """Featurizers of the tiny BERT in float32, whatever the machine prefers."""

    def bert(**parameters):
        defaults = {"model": tiny_bert, "dtype": "float32", "device": "cpu"}
        return BertFeaturizer(**defaults | parameters)

    return bert


@pytest.fixture
def words(toy_words, toy_matrix):
    """Featurizers of the toy vectors."""

    def words(**parameters):
        vectors = WordVectors(toy_words, toy_matrix)
        return WordVectorFeaturizer(**{"vectors": vectors} | parameters)

    return words


@pytest.fixture
def network():
    """Networks with a small head, all seeds fixed."""

    def network(encoder=None, **parameters):
        defaults = {
            "hidden_layer_sizes": (4,),
            "max_epochs": 2,
            "early_stopping": False,
            "device": "cpu",
            "dtype": "float32",
            "random_state": 0,
        }
        return TransferSentimentClassifier(encoder, **defaults | parameters)

    return network
