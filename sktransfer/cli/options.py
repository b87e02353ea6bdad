"""Options that several commands share."""

from typing import Annotated

import typer

__all__ = ["DATA", "OUTPUT", "Encoding", "Format", "Fresh", "Overwrite", "Text"]

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
