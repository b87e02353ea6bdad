"""The columns of a comparison's tables, each defined once, in `COLUMNS`.

The tables of results and of folds, Markdown, HTML, CSV, the report's page and the
terminal read them: another column is another entry here, and a value in the outcome of
a fold where it comes from there. `COLUMNS` stand in the order of the results; in tables
for people, names come first, then scores, tests and costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sktransfer.plotting.compared import is_number
from sktransfer.statistics.verdicts import format_p

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "Column",
    "Head",
    "Shown",
    "columns_with",
    "filled_names",
    "heads_of",
    "rank_rows",
    "varied_names",
]

Row = Mapping[Any, Any]
# Markdown and HTML; the sortable tables of a report; the terminal, at the end and live.
View = Literal["text", "page", "terminal", "live"]

_GROUPS = ("name", "score", "test", "cost", "state")


@dataclass(frozen=True)
class Shown:
    """How one table shows a column.

    The title, and the note that says what it means, may name {unit}, {scoring},
    {metric} (the same without underscores), {baseline} and {difference}. `cell` is the
    format of a number, which leaves the cell empty where there is none, or a function
    of the row; "" takes the value as it is.
    """

    title: str
    cell: str | Callable[[Row], str] = ""
    note: str = ""
    beside: Callable[[Row], str] | None = None  # stands there in small letters


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        In the tables of results and folds.
    group : str
        Where it stands in tables for people: name, score, test, cost or state.
    unit : str
        Of its numbers.
    better : {"higher", "lower", ""}
        Which way is better; "" where neither is.
    from_folds : callable or None
        Sums up the values of the folds; None where it does not come from there.
    is_metric : bool
        Whether a fold has it among its metrics. Tables that people read show the main
        metric as the score only.
    is_whole : bool
        Whether it holds whole numbers, or nothing; a float would be written 300.0.
    if_varied : bool
        Whether it is shown only where it has several values.
    text, page, terminal, live : Shown or None
        How each table shows it; None not at all.
    """

    name: str
    group: str
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""
    from_folds: Callable[[Sequence[float]], Any] | None = None
    is_metric: bool = False
    is_whole: bool = False
    if_varied: bool = False
    text: Shown | None = None
    page: Shown | None = None
    terminal: Shown | None = None
    live: Shown | None = None


@dataclass(frozen=True)
class Head:
    """A column as a table shows it: its name, its title, and how to write a cell."""

    name: str
    group: str
    title: str
    note: str
    shown: Shown

    def write(self, row: Row) -> str:
        """What the cell of a row shows."""
        cell, value = self.shown.cell, row.get(self.name)
        if callable(cell):
            return cell(row)
        if cell:
            return format(value, cell) if is_number(value) else ""
        return "" if value is None or value != value else str(value)

    def write_beside(self, row: Row) -> str:
        """What stands beside it."""
        return "" if self.shown.beside is None else self.shown.beside(row)


def _interval(name: str, joint: str, cell: str = ".3f") -> Callable[[Row], str]:
    def write(row: Row) -> str:
        ends = [row.get(f"{name}_{end}") for end in ("low", "high")]
        if not all(map(is_number, ends)):
            return ""
        return joint.join(format(x, cell) for x in ends)

    return write


def _seconds(name: str) -> Callable[[Row], str]:
    def write(row: Row) -> str:
        value = row.get(name, math.nan)
        if math.isnan(value):
            return ""
        if value >= 100:
            return f"{value:.0f} s"
        return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"

    return write


def _minutes(row: Row) -> str:
    seconds = row.get("fit_seconds")
    if not is_number(seconds) or seconds is None:
        return ""
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.2g} s"


def _yes(row: Row) -> str:
    return "yes" if row.get("could_be_best") is True else ""


def _p(row: Row) -> str:
    return format_p(row.get("pvalue", math.nan))


def _tight_p(row: Row) -> str:
    return _p(row).replace(" ", "")


def _state(row: Row) -> str:
    if row["status"] in ("running", "done"):
        return f"{row['n_folds']}/{row['n_folds_planned']}"
    return str(row["status"])


_ENCODER = "transformer whose vectors are read, or which is tuned"
_THRESHOLD = "labels go by probability beside the class's share"
_MEAN = "mean and 95 % interval"
_MEMORY = "{unit} that the process grew by at most, in one training"
_SPEED = "new texts, once warm"
_LOAD = "once a process: weights, tokenizer, tables"


