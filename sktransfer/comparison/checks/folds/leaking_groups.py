"""SKT001: groups that a splitter has put on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.groups is not None
    leaking: set[int] = set()
    for fold in facts.folds:
        theirs = np.intersect1d(facts.groups[fold.train], facts.groups[fold.test])
        leaking.update(theirs.tolist())
    if leaking:
        n_groups = len(np.unique(facts.groups))
        rows = np.flatnonzero(np.isin(facts.groups, list(leaking)))
        yield Remark(
            f"{count_of(len(leaking), n_groups, 'groups')} have texts on both sides of "
            "a split, so that strategies are tested on groups that they have learnt "
            "from, and all scores are too high.",
            "Pass a number of folds as cv, or a splitter that heeds groups, such as "
            "StratifiedGroupKFold.",
            tuple(rows.tolist()),
        )


CHECK = Check(
    "SKT001",
    "leaking_groups",
    "Groups are on both sides of a split",
    _look,
    needs=("groups",),
)
