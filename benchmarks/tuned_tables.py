"""The table of tuned networks at their defaults."""

from __future__ import annotations

import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
import transformers

PAGE = Path(__file__).with_name("tuned.md")
MEASURES = {
    "accuracy": "accuracy",
    "balanced": "balanced accuracy",
    "f1": "macro-F1",
    "log_loss": "log loss",
    "calibration": "calibration error",
    "seconds": "seconds",
}


def write(journal: list[dict[str, Any]]) -> None:
    """Write the page from all that is known."""
    groups: dict[tuple[str, float | None, int], dict[str, dict[str, Any]]] = {}
    for line in journal:
        encoder, name, share, n, number, way = line["cell"]
        ways = groups.setdefault((encoder, share, n), defaultdict(dict))
        ways[way][f"{name}, draw {number}" if number else name] = line
    lines = [
        "# Tuned networks at their defaults",
        "",
        "`python benchmarks/tuned.py`. On up to 1,000 unseen texts of each set, with "
        "the class shares of the texts that were learnt from; texts are cut at 128 "
        "tokens. No recipe was chosen on these sets (recipes.md has those). One draw "
        "each, with a standard error of about one point. Accuracy by set, then means "
        "over the sets for rows that have all. The calibration error is the expected "
        "one, "
        "without what chance makes of it. 'frozen' has the 64-32 head. The Trainer of "
        "transformers has a linear head on the layer that BERT pools the first token "
        "with, the rate of ours, and 256 tokens.",
        "",
    ]
    lines += [
        "'partial' with 300 labels and 'fine_tune' with 1,000 were measured when the "
        "last head had C = 1. It has 0.3 there now, as 'fine_tune' with 300 has, which "
        "moves probabilities and hardly a decision.",
        "",
    ]
    for (encoder, share, n), ways in sorted(groups.items(), key=_order):
        of = "balanced" if share is None else f"{share:.0%} of the rarer class"
        names = sorted({name for found in ways.values() for name in found})
        lines += [
            f"## {encoder}, {n:,} labels, {of}",
            "",
            "| | " + " | ".join(names) + " | " + " | ".join(MEASURES.values()) + " |",
            "|---" * (1 + len(names) + len(MEASURES)) + "|",
        ]
        for way, found in ways.items():
            row = [
                f"{found[name]['accuracy']:.3f}" if name in found else "-"
                for name in names
            ]
            means = {
                key: float(np.mean([line[key] for line in found.values()]))
                for key in MEASURES
            }
            shown = [
                f"{value:.1f}" if key == "seconds" else f"{value:.3f}"
                for key, value in means.items()
            ]
            if len(found) < len(names):
                shown = ["-"] * len(shown)
            lines.append(f"| {way} | " + " | ".join(row + shown) + " |")
        lines.append("")
    lines.append(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}; one thread, seconds taken beside other work."
    )
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _order(item: tuple[tuple[str, float | None, int], Any]) -> tuple[Any, ...]:
    encoder, share, n = item[0]
    return (encoder, share or 1, n)
