"""The tables of comparison_statistics.md, from what statistics_measures.py measured."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator

import numpy as np
import scipy
import sklearn
from scipy import stats
from statistics_draws import CELLS, DISTANCES, Array, Cell, choose_strategies
from statistics_measures import (
    EQUAL,
    LEVELS,
    METRICS,
    Design,
    designs_of,
    families_of,
    main_metric,
    read_measured,
    truth_of,
    truth_of_all,
    widening_of,
)

from sktransfer.statistics.resampling import holm_correction

ALPHA = 0.05
WIDENINGS = (1.0, 1.2, 1.3)
Pairs = list[tuple[int, int]]
# What families of equal strategies are called.
TITLES = {"equal": "unlike", "wide": "alike"}


def pairs_of(names: tuple[str, ...]) -> dict[str, Pairs]:
    """Kinds of pairs, the second one the better one where they are to differ."""
    families = families_of(names)
    equal, wide = families["equal"], families["wide"]
    place = {name: i for i, name in enumerate(names)}
    return {
        "unlike": [(0, other) for other in equal[1:]],
        "alike": [(a, b) for i, a in enumerate(wide) for b in wide[i + 1 :]],
        "unstable": [(place["unstable 0"], place["unstable 1"])],
        **{str(d): [(0, place[f"{d} points {i}"]) for i in (0, 1)] for d in DISTANCES},
    }


class Outcome:
    """Differences of some pairs in all draws of a cell, (D, P), and their errors."""

    def __init__(self, cell: Cell, design: Design, metric: str, pairs: Pairs) -> None:
        found = read_measured(cell, design.name, metric, "pairs")
        # A draw with one class only in a fold has no ROC AUC, and counts for nothing.
        known = np.isfinite(found["covariance"]).all(axis=(1, 2))
        known &= np.isfinite(found["folds"]).all(axis=(1, 2))
        found = {key: values[known] for key, values in found.items()}
        one, other = np.transpose(pairs)
        truth = truth_of(cell, design.size)[metric]
        self.true = truth[other] - truth[one]
        whole = truth_of_all(cell)[metric]
        self.true_of_all = whole[other] - whole[one]
        self.seen = found["score"][:, other] - found["score"][:, one]
        spread = found["covariance"]
        squares = spread[:, one, one] + spread[:, other, other]
        squares -= 2 * spread[:, one, other]
        self.error = np.sqrt(np.maximum(squares, 0))
        self.n_sets = found["n_sets"][:, None].astype(float)
        self.folds = found["folds"][:, other] - found["folds"][:, one]
        n_folds = 2 if design.name == "2 folds" else 10
        n_folds = 5 if design.name.endswith(("5 folds", "text")) else n_folds
        self.ratio = 1 / (n_folds - 1)

    def __len__(self) -> int:
        return len(self.seen)

    def pooled(
        self, widening: float, moved: bool = False, *, of_all: bool = False
    ) -> Array:
        """P-values of `paired_test`; of differences from the true ones if moved.

        With `of_all`, those are true which models of all n texts have.
        """
        true = self.true_of_all if of_all else self.true
        gap = self.seen - (true if moved else 0)
        error = np.where(self.error > 0, self.error * widening, np.inf)
        return 2 * stats.t.sf(np.abs(gap) / error, self.n_sets - 1)

    def by_folds(self, moved: bool = False) -> Array:
        """P-values of the corrected resampled t."""
        j = self.folds.shape[2]
        gap = self.folds.mean(axis=2) - (self.true if moved else 0)
        error = np.sqrt((1 / j + self.ratio) * self.folds.var(axis=2, ddof=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 2 * stats.t.sf(np.abs(gap) / error, j - 1)
        return np.where(error > 0, found, np.where(gap == 0, 1.0, 0.0))

    def mcnemar(self, moved: bool = False) -> Array:
        """P-values of McNemar's test of pooled accuracy, without its continuity term.

        It knows no other difference than 0: if moved, the small true one stays in.
        """
        n = self.n_sets
        squares = self.error**2 * n * (n - 1) / n + self.seen**2
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.abs(self.seen) * np.sqrt(n / squares)
        return 2 * stats.norm.sf(np.nan_to_num(z))

    @property
    def spread_ratio(self) -> float:
        """True spread of differences, over what the test texts alone explain."""
        true = self.seen.var(axis=0, ddof=1).mean()
        return float(np.sqrt(true / np.square(self.error).mean()))


def share(found: Array) -> str:
    """Percentage of draws (D,) or (D, P), with its standard error over draws."""
    by_draw = found.reshape(len(found), -1).mean(axis=1)
    error = by_draw.std(ddof=1) / np.sqrt(len(by_draw))
    return f"{100 * by_draw.mean():.1f} ± {100 * error:.1f}"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Lines of a table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def measured(kind: str) -> Iterator[tuple[Cell, Design, str]]:
    """Every cell, design and metric that was measured."""
    for cell in CELLS.values():
        for design in designs_of(cell):
            for metric in METRICS:
                if read_measured(cell, design.name, metric, kind):
                    yield cell, design, metric


def draws_table() -> list[str]:
    """What was drawn."""
    rows = []
    for cell in CELLS.values():
        metric, design = main_metric(cell), designs_of(cell)[0]
        found = read_measured(cell, design.name, metric, "pairs")
        if not found:
            continue
        names = choose_strategies(cell).names
        truth = 100 * truth_of(cell, 0)[metric]
        kinds = pairs_of(names)
        away = [
            f"{np.mean([truth[b] - truth[a] for a, b in kinds[str(d)]]):+.1f}"
            for d in DISTANCES
        ]
        wide = np.mean(truth[families_of(names)["wide"]])
        rows.append(
            [
                cell.name,
                f"{len(found['score'])}",
                f"{found['n_sets'].mean():.0f}",
                metric,
                f"{truth[0]:.1f}",
                " / ".join(away),
                f"{wide:.1f}",
            ]
        )
    head = ["cell", "draws", "sets", "truth in", "TF-IDF", "the ladder", "alike"]
    return table(head, rows)


def methods_table() -> list[str]:
    """One pair at a time: how often a difference is called one, and coverage."""
    rows = []
    for cell in CELLS.values():
        metric = main_metric(cell)
        for design in designs_of(cell):
            if not read_measured(cell, design.name, metric, "pairs"):
                continue
            kinds = pairs_of(choose_strategies(cell).names)
            ours, factor = f"**pooled x {widening_of(metric)}**", widening_of(metric)
            found = {
                kind: Outcome(cell, design, metric, pairs)
                for kind, pairs in kinds.items()
            }
            methods = {
                "corrected resampled t": Outcome.by_folds,
                "McNemar": Outcome.mcnemar,
                "pooled": lambda one, moved=False: one.pooled(1.0, moved),
                ours: lambda one, moved=False, by=factor: one.pooled(by, moved),
            }
            by_text = design.name == "5 folds"
            if metric != "accuracy" or not by_text or cell.n_groups is not None:
                del methods["McNemar"]
            for name, test in methods.items():
                row = [cell.name, design.name, name]
                for kind in ("unlike", "alike"):
                    row.append(share(test(found[kind], True) < ALPHA))
                for d in DISTANCES:
                    row.append(f"{100 * np.mean(test(found[str(d)]) < ALPHA):.0f}")
                covered = [
                    test(one, True).reshape(len(one), -1) >= ALPHA
                    for kind, one in found.items()
                    if kind != "unstable"
                ]
                means = np.array([each.mean(axis=1) for each in covered]).mean(axis=0)
                row.append("" if name == "McNemar" else share(means))
                row.append("")
                if name == ours:
                    of_all = [
                        np.mean(one.pooled(factor, True, of_all=True) >= ALPHA)
                        for kind, one in found.items()
                        if kind != "unstable"
                    ]
                    row[-1] = f"{100 * np.mean(of_all):.1f}"
                rows.append(row)
    head = ["cell", "folds", "method", "0, unlike", "0, alike"]
    head += [*(f"{d}" for d in DISTANCES), "coverage", "the same, all n texts"]
    return table(head, rows)


def widening_table() -> list[str]:
    """How much wider than the pooled error the truth is, and what factors do."""
    rows = []
    kinds = ("unlike", "alike", "10", "16", "unstable")
    for cell, design, metric in measured("pairs"):
        row = [cell.name, design.name, metric]
        for kind in kinds:
            pairs = pairs_of(choose_strategies(cell).names)[kind]
            one = Outcome(cell, design, metric, pairs)
            missed = [100 * np.mean(one.pooled(w, True) < ALPHA) for w in WIDENINGS]
            told = " / ".join(f"{share:.1f}" for share in missed)
            row.append(f"{one.spread_ratio:.2f}: {told}")
        rows.append(row)
    titles = [f"{kind} points" if kind.isdigit() else kind for kind in kinds]
    return table(["cell", "folds", "metric", *titles], rows)


def families_table() -> list[str]:
    """No true difference, 11 strategies against a baseline: what is claimed."""
    rows = []
    for cell, design, metric in measured("families"):
        if (metric, main_metric(cell)) == ("accuracy", "macro-F1"):
            continue  # what is equal by the one is far from it by the other
        found = read_measured(cell, design.name, metric, "families")
        families = families_of(choose_strategies(cell).names)
        for family in EQUAL:
            members = families[family]
            one = Outcome(cell, design, metric, [(members[0], m) for m in members[1:]])
            shown = (found[f"{family}: p"] < ALPHA).any(axis=1)
            out = ~found[f"{family}: possible"].all(axis=2)
            n = len(shown)
            holm = _holm(one.pooled(widening_of(metric), True)[:n])
            folds = _holm(one.by_folds(True)[:n])
            row = [cell.name, metric, TITLES[family], f"{n}"]
            row += [share(each) for each in (folds, holm, shown, *out.T)]
            rows.append([*row, share(shown | out[:, 0]), share(shown | out[:, 1])])
    head = ["cell", "metric", "family", "draws", "corrected t, Holm", "pooled, Holm"]
    head += ["**max-T**", *(f"set at {level}" for level in LEVELS)]
    return table([*head, *(f"max-T or set at {level}" for level in LEVELS)], rows)


def _holm(pvalues: Array) -> Array:
    """Whether any of each draw's p-values (D, P) is shown."""
    return np.array([holm_correction(p).min() < ALPHA for p in pvalues])


