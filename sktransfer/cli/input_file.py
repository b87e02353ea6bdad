"""The file that a command reads: its place, format, encoding and columns."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any

import typer

from sktransfer.cli.tables.encodings import detect_file, find_fault
from sktransfer.cli.tables.table_readers import Reader, open_reader
from sktransfer.cli.terminal import named, note
from sktransfer.exceptions import InvalidInputError
from sktransfer.packages import existing_path

__all__ = [
    "FORMATS",
    "check_columns",
    "choose_format",
    "digest_input",
    "find_columns",
    "is_missing",
    "known_encoding",
    "open_input",
]

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
_QUOTES = ("auto", "trust", "none")
FORMATS = ("csv", "tsv", "jsonl", "parquet")

# Of host names, and one that decodes nothing.
_NO_ENCODINGS_OF_FILES = frozenset({"idna", "punycode", "undefined"})

# Rows by which a column is taken for texts or for labels.
_N_LOOKED_AT = 1000
# A text has several words, or is Chinese; what has neither is a name, a number, a date.
_SEVERAL_WORDS = re.compile(r"[^\W\d_]{2}\S*\s+\S*[^\W\d_]|[\u3400-\u9fff]{2}")
_MOST_LABELS = 20


def known_encoding(name: str) -> str | None:
    """Python's name of an encoding as people write it, or None if there is none.

    Examples
    --------
    >>> from sktransfer.cli.input_file import known_encoding
    >>> known_encoding("UTF8"), known_encoding("no such")
    ('utf-8', None)
    """
    try:
        found = codecs.lookup(name).name
        # Refuses what is between bytes and bytes, such as base64.
        "".encode(found)
    except (LookupError, ValueError):
        return None
    return None if found in _NO_ENCODINGS_OF_FILES else found


def choose_format(name: str, given: str | None, *, option: str) -> str:
    """Format of a file: what the user said by an option, else by its name.

    A stream, "-", is CSV unless said otherwise.

    Examples
    --------
    >>> from sktransfer.cli.input_file import choose_format
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


@contextmanager
def open_input(
    name: str,
    format: str | None = None,
    encoding: str | None = None,
    quotes: str = "auto",
) -> Iterator[Reader]:
    """Open a file, or for "-" the standard input, which is put into a temporary file.

    Without an encoding the bytes are looked at; where it is not UTF-8, that is said.
    `quotes` are those of `Reader`.
    """
    if quotes not in _QUOTES:
        raise typer.BadParameter(
            f"{quotes!r} is none of {', '.join(_QUOTES)}", param_hint="--quotes"
        )
    chosen = choose_format(name, format, option="--format")
    with ExitStack() as stack:
        if name == "-":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = Path(folder, "stdin")
            with path.open("wb") as file, named("the standard input"):
                shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            path = _find_file(name)
        shown = "the standard input" if name == "-" else name
        found = _find(path, chosen, encoding, shown)
        yield open_reader(path, chosen, found, shown, quotes)


def _find_file(name: str) -> Path:
    path = existing_path(name)
    if path is None:
        raise typer.BadParameter(f"there is no file {name!r:.200}{_like(name)}")
    if path.is_dir():
        raise typer.BadParameter(f"{name!r} is a folder: name a file in it")
    if not path.is_file():
        raise typer.BadParameter(
            f"{name!r} is no ordinary file: what comes of a pipe or a device is read "
            f"as -, as in: sktransfer ... - < {name}"
        )
    return Path(name).expanduser()


def _find(path: Path, format: str, encoding: str | None, shown: str) -> str:
    if format == "parquet":
        return "utf-8"
    if encoding is not None:
        base = encoding.removesuffix("-replace")
        known = known_encoding(base)
        if known is None:
            raise typer.BadParameter(
                f"{encoding!r:.80} is no encoding of texts that Python knows: say "
                "utf-8, gb18030, big5, cp1252 or utf-16",
                param_hint="--encoding",
            )
        if known == "utf-8":
            # Its mark, if there is one, is none of the first column's name.
            known = "utf-8-sig"
        return known + encoding[len(base) :]
    found, count = detect_file(path)
    if found is None:
        raise _damaged(path, shown, count.n_others)
    if not found.startswith("utf-8"):
        note(f"{shown} is read as {found}; name another encoding by --encoding.")
    return found


