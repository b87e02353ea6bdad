"""Frozen heads where one class is rare, beside logistic regression.

Two sets of sentences and two of whole reviews, the rarer class at four shares, three
sizes, three draws each. Both classifiers read the same features. The peer chooses its
penalty by cross-validation on accuracy. Shares of the test texts are those of the
training texts, and no review or event is in both. Each result is in a journal as soon
as it is known, so a run that was stopped goes on where it was.

    skewed.py [table]

Needs, in SKTRANSFER_BENCH_DATA, the set en_amazon.
"""

from __future__ import annotations

import itertools
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sklearn
import torch
import transformers
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, f1_score
from words_accuracy import english

from sktransfer import BertFeaturizer, TransferSentimentClassifier, fetch_reviews
from sktransfer.exceptions import TruncationWarning
from sktransfer.storage import cache_folder

ENCODER = "all-MiniLM-L6-v2"
SETS = ("tweets", "products", "electronics", "books")
SHARES = (0.05, 0.1, 0.3, 0.5)
SIZES = (60, 300, 1000)
DRAWS = (0, 1, 2)
N_TEST = 1000
PEER = "logistic regression"
HEADS = {"linear head": (), "64-32 head": (64, 32)}
JOURNAL = cache_folder("benchmarks") / "skewed.jsonl"
VECTORS = cache_folder("benchmarks", "vectors")
# What no head may lose to the peer, in points.
MOST_LOST = {"accuracy": 1.0, "macro-F1": 2.0}

Array = npt.NDArray[np.generic]


def read_set(name: str) -> tuple[list[str], Array, Array]:
    """Texts, labels and groups."""
    if name in ("tweets", "products"):
        found = fetch_reviews("en", name)
        return list(found.data), np.asarray(found.target), np.asarray(found.groups)
    texts, labels = english(name)
    return texts, labels, np.arange(len(texts))


