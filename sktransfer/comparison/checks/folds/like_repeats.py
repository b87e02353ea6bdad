"""SKT011: repeats that draw much the same folds, as groups are few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]

# Mean adjusted Rand index between repeats: 0 where folds are drawn anew, 1 where they
# are the same. With 27 groups of different sizes it is 0.3 to 0.5, with 100 it is 0.06.
_ALIKE = 0.25


def _look(facts: Facts) -> Iterator[Remark]:
    repeats = sorted({fold.repeat for fold in facts.folds})
    if len(repeats) < 2:
        return
    tested = np.full((len(repeats), len(facts.labels)), -1)
    for fold in facts.folds:
        tested[repeats.index(fold.repeat), fold.test] = fold.number
    alike = float(
        np.mean([adjusted_rand_score(a, b) for a, b in combinations(tested, 2)])
    )
    if alike > _ALIKE:
        yield Remark(
            f"The {len(repeats)} repeats draw much the same folds (adjusted Rand index "
            f"{alike:.2f}, where 0 is folds drawn anew and 1 the same ones), so that "
            "they tell little more than one repeat does.",
            "Save the time with n_repeats=1, or label texts of more groups.",
        )


CHECK = Check(
    "SKT011",
    "like_repeats",
    "Repeats draw much the same folds",
    _look,
    needs=("folds",),
)
