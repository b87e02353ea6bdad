"""What follows from a comparison, in plain sentences.

A sentence on an order or on equality says how it was tested, or that it is of this run
only: scores that were not shown to differ are not shown to be equal, and the highest of
several scores need not be that of the best strategy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sktransfer.comparison.findings.summary import (
    Choice,
    Standing,
    Summary,
    best_row,
    comparable_rows,
)
from sktransfer.statistics.resampling import holm_correction
from sktransfer.statistics.verdicts import tell_p, transfer_verdict, verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tell"]

# Where one class has more than this share, accuracy says little.
_SKEWED = 0.7


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
        sentences += _on_choice(summary, choice)
        sentences += _on_cheaper(summary, done, best)
        sentences += _on_source(summary)
        sentences += _on_skew(summary, done, best)
        sentences += _on_curves(results)
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


def _on_best(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    name, scoring = best["strategy"], summary.data.scoring.name
    equals = done.loc[done["score"] == best["score"], "strategy"].tolist()
    others = ", ".join(other for other in equals if other != name)
    found = f"{name} has the highest score of this run"
    found += f", shared with {others}" if others else ""
    found += f": {scoring} {best['score']:.3f}"
    if not math.isnan(best["score_low"]):
        found += f", 95 % interval {best['score_low']:.3f} to {best['score_high']:.3f}"
    yield found
    if summary.baseline is None:
        return
    if summary.baseline == name:
        yield "no strategy scores higher than the baseline in this run"
    for row in done.to_dict("records"):
        # One sentence a rival would be a page: the best one, and what falls behind.
        behind = row["pvalue"] < 0.05 and row["difference"] < 0
        # Without a p-value it is said that there was no test.
        compared = not math.isnan(row["difference"])
        if compared and (row["strategy"] == name or behind):
            yield verdict(
                row["strategy"],
                str(summary.baseline),
                row["difference"],
                row["pvalue"],
                **_scale(summary),
            )


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
    evidence = [tell_p(other.pvalue)]
    if other.encoder in choice.rivals:
        evidence.append("not told apart")
    own = (c for c in summary.candidates if c.follows and c.encoder == other.encoder)
    if any(summary.outcomes[c.name, summary.largest(c.name)] for c in own):
        evidence.append("tuned as well")
    return f"{found} ({', '.join(evidence)})"


def _on_cheaper(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    """The closest of the cheaper strategies not shown to be worse than the best.

    One of several is picked, so that each interval is Bonferroni's.
    """
    name = best["strategy"]
    costs = done.set_index("strategy")["fit_seconds"]
    others = [
        other
        for other in done["strategy"]
        if other not in (name, summary.baseline) and costs[other] < costs[name] / 1.5
    ]
    level = 1 - 0.05 / max(1, len(others))
    tests = [summary.test(other, name, confidence_level=level) for other in others]
    pairs = [(o, t) for o, t in zip(others, tests, strict=True) if t is not None]
    pvalues = holm_correction([test.pvalue for _, test in pairs])
    near = [
        (other, test, float(pvalue))
        for (other, test), pvalue in zip(pairs, pvalues, strict=True)
        if not pvalue < 0.05
    ]
    if near:
        # Of those that are cheap enough, the one that comes closest.
        other, test, pvalue = max(near, key=lambda entry: entry[1].mean_difference)
        yield verdict(
            other,
            name,
            test.mean_difference,
            pvalue,
            interval=test.confidence_interval,
            seconds=float(costs[other]),
            baseline_seconds=float(costs[name]),
            **_scale(summary),
        )


def _on_source(summary: Summary) -> Iterator[str]:
    """Whether the source helped, for each use of it, corrected over the uses."""
    names = {candidate.name for candidate in summary.candidates}
    uses = [c for c in summary.candidates if c.use is not None and c.base in names]
    tests = [summary.test(candidate.name, candidate.base) for candidate in uses]
    pairs = [(c, t) for c, t in zip(uses, tests, strict=True) if t is not None]
    if not pairs:
        return
    pvalues = holm_correction([test.pvalue for _, test in pairs])
    for (candidate, test), pvalue in zip(pairs, pvalues, strict=True):
        against = f"{candidate.name} against {candidate.base}"
        if candidate.use == "only":
            yield verdict(
                candidate.name,
                candidate.base,
                test.mean_difference,
                float(pvalue),
                **_scale(summary),
            )
        else:
            found = transfer_verdict(
                test.mean_difference, float(pvalue), **_scale(summary)
            )
            yield f"{against}: {found}"


def _on_skew(
    summary: Summary, done: pd.DataFrame, best: pd.Series[Any]
) -> Iterator[str]:
    data = summary.data
    label, count = Counter(data.labels.tolist()).most_common(1)[0]
    share = count / len(data.labels)
    if share <= _SKEWED or data.scoring.name != "accuracy":
        return
    other = done.iloc[int(done["balanced_accuracy"].argmax())]
    found = (
        f"{share:.0%} of the texts are {label!r}, so that accuracy says little: "
        f"{other['strategy']} has the highest balanced accuracy of this run, not "
        f"tested ({other['balanced_accuracy']:.3f}"
    )
    if other["strategy"] != best["strategy"]:
        found += f", {best['strategy']} {best['balanced_accuracy']:.3f}"
    yield f"{found})"


def _on_curves(results: pd.DataFrame) -> Iterator[str]:
    """The highest score at each size; their order along the curve has no test."""
    done = results[(results["status"] == "done") & (results["train_size"] > 0)]
    if done["train_size"].nunique() < 2:
        return
    told = []
    for size, rows in done.groupby("train_size"):
        best = best_row(rows)
        told.append(f"with {size} it is {best['strategy']} ({best['score']:.3f})")
    yield (
        "the highest score of this run at each number of labelled texts, not tested: "
        + ", ".join(told)
    )


def _on_gaps(results: pd.DataFrame) -> Iterator[str]:
    for status in ("failed", "skipped"):
        names = results.loc[results["status"] == status, "strategy"].unique().tolist()
        if names:
            yield f"{status}: {', '.join(names)} (see the column error)"
