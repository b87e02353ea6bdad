"""Labels saved by `suggest` against texts drawn at random.

From 20 labels drawn at random on, 20 are added at a time, either those that are
suggested or a random draw, of about 1,200 texts (half as many where one class is rare),
and logistic regression on frozen E5 vectors is scored on up to 1,000 held-out texts of
other groups. The way of suggesting was chosen on movies, news and clothes. Curves are
kept as soon as they are there, so a run that was stopped goes on where it was.

    suggest.py [table]

Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon and zh_takeaway.
"""

from __future__ import annotations

import itertools
import platform
import sys
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from cheap_strategies import kept
from labelled_sets import Array
from skewed import texts_of, vectors_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from sktransfer import suggest
from sktransfer.exceptions import TruncationWarning

# Sets, and the share of class 1 of two.
REPORTED = (
    ("tweets", None),
    ("takeaway", None),
    ("tweets, 3 classes", None),
    ("products", 0.1),
    ("electronics", 0.1),
)
N_POOL, N_STEP = 1200, 20
# More are drawn at random, to see how many do as well.
N_MOST = {"suggested": 200, "random": 420}
N_DRAWS = 10
SHOWN = (60, 100, 200)


def curve_of(name: str, share: float | None, number: int, how: str) -> Array:
    """Macro-F1 after each 20 labels."""
    texts = texts_of(name)
    vectors = vectors_of("E5", name).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    vectors /= np.sqrt(np.square(vectors).sum(axis=1).mean())
    pool, test = texts.draw(share, N_POOL, number)
    random = np.random.default_rng(number)
    # A first draw that lacks a class is drawn again.
    while True:
        labelled = random.permutation(pool)[:N_STEP]
        if len(np.unique(texts.y[labelled])) == texts.n_classes:
            break
    scores = []
    while True:
        model = LogisticRegression(C=10.0, max_iter=300)
        model.fit(vectors[labelled], texts.y[labelled])
        said = model.predict(vectors[test])
        scores.append(f1_score(texts.y[test], said, average="macro"))
        rest = np.setdiff1d(pool, labelled)
        if len(labelled) >= N_MOST[how] or len(rest) < N_STEP:
            return np.array(scores)
        if how == "random":
            chosen = random.choice(rest, N_STEP, replace=False)
        else:
            rows = suggest(model, vectors[rest], N_STEP, random_state=number)
            chosen = rest[rows]
        labelled = np.concatenate([labelled, chosen])


def curves(name: str, share: float | None, number: int) -> dict[str, Array]:
    """Curves of both ways, from the same first texts."""
    return kept(
        f"suggest {name} {share} {number}",
        lambda: {how: curve_of(name, share, number, how) for how in N_MOST},
    )


def measure() -> None:
    """Learn what is not there yet."""
    for number, one in itertools.product(range(N_DRAWS), REPORTED):
        curves(*one, number)
        print(*one, number, flush=True)


def labels_for(curve: Array, score: float) -> str:
    """How many labels a mean curve needs for a score."""
    reached = np.flatnonzero(curve >= score)
    if not len(reached):
        return f"more than {N_STEP * len(curve)}"
    return str(N_STEP * (int(reached[0]) + 1))


def write_table() -> None:
    """Write means over the draws beside this file."""
    heads = [f"{n} labels: random / suggested" for n in SHOWN]
    heads += ["difference at 100", "random labels for what 100 suggested ones give"]
    lines = [
        "# Which texts to label next",
        "",
        f"Macro-F1 in points, means of {N_DRAWS} draws; the difference with its "
        f"standard error. {N_STEP} texts are labelled at a time.",
        "",
        f"| set | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for name, share in REPORTED:
        found = [curves(name, share, number) for number in range(N_DRAWS)]
        by_way = {
            how: 100 * np.array([one[how][: N_MOST[how] // N_STEP] for one in found])
            for how in N_MOST
        }
        random, suggested = by_way["random"], by_way["suggested"]
        row = [name if share is None else f"{name}, {share:.0%} of class 1"]
        for n in SHOWN:
            place = n // N_STEP - 1
            means = [way[:, place].mean() for way in (random, suggested)]
            row.append(" / ".join(f"{mean:.1f}" for mean in means))
        place = 100 // N_STEP - 1
        away = suggested[:, place] - random[:, place]
        error = away.std(ddof=1) / np.sqrt(len(away))
        row.append(f"{away.mean():+.1f} ± {error:.1f}")
        row.append(labels_for(random.mean(axis=0), suggested[:, place].mean()))
        lines.append(f"| {' | '.join(row)} |")
    lines += [
        "",
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}.",
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
