"""Frozen heads where one class is rare, beside logistic regression.

Two sets of sentences and two of whole reviews, the rarer class at four shares, three
sizes, three draws each, under the features of two encoders. All classifiers read the
same features. The peer chooses its penalty by cross-validation on accuracy. Shares of
the test texts are those of the training texts, and no review or event is in both. Where
a head falls short in three draws, ten show whether that was chance. Each result is in a
journal as soon as it is known, so a run that was stopped goes on where it was.

    skewed.py [MODEL ... | more | table]

Models are "peer", "linear" and "64-32", all by default; "more" adds draws. Needs, in
SKTRANSFER_BENCH_DATA, the set en_amazon.
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
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import sklearn
import torch
import transformers
from labelled_sets import Array, LabelledSet, read_set
from layouts import ENCODERS, Vectors
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)

from sktransfer import TransferSentimentClassifier
from sktransfer.exceptions import TruncationWarning
from sktransfer.statistics import calibration_error
from sktransfer.storage import cache_folder

SETS = ("tweets", "products", "electronics", "books")
SHARES = (0.05, 0.1, 0.3, 0.5)
SIZES = (60, 300, 1000)
DRAWS, MORE_DRAWS = range(3), range(10)
# What the package reads by default.
LAYOUT = {"MiniLM": ("last", ("mean",)), "E5": ("last three", ("mean",))}
HEADS = {"linear": (), "64-32": (64, 32)}
MODELS = {"peer": "logistic regression", "linear": "linear", "64-32": "64-32"}
METRICS = (
    "accuracy",
    "balanced accuracy",
    "macro-F1",
    "log loss",
    "calibration error",
)
JOURNAL = cache_folder("benchmarks") / "skewed.jsonl"
# What no head may lose to the peer, in points.
MOST_LOST = {"accuracy": 1.0, "macro-F1": 2.0}

Cell = tuple[str, str, float, int]  # encoder, set, share, texts
Scores = dict[Cell, dict[int, dict[str, dict[str, float]]]]  # by draw and model


@functools.cache
def texts_of(name: str) -> LabelledSet:
    """A set, read once."""
    return read_set(name)


@functools.cache
def vectors_of(encoder: str, name: str) -> Array:
    """Vectors of a set's texts, encoded once."""
    return Vectors(encoder, texts_of(name)).take(LAYOUT[encoder])


def logistic_regression(X: Array, y: Array) -> Callable[[Array], Array]:
    """Function from rows to probabilities, on features of length 1 on average."""
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
    return lambda Z: model.predict_proba((Z - mean) / length)[:, 1]


def head(sizes: tuple[int, ...], seed: int, X: Array, y: Array) -> Callable:
    """Function from rows to probabilities."""
    model = TransferSentimentClassifier(hidden_layer_sizes=sizes, random_state=seed)
    model.fit(X, y)
    return lambda Z: model.predict_proba(Z)[:, 1]


def rate(y: Array, chances: Array) -> dict[str, float]:
    """Every metric of probabilities of class 1."""
    found = (chances > 0.5).astype(int)
    scores = (
        accuracy_score(y, found),
        balanced_accuracy_score(y, found),
        f1_score(y, found, average="macro"),
        log_loss(y, chances.astype(float)),
        calibration_error(y, chances.clip(0, 1), debiased=True),
    )
    return dict(zip(METRICS, map(float, scores), strict=True))


def measure(model: str, cells: Iterable[Cell], draws: Iterable[int]) -> None:
    """Add what the journal lacks of a model."""
    known = {json.dumps(line[:6]) for line in read_journal()}
    for cell, number in itertools.product(cells, draws):
        key = [*cell, number, model]
        if json.dumps(key) in known:
            continue
        encoder, name, share, n = cell
        texts, vectors = texts_of(name), vectors_of(encoder, name)
        train, test = texts.draw(share, n, number)
        X, y = vectors[train], texts.y[train]
        began = time.perf_counter()
        if model == "peer":
            predict = logistic_regression(X, y)
        else:
            predict = head(HEADS[model], number, X, y)
        seconds = time.perf_counter() - began
        scores = rate(texts.y[test], predict(vectors[test])) | {"seconds": seconds}
        with JOURNAL.open("a") as file:
            file.write(json.dumps([*key, len(train), len(test), scores]) + "\n")
        print(*key, round(scores["accuracy"], 3), flush=True)


