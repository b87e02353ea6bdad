"""The file that a command reads: where it is, what is in it, which columns it has."""

from __future__ import annotations

import difflib
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer

from sktransfer.cli.charsets import detect_encoding, is_utf8, known_encoding
from sktransfer.cli.formats import choose_format
from sktransfer.cli.messages import note
from sktransfer.cli.readers import Reader, open_reader

__all__ = ["check_columns", "digest_input", "is_missing", "open_input"]

_N_SAMPLED = 1 << 20


@contextmanager
def open_input(
    name: str, format: str | None = None, encoding: str | None = None
) -> Iterator[Reader]:
    """Open a file, or the standard input.

    Parameters
    ----------
    name : str
        A path, or "-". What comes on the standard input is put into a temporary file.
    format : str or None, default=None
        None goes by the name.
    encoding : str or None, default=None
        None looks at the bytes, and says so where it is not UTF-8.

    Yields
    ------
    reader : Reader

    Raises
    ------
    typer.BadParameter
        If the file is not there, or a format or encoding is unknown.
    """
    chosen = choose_format(name, format, option="--format")
    with ExitStack() as stack:
        if name == "-":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = Path(folder, "stdin")
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            path = Path(name).expanduser()
            if not path.is_file():
                raise typer.BadParameter(f"there is no file {name!r}{_like(path)}")
        shown = "the standard input" if name == "-" else name
        yield open_reader(path, chosen, _find(path, chosen, encoding, shown), shown)


def _find(path: Path, format: str, encoding: str | None, shown: str) -> str:
    if format == "parquet":
        return "utf-8"
    if encoding is not None:
        known = known_encoding(encoding)
        if known is None:
            raise typer.BadParameter(
                f"{encoding!r} is no encoding that Python knows; for example utf-8, "
                "gb18030, big5, cp1252 or utf-16",
                param_hint="--encoding",
            )
        if known == "utf-8":
            # Its mark, if there is one, is none of the first column's name.
            known = "utf-8-sig"
        return known
    with path.open("rb") as file:
        sample = file.read(_N_SAMPLED)
        file.seek(0)
        found = detect_encoding(sample, fits_utf8=is_utf8(file))
    if not found.startswith("utf-8"):
        note(f"{shown} is read as {found}; name another encoding by --encoding.")
    return found


def _like(path: Path) -> str:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {str(folder / near[0])!r}?" if near else ""


def check_columns(reader: Reader, **columns: str | None) -> None:
    """See that columns are there.

    Parameters
    ----------
    reader : Reader
        The table.
    **columns : str or None
        Name of an option, without its dashes, and the column it names; None is no
        column.

    Raises
    ------
    typer.BadParameter
        If one is missing; the message suggests the right name.
    """
    for option, name in columns.items():
        if name is None or name in reader.columns:
            continue
        folded = {column.casefold().strip(): column for column in reader.columns}
        near = difflib.get_close_matches(
            name.casefold().strip(), folded, n=1, cutoff=0.5
        )
        guess = f" Did you mean {folded[near[0]]!r}?" if near else ""
        listed = ", ".join(map(repr, reader.columns[:12]))
        more = ", ..." if len(reader.columns) > 12 else ""
        raise typer.BadParameter(
            f"{reader.name} has no column {name!r}.{guess} It has {listed}{more}.",
            param_hint=f"--{option.replace('_', '-')}",
        )


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing; the empty string is a text.

    Parameters
    ----------
    value : object

    Returns
    -------
    missing : bool
    """
    return value is None or (isinstance(value, float) and value != value)


def digest_input(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    digest : str of 64 characters
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
