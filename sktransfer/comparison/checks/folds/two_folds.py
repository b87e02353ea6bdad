"""SKT007: two folds, where tests find too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]


def _look(facts: Facts) -> Iterator[Remark]:
    sizes = Counter(fold.repeat for fold in facts.folds)
    if sizes and max(sizes.values()) <= 2:
        n_folds = max(sizes.values())
        told = "one fold" if n_folds == 1 else "two folds"
        yield Remark(
            f"There are {told} a repeat, so that strategies learn from few of the "
            "texts and differences rest on which: tests at 5% find one where there is "
            "none in 7 to 10% of comparisons.",
            "Use five folds: cv=5, or --folds 5.",
        )


CHECK = Check("SKT007", "two_folds", "There are two folds", _look, needs=("folds",))
