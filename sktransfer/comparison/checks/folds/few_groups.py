"""SKT006: fewer groups than tests and intervals need."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]

# With 31 groups tests at 5 % found a difference where there was none in 6 % of draws,
# with 20 in 8 %.
_FEWEST = 30


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.groups is not None
    n_groups = len(np.unique(facts.groups))
    if n_groups < _FEWEST:
        yield Remark(
            f"The {len(facts.groups):,} texts are of {n_groups} groups, and tests "
            f"and intervals hold from {_FEWEST} groups on: with fewer, a difference is "
            "found too often where there is none.",
            "Label texts of more groups rather than more texts of these; until then, "
            "do not rely on a p-value just below 0.05.",
        )


CHECK = Check("SKT006", "few_groups", "There are few groups", _look, needs=("groups",))
