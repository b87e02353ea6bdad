"""SKT013: strategies that give the same labels, and folds that tie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sktransfer.baselines.registry import GUESSING
from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import listed
from sktransfer.comparison.checks.registry import Check, Remark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHECK"]

_FEWEST_FOLDS = 3
_EQUAL = 1e-9


def _remedy(facts: Facts) -> str:
    """What makes strategies name other classes."""
    told = "Label more texts of the other classes, or let these strategies "
    if not facts.is_balanced:
        told += "go by each class's share: threshold='balanced' (--threshold balanced)"
        return f"{told}."
    return f"{told}weigh classes alike: class_weight='balanced'."


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.predictions is not None
    tables = {n: t for n, t in facts.predictions.items() if len(t)}
    constant = [
        name
        for name, table in tables.items()
        if name != GUESSING and table["predicted"].nunique() == 1
    ]
    if constant and len(np.unique(facts.labels)) > 1:
        verb = "gives" if len(constant) == 1 else "give"
        yield Remark(
            f"{listed(constant)} {verb} all texts the same label, as a guess does.",
            _remedy(facts),
            strategies=tuple(constant),
        )
    yield from _on_folds(facts)
    for names in _same_labels(tables, {GUESSING, *constant}):
        yield Remark(
            f"{listed(names)} give all texts the same labels, so that nothing here "
            "tells them apart.",
            "Keep the cheaper one, or compare them on more texts.",
            strategies=names,
        )


def _on_folds(facts: Facts) -> Iterator[Remark]:
    """Strategies whose difference from the baseline is the same in all folds."""
    scores = facts.scores
    if scores is None or facts.baseline not in set(scores["strategy"]):
        return
    largest = scores[scores["train_size"] == scores["train_size"].max()]
    table = largest.pivot_table("score", ["repeat", "fold"], "strategy")
    table = table.dropna(axis="columns")  # what was not run in all folds
    if facts.baseline not in table or len(table) < _FEWEST_FOLDS:
        return
    differences = table.drop(columns=facts.baseline).sub(table[facts.baseline], axis=0)
    spread, mean = differences.max() - differences.min(), differences.mean().abs()
    tied = tuple(differences.columns[(spread < _EQUAL) & (mean > _EQUAL)])
    if tied:
        yield Remark(
            f"In all {len(table)} folds {listed(tied)} differ"
            f"{'s' * (len(tied) == 1)} from {facts.baseline} by the same, so that "
            "a test over folds would call that certain.",
            "Go by the p-values of the table, which go by texts.",
            strategies=tied,
        )


def _same_labels(
    tables: dict[str, pd.DataFrame], without: set[str]
) -> list[tuple[str, ...]]:
    """Strategies whose predictions agree for all texts and repeats, two or more."""
    found: dict[str, list[str]] = {}
    for name, table in tables.items():
        if name not in without:
            ordered = table.sort_values(["repeat", "row"], kind="stable")
            columns = ordered[["repeat", "row", "predicted"]]
            found.setdefault(repr(columns.to_numpy().tolist()), []).append(name)
    return [tuple(names) for names in found.values() if len(names) > 1]


CHECK = Check(
    "SKT013",
    "ties",
    "Strategies give the same labels",
    _look,
    needs=("predictions",),
)