def read_journal() -> list[list]:
    """What is known."""
    found = []
    for line in JOURNAL.read_text().splitlines() if JOURNAL.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:  # the line of a kill
            continue
    return found


def read_scores() -> Scores:
    """The journal by cell, draw and model."""
    found: Scores = defaultdict(lambda: defaultdict(dict))
    for encoder, name, share, n, number, model, _, _, scores in read_journal():
        found[encoder, name, share, n][number][model] = scores
    return found


def points_away(scores: Scores, cell: Cell, model: str, draws: Iterable[int]) -> Array:
    """What a model has above the peer (draws, metrics), in points."""
    by_draw = [scores[cell][number] for number in draws if number in scores[cell]]
    return 100 * np.array(
        [
            [found[model][metric] - found["peer"][metric] for metric in METRICS]
            for found in by_draw
            if model in found and "peer" in found
        ]
    )


def falls_short(away: Array) -> bool:
    """Whether a mean over draws is below what a head may lose."""
    mean = away.mean(axis=0)
    return any(mean[METRICS.index(m)] < -most for m, most in MOST_LOST.items())


def short_cells(scores: Scores, model: str) -> list[Cell]:
    """Cells in which a head falls short."""
    return [
        cell
        for cell in all_cells()
        if falls_short(points_away(scores, cell, model, DRAWS))
    ]


def all_cells() -> list[Cell]:
    """Every cell, in the order of the table."""
    return list(itertools.product(ENCODERS, SETS, SHARES, SIZES))


def measure_more() -> None:
    """Measure where a head falls short on more draws."""
    scores = read_scores()
    for model in HEADS:
        cells = short_cells(scores, model)
        measure("peer", cells, MORE_DRAWS)
        measure(model, cells, MORE_DRAWS)


def mean_of(scores: Scores, cell: Cell, model: str, metric: str) -> float:
    """Mean over the draws of the table."""
    return float(np.mean([scores[cell][number][model][metric] for number in DRAWS]))


def cells_table(scores: Scores, encoder: str) -> list[str]:
    """Accuracy and macro-F1 of each cell of an encoder."""
    lines = [
        f"| set | share | texts | {' | '.join(MODELS.values())} |",
        "|---" * (len(MODELS) + 3) + "|",
    ]
    for cell in all_cells():
        if cell[0] != encoder:
            continue
        row = [cell[1], f"{cell[2]:.0%}", f"{cell[3]:,}"]
        for model in MODELS:
            shown = " / ".join(
                f"{100 * mean_of(scores, cell, model, metric):.1f}"
                for metric in MOST_LOST
            )
            short = falls_short(points_away(scores, cell, model, DRAWS))
            row.append(f"**{shown}**" if short else shown)
        lines.append(f"| {' | '.join(row)} |")
    return lines


def metrics_table(scores: Scores) -> list[str]:
    """Every metric by encoder, share and model, means over sets and sizes."""
    lines = [
        f"| encoder | share | model | {' | '.join(METRICS)} |",
        "|---" * (len(METRICS) + 3) + "|",
    ]
    for encoder, share, model in itertools.product(ENCODERS, SHARES, MODELS):
        cells = [c for c in all_cells() if (c[0], c[2]) == (encoder, share)]
        row = [ENCODERS[encoder], f"{share:.0%}", MODELS[model]]
        for metric in METRICS:
            value = np.mean([mean_of(scores, c, model, metric) for c in cells])
            log = metric == "log loss"
            row.append(f"{value:.3f}" if log else f"{100 * value:.1f}")
        lines.append(f"| {' | '.join(row)} |")
    return lines


