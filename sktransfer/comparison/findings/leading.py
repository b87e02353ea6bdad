"""Which encoder leads: the strategies that tune start from it.

Every encoder has a row of frozen features with a linear head. The highest score at the
largest train size leads, the first of equals, which is the cheapest. The others are
compared with it by the tests that the whole comparison goes by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from sktransfer.comparison.findings.summary import Summary
from sktransfer.statistics.resampling import holm_correction

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Choice", "Standing", "choose_leader"]

_ALPHA = 0.05


@dataclass(frozen=True)
class Standing:
    """How an encoder did, by its row of frozen features."""

    encoder: str
    strategy: str | None  # name of the row, if there is one
    score: float = math.nan  # NaN unless the row was run to its end
    difference: float = math.nan  # from the score of the leader, which has none
    pvalue: float = math.nan  # corrected for the number of encoders
    leads: bool = False
    status: str = "skipped"  # of the row, as in the results, and so is the error
    error: str = ""


@dataclass(frozen=True)
class Choice:
    """What came of comparing encoders, the best first."""

    standings: list[Standing]

    @property
    def leader(self) -> str | None:
        """Encoder that leads; None where no row of frozen features was run."""
        return next((s.encoder for s in self.standings if s.leads), None)

    @property
    def rivals(self) -> list[str]:
        """Encoders that could not be told apart from the leader."""
        return [
            standing.encoder
            for standing in self.standings
            if not math.isnan(standing.difference) and not standing.pvalue < _ALPHA
        ]

    @property
    def failure(self) -> str:
        """Errors of all rows, if that is why none leads."""
        failed = [s for s in self.standings if s.status == "failed" and not s.leads]
        if len(failed) < len(self.standings):
            return ""
        return "; ".join(f"{s.strategy}: {s.error}" for s in failed)

    def table(self) -> pd.DataFrame:
        """One row an encoder; see `StrategyComparison`."""
        import pandas as pd

        columns = [field.name for field in fields(Standing)]
        return pd.DataFrame(map(asdict, self.standings), columns=columns)


def choose_leader(summary: Summary, evidence: Mapping[str, str | None]) -> Choice:
    """Compare encoders by their rows of frozen features.

    `evidence` maps each to the name of its row, the cheap ones first. One that is alone
    leads, whatever is known of it.
    """
    standings = [_look_up(summary, *pair) for pair in evidence.items()]
    # The first of equals; a score that is not there is the last.
    standings.sort(key=lambda standing: (math.isnan(standing.score), -standing.score))
    if not standings or (len(standings) > 1 and math.isnan(standings[0].score)):
        return Choice(standings)
    leader = standings[0]
    found = [replace(leader, leads=True)]
    behind = [other for other in standings[1:] if not math.isnan(other.score)]
    tests = [
        summary.test(str(other.strategy), str(leader.strategy)) for other in behind
    ]
    raw = [math.nan if test is None else test.pvalue for test in tests]
    for other, pvalue in zip(behind, holm_correction(raw), strict=True):
        difference = other.score - leader.score
        found.append(replace(other, difference=difference, pvalue=float(pvalue)))
    return Choice(found + standings[len(found) :])


def _look_up(summary: Summary, encoder: str, strategy: str | None) -> Standing:
    if strategy is None:
        return Standing(encoder, None)
    size = summary.largest(strategy)
    status, error = summary.status(strategy, size)
    scores = summary.scores(strategy, size)
    score = math.nan if scores is None else float(np.mean(list(scores.values())))
    return Standing(encoder, strategy, score, status=status, error=error)
