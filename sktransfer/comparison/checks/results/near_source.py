"""SKT015: a source that can hardly be told from the target."""

from __future__ import annotations

from collections.abc import Iterator

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]

# Halves of one set are 0 to 0.2 apart, domains 1.6 and more.
_NEAR = 0.4


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.distance is not None
    if facts.distance < _NEAR:
        yield Remark(
            "Source and target can hardly be told apart (proxy A-distance "
            f"{facts.distance:.2f}, where 0 is not at all and 2 always): what looks "
            "like transfer is more texts of the same kind.",
            "Make one set of both, with groups if they share an origin, and compare "
            "strategies on that.",
        )


CHECK = Check(
    "SKT015",
    "near_source",
    "The source can hardly be told from the target",
    _look,
    needs=("distance",),
)
