"""Which rows need no more folds, as they will not be the best: told by folds so far.

A row is compared with the one that leads over the same folds, of the same train size.
It is stopped where both of two rules say so. The forgiving one, of Bergman, Purucker
and Hutter: its mean is worse than the worst fold of the leader. And a paired test on
the texts that both have predicted: by all that is known of them, the folds that are
left would not bring it past the leader.

What is uncertain is only the folds that are left. Over k of K folds the difference has
the standard error s, clustered by what is bound, and widened for the variance that
comes with training; that of all K folds then differs from it by about
s sqrt((K - k) / K). The level is divided by the number of looks and of rivals, since
the leader is the best of several so far.

Shapes: G sets of bound texts.

References
----------
Bergman, Purucker and Hutter (2024). "Don't Waste Your Time: Early Stopping
Cross-Validation". AutoML Conference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from sktransfer.statistics.jackknife import COUNTED, Predictions, contributions
from sktransfer.statistics.paired import WIDENING

if TYPE_CHECKING:
    from sktransfer.comparison.run.schedule import Data

__all__ = ["LEVEL", "Racer", "Stop", "find_stops"]

# Probability, at most, that a row is stopped which all folds would have shown to lead.
LEVEL = 0.05
# Of fewer sets of texts little is known.
_FEWEST_SETS = 20

Floats = npt.NDArray[np.float64]
Outcomes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Racer:
    """A row of the race.

    Attributes
    ----------
    name : str
        Of the strategy.
    outcomes : sequence of dict
        Of its folds so far, in their order; of a row that was run before these, all.
    field : str, default=""
        Where it has one, it is stopped for another of the same field only.
    runs_on : bool, default=False
        Whether it is never stopped.
    """

    name: str
    outcomes: Outcomes
    field: str = ""
    runs_on: bool = False


@dataclass(frozen=True)
class Stop:
    """Why a row was stopped."""

    leader: str
    n_folds: int
    behind: float  # of the leader, in the metric
    by_chance: float  # by how much it can catch up, at the level

    def tell(self, n_planned: int, *, in_points: bool) -> str:
        """Say it in half a sentence."""
        scale, unit = (100, " points") if in_points else (1, "")
        return (
            f"after {self.n_folds} of {n_planned} folds "
            f"{scale * self.behind:.3g}{unit} behind {self.leader} on the same texts, "
            "of which the other folds are "
            f"unlikely to bring back more than {scale * self.by_chance:.2g}"
        )


def find_stops(
    data: Data, racers: Sequence[Racer], n_folds: int, *, level: float = LEVEL
) -> dict[str, Stop]:
    """Rows that need no more folds after so many, by the name of the strategy.

    The answer follows from the outcomes of the first folds alone, and for leaders that
    have come to their end from all of theirs.
    """
    n_planned = len(data.folds)
    if n_folds >= n_planned:
        return {}
    known = [r for r in racers if _has_run(r.outcomes[:n_folds], n_folds)]
    found = {}
    for racer in known:
        rivals = [r for r in known if r is not racer]
        if racer.field:
            rivals = [r for r in rivals if r.field == racer.field]
        if racer.runs_on or not rivals:
            continue
        leader = max(rivals, key=lambda rival: _mean(rival.outcomes[:n_folds]))
        own, other = racer.outcomes[:n_folds], leader.outcomes[:n_folds]
        behind = _mean(other) - _mean(own)
        worst = min(_score(outcome) for outcome in leader.outcomes)
        if not (behind > 0 and _mean(own) < worst):
            continue
        looks = (n_planned - 1) * len(rivals)
        chance = _reach(data, own, other, level / looks) * math.sqrt(
            (n_planned - n_folds) / n_planned
        )
        if behind > chance:
            found[racer.name] = Stop(leader.name, n_folds, behind, chance)
    return found


def _has_run(outcomes: Outcomes, n_folds: int) -> bool:
    return len(outcomes) == n_folds and all(o["status"] == "done" for o in outcomes)


def _score(outcome: Mapping[str, Any]) -> float:
    return float(outcome["metrics"]["score"])


def _mean(outcomes: Iterable[Mapping[str, Any]]) -> float:
    return float(np.mean([_score(outcome) for outcome in outcomes]))


def _reach(data: Data, one: Outcomes, other: Outcomes, level: float) -> float:
    """Upper end of a difference of nothing: the quantile of t times its error."""
    values = _contributions(data, one), _contributions(data, other)
    if values[0] is None or values[1] is None:
        return _reach_of_folds(one, other, level)
    difference = values[0] - values[1]
    n_sets = len(difference)
    if n_sets < _FEWEST_SETS:
        return math.inf
    error = float(difference.std(ddof=1)) / math.sqrt(n_sets)
    # Where no text makes a difference, it is known to one text and no better.
    error = max(error, 1 / n_sets)
    return WIDENING * error * float(student.isf(level, n_sets - 1))


def _reach_of_folds(one: Outcomes, other: Outcomes, level: float) -> float:
    """The same by the scores of folds, for a metric that only a model tells."""
    differences = [_score(a) - _score(b) for a, b in zip(one, other, strict=True)]
    if len(differences) < 3 or np.ptp(differences) == 0:
        return math.inf
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    quantile = float(student.isf(level, len(differences) - 1))
    return WIDENING * error * quantile


def _contributions(data: Data, outcomes: Outcomes) -> Floats | None:
    """What each set of bound texts contributes to the score, shape (G,).

    None where the metric is none of those that follow from labels, or predictions were
    not kept.
    """
    if data.scoring.name not in COUNTED:
        return None
    if not all("predictions" in outcome for outcome in outcomes):
        return None
    rows = np.concatenate([o["predictions"]["rows"] for o in outcomes]).astype(np.intp)
    said = np.concatenate([o["predictions"]["predicted"] for o in outcomes])
    once = np.zeros(len(rows), dtype=np.intp)
    predictions = Predictions(
        true=np.searchsorted(data.classes, data.labels[rows]),
        predicted=said.astype(np.intp),
        sets=np.unique(data.bound[rows], return_inverse=True)[1],
        repeats=once,
        folds=once,
        n_classes=len(data.classes),
    )
    found = contributions(predictions, data.scoring.name)
    return None if found is None else found.values
