"""What the page says: tables, mistakes, facts and code, as plain values.

How they look is the template's, ``data/page.html``, which escapes all of them.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from sktransfer.comparison.checks.registry import NAMES
from sktransfer.comparison.columns import Head, filled_names, heads_of
from sktransfer.comparison.result import StrategyComparison
from sktransfer.explanation.contributions import (
    Explanation,
    split_marks,
    tell_label,
)
from sktransfer.plotting.compared import (
    is_number,
    name_scoring,
    rows_at,
    train_sizes_of,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Table",
    "best_of",
    "list_checks",
    "list_facts",
    "list_mistakes",
    "list_suspects",
    "result_table",
    "usage",
]

Row = Mapping[Any, Any]
_BADGES = {"baseline": "no transfer", "given": "yours"}
_PACKAGES = ("sktransfer", "scikit-learn", "torch", "transformers", "gensim", "numpy")


@dataclass(frozen=True)
class Cell:
    """What a cell shows, what stands beside it, and the value that it is sorted by."""

    text: str
    value: float | str | None
    beside: str = ""
    is_main: bool = False


@dataclass(frozen=True)
class TableRow:
    """A row; the first cell, which names it, has badges and, where it failed, why."""

    cells: list[Cell]
    badges: list[str]
    is_done: bool
    status: str
    error: str


@dataclass(frozen=True)
class Table:
    """A sortable table; its name is for those who hear the page."""

    name: str
    heads: list[Head]
    rows: list[TableRow]


def best_of(comparison: StrategyComparison) -> str | None:
    """Name of the best strategy; None where none was run to its end."""
    scored = any(map(is_number, comparison.results["score"]))
    return comparison.best_strategy if scored else None


def result_table(comparison: StrategyComparison, *, every_size: bool = False) -> Table:
    """The table of all strategies, best first, those without a score last.

    With `every_size` it has a row for each number of labelled texts, not the largest
    only.
    """
    results = comparison.results
    rows: list[Row] = (
        list(results.to_dict("records")) if every_size else list(rows_at(comparison))
    )
    largest = results["train_size"].max()
    rows.sort(key=lambda row: _by_size_and_score(row, largest))
    varied = ["train_size"] if every_size else []
    if len({row.get("encoder") for row in rows} - {None}) > 1:
        varied.append("encoder")
    if "threshold" in results:
        varied.append("threshold")
    heads = heads_of(
        "page",
        filled_names(results),
        varied=varied,
        scoring=comparison.scoring,
        baseline=comparison.baseline,
    )
    scored = any(is_number(row["score"]) for row in rows)
    best = comparison.best_strategy if scored and not every_size else None
    name = (
        "Scores at each number of texts" if every_size else "Scores of all strategies"
    )
    return Table(
        name, heads, [_write_row(row, heads, comparison, best) for row in rows]
    )


def _by_size_and_score(row: Row, largest: float) -> tuple[bool, float, float]:
    """Finished ones first, the largest size first, the best score first."""
    done = is_number(row["score"])
    size = row["train_size"] if is_number(row["train_size"]) else 0
    if not size:  # what learns from the source alone stands among those of the largest
        size = largest if is_number(largest) else 0
    return not done, -size, -row["score"] if done else 0.0


def _write_row(
    row: Row, heads: Sequence[Head], comparison: StrategyComparison, best: str | None
) -> TableRow:
    cells = []
    for head in heads:
        value = row.get(head.name)
        if not isinstance(value, str):
            value = float(value) if value is not None and is_number(value) else None
        is_main = head.name == "score" and value is not None
        cells.append(Cell(head.write(row), value, head.write_beside(row), is_main))
    badges = [_BADGES[row["kind"]]] if row.get("kind") in _BADGES else []
    if row["strategy"] == comparison.baseline:
        badges = ["baseline"]
    if row["strategy"] == best:
        badges.append("best")
    elif best is not None and row.get("could_be_best") is True:
        badges.append("could be best")
    status = str(row.get("status", "done"))
    return TableRow(
        cells, badges, status == "done", status, str(row.get("error") or "")
    )


def list_mistakes(
    comparison: StrategyComparison,
    explanations: Mapping[int, Explanation | None],
    n_mistakes: int,
) -> list[dict[str, Any]]:
    """The most confident mistakes of the best strategy, with what spoke for them."""
    best = best_of(comparison)
    if best is None:
        return []
    return [
        {
            **{name: str(mistake[name]) for name in ("text", "predicted", "label")},
            "row": _tell_row(mistake["row"], mistake["text"]),
            "probability": f"{mistake['probability']:.2f}"
            if is_number(mistake["probability"])
            else "",
            "explanation": _explain(explanations.get(mistake["row"])),
        }
        for mistake in comparison.mistakes(best, n_mistakes).to_dict("records")
    ]


def _tell_row(row: int, text: str) -> str:
    """Where a text stands, in brackets, unless that is all that is known of it."""
    return "" if text == f"row {row}" else f" (row {row})"


def list_suspects(suspects: pd.DataFrame) -> list[dict[str, Any]]:
    """Labels that look wrong, from rows of `StrategyComparison.suspects`."""
    shown = ("text", "label", "suggested", "n_against", "n_strategies", "row")
    return [
        {name: str(suspect[name]) for name in shown}
        | {"probability": f"{suspect['probability']:.2f}"}
        for suspect in suspects.to_dict("records")
    ]


def _explain(explanation: Explanation | None) -> dict[str, Any] | None:
    if explanation is None:
        return None
    contributions = explanation.contributions.tolist()
    return {
        "headline": tell_label(str(explanation.label), explanation.probability),
        "pieces": split_marks(explanation.text, explanation.spans, contributions),
    }


def list_checks(comparison: StrategyComparison) -> list[dict[str, str]]:
    """What checks have found, and what to do about it."""
    return [
        {name: str(row[name]) for name in ("number", "finding", "remedy", "page")}
        for row in comparison.checks.to_dict("records")
    ]


def list_facts(comparison: StrategyComparison) -> dict[str, str]:
    """How the numbers came about: data, folds, seconds, versions."""
    facts = {"Target texts": _describe(comparison.texts, comparison.labels)}
    if comparison.source is not None:
        facts["Source texts"] = _describe(*comparison.source)
    if comparison.domain_distance is not None:
        facts["Domain distance"] = (
            f"{comparison.domain_distance:.2f} (proxy A-distance: 0 where source and "
            "target cannot be told apart, 2 where they always can)"
        )
    folds = comparison.folds
    pairs = folds[["repeat", "fold"]].drop_duplicates()
    n_repeats = int(pairs["repeat"].nunique()) if len(pairs) else 0
    told = f"{len(pairs)}, the same for all strategies"
    told = "not known" if _are_unknown(folds) else told
    facts["Folds"] = told + (f" ({n_repeats} repeats)" if n_repeats > 1 else "")
    sizes = train_sizes_of(comparison)
    if sizes:
        listed = ", ".join(f"{size:,}" for size in sizes)
        facts["Labelled texts to learn from"] = listed
    if comparison.checks.empty:
        facts["Checks"] = f"none of {len(NAMES)} has found anything"
    facts["Metric"] = name_scoring(comparison.scoring)
    if comparison.scoring_reason:
        facts["Metric"] += f" ({comparison.scoring_reason})"
    facts["Time"] = _tell_time(comparison)
    facts["Versions"] = _tell_versions()
    return facts


def usage(comparison: StrategyComparison, model_folder: str | None) -> list[str]:
    """Three lines of code that load the best model, or fit and save it.

    None where there is no model.
    """
    last = f"model.predict([{comparison.texts[0][:60]!r}])"
    if model_folder is not None:
        return [
            "from sktransfer import load",
            f"model = load({model_folder!r})",
            last,
        ]
    if not comparison.has_estimators:
        return []
    return [
        "from sktransfer import save",
        "model = comparison.best_estimator()  # fitted on all texts",
        last + '; save(model, "model")',
    ]


def _describe(texts: Sequence[str], labels: Iterable[object]) -> str:
    counts = Counter(str(label) for label in labels)
    listed = ", ".join(f"{label}: {n:,}" for label, n in sorted(counts.items()))
    return f"{len(texts):,} ({listed})"


def _are_unknown(folds: pd.DataFrame) -> bool:
    """Whether predictions came from elsewhere without their folds."""
    return len(folds) > 0 and bool(folds["n_train"].isna().all())


def _tell_time(comparison: StrategyComparison) -> str:
    """Seconds of all folds together."""
    folds = comparison.folds
    names = {"fit_seconds": "training", "predict_seconds": "predicting"}
    spent = {
        what: float(folds[name].sum())
        for name, what in names.items()
        if name in folds and folds[name].notna().any()
    }
    if not spent or _are_unknown(folds):
        return "not kept"
    told = " and ".join(
        f"{seconds:,.1f} s of {what}" for what, seconds in spent.items()
    )
    # The majority class of predictions from elsewhere takes no time to speak of.
    ours = folds[(folds["status"] == "done") & (folds["kind"] != "baseline")]
    known = "fit_seconds" in ours and ours["fit_seconds"].notna().all()
    return f"{told}, over all folds{'' if known else ' for which it is known'}"


def _tell_versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
