"""What the comparison's statistics say of a draw, beside what is true.

For each cell, design of folds and metric, every draw's scores, their covariances and
those of the folds are kept, from which all tests of single pairs follow. Tests of
families, sets of what may be best and scores of the best one are run on families whose
truth is known; where they are to be equal, the small true differences that are left
are taken off first.

Shapes: S strategies, G sets of bound texts, J folds over all repeats.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from statistics_draws import (
    DISTANCES,
    FOLDER,
    N_CHUNK,
    N_EQUAL,
    Array,
    Cell,
    Draw,
    choose_strategies,
    learnt_scores,
    learnt_sizes,
    read_draws,
    read_held_out,
    save,
    share_of,
    true_scores,
)

from sktransfer.statistics.jackknife import Predictions, contributions
from sktransfer.statistics.paired import (
    WIDENING,
    WIDENING_OF_CLASSES,
    best_after_choice,
    could_be_best,
    family_test,
    score_interval,
)

METRICS = ("accuracy", "macro-F1", "ROC AUC")
# Flips and bootstraps of a draw: fewer than the package's, since many draws are
# averaged.
N_FLIPS = 1000
N_BOOTSTRAPS = 500
LEVELS = (0.95, 0.99)
# Families of strategies that are made equal.
EQUAL = ("equal", "wide")
KINDS = ("pairs", "families", "best")


@dataclass(frozen=True)
class Design:
    """Folds and repeats: rows of `Draw.folds`, and which of `learnt_sizes` it has."""

    name: str
    rows: tuple[int, ...]
    size: int
    curve: tuple[int, ...] = ()
    by_text: bool = False


def designs_of(cell: Cell) -> list[Design]:
    """Designs of a cell, the main one first."""
    n_repeats = [repeats for _, repeats in cell.designs]
    curve = tuple(sum(n_repeats) + i for i in range(len(cell.curve)))
    found = [Design("5 folds", (0,), 0, curve)]
    if cell.n_groups is not None:
        found.append(Design("5 folds, by text", (0,), 0, by_text=True))
    if len(cell.designs) > 1:
        found.append(Design("3 x 5 folds", (0, 1, 2), 0))
        found.append(Design("10 folds", (3,), 1))
        found.append(Design("2 folds", (4,), 2))
    return found


def contribute(draw: Draw, rows: Iterable[int], metric: str, sets: Array) -> Array:
    """What sets (n,) of texts contribute to the scores of all strategies, (S, G)."""
    rows = list(rows)
    sets = np.unique(sets, return_inverse=True)[1]
    if metric == "ROC AUC":
        return np.mean([_contribute_area(draw, row, sets) for row in rows], axis=0)
    repeated = np.tile(np.arange(len(draw.y)), len(rows))
    found = []
    for values in draw.pooled[:, rows]:
        said = Predictions(
            draw.y[repeated],
            (values > 0).astype(int).ravel(),
            sets[repeated],
            np.repeat(np.arange(len(rows)), len(draw.y)),
            draw.folds[rows].ravel().astype(int),
            2,
        )
        name = {"accuracy": "accuracy", "macro-F1": "f1_macro"}[metric]
        found.append(contributions(said, name).values)
    return np.array(found)


def _contribute_area(draw: Draw, row: int, sets: Array) -> Array:
    """The jackknife of ROC AUC within folds, in closed form.

    Without a set, a fold's area loses the pairs that the set's texts are in.
    """
    n_sets = int(sets.max()) + 1
    whole, without = [], []
    for fold in range(draw.folds[row].max() + 1):
        test = np.flatnonzero(draw.folds[row] == fold)
        rare, other = test[draw.y[test] == 1], test[draw.y[test] == 0]
        values = draw.pooled[:, row]
        gaps = values[:, rare, None] - values[:, None, other]
        won = (gaps > 0) + 0.5 * (gaps == 0)
        total = won.sum(axis=(1, 2))
        left = np.tile(total[:, None], n_sets)
        n_rare = len(rare) - np.bincount(sets[rare], minlength=n_sets)
        n_other = len(other) - np.bincount(sets[other], minlength=n_sets)
        for i, one in enumerate(sets[rare]):
            left[:, one] -= won[:, i].sum(axis=1)
        for j, one in enumerate(sets[other]):
            left[:, one] -= won[:, :, j].sum(axis=1)
        for i, j in zip(*np.nonzero(sets[rare][:, None] == sets[other]), strict=True):
            left[:, sets[rare[i]]] += won[:, i, j]
        whole.append(total / (len(rare) * len(other)))
        with np.errstate(invalid="ignore", divide="ignore"):
            without.append(left / (n_rare * n_other))
    score, less = np.mean(whole, axis=0), np.mean(without, axis=0)
    return score[:, None] - (n_sets - 1) * (less - less.mean(axis=1, keepdims=True))


def score_folds(draw: Draw, rows: Iterable[int], metric: str) -> Array:
    """Scores of folds (S, J)."""
    found = []
    for row in rows:
        for fold in range(draw.folds[row].max() + 1):
            test = draw.folds[row] == fold
            y, values = draw.y[test], draw.pooled[:, row, test]
            right = (values > 0) == (y == 1)
            with np.errstate(invalid="ignore", divide="ignore"):
                if metric == "accuracy":
                    found.append(right.mean(axis=1))
                elif metric == "macro-F1":
                    found.append(
                        np.mean(
                            [
                                2
                                * (right & (y == c)).sum(axis=1)
                                / ((y == c).sum() + ((values > 0) == c).sum(axis=1))
                                for c in (0, 1)
                            ],
                            axis=0,
                        )
                    )
                else:
                    gaps = values[:, y == 1, None] - values[:, None, y == 0]
                    won = (gaps > 0) + 0.5 * (gaps == 0)
                    found.append(won.mean(axis=(1, 2)))
    return np.array(found).T


def main_metric(cell: Cell) -> str:
    """What a cell's distances are of."""
    return "accuracy" if cell.share is None else "macro-F1"


