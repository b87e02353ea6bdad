"""Options that several commands share, and times as people write them."""

from __future__ import annotations

import re
from typing import Annotated

import typer

__all__ = [
    "DATA",
    "OUTPUT",
    "Encoding",
    "Format",
    "Fresh",
    "Overwrite",
    "Text",
    "parse_duration",
]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# Panels of the help.
DATA, OUTPUT = "Data", "Output"

Text = Annotated[
    str,
    typer.Option(
        "--text", "-t", help="Column of texts.", metavar="COLUMN", rich_help_panel=DATA
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, tsv, jsonl or parquet; by the file's name if not given.",
        metavar="FORMAT",
        rich_help_panel=DATA,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Of the input, as utf-8 or gb18030; found by looking if not given.",
        metavar="NAME",
        rich_help_panel=DATA,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Begin anew where an earlier run was stopped.",
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace files that are there already.",
        rich_help_panel=OUTPUT,
    ),
]


def parse_duration(written: str | None) -> float | None:
    """Seconds of a time such as ``"90"``, ``"90s"``, ``"5m"`` or ``"1.5h"``.

    Parameters
    ----------
    written : str or None

    Returns
    -------
    seconds : float or None

    Raises
    ------
    typer.BadParameter
        If it is no time.

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
