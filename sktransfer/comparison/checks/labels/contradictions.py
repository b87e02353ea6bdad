"""SKT005: copies of a text that have different labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]

_MANY = 0.005
_FEWEST = 2


def _look(facts: Facts) -> Iterator[Remark]:
    sides: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(facts.key_numbers.tolist()):
        sides[number].append(row)
    labels = facts.labels.tolist()
    counts = {
        number: Counter(labels[row] for row in rows) for number, rows in sides.items()
    }
    rows = [
        row
        for number, counted in counts.items()
        if len(counted) > 1
        for row in sides[number]
    ]
    n_wrong = sum(c.total() - max(c.values()) for c in counts.values())
    if n_wrong < max(_FEWEST, _MANY * len(labels)):
        return
    yield Remark(
        f"{count_of(len(rows), len(labels))} are copies of each other with different "
        f"labels. Whatever is said of them, {n_wrong:,} are wrong: no accuracy can be "
        f"above {1 - n_wrong / len(labels):.3f}.",
        "Read these rows, and correct their labels or leave them out.",
        tuple(sorted(rows)),
    )


CHECK = Check(
    "SKT005",
    "contradictions",
    "Copies of a text have different labels",
    _look,
    needs=("texts",),
)
