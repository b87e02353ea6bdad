"""Where to cut between skewed classes, and how strongly TF-IDF is to be regularised.

Four ways to label by the same kind of model: the most probable class; a threshold tuned
by inner cross-validation on balanced accuracy; the class whose probability is largest
beside its share in the training texts; and the most probable class of a model whose
classes weigh the same. Below a linear head on the features of an encoder, and below
TF-IDF. Ways were chosen on the sets for development; the others report. Shares of the
test texts are those of the training texts, and no review or event is in both.

Beside it, TF-IDF with the penalty that the baseline chooses and with fixed ones, on
skewed and on equal classes. Each result is in a journal as soon as it is known, so a
run that was stopped goes on where it was.

    thresholds.py [head | words | strengths | table]

Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon, zh_shopping and zh_takeaway.
"""

from __future__ import annotations

import functools
import itertools
import json
import platform
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from labelled_sets import N_TEST, Array, LabelledSet, read_set
from layouts import Vectors
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV

from sktransfer import TransferSentimentClassifier
from sktransfer.baselines import tfidf_baseline
from sktransfer.exceptions import TruncationWarning
from sktransfer.storage import cache_folder

DEVELOPMENT = ("movies", "kitchen", "clothes")
REPORTED = ("products", "books", "tablet", "takeaway", "tweets, 3 classes")
SETS = DEVELOPMENT + REPORTED
SHARES = (0.1, 0.15)
SIZES = (100, 300, 1000)
DRAWS = range(2)
WAYS = {
    "plain": "most probable class",
    "tuned": "threshold tuned by 5 inner folds",
    "balanced": "probability beside the class's share",
    "weighted": "classes of equal weight",
}
METRICS = ("accuracy", "balanced accuracy", "macro-F1")
# What the package reads by default.
LAYOUT = ("last three", ("mean",))
STRENGTHS = (10.0, 100.0)
JOURNAL = cache_folder("benchmarks") / "thresholds.jsonl"


@functools.cache
def texts_of(name: str) -> LabelledSet:
    """A set, read once."""
    return read_set(name)


@functools.cache
def vectors_of(name: str) -> Array:
    """Vectors of a set's texts, encoded once."""
    return Vectors("E5", texts_of(name)).take(LAYOUT)