def draw(
    y: Array, groups: Array, share: float, n: int, number: int
) -> tuple[Array, Array]:
    """Rows to learn from and rows to test on, of different groups."""
    random = np.random.default_rng([number, n, round(100 * share)])
    names = np.unique(groups)
    random.shuffle(names)
    first = np.isin(groups, names[: len(names) // 2])

    def some(rows: Array, size: int) -> Array:
        rows = random.permutation(rows)
        rare, common = rows[y[rows] == 1], rows[y[rows] == 0]
        size = min(size, int(len(rare) / share), int(len(common) / (1 - share)))
        n_rare = round(size * share)
        return np.concatenate([rare[:n_rare], common[: size - n_rare]])

    return some(np.flatnonzero(first), n), some(np.flatnonzero(~first), N_TEST)


def logistic_regression(X: Array, y: Array) -> Callable[[Array], Array]:
    """Predict function of the peer, on features of length 1 on average."""
    mean, length = X.mean(axis=0), np.sqrt(np.square(X - X.mean(axis=0)).sum(1).mean())
    model = LogisticRegressionCV(
        Cs=np.logspace(-2, 4, 13),
        cv=min(5, int(np.bincount(y).min())),
        l1_ratios=(0,),
        max_iter=2000,
        scoring="accuracy",
        use_legacy_attributes=False,
    )
    model.fit((X - mean) / length, y)
    return lambda Z: model.predict((Z - mean) / length)


def measure() -> None:
    """Fill the journal."""
    known = {json.dumps(line[:4]) for line in read_journal()}
    for name in SETS:
        texts, y, groups = read_set(name)
        features = BertFeaturizer(ENCODER, cache=VECTORS).fit(texts[:1])
        for share, n, number in itertools.product(SHARES, SIZES, DRAWS):
            if json.dumps([name, share, n, number]) in known:
                continue
            train, test = draw(y, groups, share, n, number)
            X = features.transform([texts[row] for row in train])
            Z = features.transform([texts[row] for row in test])
            models = {PEER: lambda X, y: logistic_regression(X, y)} | {
                head: lambda X, y, sizes=sizes, seed=number: (
                    TransferSentimentClassifier(
                        hidden_layer_sizes=sizes, random_state=seed
                    )
                    .fit(X, y)
                    .predict
                )
                for head, sizes in HEADS.items()
            }
            scores = {}
            for model, fit in models.items():
                began = time.perf_counter()
                predict = fit(X, y[train])
                seconds, found = time.perf_counter() - began, predict(Z)
                scores[model] = [
                    accuracy_score(y[test], found),
                    f1_score(y[test], found, average="macro"),
                    seconds,
                ]
            with JOURNAL.open("a") as file:
                line = [name, share, n, number, len(train), len(test), scores]
                file.write(json.dumps(line) + "\n")
            accuracies = {model: round(found[0], 3) for model, found in scores.items()}
            print(name, share, n, number, accuracies, flush=True)


def read_journal() -> list[list[object]]:
    """What is known."""
    found = []
    for line in JOURNAL.read_text().splitlines() if JOURNAL.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # the line of a kill
            continue
    return found


def write_table() -> None:
    """Write means over the draws, and what was lost, beside this file."""
    cells: dict[tuple[str, float, int], list[list[list[float]]]] = {}
    models = [PEER, *HEADS]
    for name, share, n, _, _, _, scores in read_journal():
        cells.setdefault((name, share, n), []).append([scores[m] for m in models])
    means = {cell: np.mean(found, axis=0) for cell, found in cells.items()}
    lines = [
        "# Frozen heads where one class is rare",
        "",
        f"Features of {ENCODER}; accuracy / macro-F1 in points, means of "
        f"{len(DRAWS)} draws. {PEER.capitalize()} chooses C by cross-validation on "
        "accuracy. A cell in bold is more than "
        f"{MOST_LOST['accuracy']:g} point of accuracy or {MOST_LOST['macro-F1']:g} "
        "points of macro-F1 below it. The rarer class is the positive one; books and "
        "electronics are whole reviews. The classifier's defaults were chosen on other "
        "sets (movies, news, kitchen ware, DVDs).",
        "",
        f"| set | share | texts | {' | '.join(models)} |",
        "|---" * (len(models) + 3) + "|",
    ]
    lost: dict[str, list[Array]] = {head: [] for head in HEADS}
    for (name, share, n), found in means.items():
        row = [name, f"{share:.0%}", f"{n:,}"]
        for model, (accuracy, f1, _) in zip(models, found, strict=True):
            away = 100 * (found[models.index(model), :2] - found[0, :2])
            cell = f"{100 * accuracy:.1f} / {100 * f1:.1f}"
            if model in lost:
                lost[model].append(away)
            row.append(f"**{cell}**" if (away < [-1.0, -2.0]).any() else cell)
        lines.append(f"| {' | '.join(row)} |")
    lines += [
        "",
        f"| head | mean difference | worst | cells below, of {len(means)} | "
        "seconds of a fit, 60 / 300 / 1,000 texts |",
        "|---" * 5 + "|",
    ]
    for model in models:
        seconds = [
            np.median(
                [f[models.index(model), 2] for c, f in means.items() if c[2] == n]
            )
            for n in SIZES
        ]
        told = " / ".join(f"{one:.2f}" for one in seconds)
        if model == PEER:
            lines.append(f"| {model} | | | | {told} |")
            continue
        away = np.array(lost[model])
        mean, worst = away.mean(axis=0), away.min(axis=0)
        below = (away < [-1.0, -2.0]).any(axis=1).sum()
        lines.append(
            f"| {model} | {mean[0]:+.1f} / {mean[1]:+.1f} | {worst[0]:+.1f} / "
            f"{worst[1]:+.1f} | {below} | {told} |"
        )
    lines += [
        "",
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}, {torch.get_num_threads()} threads.",
    ]
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    if "table" not in sys.argv[1:]:
        measure()
    write_table()
