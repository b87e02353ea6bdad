"""Which file format a name, or an option, stands for."""

from __future__ import annotations

from pathlib import PurePath

import typer

__all__ = ["FORMATS", "choose_format"]

_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = ("csv", "tsv", "jsonl", "parquet")


def choose_format(name: str, given: str | None, *, option: str) -> str:
    """Format of a file.

    Parameters
    ----------
    name : str
        Its path; "-" stands for a stream and is CSV unless said otherwise.
    given : str or None
        What the user said.
    option : str
        By which option, for the message.

    Returns
    -------
    format : {"csv", "tsv", "jsonl", "parquet"}

    Raises
    ------
    typer.BadParameter
        If neither tells.

    Examples
    --------
    >>> from sktransfer.cli.formats import choose_format
    >>> choose_format("new.TSV", None, option="--format")
    'tsv'
    """
    if given is not None:
        if given not in FORMATS:
            raise typer.BadParameter(
                f"{given!r} is none of {', '.join(FORMATS)}", param_hint=option
            )
        return given
    if name == "-":
        return "csv"
    suffix = PurePath(name).suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise typer.BadParameter(
            f"the name {name!r} does not tell its format: end it in "
            f"{', '.join(sorted(_BY_SUFFIX))}, or say {option} "
            f"{'|'.join(FORMATS)}",
            param_hint=option,
        )
    return _BY_SUFFIX[suffix]
