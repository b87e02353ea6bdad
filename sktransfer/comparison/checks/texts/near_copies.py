"""SKT003: texts that are nearly copies, on both sides of splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark
from sktransfer.comparison.checks.similar_texts import like_pairs
from sktransfer.comparison.setup.folds import Rows

__all__ = ["CHECK", "LEAST_ALIKE", "LEAST_BYTES"]

# Chosen by eye: pairs above are one text with a word changed or added, pairs below say
# the same thing. Texts that are shorter are phrases which many people use.
LEAST_ALIKE = 0.7
LEAST_BYTES = 30
# Of thirteen sets of reviews none has more than 2 %.
_MANY = 0.03
_FEWEST = 5


def _look(facts: Facts) -> Iterator[Remark]:
    long = np.array([len(key.encode("utf-8", "replace")) for key in facts.keys])
    rows = np.flatnonzero(long >= LEAST_BYTES)
    if len(rows) < 2:
        return
    sketches = facts.sketches[rows]
    found = [(rows[i], rows[j]) for i, j in like_pairs(sketches, sketches, LEAST_ALIKE)]
    left = np.concatenate([pair[0] for pair in found])
    right = np.concatenate([pair[1] for pair in found])
    numbers = facts.key_numbers
    near = numbers[left] != numbers[right]
    leaking = _tested_with(facts, left[near], right[near])
    if len(leaking) < max(_FEWEST, _MANY * len(facts.keys)):
        return
    known = facts.groups is not None
    yield Remark(
        f"{count_of(len(leaking), len(facts.keys))} nearly repeat a text that "
        "stands on the other side of a split, so that strategies are tested on what "
        "they have learnt from.",
        "Look at these rows: "
        + ("give texts of one origin one group" if known else "pass groups")
        + ", or leave out all but one of the texts that repeat each other.",
        tuple(leaking.tolist()),
    )


def _tested_with(facts: Facts, left: Rows, right: Rows) -> Rows:
    """Those of `left` that are tested where their partner of `right` trains."""
    leaking = np.zeros(len(facts.keys), dtype=bool)
    for fold in facts.folds:
        trains, tests = np.zeros((2, len(facts.keys)), dtype=bool)
        trains[fold.train] = True
        tests[fold.test] = True
        leaking[left[tests[left] & trains[right]]] = True
    return np.flatnonzero(leaking)


CHECK = Check(
    "SKT003",
    "near_copies",
    "Texts nearly repeat texts on the other side of a split",
    _look,
    needs=("texts",),
)
