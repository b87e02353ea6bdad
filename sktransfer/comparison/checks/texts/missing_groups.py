"""SKT002: neighbouring rows that are alike, where no groups are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.registry import Check, Remark
from sktransfer.comparison.setup.folds import Rows

__all__ = ["CHECK"]

# Each pair of neighbours of one label is compared with as many other pairs of that
# label, and is the most alike by chance in 5 % of cases.
_N_OTHERS = 19
_EXPECTED = 1 / (_N_OTHERS + 1)
# Others stand so many rows of their label away: beyond most reviews, and so near that
# files which go from topic to topic are like others.
_NEAREST, _FURTHEST = 8, 40
# Of files without groups none has more than 10 %; sentences of reviews that stand one
# after another have 11 to 25 %.
_MANY = 0.11
_REPEATED = 0.25
_SURE = 4.0  # standard errors above what is expected
# Pairs that are looked at: fewer tell nothing, more cost time.
_FEWEST, _MOST = 50, 1_500


def _look(facts: Facts) -> Iterator[Remark]:
    if facts.groups is not None:
        return
    # Copies are kept together anyway.
    first = np.sort(np.unique(facts.key_numbers, return_index=True)[1])
    keys = [facts.keys[row] for row in first]
    if keys == sorted(keys):
        return  # what begins alike stands together
    labels = facts.labels[first]
    rows = facts.sketches[first]
    left = np.flatnonzero(labels[:-1] == labels[1:])
    # What nearly repeats its neighbour is another check's.
    left = left[_products(rows[left], rows[left + 1]) < _REPEATED]
    if len(left) < _FEWEST:
        return
    generator = np.random.default_rng(facts.seed)
    if len(left) > _MOST:
        left = generator.choice(left, _MOST, replace=False)
    share = _share_of_like(rows, labels, left, generator)
    error = np.sqrt(_EXPECTED * (1 - _EXPECTED) / len(left))
    if share > max(_MANY, _EXPECTED + _SURE * error):
        yield Remark(
            f"{share:.0%} of neighbouring rows are as alike as {_EXPECTED:.0%} of rows "
            "with the same label are, so that neighbours seem to be of one origin, "
            "such as a review or an author, and stand on both sides of splits.",
            "If they are, pass the origin of each text as groups, or --group COLUMN.",
        )


def _share_of_like(
    rows: Any, labels: npt.NDArray[Any], left: Rows, generator: np.random.Generator
) -> float:
    """Share of rows that are more like the next one than like any other of 19."""
    mine = rows[left]
    own = _products(mine, rows[left + 1])
    above, level = np.zeros((2, len(own)), dtype=int)
    for _ in range(_N_OTHERS):
        others = _products(mine, rows[_draw_others(labels, generator)[left]])
        above += others > own
        level += others == own
    # Pairs that share as much, often nothing, stand in any order.
    above += generator.integers(level + 1)
    return float(np.mean(above == 0))


def _products(left: Any, right: Any) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.asarray(left.multiply(right).sum(axis=1)).ravel()
    return found


def _draw_others(labels: npt.NDArray[Any], generator: np.random.Generator) -> Rows:
    """For each row another one of its label, not far off and not beside it."""
    drawn = np.arange(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        steps = generator.integers(_NEAREST, _FURTHEST, len(rows))
        steps *= generator.choice([-1, 1], len(rows))
        places = np.arange(len(rows)) + steps
        # At the ends of the file it is the other side.
        outside = (places < 0) | (places >= len(rows))
        places[outside] -= 2 * steps[outside]
        drawn[rows] = rows[places % len(rows)]
    return drawn


CHECK = Check(
    "SKT002",
    "missing_groups",
    "Neighbouring rows are alike, and there are no groups",
    _look,
    needs=("texts",),
)