def _damaged(path: Path, shown: str, n_bytes: int) -> InvalidInputError:
    """Error that says where a text is not the UTF-8 that the rest of it is."""
    line, column, byte = find_fault(path, "utf-8") or (0, 0, 0)
    more = f", and so are {n_bytes - 1:,} more" if n_bytes > 1 else ""
    return InvalidInputError(
        f"{shown} is UTF-8, but the byte {byte:#04x} in line {line:,}, column "
        f"{column:,} is no part of a character{more}. Mend it, or have such bytes "
        "replaced by --encoding utf-8-replace, or name another encoding, as --encoding "
        "cp1252."
    )


def _like(name: str) -> str:
    path = Path(name).expanduser()
    folder = existing_path(str(path.parent))
    if folder is None or not folder.is_dir():
        return ""
    names = [entry.name for entry in folder.iterdir()]
    folder = path.parent
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {str(folder / near[0])!r}?" if near else ""


def check_columns(reader: Reader, **columns: str | None) -> None:
    """See that columns are there, and suggest the right name where one is not.

    `columns` are names of options without their dashes, and the columns that they name;
    None is no column.
    """
    for option, name in columns.items():
        if name is None or name in reader.columns:
            continue
        folded = {column.casefold().strip(): column for column in reader.columns}
        near = difflib.get_close_matches(
            name.casefold().strip(), folded, n=1, cutoff=0.5
        )
        guess = f" Did you mean {folded[near[0]]!r}?" if near else ""
        raise typer.BadParameter(
            f"{reader.name} has no column {name!r}.{guess} It has "
            f"{_list(reader.columns)}.",
            param_hint=f"--{option.replace('_', '-')}",
        )


def _list(columns: list[str]) -> str:
    more = ", ..." if len(columns) > 12 else ""
    return ", ".join(map(repr, columns[:12])) + more


def find_columns(
    reader: Reader,
    text: str | None,
    label: str | None,
    *,
    prefix: str = "",
    likely: tuple[str, str] = ("text", "label"),
) -> tuple[str, str]:
    """Columns of texts and of labels: those that are named, or that alone can be it.

    What is None was not named: then it is the likely one, if there is such a column,
    else the only one whose first rows look like it, and that is said. `prefix` is that
    of the options that name columns.
    """
    given = {f"{prefix}text": text, f"{prefix}label": label}
    check_columns(reader, **given)
    text, label = (
        name or (default if default in reader.columns else None)
        for name, default in zip((text, label), likely, strict=True)
    )
    if text is None or label is None:
        of_texts, of_labels = _look_at(reader)
        if text is None:
            text = _the_only(reader, "texts", of_texts, label, f"--{prefix}text")
        if label is None:
            label = _the_only(reader, "labels", of_labels, text, f"--{prefix}label")
    return text, label


def _look_at(reader: Reader) -> tuple[list[str], list[str]]:
    """Columns whose first rows look like texts, and those that look like labels."""
    rows = next((chunk.rows for chunk in reader.chunks(_N_LOOKED_AT)), [])
    of_texts, of_labels = [], []
    for column in reader.columns:
        cells = [row.get(column) for row in rows]
        values = [str(cell).strip() for cell in cells if not is_missing(cell)]
        values = [value for value in values if value]
        n_distinct = len(set(values))
        n_most = max(_MOST_LABELS, len(values) // 10)
        if 2 <= n_distinct <= min(n_most, len(values) // 2):
            of_labels.append(column)
        elif sum(map(bool, map(_SEVERAL_WORDS.search, values))) > len(values) / 2:
            of_texts.append(column)
    return of_texts, of_labels


def _the_only(
    reader: Reader, what: str, fitting: list[str], taken: str | None, option: str
) -> str:
    """The one of the columns that is not taken; it is said which that is."""
    left = [column for column in fitting if column != taken]
    option = option.replace("_", "-")
    if len(left) == 1:
        note(f"{reader.name}: the {what} are those of the column {left[0]!r}.")
        return left[0]
    if left:
        found = f"{len(left)} columns of {reader.name} may be it: {_list(left)}"
    else:
        found = f"no column of {reader.name} looks like it, of {_list(reader.columns)}"
    raise typer.BadParameter(
        f"which column holds the {what}? {found[0].upper()}{found[1:]}",
        param_hint=option,
    )


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing; the empty string is a text."""
    return value is None or (isinstance(value, float) and value != value)


def digest_input(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
