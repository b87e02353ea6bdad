"""Tables of results as Markdown, HTML and CSV."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sktransfer.comparison.columns import (
    COLUMNS,
    Head,
    filled_names,
    heads_of,
    rank_rows,
    varied_names,
)
from sktransfer.formulas import escape_formula
from sktransfer.storage import write_file_beside

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["format_rows", "to_html", "to_markdown", "write_csv"]


def format_rows(
    results: pd.DataFrame, scoring: str
) -> tuple[list[Head], list[list[str]]]:
    """Heads and rows of the table that people read, the best first."""
    heads = heads_of(
        "text", filled_names(results), varied=varied_names(results), scoring=scoring
    )
    named = [head for head in heads if head.group == "name"]
    rows = []
    for row in rank_rows(results).to_dict("records"):
        if row["status"] == "done":
            rows.append([head.write(row) for head in heads])
            continue
        why = str(row["error"]).partition("\n")[0]
        cells = [head.write(row) for head in named]
        cells.append(f"{row['status']}: {why}" if why else str(row["status"]))
        rows.append(cells + [""] * (len(heads) - len(cells)))
    return heads, rows


def to_markdown(
    results: pd.DataFrame, scoring: str, verdicts: Sequence[str] = ()
) -> str:
    """Results as a Markdown table, followed by the verdicts as a list."""
    heads, rows = format_rows(results, scoring)
    # Names stand at the left.
    left = ("strategy", "encoder")
    lines = [[head.title for head in heads]]
    lines += [["---" if head.name in left else "---:" for head in heads]]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = "\n".join(f"- {verdict}" for verdict in verdicts)
    return f"{table}\n\n{said}" if said else table


def to_html(results: pd.DataFrame, scoring: str, verdicts: Sequence[str] = ()) -> str:
    """Results as an HTML table and a list, for notebooks; all names are escaped."""
    heads, rows = format_rows(results, scoring)
    cells = "".join(f"<th>{html.escape(head.title)}</th>" for head in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    said = "".join(f"<li>{html.escape(verdict)}</li>" for verdict in verdicts)
    table = f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
    return f"{table}<ul>{said}</ul>" if said else table


def write_csv(results: pd.DataFrame, path: Path) -> None:
    """Write all columns of the results, in UTF-8."""
    with write_file_beside(path) as beside:
        beside.write_bytes(render_csv(results))


def render_csv(results: pd.DataFrame) -> bytes:
    """Return all columns of the results as CSV, in UTF-8.

    Texts that spreadsheets would take for formulas have an apostrophe before them.
    """
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    # Numbers of parameters may differ from fold to fold, and a mean be no whole number.
    whole = [
        column.name
        for column in COLUMNS
        if column.is_whole
        and column.name in results
        and (results[column.name].dropna() % 1 == 0).all()
    ]
    table = results.astype(dict.fromkeys(whole, "Int64"))
    for name in table:
        if not is_numeric_dtype(table[name]):
            # People open it with a spreadsheet, which would run a text such as =1+1.
            # As objects: half a character is no text for Arrow.
            cells = list(map(escape_formula, table[name]))
            table[name] = pd.Series(cells, table.index, dtype=object)
    written: str = table.to_csv(index=False)
    # Half a character, as broken decoders leave it, is no UTF-8.
    return written.encode("utf-8", "replace")