@functools.cache
def truth_of(cell: Cell, size: int) -> dict[str, Array]:
    """True scores (S,) of the models that a design's training parts make."""
    held_out = learnt_scores(cell, learnt_sizes(cell)[size])
    scores = true_scores(held_out, share_of(cell))
    return {metric: values.mean(axis=0) for metric, values in scores.items()}


@functools.cache
def truth_of_all(cell: Cell) -> dict[str, Array]:
    """True scores (S,) of models that learn from all texts of a draw."""
    scores = true_scores(read_held_out(cell), share_of(cell))
    return {metric: values.mean(axis=0) for metric, values in scores.items()}


def families_of(names: tuple[str, ...]) -> dict[str, list[int]]:
    """Strategies of each family; the first one is what the others are tested against.

    "equal" and "wide" are made equal. A number of points stands for one strategy that
    is as much better than the baseline, among ten that equal it.
    """
    place = {name: i for i, name in enumerate(names)}
    equal = [place[f"equal {i}"] for i in range(N_EQUAL)]
    found = {
        "equal": [0, *equal],
        "wide": [place[f"wide {i}"] for i in range(N_EQUAL + 1)],
    }
    ladder = [place[f"{d} points {i}"] for d in DISTANCES for i in (0, 1)]
    for d in DISTANCES:
        found[f"{d} points"] = [0, *equal[:-1], place[f"{d} points 0"]]
    found["ladder"] = [0, *equal[:3], *ladder]
    return found


def measure_pairs(draw: Draw, cell: Cell, design: Design, metric: str) -> dict:
    """Scores, their covariances and those of folds."""
    sets = np.arange(len(draw.y)) if design.by_text else draw.groups
    if cell.n_groups is None:
        sets = np.arange(len(draw.y))
    values = contribute(draw, design.rows, metric, sets)
    return {
        "values": values,
        "score": values.mean(axis=1),
        "covariance": np.cov(values) / values.shape[1],
        "n_sets": np.array(values.shape[1]),
        "n_test": np.array(len(draw.y) / (draw.folds[design.rows[0]].max() + 1)),
        "folds": score_folds(draw, design.rows, metric),
    }


def take_family(values: Array, truth: Array, family: str, members: list[int]) -> Array:
    """Contributions of a family; what was to be equal is made so."""
    own = values[members]
    if family in EQUAL:
        own = own - (truth[members] - truth[members].mean())[:, None]
    return own


