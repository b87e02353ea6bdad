"""From outcomes of folds to tables: means, intervals, tests, and the leading encoder.

Every encoder has a row of frozen features with a linear head. The highest score at the
largest train size leads, the first of equals, which is the cheapest: the strategies
that tune start from it. The others are held against it as strategies are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sktransfer.comparison.columns import Column, columns_with
from sktransfer.comparison.findings.differences import ALPHA, Differences, Outcomes
from sktransfer.comparison.findings.out_of_fold import pooled_scores
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.thresholds import threshold_of
from sktransfer.statistics.paired import score_interval
from sktransfer.statistics.resampling import mean_interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Choice",
    "Standing",
    "Summary",
    "best_row",
    "choose_leader",
    "comparable_rows",
]

_ENDS = ("status", "error")


def comparable_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Rows that were run to their end with the most labelled texts.

    They are of one train size, and of strategies that learn from the source alone.
    """
    done = results[results["status"] == "done"]
    sizes = done["train_size"]
    # None is known of given predictions, and pandas 2.2 finds NaN beside no number.
    if sizes.isna().all():
        return done
    return done[sizes.isin([0, sizes.max()])]


def best_row(rows: pd.DataFrame) -> pd.Series:
    """Row with the best score, of at least one that are comparable.

    It is the first of equals, which is the cheapest: strategies run from cheap to dear.
    """
    return rows.iloc[int(rows["score"].argmax())]


def _read(outcome: Mapping[str, Any], column: Column) -> float:
    """What a fold has in a column; NaN where it failed, or an older version ran it."""
    values = outcome.get("metrics", {}) if column.is_metric else outcome
    return float(values.get(column.name, math.nan))


