"""Labels that look wrong: planted errors found, beside cleanlab on the same numbers.

Of 1,000 labels of a set 5, 10 or 20 % are moved to another class, evenly drawn. Four
cheap strategies predict all of them out of fold; what is compared are rankings of the
same predictions. How doubts are weighed was chosen on `DEVELOPMENT`. Predictions are
kept as soon as they are there, so a run that was stopped goes on where it was.

    suspects.py [table]

Needs cleanlab with termcolor, and in SKTRANSFER_BENCH_DATA the sets en_amazon,
zh_shopping (for development) and zh_takeaway.
"""

from __future__ import annotations

import itertools
import platform
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import sklearn
import torch
from cheap_strategies import STRATEGIES, kept, predict_out_of_fold
from labelled_sets import Array
from skewed import texts_of
from sklearn.metrics import average_precision_score

from sktransfer.comparison.findings.suspects import weigh_doubts
from sktransfer.exceptions import TruncationWarning

# Sets, and the share of class 1 of two.
DEVELOPMENT = (("movies", None), ("news", 0.1), ("dvd", None), ("clothes", 0.2))
REPORTED = (
    ("tweets", None),
    ("electronics", None),
    ("takeaway", None),
    ("products", 0.1),
    ("tweets, 3 classes", None),
)
RATES = (0.05, 0.1, 0.2)
N_TEXTS = 1000
DRAWS = {REPORTED: range(3), DEVELOPMENT: range(2)}

Cell = tuple[str, float | None, float]


def plant(y: Array, rate: float, seed: int) -> Array:
    """Labels of which a share was moved to another class."""
    random = np.random.default_rng(seed)
    wrong = random.choice(len(y), round(rate * len(y)), replace=False)
    n_classes = int(y.max()) + 1
    labels = y.copy()
    labels[wrong] = (y[wrong] + random.integers(1, n_classes, len(wrong))) % n_classes
    return labels


def predictions(cell: Cell, number: int) -> dict[str, Array]:
    """Labels with errors, the truth, and what each strategy says."""
    name, share, rate = cell

    def make() -> dict[str, Array]:
        texts = texts_of(name)
        rows, _ = texts.draw(share, N_TEXTS, number)
        labels = plant(texts.y[rows], rate, 1000 * number + round(100 * rate))
        facts = {"rows": rows, "labels": labels, "truth": texts.y[rows]}
        return facts | predict_out_of_fold(texts, rows, labels, number)

    return kept(f"suspects {name} {share} {rate} {number}", make)


def rank_all(found: dict[str, Array]) -> dict[str, float]:
    """Average precision of each ranking, in points."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import (
        get_label_quality_ensemble_scores,
        get_label_quality_scores,
    )

    labels = found["labels"]
    rows = np.arange(len(labels))
    doubts = weigh_doubts({name: (rows, found[name]) for name in STRATEGIES}, labels)
    given = [np.clip(found[name], 1e-6, 1) for name in STRATEGIES]
    given = [one / one.sum(axis=1, keepdims=True) for one in given]
    best = given[int(np.argmax([(p.argmax(axis=1) == labels).mean() for p in given]))]
    quality = get_label_quality_scores(labels, best)
    issues = find_label_issues(labels, best, n_jobs=1)
    scores = {
        "sktransfer": doubts.logs[rows, labels],
        "cleanlab, best strategy": quality,
        # What it holds for an issue first, both parts by its scores.
        "the same, find_label_issues": quality - 10 * issues,
        "cleanlab, mean of all": get_label_quality_scores(
            labels, np.mean(given, axis=0)
        ),
        "cleanlab, ensemble of all": get_label_quality_ensemble_scores(
            labels, given, verbose=False
        ),
    }
    wrong = labels != found["truth"]
    return {
        name: 100 * float(average_precision_score(wrong, -score))
        for name, score in scores.items()
    }


def measure() -> None:
    """Predict what is not there yet."""
    for sets, draws in DRAWS.items():
        for number, one, rate in itertools.product(draws, sets, RATES):
            predictions((*one, rate), number)
            print(*one, rate, number, flush=True)


def table_of(sets: tuple) -> list[str]:
    """Average precision by set and rate, means over draws."""
    by_cell = defaultdict(list)
    for one, rate, number in itertools.product(sets, RATES, DRAWS[sets]):
        cell = (*one, rate)
        by_cell[cell].append(rank_all(predictions(cell, number)))
    names = list(next(iter(by_cell.values()))[0])
    lines = [
        f"| set | wrong | {' | '.join(names)} |",
        "|---" * (len(names) + 2) + "|",
    ]
    means = {
        cell: [float(np.mean([row[name] for row in rows])) for name in names]
        for cell, rows in by_cell.items()
    }
    for (name, share, rate), values in means.items():
        shown = name if share is None else f"{name}, {share:.0%} of class 1"
        cells = " | ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {shown} | {rate:.0%} | {cells} |")
    whole = np.array([*means.values()])
    cells = " | ".join(f"{value:.1f}" for value in whole.mean(axis=0))
    lines.append(f"| mean | | {cells} |")
    # As the table shows it.
    shown = whole.round(1)
    for column, name in enumerate(names[1:], start=1):
        n_least = int((shown[:, 0] >= shown[:, column]).sum())
        lines += ["", f"At least equal to {name}: {n_least} of {len(whole)} cells."]
    return lines


def write_table() -> None:
    """Write what was found beside this file."""
    import cleanlab

    lines = [
        "# Labels that look wrong",
        "",
        f"Average precision, in points, of rankings of {N_TEXTS:,} labels of which a "
        "share was moved to another class; means over draws of texts and errors. All "
        f"read the same predictions out of fold of {', '.join(STRATEGIES)} (frozen "
        "features, a linear head). cleanlab ranks by its self-confidence; its best "
        "strategy is the one with the highest accuracy on the labels with errors.",
        "",
        f"## Sets that chose nothing, {len(DRAWS[REPORTED])} draws",
        "",
        *table_of(REPORTED),
        "",
        f"## Sets that the weights were chosen on, {len(DRAWS[DEVELOPMENT])} draws",
        "",
        *table_of(DEVELOPMENT),
        "",
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"cleanlab {cleanlab.__version__}, torch {torch.__version__}.",
    ]
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    torch.set_num_threads(1)
    if "table" not in sys.argv[1:]:
        measure()
    write_table()
