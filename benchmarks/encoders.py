"""What to transfer from: encoders, layers, poolings and heads, frozen and tuned.

Sentences, whole reviews, Chinese and three classes; 16 to 1,000 labels, balanced and
with one text in ten of the rarer class; three draws. Everything is chosen on the sets
of `DEVELOPMENT`, and the others are reported. Each result is in a journal as soon as it
is known, so that a run that was stopped goes on where it was.

    encoders.py [frozen | tuned | estimates | costs | table]

Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon, zh_shopping and zh_takeaway.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import encoder_tables
import numpy as np
from labelled_sets import (
    DEVELOPMENT,
    SETS,
    Array,
    LabelledSet,
    read_set,
)
from layouts import ENCODERS, LAYOUTS, Vectors, name_of
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from transferability import h_score

from sktransfer import BertFeaturizer, TransferSentimentClassifier
from sktransfer.baselines import tfidf_baseline
from sktransfer.exceptions import SktransferWarning, TruncationWarning
from sktransfer.statistics import log_evidence
from sktransfer.storage import cache_folder

SHARES = (None, 0.1)
SIZES = (16, 64, 300, 1000)
DRAWS = (0, 1, 2)
HEADS = {"linear": (), "64-32": (64, 32)}
JOURNAL = cache_folder("benchmarks") / "encoders.jsonl"

# Layouts that the reported sets are measured with: what the checkpoints declare, and
# the best of the development sets.
Layout = tuple[str, tuple[str, ...]]
LAST: Layout = ("last", ("mean",))
CHOSEN: list[Layout] = [LAST, ("last three", ("mean",))]


# Layouts that estimates of transferability choose among.
ESTIMATED: list[Layout] = [*CHOSEN, ("last", ("max",)), ("last", ("cls",))]

# Ways of tuning: the classifier's defaults at a rate, and with a linear head that
# learns first and no early stopping.
_AFTER_HEAD = {
    "strategy": "fine_tune",
    "head_first": True,
    "early_stopping": False,
    "hidden_layer_sizes": (),
}
WAYS: dict[str, dict] = {
    "frozen": {"hidden_layer_sizes": ()},
    "partial": {"strategy": "partial"},
} | {
    f"{name}, {rate}": {**parameters, "encoder_learning_rate": float(rate)}
    for name, parameters in {
        "fine_tune": {"strategy": "fine_tune"},
        "fine_tune after a linear head": _AFTER_HEAD,
        "contrastive": {"strategy": "contrastive"},
    }.items()
    for rate in ("1e-4", "5e-5", "3e-5")
}
# Those that a set is measured with: all that may suit, then what was chosen.
TRIED = {
    "MiniLM": (
        "frozen",
        "fine_tune, 1e-4",
        "fine_tune after a linear head, 1e-4",
        "contrastive, 1e-4",
    ),
    "E5": (
        "frozen",
        "fine_tune after a linear head, 3e-5",
        "fine_tune after a linear head, 5e-5",
        "fine_tune after a linear head, 1e-4",
        "fine_tune, 5e-5",
        "contrastive, 5e-5",
    ),
}
REPORTED_WAYS = {
    "MiniLM": ("frozen", "fine_tune, 1e-4", "contrastive, 1e-4"),
    "E5": ("frozen", "fine_tune after a linear head, 5e-5"),
}
TUNED_SETS = ("news", "movies", "tweets", "products", "tablet")
TUNED_SIZES = (300,)
TUNED_DRAWS = (0,)


def read_journal() -> list[dict]:
    """All that is known."""
    found = []
    for line in JOURNAL.read_text().splitlines() if JOURNAL.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # the line of a kill
            continue
    return found


class Journal:
    """Results by what they are of."""

    def __init__(self) -> None:
        self._known = {json.dumps(line["cell"]) for line in read_journal()}

    def lacks(self, *cell: object) -> bool:
        """Whether a result is still to be measured."""
        return json.dumps(cell) not in self._known

    def add(self, *cell: object, **found: float) -> None:
        """Keep a result."""
        with JOURNAL.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"cell": cell, **found}) + "\n")
        self._known.add(json.dumps(cell))
        print(*cell, {k: round(v, 3) for k, v in found.items()}, flush=True)


def cells_of(
    texts: LabelledSet, layout: Layout = LAST
) -> Iterator[tuple[float | None, int, int]]:
    """Share of the rarer class, labels, draw; fewer of what is only a candidate."""
    shares = SHARES if texts.n_classes == 2 else SHARES[:1]
    if layout in CHOSEN:
        return itertools.product(shares, SIZES, DRAWS)
    return itertools.product(shares, SIZES[1:], DRAWS[:2])


def score(fit: Callable[[], Callable], X: object, y: Array) -> dict[str, float]:
    """Fit, and score what is predicted."""
    began = time.perf_counter()
    predict = fit()
    seconds, found = time.perf_counter() - began, predict(X)
    return {
        "accuracy": accuracy_score(y, found),
        "f1": f1_score(y, found, average="macro"),
        "seconds": seconds,
    }


def tfidf(texts: list[str], y: Array) -> Callable:
    """TF-IDF under logistic regression, its C by cross-validation on accuracy."""
    features, _ = tfidf_baseline(texts)
    regression = LogisticRegressionCV(
        Cs=np.logspace(-1, 4, 11),
        cv=max(2, min(5, int(np.bincount(y).min()))),
        l1_ratios=(0,),
        max_iter=2000,
        scoring="accuracy",
        use_legacy_attributes=False,
    )
    return make_pipeline(features, regression).fit(texts, y).predict


def frozen(journal: Journal, names: tuple[str, ...]) -> None:
    """Heads on frozen vectors, and TF-IDF, of some sets."""
    for name in names:
        texts = read_set(name)
        for share, n, number in cells_of(texts):
            cell = ("frozen", name, share, n, number, "TF-IDF")
            if journal.lacks(*cell):
                train, test = texts.draw(share, n, number)
                fit = partial(tfidf, texts.take(train), texts.y[train])
                journal.add(*cell, **score(fit, texts.take(test), texts.y[test]))
        layouts = LAYOUTS if name in DEVELOPMENT else CHOSEN
        for encoder in ENCODERS:
            vectors = Vectors(encoder, texts)
            for layout, head in itertools.product(layouts, HEADS):
                if layout in CHOSEN or not HEADS[head]:
                    one_layout(journal, texts, encoder, vectors, layout, head)


def one_layout(
    journal: Journal,
    texts: LabelledSet,
    encoder: str,
    vectors: Vectors,
    layout: Layout,
    head: str,
) -> None:
    """One head on one layout of vectors, at all sizes and shares."""
    X, y = vectors.take(layout), texts.y
    row = f"{encoder}, {name_of(layout)}, {head}"
    for share, n, number in cells_of(texts, layout):
        cell = ("frozen", texts.name, share, n, number, row)
        if journal.lacks(*cell):
            train, test = texts.draw(share, n, number)
            model = TransferSentimentClassifier(
                hidden_layer_sizes=HEADS[head], random_state=number
            )
            fit = partial(fitted_predict, model, X[train], y[train])
            journal.add(*cell, **score(fit, X[test], y[test]))


def fitted_predict(model: TransferSentimentClassifier, X: object, y: Array) -> Callable:
    """The predict function of a model that was just fitted."""
    return model.fit(X, y).predict


def tuned(journal: Journal, names: tuple[str, ...]) -> None:
    """Encoders that learn, at rates that may suit them."""
    for name, n, number in itertools.product(names, TUNED_SIZES, TUNED_DRAWS):
        texts = read_set(name)
        train, test = texts.draw(None, n, number)
        test = test[::2]
        ways = TRIED if name in DEVELOPMENT else REPORTED_WAYS
        for encoder in ("E5", "MiniLM"):
            for way in ways[encoder]:
                cell = ("tuned", name, None, n, number, f"{encoder}, {way}")
                if not journal.lacks(*cell):
                    continue
                classifier = TransferSentimentClassifier(
                    BertFeaturizer(ENCODERS[encoder]), random_state=number, **WAYS[way]
                )
                X, y = texts.take(train), texts.y[train]
                fit = partial(fitted_predict, classifier, X, y)
                journal.add(*cell, **score(fit, texts.take(test), texts.y[test]))


def estimates(journal: Journal, names: tuple[str, ...]) -> None:
    """What chooses among encoders and layouts, against the test."""
    for name in names:
        texts = read_set(name)
        candidates = {
            f"{encoder}, {name_of(layout)}": Vectors(encoder, texts).take(layout)
            for encoder in ENCODERS
            for layout in ESTIMATED
        }
        for n, number in itertools.product(SIZES[1:], DRAWS[:2]):
            train, test = texts.draw(None, n, number)
            y, done = texts.y[train], {}
            for how, estimate in ESTIMATES.items():
                cell = ("estimate", name, None, n, number, how)
                if not journal.lacks(*cell):
                    continue
                done = done or {
                    row: head_accuracy(X[train], y, X[test], texts.y[test])
                    for row, X in candidates.items()
                }
                began = time.perf_counter()
                values = {row: estimate(X[train], y) for row, X in candidates.items()}
                seconds = time.perf_counter() - began
                chosen, best = max(values, key=values.get), max(done, key=done.get)
                journal.add(
                    *cell,
                    lost=done[best] - done[chosen],
                    right=float(chosen.split(",")[0] == best.split(",")[0]),
                    seconds=seconds,
                )


def head_accuracy(X: Array, y: Array, Z: Array, z: Array) -> float:
    """Accuracy of a linear head."""
    model = TransferSentimentClassifier(hidden_layer_sizes=(), random_state=0)
    return float(model.fit(X, y).score(Z, z))


def cross_validated(X: Array, y: Array) -> float:
    """Accuracy of a linear head in five folds, as `compare_strategies` has it."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(X, y)
    return float(np.mean([head_accuracy(X[a], y[a], X[b], y[b]) for a, b in folds]))