def heads_table(scores: Scores) -> list[str]:
    """How far a head is from the peer, and what a fit takes."""
    lines = [
        "| head | encoder | mean difference | worst cell | cells short | "
        "seconds of a fit, 60 / 300 / 1,000 texts |",
        "|---" * 6 + "|",
    ]
    chosen = [METRICS.index(metric) for metric in MOST_LOST]
    for model, encoder in itertools.product(MODELS, ENCODERS):
        cells = [cell for cell in all_cells() if cell[0] == encoder]
        told = " / ".join(
            f"{np.median([mean_of(scores, c, model, 'seconds') for c in of_size]):.2f}"
            for of_size in ([c for c in cells if c[3] == n] for n in SIZES)
        )
        row = [MODELS[model], ENCODERS[encoder], "", "", "", told]
        if model != "peer":
            all_draws = [points_away(scores, cell, model, DRAWS) for cell in cells]
            away = np.array([one.mean(axis=0)[chosen] for one in all_draws])
            mean, worst = away.mean(axis=0), away.min(axis=0)
            row[2] = f"{mean[0]:+.1f} / {mean[1]:+.1f}"
            row[3] = f"{worst[0]:+.1f} / {worst[1]:+.1f}"
            row[4] = f"{sum(map(falls_short, all_draws))} of {len(cells)}"
        lines.append(f"| {' | '.join(row)} |")
    return lines


def more_table(scores: Scores) -> list[str]:
    """The cells that fall short, over ten draws."""
    lines = [
        "| head | encoder | set | share | texts | accuracy | macro-F1 | short |",
        "|---" * 8 + "|",
    ]
    for model in HEADS:
        for cell in short_cells(scores, model):
            away = points_away(scores, cell, model, MORE_DRAWS)
            if len(away) < len(MORE_DRAWS):
                continue
            mean, error = away.mean(axis=0), away.std(axis=0, ddof=1)
            error = error / np.sqrt(len(away))
            shown = [
                f"{mean[place]:+.1f} ± {error[place]:.1f}"
                for place in map(METRICS.index, MOST_LOST)
            ]
            row = [model, ENCODERS[cell[0]], cell[1], f"{cell[2]:.0%}", f"{cell[3]:,}"]
            row += [*shown, "yes" if falls_short(away) else "no"]
            lines.append(f"| {' | '.join(row)} |")
    return lines


def write_table() -> None:
    """Write means over the draws, and what was lost, beside this file."""
    scores = read_scores()
    lines = [
        "# Frozen heads where one class is rare",
        "",
        f"Features of two encoders; means of {len(DRAWS)} draws. Logistic regression "
        "chooses C by cross-validation on accuracy. The rarer class is the positive "
        "one; books and electronics are whole reviews. Sets hold 2,400 texts, half of "
        "them to learn from, so that where a class is rare, 1,000 texts are fewer: 5 % "
        "leaves about 600. The classifier's defaults were chosen on other sets "
        "(movies, news, kitchen ware, DVDs).",
        "",
        "## Beside logistic regression",
        "",
        "Differences of accuracy / macro-F1 in points. A cell falls short where a head "
        f"is more than {MOST_LOST['accuracy']:g} point of accuracy or "
        f"{MOST_LOST['macro-F1']:g} points of macro-F1 below.",
        "",
        *heads_table(scores),
        "",
        "The cells that fall short in three draws, over ten, with the standard error:",
        "",
        *more_table(scores),
        "",
        "## All metrics",
        "",
        "Means over sets and sizes, in points but for the log loss. The calibration "
        "error is the expected one, debiased: 0 is what perfect calibration has.",
        "",
        *metrics_table(scores),
    ]
    for encoder, model in ENCODERS.items():
        lines += [
            "",
            f"## Accuracy / macro-F1 on {model}",
            "",
            "In points; a cell in bold falls short.",
            "",
            *cells_table(scores, encoder),
        ]
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
    wanted = sys.argv[1:] or [*MODELS, "more"]
    for one in wanted:
        if one in MODELS:
            measure(one, all_cells(), DRAWS)
    if "more" in wanted:
        measure_more()
    if "table" in wanted or not sys.argv[1:]:
        write_table()
