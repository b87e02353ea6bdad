"""SKT004: many texts that are copies of others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark

__all__ = ["CHECK"]

_MANY = 0.05
_FEWEST = 3


def _look(facts: Facts) -> Iterator[Remark]:
    numbers = facts.key_numbers
    first = np.unique(numbers, return_index=True)[1]
    copies = np.setdiff1d(np.arange(len(numbers)), first)
    if len(copies) >= max(_FEWEST, _MANY * len(numbers)):
        yield Remark(
            f"{count_of(len(copies), len(numbers))} are copies of another one. They "
            "stay on one side of each split, but count each time in every score; "
            f"tests rest on the {len(first):,} different ones.",
            "Leave the copies out, unless new texts will repeat as often.",
            tuple(copies.tolist()),
        )


CHECK = Check("SKT004", "copies", "Many texts are copies", _look, needs=("texts",))