class Summary:
    """Tables of a comparison.

    Rows are in the order of the candidates, and are tested against that of the baseline
    where there is one. `outcomes`, by name and size, are those of `Schedule.run`,
    `why_skipped` is what the rows say that were not run to their end, `encoders`
    are names of rows that are held against each other, too, and `gaps` are status and
    error of those rows of which more is known than that they were not run.
    """

    def __init__(
        self,
        data: Data,
        candidates: Sequence[Candidate],
        outcomes: Outcomes,
        baseline: str | None,
        why_skipped: str = "",
        encoders: Sequence[str] = (),
        gaps: Mapping[tuple[str, int], tuple[str, str]] | None = None,
    ) -> None:
        self.data = data
        self.candidates = list(candidates)
        self.outcomes = outcomes
        self.baseline = baseline
        self.why_skipped = why_skipped
        self.gaps = gaps or {}
        self._columns = columns_with(data.scoring.name)
        done = {
            row: outcomes[row] for row in outcomes if self.status(*row)[0] == "done"
        }
        # What was stopped has no test, yet the others are the luckier ones for it.
        n_stopped = sum(self.status(*row)[0] == "stopped" for row in outcomes)
        self.evidence = Differences(
            data, candidates, done, baseline, encoders, n_stopped=n_stopped
        )

    def status(self, name: str, size: int) -> tuple[str, str]:
        """Status of a row, and why."""
        outcomes = self.outcomes[name, size]
        for outcome in outcomes:
            if outcome["status"] == "failed":
                return "failed", str(outcome["error"])
        if (name, size) in self.gaps:
            return self.gaps[name, size]
        if len(outcomes) < len(self.data.folds):
            done = f"{len(outcomes)} of {len(self.data.folds)} folds were run"
            return "skipped", f"{self.why_skipped} ({done})".strip()
        return "done", ""

    def largest(self, name: str) -> int:
        """Largest size at which a strategy was to run."""
        return max(size for other, size in self.outcomes if other == name)

    def results(self) -> pd.DataFrame:
        """One row a strategy and size; see `StrategyComparison`."""
        import pandas as pd

        rows = [
            self._row(candidate, size)
            for candidate in self.candidates
            for name, size in self.outcomes
            if name == candidate.name
        ]
        table = pd.DataFrame(rows)
        # A column of names has NaN for None, unless it holds objects.
        for name in ("encoder", "threshold"):
            table[name] = pd.Series([row[name] for row in rows], dtype=object)
        if not any(map(threshold_of, self.candidates)):
            del table["threshold"]
        return table

    def folds(self) -> pd.DataFrame:
        """One row a strategy, size, repeat and fold; see `StrategyComparison`."""
        import pandas as pd

        kinds = {candidate.name: candidate.kind for candidate in self.candidates}
        keys = ("train_size", "repeat", "fold", "n_train", "n_test")
        values = [column for column in self._columns if column.from_folds is not None]
        names = ["strategy", "kind", *keys, "score", *(c.name for c in values)]
        rows = []
        for (name, _), outcomes in self.outcomes.items():
            for outcome in outcomes:
                score = outcome.get("metrics", {}).get("score", math.nan)
                row = {"strategy": name, "kind": kinds[name], "score": score}
                row |= {column.name: _read(outcome, column) for column in values}
                row["best_params"] = outcome.get("best_params", "")
                rows.append(row | {key: outcome[key] for key in (*keys, *_ENDS)})
        return pd.DataFrame(rows, columns=[*names, "best_params", *_ENDS])

    def predictions(self) -> dict[str, pd.DataFrame]:
        """Predictions out of fold at the largest size, by strategy."""
        import pandas as pd

        found = {}
        for candidate in self.candidates:
            name, size = candidate.name, self.largest(candidate.name)
            if self.status(name, size)[0] != "done":
                continue
            outcomes = self.outcomes[name, size]
            parts = [self._predictions_of(o) for o in outcomes if "predictions" in o]
            if parts:
                found[name] = pd.concat(parts, ignore_index=True)
        return found

    def _predictions_of(self, outcome: Mapping[str, Any]) -> pd.DataFrame:
        import pandas as pd

        said, data = outcome["predictions"], self.data
        table = pd.DataFrame(
            {
                "row": said["rows"],
                "repeat": outcome["repeat"],
                "label": data.labels[said["rows"]],
                "predicted": data.classes[said["predicted"]],
            }
        )
        given = np.asarray(said["probabilities"], dtype=float)
        for column, label in enumerate(data.classes.tolist()):
            table[f"probability_{label}"] = given[:, column]
        return table

    def _row(self, candidate: Candidate, size: int) -> dict[str, Any]:
        status, error = self.status(candidate.name, size)
        outcomes = [
            outcome
            for outcome in self.outcomes[candidate.name, size]
            if outcome["status"] == "done"
        ]
        row: dict[str, Any] = {column.name: math.nan for column in self._columns}
        row |= {
            "strategy": candidate.name,
            "kind": candidate.kind,
            "encoder": candidate.encoder,
            "threshold": threshold_of(candidate),
            "train_size": size,
        }
        if status == "done":
            row |= self._means(candidate.name, outcomes, size)
            row |= self._compare(candidate.name, size)
        return row | {"n_folds": len(outcomes), "status": status, "error": error}

    def _compare(self, name: str, size: int) -> dict[str, Any]:
        """How a row differs from the baseline's, and whether it may be the best."""
        found: dict[str, Any] = {}
        if self.baseline not in (None, name):
            difference = self.evidence.difference(name, str(self.baseline), size)
            pair = self.evidence.pair(name, str(self.baseline), size or None)
            if difference is not None:
                found["difference"] = difference.difference
                found["difference_low"] = difference.low
                found["difference_high"] = difference.high
                found["pvalue"] = difference.pvalue
            elif pair is not None:
                scores = [
                    self.evidence.score(*row)
                    for row in (
                        (pair.name, pair.size),
                        (pair.other, pair.other_size),
                    )
                ]
                found["difference"] = scores[0] - scores[1]
        contenders, possible = self.evidence.contenders or [], self.evidence.possible
        if name in contenders and self.evidence.is_at_the_end(size):
            found["could_be_best"] = name in (possible or [])
        return found

    def _means(
        self, name: str, outcomes: list[Mapping[str, Any]], size: int
    ) -> dict[str, float]:
        scores = [outcome["metrics"]["score"] for outcome in outcomes]
        low, high = self._interval(name, outcomes, size)
        found = {
            "score": self.evidence.score(name, size),
            "score_std": float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan,
            "score_low": low,
            "score_high": high,
        }
        for column in self._columns:
            if column.from_folds is not None:
                values = [_read(outcome, column) for outcome in outcomes]
                found[column.name] = float(column.from_folds(values))
        # Metrics of all predictions together, as the score is.
        found |= pooled_scores(self.data, outcomes)
        if self.data.scoring.name in found:
            found[self.data.scoring.name] = found["score"]
        return found

    def _interval(
        self, name: str, outcomes: list[Mapping[str, Any]], size: int
    ) -> tuple[float, float]:
        """Interval of a score, by its predictions, or by its folds without them."""
        is_share = self.data.scoring.is_share
        known = self.evidence.contributions(name, size)
        if known is not None:
            widening = self.evidence.widening
            return score_interval(known.values, is_share=is_share, widening=widening)
        n_test = float(np.mean([outcome["n_test"] for outcome in outcomes]))
        scores = [outcome["metrics"]["score"] for outcome in outcomes]
        found = mean_interval(scores, self.evidence.n_train(size), n_test)
        if is_share:
            # The truth is no share beyond 0 and 1 either.
            low, high = np.clip([found.low, found.high], 0.0, 1.0)
            return float(low), float(high)
        return found.low, found.high


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
            if not math.isnan(standing.difference) and not standing.pvalue < ALPHA
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


def choose_leader(summary: Summary, rows: Mapping[str, str | None]) -> Choice:
    """Compare encoders by their rows of frozen features.

    `rows` maps each to the name of its row, the cheap ones first. One that is alone
    leads, whatever is known of it.
    """
    standings = [_look_up(summary, *pair) for pair in rows.items()]
    # The first of equals; a score that is not there is the last.
    standings.sort(key=lambda standing: (math.isnan(standing.score), -standing.score))
    if not standings or (len(standings) > 1 and math.isnan(standings[0].score)):
        return Choice(standings)
    leader = standings[0]
    found = [replace(leader, leads=True)]
    behind = [other for other in standings[1:] if not math.isnan(other.score)]
    evidence = summary.evidence
    pairs = [evidence.pair(str(o.strategy), str(leader.strategy)) for o in behind]
    known = [pair for pair in pairs if pair is not None]
    for other, pvalue in zip(behind, evidence.correct(known), strict=True):
        difference = other.score - leader.score
        found.append(replace(other, difference=difference, pvalue=pvalue))
    return Choice(found + standings[len(found) :])


def _look_up(summary: Summary, encoder: str, strategy: str | None) -> Standing:
    if strategy is None:
        return Standing(encoder, None)
    size = summary.largest(strategy)
    status, error = summary.status(strategy, size)
    score = math.nan
    if status == "done":
        score = summary.evidence.score(strategy, size)
    return Standing(encoder, strategy, score, status=status, error=error)
