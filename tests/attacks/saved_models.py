"""Small models of several kinds, saved, and what they predict undisturbed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ledger
import numpy as np
import skops.io  # noqa: F401 (what children would import, each for itself)
import transformers.models.bert.modeling_bert  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors
from tests.conftest import build_tiny_bert

__all__ = ["answer_of", "ask", "save_models", "train_on_numbers"]

# Children are forked from a server that looks for modules where Python always does.
ledger._PRELOADED.append("saved_models")
HERE = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join([os.environ.get("PYTHONPATH", ""), HERE])

TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot", "fun", "boring"] * 3
LABELS = ["pos", "neg"] * 9
NUMBERS = np.random.default_rng(0).normal(size=(18, 4))


def train_on_numbers(seed: int) -> TransferSentimentClassifier:
    """Train a network on numbers, which is saved within milliseconds."""
    model = TransferSentimentClassifier(
        hidden_layer_sizes=(4,), max_epochs=1, random_state=seed
    )
    return model.fit(NUMBERS, LABELS)


def save_models(folder: Path) -> dict[str, Path]:
    """Train and save a model of each kind; returns their folders by their kinds."""
    bert = BertFeaturizer(build_tiny_bert(folder / "weights"), device="cpu")
    words = sorted({word for text in TEXTS for word in text.split()})
    matrix = np.random.default_rng(0).normal(size=(len(words), 8)).astype("f4")
    vectors = WordVectorFeaturizer(WordVectors(words, matrix))
    small = {"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": (4,)}
    models = {
        "bert": TransferSentimentClassifier(bert, strategy="fine_tune", **small),
        "frozen": TransferSentimentClassifier(bert, **small),
        "pipeline": make_pipeline(TfidfVectorizer(), LogisticRegression()),
        "words": make_pipeline(vectors, LogisticRegression()),
    }
    for name, model in models.items():
        save(model.fit(TEXTS, LABELS), folder / name)
    save(train_on_numbers(0), folder / "numbers")
    return {name: folder / name for name in (*models, "numbers")}


def ask(model: Any) -> np.ndarray:
    """Probabilities of a fitted model for what it was trained on."""
    is_of_texts = model.__class__.__name__ == "Pipeline" or model.encoder is not None
    return model.predict_proba(TEXTS if is_of_texts else NUMBERS)


def answer_of(folder: Path) -> bytes:
    """Probabilities that the model in a folder gives."""
    return ask(load(folder)).tobytes()
