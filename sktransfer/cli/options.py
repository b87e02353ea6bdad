"""Options that several commands share, and values as people write them.

typer reads the signatures of commands at run time: what they name must be imported.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

__all__ = [
    "DATA",
    "OUTPUT",
    "Encoding",
    "EscapeFormulas",
    "Format",
    "Fresh",
    "Overwrite",
    "Quotes",
    "Text",
    "option",
    "parse_duration",
    "parse_names",
    "parse_sizes",
]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# Panels of the help.
DATA, OUTPUT = "Data", "Output"


def option(
    names: str,
    help: str,
    metavar: str | None = None,
    panel: str | None = None,
    **settings: Any,
) -> Any:
    """An option for typer: its names with blanks between, its help, what it takes."""
    settings |= {"help": help, "metavar": metavar, "rich_help_panel": panel}
    return typer.Option(*names.split(), **settings)


Text = Annotated[str, option("--text -t", "Column of texts.", "COLUMN", DATA)]
Format = Annotated[
    str | None,
    option(
        "--format",
        "csv, tsv, jsonl or parquet; by the file's name if not given.",
        "FORMAT",
        DATA,
    ),
]
Encoding = Annotated[
    str | None,
    option(
        "--encoding",
        "Of the input, as utf-8 or gb18030; found by looking if not given. Bytes that "
        "do not fit are replaced by utf-8-replace and the like.",
        "NAME",
        DATA,
    ),
]
Quotes = Annotated[
    str,
    option(
        "--quotes",
        "auto: refuse a quote without a partner; trust: take them as they are; none: "
        "quotes are characters of texts.",
        "HOW",
        DATA,
    ),
]
EscapeFormulas = Annotated[
    bool | None,
    option(
        "--escape-formulas/--no-escape-formulas",
        "In CSV: an apostrophe before texts that spreadsheets would run, as =1+1. If "
        "neither is said, all but cells that stood in a CSV before; never numbers.",
        None,
        OUTPUT,
    ),
]
Fresh = Annotated[
    bool,
    option("--fresh", "Begin anew where an earlier run was stopped.", None, OUTPUT),
]
Overwrite = Annotated[
    bool, option("--overwrite", "Replace files that are there already.", None, OUTPUT)
]


def parse_names(written: str | None) -> list[str] | None:
    """Names with commas between them."""
    if written is None:
        return None
    return [name.strip() for name in written.split(",") if name.strip()]


def parse_sizes(written: str | None) -> list[float] | None:
    """Numbers of texts, and shares of all of them, with commas between them."""
    if written is None:
        return None
    sizes: list[float] = []
    for part in parse_names(written) or ():
        try:
            sizes.append(int(part) if part.isdigit() else float(part))
        except ValueError as error:
            raise typer.BadParameter(
                f"{part!r} is no number of texts", param_hint="--train-sizes"
            ) from error
    return sizes


def parse_duration(written: str | None) -> float | None:
    """Seconds of a time such as ``"90"``, ``"90s"``, ``"5m"`` or ``"1.5h"``.

    Examples
    --------
    >>> from sktransfer.cli.options import parse_duration
    >>> parse_duration("5m")
    300.0
    """
    if written is None:
        return None
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", written.strip().lower())
    if found is None or found[2] not in _SECONDS or not float(found[1]) > 0:
        raise typer.BadParameter(
            f"{written!r} is no time: write seconds, or 90s, 5m or 1.5h"
        )
    return float(found[1]) * _SECONDS[found[2]]