ESTIMATES = {
    "frozen rows, five folds": cross_validated,
    "LogME": log_evidence,
    "H-score": h_score,
}


def costs(journal: Journal) -> None:
    """Texts a second of both encoders, in turn."""
    names = {"sentences": "tweets", "whole reviews": "electronics", "Chinese": "tablet"}
    for kind, name in names.items():
        texts = read_set(name).texts[:200]
        if not any(journal.lacks("cost", encoder, kind) for encoder in ENCODERS):
            continue
        featurizers = {
            encoder: BertFeaturizer(model, cache=None).fit(texts)
            for encoder, model in ENCODERS.items()
        }
        seconds: dict[str, list[float]] = {encoder: [] for encoder in ENCODERS}
        for turn in range(4):
            for encoder, featurizer in featurizers.items():
                began = time.perf_counter()
                featurizer.transform(texts)
                if turn:  # the first one loads
                    seconds[encoder].append(time.perf_counter() - began)
        for encoder, found in seconds.items():
            speed = len(texts) / float(np.median(found))
            journal.add("cost", encoder, kind, texts_per_second=speed)


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    warnings.simplefilter("ignore", SktransferWarning)
    part, *chosen = sys.argv[1:] or ["all"]
    if part in ("costs", "all"):
        costs(Journal())
    if part in ("frozen", "all"):
        frozen(Journal(), tuple(chosen) or SETS)
    if part in ("estimates", "all"):
        estimates(Journal(), tuple(chosen) or DEVELOPMENT)
    if part in ("tuned", "all"):
        tuned(Journal(), tuple(chosen) or TUNED_SETS)
    encoder_tables.write(read_journal())
