"""The tables of encoders.md, from the journal of encoders.py."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import sklearn
import torch
import transformers
from labelled_sets import DEVELOPMENT, KINDS, N_TEST, REPORTED
from layouts import ENCODERS

Scores = dict[tuple, dict[str, list[dict]]]
SIZES = (16, 64, 300, 1000)
HEADS = ("linear", "64-32")
DEFAULTS = {"MiniLM": "last, mean", "E5": "last three, mean"}
FLATTERED = (
    "E5's pretraining saw labelled reviews of Amazon, IMDb, Yelp, Rotten Tomatoes and "
    "apps among much else (prompts and answers of xP3; Wang et al. 2024), so that its "
    "figures on reviews and films may flatter it. It cannot have seen the ratings of "
    "tweets and news, which have the same weight here. MiniLM saw none."
)


def by_row(journal: list[dict], part: str) -> Scores:
    """Results of one part by set, share and size, then by row."""
    found: Scores = defaultdict(lambda: defaultdict(list))
    for line in journal:
        kind, name, share, n, number, row = (line["cell"] + [None] * 6)[:6]
        if kind == part:
            found[name, share, n][row].append({**line, "draw": number})
    return found


def mean_of(
    scores: Scores, names: Iterable[str], share: float | None, n: int, row: str
) -> float | None:
    """Points of a row, mean over sets and draws; None where one is missing."""
    metric = "accuracy" if share is None else "f1"
    means = []
    for name in names:
        found = scores.get((name, share, n), {}).get(row)
        if not found:
            return None
        means.append(np.mean([line[metric] for line in found if line["draw"] < 2]))
    return 100 * float(np.mean(means))


def show(value: float | None) -> str:
    """A cell."""
    return "" if value is None else f"{value:.1f}"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Lines of a table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def layouts_table(scores: Scores) -> list[str]:
    """All layouts on the sets that something is chosen on."""
    names = [name for name in DEVELOPMENT if (name, None, 64) in scores]
    rows = dict.fromkeys(row for name in names for row in scores[name, None, 64])
    head = ["vectors, head"]
    head += [f"{n:,}" for n in SIZES] + [f"{n:,}, 10 %" for n in SIZES]
    body = []
    for row in sorted(rows):
        cells = [
            mean_of(scores, names, share, n, row)
            for share in (None, 0.1)
            for n in SIZES
        ]
        body.append([row, *map(show, cells)])
    return [
        "## Which layers, which pooling",
        "",
        f"Sets that chose: {', '.join(names)}. Accuracy in points, balanced; then "
        "macro-F1 where one text in ten is of the rarer class; means of two draws.",
        "",
        *table(head, body),
    ]


def reported_table(scores: Scores) -> list[str]:
    """Defaults on the sets that chose nothing."""
    lines = ["## Sets that chose nothing", ""]
    for share, title in (
        (None, "Accuracy in points, balanced"),
        (0.1, "Macro-F1 in points, one text in ten of the rarer class"),
    ):
        rows = ["TF-IDF"] + [
            f"{encoder}, {layout}, {head}"
            for encoder, layout in DEFAULTS.items()
            for head in HEADS
        ]
        body = []
        for name in REPORTED:
            for n in SIZES:
                if (name, share, n) not in scores:
                    continue
                cells = [mean_of(scores, [name], share, n, row) for row in rows]
                body.append([name, f"{n:,}", *map(show, cells)])
        lines += [
            f"{title}; tested on up to {N_TEST:,} texts, means of two draws.",
            "",
        ]
        lines += table(["set", "labels", *rows], body)
    return lines


def tuned_table(scores: Scores) -> list[str]:
    """Encoders that learn."""
    lines = [
        "## Tuned encoders",
        "",
        "Accuracy in points on 500 texts and, rounded, seconds of a fit, which are no "
        "measure: other work shared the two cores. One draw; movies and news chose. "
        '"fine_tune" alone has the classifier\'s defaults, the 64-32 head and early '
        'stopping; "after a linear head" has neither. E5 reads its last three '
        "layers throughout.",
        "",
    ]
    cells = sorted({(name, n) for name, _, n in scores}, key=str)
    rows = dict.fromkeys(row for found in scores.values() for row in found)
    body = []
    for row in sorted(rows):
        line = [row]
        for name, n in cells:
            found = scores[name, None, n].get(row)
            line.append(
                f"{100 * found[0]['accuracy']:.1f} ({found[0]['seconds']:.0f} s)"
                if found
                else ""
            )
        body.append(line)
    head = ["", *(f"{name}, {n}" for name, n in cells)]
    return lines + table(head, body)


def costs_table(journal: list[dict]) -> list[str]:
    """Texts a second."""
    found = {
        tuple(line["cell"][1:]): line for line in journal if line["cell"][0] == "cost"
    }
    body = []
    for encoder, model in ENCODERS.items():
        cells = [found.get((encoder, kind)) for kind in KINDS]
        speeds = ["" if c is None else f"{c['texts_per_second']:.0f}" for c in cells]
        body.append([model, *speeds])
    return [
        "## What it costs",
        "",
        "Texts a second through the frozen encoder at defaults, median of three turns.",
        "",
        *table(["", *KINDS], body),
    ]


def estimates_table(journal: list[dict]) -> list[str]:
    """Points lost by what chooses, and its seconds."""
    found = defaultdict(list)
    for line in journal:
        if line["cell"][0] == "estimate":
            found[line["cell"][5], line["cell"][3]].append(line)
    sizes = sorted({n for _, n in found})
    body = []
    for how in dict.fromkeys(how for how, _ in found):
        cells = [found[how, n] for n in sizes]
        lost = [100 * np.mean([line["lost"] for line in cell]) for cell in cells]
        right = [np.mean([line["right"] for line in cell]) for cell in cells]
        seconds = [np.median([line["seconds"] for line in cell]) for cell in cells]
        body.append(
            [how]
            + [f"{a:.1f}" for a in lost]
            + [f"{a:.0%}" for a in right]
            + [f"{a:.2f}" for a in seconds]
        )
    head = ["chosen by"] + [
        f"{what}, {n:,}"
        for what in ("points lost", "right encoder", "seconds")
        for n in sizes
    ]
    return [
        "## Estimates of transferability",
        "",
        "Among four layouts of each of the two encoders, on the sets that chose, "
        "balanced, two draws: the accuracy lost against the best of the eight, how "
        "often the choice is of the better encoder, and the seconds of the choice, on "
        "one core that other work shared. The encoders lie far apart; how any of these "
        "chooses among close ones is not measured.",
        "",
        *table(head, body),
    ]


def write(journal: list[dict]) -> None:
    """Write encoders.md."""
    frozen = by_row(journal, "frozen")
    lines = [
        "# What to transfer from",
        "",
        "`python benchmarks/encoders.py`. MiniLM is all-MiniLM-L6-v2, E5 is "
        "multilingual-e5-small, both from the packages that carry them. "
        f"{FLATTERED}",
        "",
        *reported_table(frozen),
        *layouts_table(frozen),
        *tuned_table(by_row(journal, "tuned")),
        *costs_table(journal),
        *estimates_table(journal),
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}, {torch.get_num_threads()} threads.",
    ]
    path = Path(__file__).with_name("encoders.md")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
