"""Classifiers small enough to be trained in tenths of a second."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders import loaded_models
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors


@pytest.fixture(autouse=True)
def one_thread(request):
    """Networks this small only wait for their threads, above all on a busy machine."""
    n_threads = torch.get_num_threads()
    if request.node.get_closest_marker("real") is None:
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
def save_encoder(tmp_path, tiny_bert):
    """Save a small model of an architecture, with the tiny BERT's tokenizer."""
    from transformers import AutoConfig, AutoModel

    def save_encoder(config, **options):
        sizes = {
            "vocab_size": AutoConfig.from_pretrained(tiny_bert).vocab_size,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 70,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        }
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModel.from_config(config(**sizes | options))
        model.save_pretrained(tmp_path)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Path(tiny_bert, name), tmp_path)
        return BertFeaturizer(str(tmp_path), dtype="float32", device="cpu")

    return save_encoder


@pytest.fixture(scope="session")
def toy_vectors(toy_words, toy_matrix):
    """Toy words with their vectors, 8 wide."""
    return WordVectors(toy_words, toy_matrix)


@pytest.fixture
def words(toy_vectors):
    """Featurizers of the toy vectors."""

    def words(**parameters):
        return WordVectorFeaturizer(**{"vectors": toy_vectors} | parameters)

    return words


@pytest.fixture
def make(bert):
    """Classifiers on the tiny BERT: two epochs of a small head, all seeds fixed."""

    def make(**parameters):
        defaults = {
            "hidden_layer_sizes": (4,),
            "max_epochs": 2,
            "early_stopping": False,
            "device": "cpu",
            "dtype": "float32",
            "random_state": 0,
        }
        if "encoder" not in parameters:
            parameters["encoder"] = bert()
        return TransferSentimentClassifier(**defaults | parameters)

    return make


@pytest.fixture(scope="session")
def numbers():
    """Sixty rows of five numbers, and labels that the first two decide."""
    X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    return X, np.where(X[:, 0] + X[:, 1] > 0, "pos", "neg")


def digest_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names and numbers."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        # numpy has no bfloat16; in float64 every number here is what it was.
        numbers = tensors[name].detach().double().numpy()
        digest.update(name.encode() + numbers.tobytes())
    return digest.hexdigest()


@pytest.fixture(autouse=True)
def registered_modules_never_change(tiny_bert):
    """What the process shares is after each test what it was before."""

    before = dict(loaded_models._modules)
    digests = {key: digest_tensors(m.state_dict()) for key, m in before.items()}
    yield
    for key, module in loaded_models._modules.items():
        assert not any(p.requires_grad for p in module.parameters())
        assert not any(part.training for part in module.modules())
        if module is before.get(key):
            assert digest_tensors(module.state_dict()) == digests[key]
