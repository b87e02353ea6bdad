"""What follows from a comparison, in plain sentences.

A sentence says by how much, between which bounds and how sure, or that it is of this
run only. Whatever is said of an order is of one family of tests. Scores that were not
shown to differ are not shown to be equal, and what is said of the best one is corrected
for its having been chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sktransfer.comparison.findings.differences import ALPHA
from sktransfer.comparison.findings.summary import (
    Choice,
    Standing,
    Summary,
    best_row,
    comparable_rows,
)
from sktransfer.statistics.paired import detectable_difference
from sktransfer.statistics.verdicts import (
    tell_cost,
    tell_p,
    transfer_verdict,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tell"]

# Difference that would not matter.
_MARGIN = 0.02

# More labelled texts than that are no advice.
_MOST_TEXTS = 1_000_000


def tell(
    summary: Summary,
    results: pd.DataFrame,
    domain_distance: float | None,
    choice: Choice | None = None,
) -> list[str]:
    """Sentences on what was found, each with its full stop.

    `results` is the table of the summary, `domain_distance` the proxy A-distance, and
    `choice` that of an encoder.
    """
    done = comparable_rows(results)
    sentences: list[str] = []
    if not done.empty:
        best = best_row(done)
        sentences += _on_best(summary, done, best)
        sentences += _on_baseline(summary, done, best)
        sentences += _on_possible(summary, done, results)
        sentences += _on_choice(summary, choice)
        sentences += _on_cheaper(summary, done, best)
        sentences += _on_source(summary)
        sentences += filter(None, [summary.data.scoring.reason])
        sentences += _on_curves(summary, results)
    if domain_distance is not None:
        sentences.append(
            f"the proxy A-distance of source and target is {domain_distance:.2f}, "
            "between 0 (not told apart) and 2 (always told apart)"
        )
    sentences += _on_gaps(results)
    names = tuple(f"{name} " for name in results["strategy"].unique())
    return [
        f"{text if text.startswith(names) else text[0].upper() + text[1:]}."
        for text in sentences
    ]


def _scale(summary: Summary) -> dict[str, Any]:
    """How differences are told: scores within 0 and 1 in points."""
    for outcomes in summary.outcomes.values():
        for outcome in outcomes:
            if abs(outcome.get("metrics", {}).get("score", 0.0)) > 1:
                return {"scale": 1.0, "unit": f"of {summary.data.scoring.name}"}
    return {"scale": 100.0, "unit": "points"}


def _words(scoring: str) -> str:
    """Name of a metric, as people write it."""
    return scoring.replace("_", " ")


def _on_best(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    """What has the highest score, and what to expect of it."""
    name, scoring = best["strategy"], summary.data.scoring.name
    equals = done.loc[done["score"] == best["score"], "strategy"].tolist()
    others = ", ".join(other for other in equals if other != name)
    found = f"{name} has the highest {_words(scoring)} of this run, {best['score']:.3f}"
    found += f", shared with {others}" if others else ""
    expected = summary.evidence.expected
    n = len(summary.evidence.contenders or [])
    if expected is not None and expected[0] == name and n > 1:
        told = expected[1]
        score, ends = f"{told.score:.3f}", f"{told.low:.3f} to {told.high:.3f}"
        if score == f"{best['score']:.3f}":
            found += ", and as much"
        else:
            found += f": as it was chosen among {n}, {score}"
        yield f"{found} is to be expected of it on new texts, 95 % interval {ends}"
    elif math.isnan(best["score_low"]):
        yield found
    else:
        ends = f"{best['score_low']:.3f} to {best['score_high']:.3f}"
        yield f"{found}, 95 % interval {ends}"


def _on_baseline(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    """How the best one and the baseline differ, and who else differs from it."""
    baseline = summary.baseline
    if baseline is None or baseline not in set(done["strategy"]):
        return
    rows = {row["strategy"]: row for row in done.to_dict("records")}
    name = best["strategy"]
    is_better = best["pvalue"] < ALPHA
    if name == baseline:
        yield f"no strategy scores higher than {baseline}, the baseline, in this run"
    elif name in rows:
        row = rows.pop(name)
        yield verdict(
            name,
            baseline,
            row["difference"],
            row["pvalue"],
            interval=(row["difference_low"], row["difference_high"]),
            margin=_MARGIN,
            **_scale(summary),
        )
        if not row["pvalue"] < ALPHA:
            yield from _on_power(summary, row)
    scale = _scale(summary)["scale"]
    shown = [row for row in rows.values() if row["pvalue"] < ALPHA]
    for side, sign in (("better", 1), ("worse", -1)):
        mine = [row for row in shown if row["difference"] * sign > 0]
        mine.sort(key=lambda row: -abs(row["difference"]))
        if mine:
            listed = ", ".join(
                f"{row['strategy']} ({row['difference'] * scale:+.1f})" for row in mine
            )
            also = "also " if side == "better" and is_better else ""
            yield f"{also}shown to be {side} than {baseline}: {listed}"


def _on_power(summary: Summary, row: Mapping[Any, Any]) -> Iterator[str]:
    """Which difference could have been shown, and what the one that was seen needs."""
    evidence = summary.evidence
    found = evidence.difference(row["strategy"], str(summary.baseline))
    if found is None or not found.error > 0 or math.isnan(evidence.critical):
        return
    scale = _scale(summary)
    least = detectable_difference(found.error, evidence.critical)
    n_sets = evidence.n_sets
    n_tested = len({row for fold in summary.data.folds for row in fold.test.tolist()})
    what = "texts" if n_sets == n_tested else "groups of texts"
    told = (
        f"with {n_sets:,} {what}, a difference of {least * scale['scale']:.1f} "
        f"{scale['unit']} or more would be shown four times in five"
    )
    seen = abs(found.difference)
    needed = n_sets * (least / seen) ** 2 if seen > 0 else math.inf
    if n_sets < needed <= _MOST_TEXTS:
        rounded = float(f"{needed:.2g}")
        told += (
            f"; to show the {seen * scale['scale']:.1f} that were seen, if they are "
            f"real, about {rounded:,.0f} {what} are needed"
        )
    yield told


def _on_possible(
    summary: Summary, done: pd.DataFrame, results: pd.DataFrame
) -> Iterator[str]:
    """Which strategies may be the best one."""
    possible, contenders = summary.evidence.possible, summary.evidence.contenders
    if possible is None or contenders is None or len(contenders) < 2:
        return
    guesses = [name for name in done["strategy"] if name not in contenders]
    has_gaps = (results["status"] == "skipped").any()
    if len(possible) == 1:
        of = "those that were run to their end" if has_gaps else "these strategies"
        yield f"with 95 % confidence {possible[0]} is the best of {of}"
    elif len(possible) == len(contenders):
        but = f", apart from {', '.join(guesses)}," if guesses else ""
        yield f"none of these strategies{but} can be ruled out as the best one"
    else:
        ranked = done.sort_values("score", ascending=False, kind="stable")["strategy"]
        listed = ", ".join(name for name in ranked if name in possible)
        of = ", of those that were run to their end," if has_gaps else ""
        yield f"with 95 % confidence the best strategy{of} is one of {listed}"


def _on_choice(summary: Summary, choice: Choice | None) -> Iterator[str]:
    """Which encoder leads, how far the others are behind, and what comes of that."""
    if choice is None or choice.leader is None or len(choice.standings) < 2:
        return
    leader, *others = choice.standings
    told = "; ".join(_tell_standing(summary, choice, other) for other in others)
    lead = f"leads with {leader.score:.3f}; {told}"
    if any(candidate.follows for candidate in summary.candidates):
        yield (
            f"the strategies that tune start from {leader.encoder}, whose frozen row "
            f"{lead}; as it was chosen on the same folds, their scores are a little "
            "too high on average"
        )
    else:
        yield f"of the frozen encoders {leader.encoder} {lead}"


def _tell_standing(summary: Summary, choice: Choice, other: Standing) -> str:
    if other.status != "done":
        return f"{other.encoder} {other.status}"
    scale = _scale(summary)
    missed = -other.difference * scale["scale"]
    found = f"{other.encoder} is {missed:.1f} {scale['unit']} behind"
    leader = choice.standings[0]
    tested = summary.evidence.difference(str(other.strategy), str(leader.strategy))
    evidence = [tell_p(math.nan if tested is None else tested.pvalue)]
    if tested is None or not tested.is_shown:
        evidence.append("not told apart")
    own = (c for c in summary.candidates if c.follows and c.encoder == other.encoder)
    if any(summary.outcomes[c.name, summary.largest(c.name)] for c in own):
        evidence.append("tuned as well")
    return f"{found} ({', '.join(evidence)})"


def _on_cheaper(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    """A cheaper strategy that is as good as the best one, or what it may cost.

    It is as good where the interval of the difference lies within the margin, which is
    told; that no difference was shown is no equality. Of several that may be the best,
    the one that comes closest is picked, so that each interval is Bonferroni's.
    """
    name, evidence = best["strategy"], summary.evidence
    possible = evidence.possible
    if possible is None:
        return
    costs = done.set_index("strategy")["fit_seconds"]
    others = [
        other
        for other in done["strategy"]
        if other != name and other in possible and costs[other] < costs[name] / 1.5
    ]
    level = 1 - ALPHA / max(1, len(others))
    found = []
    for other in others:
        pair = evidence.pair(other, name)
        test = None if pair is None else evidence.test(pair, level)
        if test is not None:
            found.append((test.difference, other, test))
    if not found:
        return
    _, other, test = max(found, key=lambda entry: entry[0])
    low, high = test.interval
    cost = tell_cost(float(costs[other]), float(costs[name]))
    scale = _scale(summary)
    if low > -_MARGIN and high < _MARGIN:
        within = f"{_MARGIN * scale['scale']:.3g} {scale['unit']}"
        yield f"{other} is as good as {name} within {within}, {cost}"
    elif low < 0:
        yield (
            f"{other} takes less time than {name} and may be as good, but that is not "
            f"shown: it may score up to {-low * scale['scale']:.1f} {scale['unit']} "
            f"lower, {cost}"
        )


def _on_source(summary: Summary) -> Iterator[str]:
    """Whether the source helped, for each use of it."""
    names = {candidate.name for candidate in summary.candidates}
    for candidate in summary.candidates:
        if candidate.use is None or candidate.base not in names:
            continue
        found = summary.evidence.difference(candidate.name, candidate.base)
        if found is None:
            continue
        told = {"interval": (found.low, found.high), **_scale(summary)}
        if candidate.use == "only":
            yield verdict(
                candidate.name, candidate.base, found.difference, found.pvalue, **told
            )
        else:
            said = transfer_verdict(found.difference, found.pvalue, **told)
            yield f"{candidate.name} against {candidate.base}: {said}"


def _on_curves(summary: Summary, results: pd.DataFrame) -> Iterator[str]:
    """Who is shown to be better than the baseline with how many labelled texts."""
    done = results[(results["status"] == "done") & (results["train_size"] > 0)]
    if done["train_size"].nunique() < 2 or summary.baseline is None:
        return
    scale = _scale(summary)["scale"]
    told = []
    for size, rows in done.groupby("train_size"):
        shown = rows[(rows["pvalue"] < ALPHA) & (rows["difference"] > 0)]
        shown = shown.sort_values("difference", ascending=False, kind="stable")
        listed = ", ".join(
            f"{row['strategy']} ({row['difference'] * scale:+.1f})"
            for row in shown.to_dict("records")
        )
        told.append(f"with {size}: {listed or 'none'}")
    yield (
        f"shown to be better than {summary.baseline}, by the number of labelled texts "
        f"to learn from: {'; '.join(told)}"
    )


# Why rows have no score; of those that failed each has its own error.
_GAPS = {
    "failed": "failed: {} (see the column error)",
    "skipped": "skipped, as the time budget was too short: {}",
    "stopped": "stopped by the race, too far behind: {}",
}


def _on_gaps(results: pd.DataFrame) -> Iterator[str]:
    for status in ("failed", "skipped", "stopped"):
        names = results.loc[results["status"] == status, "strategy"].unique().tolist()
        if names:
            yield _GAPS[status].format(", ".join(names))
