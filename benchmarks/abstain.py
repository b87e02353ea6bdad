"""Abstaining at an accuracy of 95 %, and sets of labels, on held-out texts.

Each draw takes 300 or 1,000 labelled texts of a set, predicts them out of fold by two
strategies, chooses the threshold from that, fits each strategy on all of them, and
labels held-out texts of other groups. Nothing was chosen on `REPORTED`. Predictions are
kept as soon as they are there, so a run that was stopped goes on where it was.

    abstain.py [table]

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
from cheap_strategies import fit, kept, predict_out_of_fold
from labelled_sets import Array
from scipy.stats import binom
from skewed import texts_of

from sktransfer.exceptions import TruncationWarning
from sktransfer.statistics import confidence_table, label_sets

# Sets, and the share of class 1 of two.
REPORTED = (
    ("tweets", None),
    ("takeaway", None),
    ("products", 0.1),
    ("tweets, 3 classes", None),
)
SIZES = (300, 1000)
N_DRAWS = 20
STRATEGIES = {"tfidf": "TF-IDF", "E5": "frozen E5"}
ACCURACIES = (0.9, 0.95)
COVERAGE = 0.9

Cell = tuple[str, float | None, int]


def predictions(cell: Cell, number: int) -> dict[str, Array]:
    """Labels, and what each strategy says out of fold and of held-out texts."""
    name, share, n = cell

    def make() -> dict[str, Array]:
        texts = texts_of(name)
        train, test = texts.draw(share, n, number)
        y = texts.y[train]
        groups = np.unique(texts.groups[train].astype(str), return_inverse=True)[1]
        found = {"y": y, "test": texts.y[test], "groups": groups}
        names = tuple(STRATEGIES)
        for one, said in predict_out_of_fold(texts, train, y, number, names).items():
            found[one] = said
            found[f"{one}, held out"] = fit(one, texts, train, y, number)(test)
        return found

    return kept(f"abstain {name} {share} {n} {number}", make)


def cells() -> list[Cell]:
    """Sets and sizes."""
    return [(*one, n) for one, n in itertools.product(REPORTED, SIZES)]


def abstain(found: dict[str, Array], strategy: str, accuracy: float) -> list[float]:
    """Share that is told, share that is labelled, their accuracy, and more."""
    said, asked = found[strategy].clip(0, 1), found[f"{strategy}, held out"]
    table = confidence_table(
        said.max(axis=1), said.argmax(axis=1) == found["y"], sets=found["groups"]
    )
    promise = table.promise(accuracy)
    trusted = asked.max(axis=1) >= promise.threshold
    right = asked.argmax(axis=1) == found["test"]
    shown = right[trusted].mean() if trusted.any() else np.nan
    # Whether chance in the held-out texts alone explains what is below.
    n_right, n = int(right[trusted].sum()), int(trusted.sum())
    chance = float(binom.cdf(n_right, n, accuracy)) if n else 1.0
    return [promise.share, trusted.mean(), shown, right.mean(), chance]


def cover(found: dict[str, Array], strategy: str, by_class: bool) -> list[float]:
    """Coverage of sets, whether it is as high as was told, their size, rarest class."""
    said, asked = found[strategy].clip(0, 1), found[f"{strategy}, held out"]
    truth = found["test"]
    sets = label_sets(
        found["y"], said, COVERAGE, by_class=by_class, sets=found["groups"]
    )
    inside = sets.of(asked)
    covered = inside[np.arange(len(truth)), truth]
    worst = min(covered[truth == label].mean() for label in np.unique(truth))
    enough = covered.mean() >= min(sets.low)
    return [covered.mean(), float(enough), inside.sum(axis=1).mean(), worst]


def measure() -> None:
    """Predict what is not there yet."""
    for number, cell in itertools.product(range(N_DRAWS), cells()):
        predictions(cell, number)
        print(*cell, number, flush=True)


def name_of(cell: Cell) -> str:
    """How tables call a set."""
    name, share, _ = cell
    return name if share is None else f"{name}, {share:.0%} of class 1"


def abstain_table(accuracy: float) -> list[str]:
    """What was promised, and what came of it."""
    lines = [
        "| set | texts | strategy | accuracy of all | draws with a promise | share of "
        "texts, told | share of texts, labelled | accuracy of these | draws below |",
        "|---" * 9 + "|",
    ]
    n_all = n_made = n_below = n_point = n_beyond = 0
    for cell, strategy in itertools.product(cells(), STRATEGIES):
        rows = np.array(
            [
                abstain(predictions(cell, number), strategy, accuracy)
                for number in range(N_DRAWS)
            ]
        )
        made = rows[:, 0] > 0
        below = rows[made, 2] < accuracy
        n_all, n_made = n_all + len(rows), n_made + int(made.sum())
        n_below += int(below.sum())
        n_point += int((rows[made, 2] < accuracy - 0.01).sum())
        n_beyond += int((rows[made, 4] < 0.05).sum())
        shown = ["", "", "", ""]
        if made.any():
            means = 100 * rows[made].mean(axis=0)
            shown = [f"{value:.0f} %" for value in means[:2]]
            shown += [f"{100 * np.nanmean(rows[made, 2]):.1f} %", str(below.sum())]
        line = [name_of(cell), f"{cell[2]:,}", STRATEGIES[strategy]]
        line += [f"{100 * rows[:, 3].mean():.1f} %", f"{made.sum()} of {len(made)}"]
        lines.append(f"| {' | '.join([*line, *shown])} |")
    return [
        *lines,
        "",
        f"Kept in {n_made - n_below} of the {n_made} draws in which something was "
        f"promised ({(n_made - n_below) / max(n_made, 1):.1%}), and broken in "
        f"{n_below} of all {n_all} ({n_below / n_all:.1%}). By more than a point it "
        f"was broken in {n_point}, and by more than chance in the held-out texts "
        f"explains (a binomial test at 5 %) in {n_beyond}.",
    ]


def sets_table() -> list[str]:
    """Coverage of sets of labels."""
    lines = [
        "| set | texts | strategy | coverage | draws as high as told | labels in a set "
        "| worst class | by class: coverage | labels in a set | worst class |",
        "|---" * 10 + "|",
    ]
    n_all = n_enough = 0
    for cell, strategy in itertools.product(cells(), STRATEGIES):
        found = [predictions(cell, number) for number in range(N_DRAWS)]
        whole = np.array([cover(one, strategy, False) for one in found])
        by_class = np.array([cover(one, strategy, True) for one in found]).mean(axis=0)
        n_all, n_enough = n_all + len(whole), n_enough + int(whole[:, 1].sum())
        means = whole.mean(axis=0)
        line = [name_of(cell), f"{cell[2]:,}", STRATEGIES[strategy]]
        line += [f"{100 * means[0]:.1f} %", f"{whole[:, 1].sum():.0f} of {len(whole)}"]
        line += [f"{means[2]:.2f}", f"{100 * means[3]:.1f} %"]
        line += [f"{100 * by_class[0]:.1f} %", f"{by_class[2]:.2f}"]
        lines.append(f"| {' | '.join([*line, f'{100 * by_class[3]:.1f} %'])} |")
    return [
        *lines,
        "",
        f"At least the lower end of the interval that was told in {n_enough} of "
        f"{n_all} draws ({n_enough / n_all:.1%}); 95 % is what is to be expected.",
    ]


def write_table() -> None:
    """Write what was found beside this file."""
    lines = [
        "# When to trust a label",
        "",
        f"{N_DRAWS} draws of labelled texts a row; the held-out texts, up to 1,000, "
        "share no group with them. A threshold is promised at a level of 90 %: in at "
        "least nine of ten draws the accuracy of what is labelled shall be as high as "
        "was asked. Held-out texts are finite, so that their own chance counts as "
        "broken promises too.",
    ]
    for accuracy in ACCURACIES:
        lines += ["", f"## An accuracy of {accuracy:.0%}", "", *abstain_table(accuracy)]
    lines += [
        "",
        f"## Sets that hold the right label in {COVERAGE:.0%} of texts",
        "",
        "The most probable label is always in a set, so that the coverage is higher "
        "where a strategy is right more often than was asked.",
        "",
        *sets_table(),
        "",
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"torch {torch.__version__}.",
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