def power_table() -> list[str]:
    """Power after the correction, and the set of what may be the best."""
    rows = []
    for cell, design, metric in measured("families"):
        if metric != main_metric(cell):
            continue
        names = choose_strategies(cell).names
        found = read_measured(cell, design.name, metric, "families")
        truth = truth_of(cell, 0)[metric]
        for family, members in families_of(names).items():
            if family in EQUAL:
                continue
            one = Outcome(cell, design, metric, [(members[0], m) for m in members[1:]])
            pvalues = found[f"{family}: p"]
            n, best = len(pvalues), int(np.argmax(truth[members]))
            both = (one.by_folds()[:n], one.pooled(widening_of(metric))[:n])
            holm = [np.array([holm_correction(p) for p in each]) for each in both]
            shown = (pvalues < ALPHA).any(axis=1)
            sets = found[f"{family}: possible"]
            chosen = np.where(shown[:, None], sets[:, 0], sets[:, 1])
            row = [cell.name, metric, family, f"{n}"]
            row.append(f"{100 * (truth[members[best]] - truth[members[0]]):+.1f}")
            row += [share(each[:, best - 1] < ALPHA) for each in (*holm, pvalues)]
            row += [share(chosen[:, best]), f"{chosen.sum(axis=1).mean():.1f}"]
            rows.append(row)
    head = ["cell", "metric", "family", "draws", "true", "corrected t, Holm"]
    head += ["pooled, Holm", "**max-T**"]
    return table([*head, "set holds the best", "set's size of 12"], rows)