def widening_of(metric: str) -> float:
    """What the package widens the standard error of a metric by."""
    return WIDENING if metric == "accuracy" else WIDENING_OF_CLASSES


def measure_families(
    values: Array, truth: Array, names: tuple[str, ...], widening: float
) -> dict[str, Array]:
    """What is said of families whose truth is known.

    Of each: p-values against the first, corrected, and whether each strategy may be the
    best at every one of `LEVELS`.
    """
    found: dict[str, Array] = {}
    for family, members in families_of(names).items():
        own = take_family(values, truth, family, members)
        options = {"widening": widening, "n_flips": N_FLIPS}
        tests = family_test(own[1:] - own[0], **options)
        found[f"{family}: p"] = tests.pvalues
        found[f"{family}: possible"] = np.array(
            [could_be_best(own, level=level, **options) for level in LEVELS]
        )
    return found


def measure_best(
    values: Array, truth: Array, names: tuple[str, ...], widening: float
) -> dict[str, Array]:
    """Of each family the best one's number, and scores with bounds.

    First as it was seen, then corrected for the choice.
    """
    found: dict[str, Array] = {}
    for family, members in families_of(names).items():
        own = take_family(values, truth, family, members)
        best = best_after_choice(own, widening=widening, n_bootstraps=N_BOOTSTRAPS)
        seen = own[best.best]
        numbers = [best.best, seen.mean(), *score_interval(seen, widening=widening)]
        found[family] = np.array([*numbers, best.score, best.low, best.high])
    return found


def measure_curves(
    draw: Draw, design: Design, cell: Cell, names: tuple[str, ...]
) -> Array:
    """P-values of the wide strategies at all sizes against the first one, as a family.

    They are made equal at each size.
    """
    members = families_of(names)["wide"]
    differences = []
    for row, size in [(design.rows[0], 0)] + [
        (row, len(cell.designs) + i) for i, row in enumerate(design.curve)
    ]:
        values = contribute(draw, [row], "accuracy", np.arange(len(draw.y)))[members]
        truth = truth_of(cell, size)["accuracy"][members]
        values = values - (truth - truth.mean())[:, None]
        differences.append(values[1:] - values[0])
    return family_test(np.concatenate(differences), n_flips=N_FLIPS).pvalues


def measure(cell: Cell, design: Design, metric: str, kind: str, most: int) -> None:
    """Measure one of `KINDS` in the first draws, where it was not yet."""
    names = choose_strategies(cell).names
    for first in range(0, min(cell.draws, most), N_CHUNK):
        stem = f"{cell.name}-{first:04}-{design.name}-{metric}-{kind}"
        path = FOLDER / "measured" / f"{stem}.npz"
        if path.exists() or not (FOLDER / f"{cell.name}-{first:04}.npz").exists():
            continue
        truth = truth_of(cell, design.size)[metric]
        began = time.perf_counter()
        rows: dict[str, list[Array]] = {}
        for draw in read_draws(cell, first):
            one = measure_pairs(draw, cell, design, metric)
            values = one.pop("values")
            if kind != "pairs" and not np.isfinite(values).all():
                continue  # a fold has one class only: such draws have no ROC AUC
            if kind == "families":
                one = measure_families(values, truth, names, widening_of(metric))
                if design.curve and metric == "accuracy":
                    one["curves: p"] = measure_curves(draw, design, cell, names)
            elif kind == "best":
                one = measure_best(values, truth, names, widening_of(metric))
            for key, value in one.items():
                rows.setdefault(key, []).append(value)
        path.parent.mkdir(exist_ok=True)
        save(path, **{key: np.array(value) for key, value in rows.items()})
        seconds = (time.perf_counter() - began) / N_CHUNK
        print(f"{stem}: {seconds:.2f} s a draw", flush=True)


def read_measured(cell: Cell, design: str, metric: str, kind: str) -> dict[str, Array]:
    """All that was measured, by draw."""
    pattern = f"{cell.name}-[0-9][0-9][0-9][0-9]-{design}-{metric}-{kind}.npz"
    parts = []
    for path in sorted((FOLDER / "measured").glob(pattern)):
        with np.load(path) as kept:
            if kept.files:  # a chunk may have no draw that can be measured
                parts.append(dict(kept))
    if not parts:
        return {}
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