# fmt: off
COLUMNS = (
    Column("strategy", "name", text=Shown("strategy"), page=Shown("strategy"),
           terminal=Shown("strategy"), live=Shown("strategy")),
    Column("kind", "name"),
    Column("encoder", "name", if_varied=True, text=Shown("encoder"),
           page=Shown("encoder", note=_ENCODER)),
    Column("threshold", "name", if_varied=True, text=Shown("threshold"),
           page=Shown("threshold", note=_THRESHOLD), terminal=Shown("threshold")),
    Column("train_size", "name", is_whole=True, if_varied=True, text=Shown("texts"),
           page=Shown("texts", ",.0f", "labelled texts"), terminal=Shown("texts"),
           live=Shown("texts")),
    Column("score", "score", better="higher", text=Shown("{scoring}", ".3f"),
           page=Shown("{metric}", ".3f", _MEAN, beside=_interval("score", " to ")),
           terminal=Shown("{metric}", ".3f"), live=Shown("score", ".3f")),
    Column("score_std", "score"),
    Column("score_low", "score",
           text=Shown("95 % interval", _interval("score", " to ")),
           terminal=Shown("95 % interval", _interval("score", " - "))),
    Column("score_high", "score"),
    Column("accuracy", "score", "", "higher", np.mean, is_metric=True,
           page=Shown("accuracy", ".3f")),
    Column("balanced_accuracy", "score", "", "higher", np.mean, is_metric=True,
           text=Shown("balanced accuracy", ".3f"),
           page=Shown("balanced accuracy", ".3f")),
    Column("f1_macro", "score", "", "higher", np.mean, is_metric=True,
           text=Shown("f1 macro", ".3f"), page=Shown("f1 macro", ".3f")),
    Column("fit_seconds", "cost", "s", "lower", np.mean,
           text=Shown("fit {unit}", ".2f"),
           page=Shown("train", _minutes, "time of one training"),
           terminal=Shown("fit", _seconds("fit_seconds")),
           live=Shown("fit", _seconds("fit_seconds"))),
    Column("predict_seconds", "cost", "s", "lower", np.mean,
           live=Shown("predict", _seconds("predict_seconds"))),
    Column("load_seconds", "cost", "s", "lower", np.max,
           page=Shown("load", _seconds("load_seconds"), _LOAD)),
    Column("texts_per_second", "cost", "texts/s", "higher",
           text=Shown("{unit}", ",.0f"),
           page=Shown("{unit}", ",.0f", _SPEED), terminal=Shown("{unit}", ",.0f")),
    Column("fit_peak_mib", "cost", "MiB", "lower", np.max,
           text=Shown("fit {unit}", ",.0f"), page=Shown("memory", ",.0f", _MEMORY)),
    Column("n_trainable_parameters", "cost", "", "", np.mean, is_whole=True,
           text=Shown("parameters", ",.0f"),
           page=Shown("trained", ",.0f", "parameters that learnt")),
    Column("difference", "test", better="higher", text=Shown("difference", "+.3f"),
           page=Shown("difference", "+.3f", "to {baseline}, with its 95 % interval",
                      beside=_interval("difference", " to ", "+.3f")),
           terminal=Shown("{difference}", "+.1f")),
    Column("difference_low", "test",
           text=Shown("its interval", _interval("difference", " to ", "+.3f"))),
    Column("difference_high", "test"),
    Column("pvalue", "test", text=Shown("p", _p), terminal=Shown("p", _tight_p),
           page=Shown("p", _p, "corrected for all differences that were tested")),
    Column("could_be_best", "test", text=Shown("could be best", _yes)),
    Column("n_folds", "state", is_whole=True, live=Shown("folds", _state)),
    Column("status", "state"),
    Column("error", "state"),
)
# fmt: on


def columns_with(scoring: str) -> list[Column]:
    """All columns of results whose main metric that is; another metric is one more."""
    found = list(COLUMNS)
    if all(column.name != scoring for column in found):
        last = max(place for place, column in enumerate(found) if column.is_metric)
        metric = Column(scoring, "score", "", "higher", np.mean, is_metric=True)
        found.insert(last + 1, metric)
    return found


def heads_of(
    view: View,
    names: Collection[Hashable] | None = None,
    *,
    varied: Collection[str] = (),
    scoring: str = "",
    baseline: str | None = None,
    difference: str = "difference",
) -> list[Head]:
    """Columns that a table shows, in their order there.

    `names` are those that there are, None all; `varied` those with several values.
    """
    words = {"scoring": scoring, "metric": scoring.replace("_", " ").strip()}
    words |= {"baseline": str(baseline), "difference": difference}
    heads = []
    for column in sorted(COLUMNS, key=lambda column: _GROUPS.index(column.group)):
        shown: Shown | None = getattr(column, view)
        if shown is None or (names is not None and column.name not in names):
            continue
        if column.is_metric and column.name == scoring:
            continue
        if column.if_varied and column.name not in varied:
            continue
        title, note = (
            text.format(unit=column.unit, **words) for text in (shown.title, shown.note)
        )
        heads.append(Head(column.name, column.group, title, note, shown))
    return heads


def varied_names(results: pd.DataFrame) -> list[str]:
    """Which of the names that are shown only where they vary do so.

    What learns from the source alone, and has size 0, is no size of its own.
    """
    sizes = results.loc[results["train_size"] > 0, "train_size"]
    names = ["train_size"] if sizes.nunique() > 1 else []
    if "encoder" in results and results["encoder"].nunique() > 1:
        names.append("encoder")
    if "threshold" in results:
        names.append("threshold")
    return names


def filled_names(results: pd.DataFrame) -> list[Hashable]:
    """Names of the columns, without costs that no row has.

    Predictions from elsewhere come without.
    """
    costs = {column.name for column in COLUMNS if column.group == "cost"}
    empty = costs & {name for name in results if results[name].isna().all()}
    return [name for name in results if name not in empty]


def rank_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Rows as they are listed: from few texts to many, the best first."""
    order, ascending = ["score"], [False]
    if "train_size" in varied_names(results):
        order, ascending = ["train_size", "score"], [True, False]
    return results.sort_values(order, ascending=ascending, kind="stable")