def best_table() -> list[str]:
    """Score of the best one and its interval, as seen and corrected."""
    rows = []
    families = [*EQUAL, "10 points", "16 points", "ladder"]
    for cell, design, metric in measured("best"):
        found = read_measured(cell, design.name, metric, "best")
        members = families_of(choose_strategies(cell).names)
        row = [cell.name, metric, f"{len(found[EQUAL[0]])}"]
        for family in families:
            values = found[family]
            truth = truth_of(cell, 0)[metric][members[family]]
            if family in EQUAL:
                truth = np.full_like(truth, truth.mean())
            true = truth[values[:, 0].astype(int)]
            bias, covered, width = [], [], []
            for first in (1, 4):
                score, low, high = values[:, first : first + 3].T
                bias.append(f"{100 * (score - true).mean():+.1f}")
                covered.append(f"{100 * np.mean((low <= true) & (true <= high)):.0f}")
                width.append(f"{100 * (high - low).mean():.0f}")
            row.append("; ".join(" → ".join(each) for each in (bias, covered, width)))
        rows.append(row)
    titles = [TITLES.get(family, family) for family in families]
    return table(["cell", "metric", "draws", *titles], rows)


def curves_lines() -> list[str]:
    """Learning curves as one family."""
    lines = []
    for cell, design, metric in measured("families"):
        found = read_measured(cell, design.name, metric, "families")
        if "curves: p" not in found:
            continue
        shown = (found["curves: p"] < ALPHA).any(axis=1)
        out = ~found["wide: possible"].all(axis=2)
        lines.append(
            f"{cell.name}, {metric}, {len(shown)} draws: 11 strategies at 3 sizes "
            "against a baseline at the same sizes, 33 differences in one family, none "
            f"true: any is shown in {share(shown)} % of draws; any is shown, or the "
            f"set at {LEVELS[1]} lacks a strategy, in {share(shown | out[:, 1])} %."
        )
    return [*lines, ""]