def draw(texts: LabelledSet, share: float, n: int, number: int) -> tuple[Array, Array]:
    """Rows to learn from and to test on; the last class has that share of both."""
    if texts.n_classes == 2:
        return texts.draw(share or None, n, number)
    random = np.random.default_rng([number, n, round(100 * share)])
    names = np.unique(texts.groups)
    random.shuffle(names)
    first = np.isin(texts.groups, names[: len(names) // 2])
    rest = (1 - share) / (texts.n_classes - 1)
    shares = np.array([rest] * (texts.n_classes - 1) + [share])
    if not share:
        shares = np.full(texts.n_classes, 1 / texts.n_classes)

    def some(rows: Array, size: int) -> Array:
        sides = [
            random.permutation(rows[texts.y[rows] == c]) for c in range(len(shares))
        ]
        size = min(size, *(int(len(s) / p) for s, p in zip(sides, shares, strict=True)))
        counts = np.round(size * shares).astype(int)
        return np.concatenate([s[:k] for s, k in zip(sides, counts, strict=True)])

    return some(np.flatnonzero(first), n), some(np.flatnonzero(~first), N_TEST)


def rate(y: Array, found: Array) -> dict[str, float]:
    """Every metric of labels."""
    scores = (
        accuracy_score(y, found),
        balanced_accuracy_score(y, found),
        f1_score(y, found, average="macro"),
    )
    return dict(zip(METRICS, map(float, scores), strict=True))


def head(number: int, class_weight: str | None = None) -> TransferSentimentClassifier:
    """A linear head, for features of an encoder."""
    return TransferSentimentClassifier(
        hidden_layer_sizes=(), class_weight=class_weight, random_state=number
    )


def label(
    make: Callable[[str | None], Any], X: Any, y: Array, Z: Any, number: int
) -> Iterator[tuple[str, Array, float]]:
    """Labels by every way, and the seconds of learning."""
    began = time.process_time()
    model = make(None).fit(X, y)
    seconds = time.process_time() - began
    chances = model.predict_proba(Z)
    yield "plain", chances.argmax(axis=1), seconds
    yield "balanced", (chances / (np.bincount(y) / len(y))).argmax(axis=1), seconds
    began = time.process_time()
    weighted = make("balanced").fit(X, y)
    yield "weighted", weighted.predict(Z), time.process_time() - began
    if chances.shape[1] == 2:
        # scikit-learn tunes the threshold between two classes only.
        began = time.process_time()
        folds = StratifiedKFold(5, shuffle=True, random_state=number)
        tuned = TunedThresholdClassifierCV(
            make(None), scoring="balanced_accuracy", cv=folds, random_state=number
        )
        tuned.fit(X, y)
        yield "tuned", tuned.predict(Z), time.process_time() - began


def measure(model: str) -> None:
    """Add what the journal lacks of a model: "head" or "words"."""
    known = {tuple(line["key"][:5]) for line in read_journal()}
    for name, share, n, number in itertools.product(SETS, SHARES, SIZES, DRAWS):
        key = (model, name, share, n, number)
        if key in known:
            continue
        texts = texts_of(name)
        train, test = draw(texts, share, n, number)
        y = texts.y[train]
        make: Callable[[str | None], Any]
        if model == "head":
            make = functools.partial(head, number)
            X, Z = vectors_of(name)[train], vectors_of(name)[test]
        else:
            features, classifier = tfidf_baseline(texts.take(train))
            X = features.fit_transform(texts.take(train))
            Z = features.transform(texts.take(test))

            def make(weight: str | None, classifier: Any = classifier) -> Any:
                return sklearn.clone(classifier).set_params(class_weight=weight)

        found = {
            way: {**rate(texts.y[test], labels), "seconds": seconds}
            for way, labels, seconds in label(make, X, y, Z, number)
        }
        write({"key": [*key, len(train)], "found": found})


def measure_strengths() -> None:
    """Add what the journal lacks of TF-IDF's penalties."""
    known = {tuple(line["key"][:5]) for line in read_journal()}
    for name, share, n, number in itertools.product(SETS, (0.0, *SHARES), SIZES, DRAWS):
        key = ("strengths", name, share, n, number)
        if key in known:
            continue
        texts = texts_of(name)
        train, test = draw(texts, share, n, number)
        y, tested = texts.y[train], texts.y[test]
        features, own = tfidf_baseline(texts.take(train))
        models: dict[str, Any] = {"chosen": own} | {
            f"C = {C:g}": LogisticRegression(C=C, max_iter=1000) for C in STRENGTHS
        }
        began = time.process_time()
        X = features.fit_transform(texts.take(train))
        seconds_of_words = time.process_time() - began
        Z = features.transform(texts.take(test))
        found = {}
        for way, classifier in models.items():
            began = time.process_time()
            classifier.fit(X, y)
            seconds = time.process_time() - began + seconds_of_words
            chances = classifier.predict_proba(Z)
            beside = (chances / (np.bincount(y) / len(y))).argmax(axis=1)
            found[way] = {
                **rate(tested, chances.argmax(axis=1)),
                "log loss": log_loss(tested, chances),
                "balanced": balanced_accuracy_score(tested, beside),
                "C": float(getattr(classifier, "C_", np.nan)),
                "seconds": seconds,
            }
        write({"key": [*key, len(train)], "found": found})


def write(line: dict[str, Any]) -> None:
    """Put a result into the journal."""
    with JOURNAL.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(*line["key"], flush=True)


def read_journal() -> list[dict[str, Any]]:
    """What is known."""
    found = []
    for line in JOURNAL.read_text().splitlines() if JOURNAL.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # the line of a kill
            continue
    return found


def collect(model: str) -> dict[tuple[Any, ...], list[dict[str, float]]]:
    """What was found, by kind of set, share, size and way."""
    found: dict[tuple[Any, ...], list[dict[str, float]]] = defaultdict(list)
    for line in read_journal():
        this, name, share, n, _, _ = line["key"]
        if this != model:
            continue
        kind = "development" if name in DEVELOPMENT else "reported"
        if name.endswith("classes"):
            kind = "3 classes"
        for way, scores in line["found"].items():
            found[kind, share, n, way].append(scores)
    return found


def points(scores: list[dict[str, float]], metric: str) -> float:
    """Mean of a metric, in points."""
    return 100 * float(np.mean([one[metric] for one in scores]))


def table_of_ways(model: str) -> Iterator[str]:
    """Balanced accuracy, macro-F1 and accuracy by way."""
    found = collect(model)
    yield "| sets | share | texts | " + " | ".join(WAYS.values()) + " |"
    yield "|---" * (3 + len(WAYS)) + "|"
    for kind, share, n in dict.fromkeys(key[:3] for key in sorted(found)):
        cells = []
        for way in WAYS:
            scores = found.get((kind, share, n, way))
            cells.append(
                " / ".join(
                    f"{points(scores, metric):.1f}"
                    for metric in ("balanced accuracy", "macro-F1", "accuracy")
                )
                if scores
                else ""
            )
        yield f"| {kind} | {share:.0%} | {n:,} | {' | '.join(cells)} |"


def table_of_strengths() -> Iterator[str]:
    """TF-IDF with the penalty that it chooses, and with fixed ones."""
    found = collect("strengths")
    ways = ["chosen", *(f"C = {C:g}" for C in STRENGTHS)]
    yield "| sets | share | texts | " + " | ".join(ways) + " | mean C | seconds |"
    yield "|---" * (5 + len(ways)) + "|"
    for kind, share, n in dict.fromkeys(key[:3] for key in sorted(found)):
        cells = []
        for way in ways:
            scores = found[kind, share, n, way]
            loss = np.mean([one["log loss"] for one in scores])
            metrics = ("balanced accuracy", "balanced")
            told = [f"{points(scores, metric):.1f}" for metric in metrics]
            cells.append(" / ".join([*told, f"{loss:.3f}"]))
        chosen, fixed = (found[kind, share, n, way] for way in ("chosen", "C = 10"))
        strength = np.exp(np.mean(np.log([one["C"] for one in chosen])))
        spent = [np.mean([one["seconds"] for one in s]) for s in (chosen, fixed)]
        told_share = f"{share:.0%}" if share else "equal"
        yield (
            f"| {kind} | {told_share} | {n:,} | {' | '.join(cells)} | {strength:.0f} | "
            f"{spent[0]:.2f} for {spent[1]:.2f} |"
        )


def write_table() -> None:
    """Write the page of results beside this file."""
    two = [name for name in REPORTED if not name.endswith("classes")]
    lines = [
        "# Labels where classes are skewed",
        "",
        f"Development: {', '.join(DEVELOPMENT)}; reported: "
        f"{', '.join(two)}; three classes: tweets, of which one is rare. "
        f"Means of {len(DRAWS)} draws. Test texts "
        "are of other reviews or events, in the same shares.",
        "",
        "## A linear head on multilingual-e5-small",
        "",
        "Balanced accuracy / macro-F1 / accuracy, in points. scikit-learn tunes the "
        "threshold of two classes only, by six fits instead of one. Classes of equal "
        'weight are class_weight="balanced".',
        "",
        *table_of_ways("head"),
        "",
        "## TF-IDF",
        "",
        *table_of_ways("words"),
        "",
        "## The penalty of TF-IDF",
        "",
        "Balanced accuracy in points of the most probable class / of labels by "
        "probability beside the class's share / log loss. C is chosen among 4, 20 and "
        "100 by the log loss of three folds of the training texts; its mean is a "
        "geometric one. Seconds of processor time of a fit, counting words included.",
        "",
        *table_of_strengths(),
        "",
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}, 1 thread.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    wanted = sys.argv[1:] or ["head", "words", "strengths", "table"]
    for one in wanted:
        if one in ("head", "words"):
            measure(one)
    if "strengths" in wanted:
        measure_strengths()
    if "table" in wanted:
        write_table()
