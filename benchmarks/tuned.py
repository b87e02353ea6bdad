"""Tuned networks at their defaults, beside frozen ones and transformers' Trainer.

On sets that no recipe was chosen on: English sentences and Chinese reviews, balanced
and with rarer classes. Each result is in a journal as soon as it is known, so that a
run that was stopped goes on where it was, and two can run side by side.

    tuned.py run PLAN... | table

Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon and zh_shopping.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tuned_tables
from finetune import logits_of_trainer, train_with_trainer
from labelled_sets import Array, LabelledSet, read_set
from layouts import ENCODERS
from scipy.special import softmax
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)
from sklearn.pipeline import make_pipeline
from words_accuracy import chinese

from sktransfer import BertFeaturizer, TransferSentimentClassifier
from sktransfer.baselines import tfidf_baseline
from sktransfer.exceptions import SktransferWarning, TruncationWarning
from sktransfer.statistics import calibration_error
from sktransfer.storage import cache_folder

JOURNAL = cache_folder("benchmarks") / "tuned.jsonl"
MAX_LENGTH = 128
# All at the defaults of the classifier; before is what these were.
WAYS: dict[str, dict[str, Any]] = {
    "frozen, linear": {"hidden_layer_sizes": ()},
    "frozen": {},
    "fine_tune": {"strategy": "fine_tune"},
    "partial": {"strategy": "partial"},
    "contrastive": {"strategy": "contrastive"},
    "fine_tune, head_first": {"strategy": "fine_tune", "head_first": True},
}
TUNED = ("fine_tune", "contrastive", "partial")


@dataclass(frozen=True)
class Plan:
    """Cells that are measured together."""

    encoders: tuple[str, ...]
    sets: tuple[str, ...]
    sizes: tuple[int, ...]
    ways: tuple[str, ...]
    shares: tuple[float | None, ...] = (None,)
    draws: tuple[int, ...] = (0,)

    def cells(self) -> Iterator[tuple[str, str, float | None, int, int, str]]:
        """Encoder, set, share of the rarer class, labels, draw, way."""
        for number, n, share, encoder, name, way in itertools.product(
            self.draws, self.sizes, self.shares, self.encoders, self.sets, self.ways
        ):
            yield encoder, name, share, n, number, way


FROZEN = ("TF-IDF", "frozen, linear", "frozen")
PLANS = {
    "e5-300": Plan(("E5",), ("products", "tablet", "movies", "hotel"), (300,), TUNED),
    "e5-300-more": Plan(("E5",), ("hotel", "movies"), (300,), ("fine_tune",)),
    "e5-64-first": Plan(
        ("E5",), ("tablet", "products", "hotel", "movies"), (64,), ("fine_tune",)
    ),
    "e5-64-more": Plan(("E5",), ("movies",), (64,), ("fine_tune",)),
    "e5-64": Plan(("E5",), ("products", "tablet", "movies", "hotel"), (64,), TUNED),
    "e5-frozen": Plan(
        ("E5",), ("products", "tablet", "movies", "hotel"), (64, 300), FROZEN
    ),
    "minilm-first": Plan(
        ("MiniLM",),
        ("products", "movies"),
        (300, 64),
        ("frozen, linear", "fine_tune", "contrastive"),
    ),
    "minilm": Plan(("MiniLM",), ("products", "movies"), (64, 300), FROZEN[1:] + TUNED),
    "chinese": Plan(
        ("E5",),
        ("hotel", "tablet", "books zh", "clothes"),
        (1000,),
        ("frozen, linear", "fine_tune"),
    ),
    "skewed": Plan(
        ("E5",),
        ("products", "tablet"),
        (300,),
        (*FROZEN, "fine_tune", "contrastive"),
        (0.1, 0.3),
    ),
    "trainer": Plan(
        ("MiniLM", "E5"),
        ("products",),
        (300,),
        ("Trainer, 3 epochs", "Trainer, our steps"),
    ),
    "first": Plan(("E5",), ("products", "tablet"), (300,), ("fine_tune, head_first",)),
}


@cache
def texts_of(name: str) -> LabelledSet:
    """Read a set once."""
    if name == "books zh":
        texts, y = chinese()["books"]
        return LabelledSet(name, texts, y, np.arange(len(texts)))
    return read_set(name)


def fit(
    way: str, encoder: str, number: int, X: list[str], y: Array
) -> Callable[[list[str]], Array]:
    """Train, and return what gives probabilities."""
    if way == "TF-IDF":
        regression = LogisticRegressionCV(
            Cs=np.logspace(-1, 4, 11),
            cv=max(2, min(5, int(np.bincount(y).min()))),
            l1_ratios=(0,),
            max_iter=2000,
            scoring="neg_log_loss",
            use_legacy_attributes=False,
        )
        return make_pipeline(tfidf_baseline(X)[0], regression).fit(X, y).predict_proba
    if way.startswith("Trainer"):
        return train_by_trainer(encoder, way, number, X, y)
    model = TransferSentimentClassifier(
        BertFeaturizer(ENCODERS[encoder], max_length=MAX_LENGTH),
        random_state=number,
        **WAYS[way],
    )
    return model.fit(X, y).predict_proba


def train_by_trainer(
    encoder: str, way: str, seed: int, X: list[str], y: Array
) -> Callable[[list[str]], Array]:
    """Transformers' Trainer, for three epochs or for as many steps as ours."""
    epochs = 3
    if "steps" in way:
        epochs = max(3, math.ceil(100 / math.ceil(len(X) / 16)))
    rate = {"MiniLM": 1e-4, "E5": 5e-5}[encoder]
    prefix = {"MiniLM": "", "E5": "query: "}[encoder]
    trainer, _ = train_with_trainer(
        ENCODERS[encoder],
        [prefix + text for text in X],
        y,
        epochs=epochs,
        seed=seed,
        rate=rate,
    )
    return lambda texts: softmax(
        logits_of_trainer(trainer, [prefix + text for text in texts]), axis=1
    )