def write_tables() -> str:
    """The whole file."""
    lines = [
        "# What the comparison's statistics are worth",
        "",
        "Draws of n labelled texts out of a set, anew each time; 34 linear models, "
        "cross-validated on each draw. The truth is the mean score, over draws, of "
        "models that learnt from as many texts as a training part has, on all texts "
        "that they have not seen. Sentences are of films (10,070, independent); "
        "*clusters* binds the same into groups of nine or ten with alike vectors; "
        "*reviews* are sentences on products, bound by review (2,976 in 298). Cells "
        "of groups draw 30 groups, about 300 texts. *10 %*: one text in ten, on "
        "average, is of class 1; all strategies weigh classes alike; distances are of "
        "macro-F1. A draw is without replacement, and of up to a tenth of a set "
        "(1,000 texts, or reviews): spreads of fresh texts would be up to 5 % larger "
        "than these; 9 % where a class gives 900 of its 5,075 texts.",
        "",
        "Strategies: *TF-IDF* is the package's baseline; *unlike* pairs are TF-IDF and "
        "11 models of few columns of two encoders' vectors that equal it; *alike* ones "
        "are 12 models of 64 columns each; *unstable* draw 24 columns in each fit; the "
        "*ladder* has two models for each of 2, 5, 10 and 16 points above TF-IDF, or "
        "as near to that as there is a model. "
        "Where no difference is to be true, the small true one is taken off. ± is one "
        "standard error over draws. Entries are percentages of draws.",
        "",
        "## What was drawn",
        "",
        *draws_table(),
        "## One pair at a time",
        "",
        "How often a difference is called real at 5 %, before any correction for many "
        "strategies, by the true difference in points; coverage of the 95 % interval, "
        "last of the difference of models that learn from all n texts and not from a "
        "training part.",
        "",
        *methods_table(),
        "## How much the pooled error is to be widened",
        "",
        "Ratio of the true spread of differences to the pooled standard error, and the "
        "error of the first kind at 5 % with the factors "
        f"{' / '.join(f'{w:g}' for w in WIDENINGS)}, by the kind of pairs.",
        "",
        *widening_table(),
        "## Eleven strategies that equal the baseline",
        "",
        "How often any difference is shown; how often the set of what could be the "
        "best lacks any strategy; and how often either claims an order. The package "
        f"does as the last column: the set is at {LEVELS[0]} only where the family "
        "shows anything. Models that equal TF-IDF at 100 texts or at 10 % are near "
        "chance, and how many texts they call positive swings with the training set, "
        "which no test of pooled predictions sees by macro-F1: those rows are the "
        "limit of the method.",
        "",
        *families_table(),
        "### Learning curves",
        "",
        *curves_lines(),
        "## Power after the correction, and what could be the best",
        "",
        "One strategy that is better, among ten that equal the baseline; the ladder "
        "has three equal ones and two at each distance, and its power is that of the "
        f"best one. The set is at {LEVELS[0]} where the family shows anything, and at "
        f"{LEVELS[1]} elsewhere, as in the package.",
        "",
        *power_table(),
        "## The best one's score",
        "",
        "The highest of 12 scores against what that strategy is truly worth: bias in "
        "points; coverage of its 95 % interval in percent; width in points; each as it "
        "is seen and → corrected for the choice. One standard error of a coverage near "
        "95 % is 1.3 with 300 draws, 0.7 with 1,000.",
        "",
        *best_table(),
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy "
        f"{scipy.__version__}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}.",
    ]
    return "\n".join(lines) + "\n"
