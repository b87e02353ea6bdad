"""The tables of a page: cells that are read, with values that are sorted."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sktransfer.comparison.result import StrategyComparison
from sktransfer.plotting.compared import is_number, name_scoring, rows_at

__all__ = ["Column", "result_table", "sortable_table"]

Row = dict[str, Any]
_KINDS = {"baseline": "no transfer", "given": "yours"}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    title : str
    cell : callable
        From a row to what its cell shows, as HTML.
    value : callable
        From a row to the number or str that it is sorted by; None sorts last.
    note : str, default=""
        What the title means, shown where one points at it.
    """

    title: str
    cell: Callable[[Row], str]
    value: Callable[[Row], float | str | None]
    note: str = ""


def sortable_table(columns: Sequence[Column], rows: Sequence[Row], name: str) -> str:
    """An HTML table whose heads are buttons; without scripts it stays as it is.

    Parameters
    ----------
    columns : sequence of Column
        The first names the row.
    rows : sequence of dict
    name : str
        What the table is, for those who hear the page.

    Returns
    -------
    html : str
    """
    lines = [
        f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(name)}">'
        '<table class="sortable"><thead><tr>'
    ]
    for column in columns:
        note = f' title="{_text(column.note)}"' if column.note else ""
        title = f"<button type=button{note}>{_text(column.title)}</button>"
        lines.append(f'<th scope="col" aria-sort="none">{title}</th>')
    lines.append("</tr></thead><tbody>")
    for row in rows:
        state = "" if row.get("status", "done") == "done" else ' class="unfinished"'
        lines.append(f"<tr{state}>")
        for place, column in enumerate(columns):
            value = column.value(row)
            key = "" if value is None else f' data-value="{_text(str(value))}"'
            tag, scope = ("td", "") if place else ("th", ' scope="row"')
            lines.append(f"<{tag}{scope}{key}>{column.cell(row)}</{tag}>")
        lines.append("</tr>")
    lines.append("</tbody></table></div>")
    return "".join(lines)


def result_table(comparison: StrategyComparison, *, every_size: bool = False) -> str:
    """The table of all strategies, best first, those without a score last.

    Parameters
    ----------
    comparison : StrategyComparison
    every_size : bool, default=False
        Whether it has a row for each number of labelled texts, not the largest only.

    Returns
    -------
    html : str
    """
    metric = name_scoring(comparison.scoring)
    every: list[Any] = comparison.results.to_dict("records")
    rows: list[Row] = every if every_size else rows_at(comparison)
    largest = comparison.results["train_size"].max()
    rows.sort(key=lambda row: _by_size_and_score(row, largest))
    done = any(is_number(row["score"]) for row in rows)
    best = comparison.best_strategy if done and not every_size else None
    columns = [
        Column(
            "strategy",
            lambda row: _name_cell(row, best, comparison.baseline),
            _strategy_of,
        )
    ]
    if len({row.get("encoder") for row in rows} - {None}) > 1:
        columns.append(_encoder_column())
    if every_size:
        columns.append(_number("texts", "train_size", ",.0f", "labelled texts"))
    columns.append(
        Column(metric, _score_cell, _getter("score"), "mean and 95 % interval")
    )
    for other in ("accuracy", "balanced_accuracy", "f1_macro"):
        if other in comparison.results.columns and other != comparison.scoring:
            columns.append(_number(name_scoring(other), other, ".3f"))
    columns += [
        _number("difference", "difference", "+.3f", f"to {comparison.baseline}"),
        Column("p", _pvalue_cell, _getter("pvalue"), "Holm's correction applied"),
        Column("train", _seconds_cell, _getter("fit_seconds"), "time of one training"),
        _number("texts/s", "texts_per_second", ",.0f", "new texts, once warm"),
        _number("trained", "n_trainable_parameters", ",.0f", "parameters that learnt"),
    ]
    return sortable_table(
        columns,
        rows,
        "Scores at each number of texts" if every_size else "Scores of all strategies",
    )


def _text(text: str) -> str:
    return html.escape(text)


def _strategy_of(row: Row) -> str:
    return str(row["strategy"])


def _encoder_column() -> Column:
    return Column(
        "encoder",
        lambda row: _text(row.get("encoder") or ""),
        lambda row: row.get("encoder"),
        "transformer whose vectors are read, or which is tuned",
    )


def _getter(name: str) -> Callable[[Row], float | None]:
    return lambda row: float(row[name]) if is_number(row.get(name)) else None


def _number(title: str, name: str, form: str, note: str = "") -> Column:
    def cell(row: Row) -> str:
        return format(row[name], form) if is_number(row.get(name)) else ""

    return Column(title, cell, _getter(name), note)


def _by_size_and_score(row: Row, largest: float) -> tuple[bool, float, float]:
    """Finished ones first, the largest size first, the best score first."""
    done = is_number(row["score"])
    size = row["train_size"] if is_number(row["train_size"]) else 0
    # What learns from the source alone stands among those that learnt most.
    return not done, -(size or largest), -row["score"] if done else 0.0


def _name_cell(row: Row, best: str | None, baseline: str | None) -> str:
    badges = [_KINDS[row["kind"]]] if row.get("kind") in _KINDS else []
    if row["strategy"] == baseline:
        badges = ["baseline"]
    if row["strategy"] == best:
        badges.append("best")
    shown = f"<span dir=auto>{_text(str(row['strategy']))}</span>"
    shown += "".join(f' <span class="badge {name}">{name}</span>' for name in badges)
    if row.get("status", "done") != "done":
        status, error = _text(str(row["status"])), _text(str(row["error"] or ""))
        shown += (
            f' <span class="badge bad">{status}</span><div class=error>{error}</div>'
        )
    return shown


def _score_cell(row: Row) -> str:
    if not is_number(row["score"]):
        return ""
    shown = f"<b>{row['score']:.3f}</b>"
    if is_number(row.get("score_low")) and is_number(row.get("score_high")):
        shown += f" <small>{row['score_low']:.3f} to {row['score_high']:.3f}</small>"
    return shown


def _pvalue_cell(row: Row) -> str:
    if not is_number(row.get("pvalue")):
        return ""
    return "&lt; 0.001" if row["pvalue"] < 0.001 else f"{row['pvalue']:.3f}"


def _seconds_cell(row: Row) -> str:
    seconds = row.get("fit_seconds")
    if not is_number(seconds) or seconds is None:
        return ""
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.2g} s"