def measure(cell: tuple[str, str, float | None, int, int, str]) -> dict[str, float]:
    """Train and test one cell."""
    encoder, name, share, n, number, way = cell
    texts = texts_of(name)
    train, test = texts.draw(share, n, number)
    X, y, z = texts.take(train), texts.y[train], texts.y[test]
    began = time.perf_counter()
    chances = fit(way, encoder, number, X, y)
    seconds = time.perf_counter() - began
    found = chances(texts.take(test)).astype(np.float64)
    found /= found.sum(axis=1, keepdims=True)
    decided = found.argmax(axis=1)
    return {
        "accuracy": accuracy_score(z, decided),
        "balanced": balanced_accuracy_score(z, decided),
        "f1": f1_score(z, decided, average="macro"),
        "log_loss": log_loss(z, np.clip(found, 1e-7, 1)),
        "calibration": calibration_error(z, found, debiased=True),
        "seconds": seconds,
    }


def run(plan: Plan) -> None:
    """Measure what a plan lacks."""
    for cell in plan.cells():
        if json.dumps(cell) in {json.dumps(one["cell"]) for one in read_journal()}:
            continue
        found = measure(cell)
        with JOURNAL.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cell": cell, **found}) + "\n")
        print(*cell, {k: round(v, 3) for k, v in found.items()}, flush=True)


def read_journal() -> list[dict[str, Any]]:
    """All that is known."""
    found = []
    for line in JOURNAL.read_text().splitlines() if JOURNAL.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # the line of a kill
            continue
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    warnings.simplefilter("ignore", SktransferWarning)
    if sys.argv[1:2] == ["run"]:
        for chosen in sys.argv[2:]:
            run(PLANS[chosen])
    else:
        tuned_tables.write(read_journal())
