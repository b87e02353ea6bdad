"""The tables of the study of recipes."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import transformers
from labelled_sets import Array

from sktransfer.classifier.network.network import find_temperature, to_probabilities
from sktransfer.statistics import calibration_error

PAGE = Path(__file__).with_suffix(".md").with_name("recipes.md")
BASE = "rows and pairs"
STRENGTHS = ("0.3", "1", "3", "10")
KEPT = {"all": "end", "three quarters": "three quarters", "half": "half"}

CHOSEN = [
    "## What was chosen",
    "",
    f"- '{BASE}' for all strategies that tune layers but 'contrastive': on the default "
    "encoder best or level, where rows alone lost .7 points. On MiniLM 'contrastive' "
    "was better with the fewest texts, and both are offered. Half of the rate, a head "
    "that learns before, layer decay, and smoothed labels made no difference that "
    "these cells can tell. No dropout, a new top layer, and twice the rate lost more "
    "than a point on the one cell that they have. None of them is a default. R-Drop "
    "takes twice the time and was not measured in the end. The mean of the weights "
    "over the last half of the steps was no better than their end in early cells that "
    "are not shown.",
    "- Early stopping is off. 'before' has it from 500 texts on, so that these cells "
    "say nothing of it: it was left out because the rates fall to 0 anyway.",
    "- Layers keep three quarters of their change, half of it with less than 32 texts "
    "a class. 'contrastive' on MiniLM keeps all of it from there on.",
    "- With less than 32 texts a class, 40 steps: as good as 100 in the end.",
    "- The head in the end has C = 1, or 10 with less than 32 texts a class, and 0.3 "
    "from 100 a class on, but for 'contrastive'.",
    "",
]

# Encoder, set, share of the rarer class, labels, draw, recipe.
Cell = tuple[str, str, str, int, int, str]
Found = dict[str, Array]


def decided(logits: Array) -> Array:
    """Class numbers of logits (n, k)."""
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(1)


def accuracy(found: Found, variant: str) -> float:
    """On the test texts."""
    return float(np.mean(decided(found[f"{variant}/test"]) == found["z"]))


def accuracies(found: Found) -> dict[str, float]:
    """Of each variant under one strength."""
    variants = [key.removesuffix("/test") for key in found if "C=1/test" in key]
    return {one: round(accuracy(found, one), 3) for one in variants}


def write(folder: Path) -> None:
    """Write the page from all that is known."""
    cells: dict[Cell, Found] = {}
    for path in sorted(folder.glob("*.npz")):
        encoder, name, share, n, number, recipe = path.stem.split("; ")
        with np.load(path) as found:
            cells[encoder, name, share, int(n), int(number), recipe] = dict(found)
    lines = [
        "# Which recipe tunes an encoder best?",
        "",
        "`python benchmarks/recipes.py`. Tweets, news, Chinese reviews of meals and of "
        "fruit: sets that no table of results has. Accuracy in points on 800 unseen "
        "texts, 500 of them of the first class; classes are balanced where texts are "
        "learnt from, or skewed where a share of the rarer one is named. Texts are cut "
        "at 128 tokens. Most cells are of one draw, with a standard error of about one "
        "point each: only what holds over several cells is to be believed. A dash was "
        "not measured.",
        "",
        *CHOSEN,
        *_of_recipes(cells),
        *_of_kept(cells),
        *_of_strengths(cells),
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, {platform.machine()}, one thread, seconds taken "
        "beside other work.",
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _mean(values: Iterable[float], digits: int = 1, factor: float = 100) -> str:
    found = list(values)
    return f"{factor * np.mean(found):.{digits}f}" if found else "-"


def _of_recipes(cells: dict[Cell, Found]) -> list[str]:
    lines = [
        "## Recipes",
        "",
        f"All layers learn, under a linear head that starts at zero; '{BASE}' adds the "
        "loss of all pairs of a batch to that of its rows, and what is named below is "
        "a change to that, but for 'head at random' (rows alone), 'head first' (rows "
        "alone, the head learns before), 'contrastive' (pairs alone, fewer steps) and "
        "'before' (the defaults of before: 64-32 head, rows alone, early stopping). "
        "The head is solved for again in the end (C = 1), but for 'before'. In the "
        "last column: mean difference to "
        f"'{BASE}' over the cells that both have, and how many these are.",
        "",
    ]
    for encoder in ("E5", "MiniLM"):
        of_one = {cell: f for cell, f in cells.items() if cell[0] == encoder}
        columns = sorted({(c[3], c[1], c[2], c[4]) for c in of_one})
        recipes = sorted({c[5] for c in of_one}, key=_order)
        heads = [
            f"{n}, {name}"
            + (f", {float(share):.0%}" if share != "None" else "")
            + (f", draw {number}" if number else "")
            for n, name, share, number in columns
        ]
        lines += [
            f"| {encoder} | " + " | ".join(heads) + " | difference |",
            "|---" * (len(columns) + 2) + "|",
        ]
        for recipe in recipes:
            row, away = [], []
            for n, name, share, number in columns:
                found = of_one.get((encoder, name, share, n, number, recipe))
                base = of_one.get((encoder, name, share, n, number, BASE))
                if found is None:
                    row.append("-")
                    continue
                own = accuracy(found, _variant(recipe))
                row.append(f"{100 * own:.1f}")
                if base is not None and recipe != BASE:
                    away.append(own - accuracy(base, "end, C=1"))
            shown = f"{100 * np.mean(away):+.1f} ({len(away)})" if away else ""
            lines.append(f"| {recipe} | " + " | ".join(row) + f" | {shown} |")
        lines.append("")
    return lines


def _variant(recipe: str) -> str:
    return "end" if recipe.startswith(("frozen", "before")) else "end, C=1"


def _order(recipe: str) -> tuple[int, str]:
    first = ("frozen", "frozen, 64-32", "before", BASE, "contrastive", "head at random")
    return (first.index(recipe) if recipe in first else len(first), recipe)


def _of_kept(cells: dict[Cell, Found]) -> list[str]:
    lines = [
        "## How much of their change the layers keep",
        "",
        "Weights between those before and those after training (Wortsman et al. 2022), "
        "with a head that is solved for (C = 1). Means over the cells, whose number is "
        "in the last column; 'frozen' is the linear head of the same cells.",
        "",
        "| encoder | labels | recipe | frozen | " + " | ".join(KEPT) + " | cells |",
        "|---" * (len(KEPT) + 5) + "|",
    ]
    groups: dict[tuple[str, int, str], list[Cell]] = defaultdict(list)
    for cell, found in cells.items():
        frozen = (*cell[:5], "frozen") in cells
        if frozen and all(f"{v}, C=1/test" in found for v in KEPT.values()):
            groups[cell[0], cell[3], cell[5]].append(cell)
    for (encoder, n, recipe), members in sorted(groups.items()):
        if recipe not in (BASE, "contrastive", "40 steps", "head at random"):
            continue
        frozen = _mean(accuracy(cells[(*c[:5], "frozen")], "end") for c in members)
        values = [
            _mean(accuracy(cells[c], f"{variant}, C=1") for c in members)
            for variant in KEPT.values()
        ]
        lines.append(
            f"| {encoder} | {n} | {recipe} | {frozen} | "
            + " | ".join(values)
            + f" | {len(members)} |"
        )
    return [*lines, ""]


def _of_strengths(cells: dict[Cell, Found]) -> list[str]:
    lines = [
        "## How strong the last head is",
        "",
        "A linear head that is solved for on what the tuned layers give: expected "
        "calibration error without what chance makes of it, in points, and in brackets "
        "the temperature that the test texts would have chosen. Means over cells.",
        "",
        "| encoder | labels | kept | own head | "
        + " | ".join(f"C = {strength}" for strength in STRENGTHS)
        + " | cells |",
        "|---" * (len(STRENGTHS) + 5) + "|",
    ]
    groups: dict[tuple[str, int], list[Found]] = defaultdict(list)
    for cell, found in cells.items():
        if cell[5] in (BASE, "contrastive") and cell[2] == "None":
            groups[cell[0], cell[3]].append(found)
    for (encoder, n), members in sorted(groups.items()):
        for kept, variant in KEPT.items():
            chosen = [m for m in members if f"{variant}, C=1/test" in m]
            own = [m for m in chosen if f"{variant}/test" in m]
            values = [_calibration(own, variant)] if variant == "end" else ["-"]
            values += [_calibration(chosen, f"{variant}, C={s}") for s in STRENGTHS]
            lines.append(
                f"| {encoder} | {n} | {kept} | "
                + " | ".join(values)
                + f" | {len(chosen)} |"
            )
    return [*lines, ""]


def _calibration(members: list[Found], variant: str) -> str:
    if not members:
        return "-"
    errors, temperatures = [], []
    for found in members:
        logits, z = found[f"{variant}/test"], found["z"]
        errors.append(calibration_error(z, to_probabilities(logits), debiased=True))
        temperatures.append(find_temperature(logits, z, np.ones(len(z))))
    chosen = np.exp(np.mean(np.log(temperatures)))
    return f"{100 * np.mean(errors):.1f} ({chosen:.2f})"
