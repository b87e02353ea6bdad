"""Tables of results as Markdown, HTML and CSV."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sktransfer.storage import write_file_beside

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["format_rows", "to_html", "to_markdown", "write_csv"]

# Columns that hold names, which stand at the left.
_NAMES = ("strategy", "encoder")

# Columns that hold counts, or nothing; a float would write 300.0.
_COUNTS = ("train_size", "n_trainable_parameters", "n_folds")


def format_rows(results: pd.DataFrame, scoring: str) -> tuple[list[str], list[Any]]:
    """Head and rows of the table that people read, the best first.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.
    scoring : str
        Name of the main metric.

    Returns
    -------
    head : list of str
    rows : list of list of str
        As long as `head`, each.
    """
    curves = results.loc[results["train_size"] > 0, "train_size"].nunique() > 1
    others = [name for name in ("balanced_accuracy", "f1_macro") if name != scoring]
    encoders = "encoder" in results and results["encoder"].nunique() > 1
    head = ["strategy", *(["encoder"] if encoders else [])]
    head += [*(["texts"] if curves else []), scoring, "95 % interval"]
    head += [name.replace("_", " ") for name in others]
    head += ["difference", "p", "fit s", "texts/s", "parameters"]
    ordered = (
        results.sort_values(
            ["train_size", "score"], ascending=[True, False], kind="stable"
        )
        if curves
        else results.sort_values("score", ascending=False, kind="stable")
    )
    rows = []
    for row in ordered.to_dict("records"):
        cells = [str(row["strategy"])]
        if encoders:
            cells.append(str(row["encoder"] or ""))
        if curves:
            cells.append(f"{row['train_size']}")
        if row["status"] != "done":
            why = str(row["error"]).partition("\n")[0]
            cells.append(f"{row['status']}: {why}" if why else str(row["status"]))
            rows.append(cells + [""] * (len(head) - len(cells)))
            continue
        cells.append(_number(row["score"], ".3f"))
        low, high = (_number(row[f"score_{end}"], ".3f") for end in ("low", "high"))
        cells.append(f"{low} to {high}" if low else "")
        cells += [_number(row[name], ".3f") for name in others]
        cells.append(_number(row["difference"], "+.3f"))
        cells.append(_pvalue(row["pvalue"]))
        cells.append(_number(row["fit_seconds"], ".2f"))
        cells.append(_number(row["texts_per_second"], ",.0f"))
        cells.append(_number(row["n_trainable_parameters"], ",.0f"))
        rows.append(cells)
    return head, rows


def to_markdown(
    results: pd.DataFrame, scoring: str, verdicts: Sequence[str] = ()
) -> str:
    """Results as a Markdown table, followed by the verdicts as a list.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.
    scoring : str
        Name of the main metric.
    verdicts : sequence of str, default=()
        Plain sentences.

    Returns
    -------
    markdown : str
    """
    head, rows = format_rows(results, scoring)
    lines = [head, ["---" if name in _NAMES else "---:" for name in head]]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = "\n".join(f"- {verdict}" for verdict in verdicts)
    return f"{table}\n\n{said}" if said else table


def to_html(results: pd.DataFrame, scoring: str, verdicts: Sequence[str] = ()) -> str:
    """Results as an HTML table and a list, for notebooks; all names are escaped.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.
    scoring : str
        Name of the main metric.
    verdicts : sequence of str, default=()
        Plain sentences.

    Returns
    -------
    html : str
    """
    head, rows = format_rows(results, scoring)
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    said = "".join(f"<li>{html.escape(verdict)}</li>" for verdict in verdicts)
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
    return f"{table}<ul>{said}</ul>" if said else table


def write_csv(results: pd.DataFrame, path: Path) -> None:
    """Write all columns of the results, in UTF-8.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.
    path : pathlib.Path
        The file.
    """
    with write_file_beside(path) as beside:
        beside.write_bytes(render_csv(results))


def render_csv(results: pd.DataFrame) -> bytes:
    """Return all columns of the results as CSV, in UTF-8.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.

    Returns
    -------
    content : bytes
    """
    # Numbers of parameters may differ from fold to fold, and a mean be no whole number.
    whole = [
        name
        for name in _COUNTS
        if name in results and (results[name].dropna() % 1 == 0).all()
    ]
    written: str = results.astype(dict.fromkeys(whole, "Int64")).to_csv(index=False)
    # Half a character, as broken decoders leave it, is no UTF-8.
    return written.encode("utf-8", "replace")


def _number(value: float, spec: str) -> str:
    return "" if math.isnan(value) else format(value, spec)


def _pvalue(value: float) -> str:
    return "< 0.001" if value < 0.001 else _number(value, ".3f")
