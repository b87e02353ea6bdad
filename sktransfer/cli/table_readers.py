"""Tables read in chunks, so that any size fits: CSV, TSV, JSON lines, Parquet.

A row is a dict from columns to values, in the order of the file. What cannot be read is
an error that names the line.

Python's csv and json read text here, as others change it: pandas leaves out a row of
blanks, pyarrow refuses a row that lacks its last empty fields, and of JSON lines pandas
refuses a number of 23 digits, pyarrow rounds it, and neither keeps the line as it is.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sktransfer.exceptions import InvalidInputError
from sktransfer.packages import require_extra

__all__ = ["Chunk", "Reader", "open_reader"]

_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Chunk:
    """Some rows, and how they stand in the file.

    Attributes
    ----------
    rows : list of dict
        Column to value.
    lines : list of str or None
        Of a file of JSON lines.
    batch : pyarrow.RecordBatch or None
        Of a Parquet file.
    """

    rows: list[dict[str, Any]]
    lines: list[str] | None = None
    batch: Any = None


class Reader(ABC):
    """A table in a file; messages call it `name`."""

    format = ""

    def __init__(self, path: Path, name: str, encoding: str) -> None:
        self.path = path
        self.name = name
        self.encoding = encoding
        self.columns = self._find_columns()

    @abstractmethod
    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""

    @abstractmethod
    def _find_columns(self) -> list[str]:
        """Names of the columns; those of JSON lines are the first line's."""

    def _open(self) -> io.TextIOWrapper:
        return self.path.open(encoding=self.encoding, newline="")

    def _explain(self, error: UnicodeError) -> InvalidInputError:
        what = str(error)  # of UTF-16 without a mark
        if isinstance(error, UnicodeDecodeError):
            what = f"byte {error.object[error.start]:#04x}"
        return InvalidInputError(
            f"{self.name} is not {self.encoding} throughout ({what}): name its "
            "encoding by --encoding, for example --encoding gb18030 or "
            "--encoding cp1252."
        )


class CsvReader(Reader):
    """Comma-separated values, or separated by what the first line has most of."""

    format = "csv"

    def _find_columns(self) -> list[str]:
        # Reviews may be longer than the module's limit of 131 072 characters.
        csv.field_size_limit(2**31 - 1)
        try:
            with self._open() as file:
                head = file.readline()
                with self.path.open("rb") as start:
                    self.has_mark = start.read(3) == codecs.BOM_UTF8
                self.delimiter = self._find_delimiter(head)
                file.seek(0)
                columns = next(csv.reader(file, delimiter=self.delimiter), [])
        except UnicodeError as error:
            raise self._explain(error) from error
        if not any(columns):
            raise InvalidInputError(
                f"{self.name} is empty, but a first line with the names of the columns "
                "is expected."
            )
        twice = [name for name in columns if columns.count(name) > 1]
        if twice:
            raise InvalidInputError(
                f"{self.name} has the column {twice[0]!r} twice: rename one of them."
            )
        return columns

    def _find_delimiter(self, head: str) -> str:
        outside = "".join(head.split('"')[::2])
        return max(_DELIMITERS, key=outside.count)

    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""
        width = len(self.columns)
        try:
            with self._open() as file:
                lines = csv.reader(file, delimiter=self.delimiter)
                next(lines)
                values = filter(None, lines)
                for _ in islice(values, skip):
                    pass
                while some := list(islice(values, n_rows)):
                    for row in some:
                        if len(row) != width:
                            self._fill(row, width, lines.line_num)
                    yield Chunk([dict(zip(self.columns, r, strict=True)) for r in some])
        except UnicodeError as error:
            raise self._explain(error) from error
        except csv.Error as error:
            raise InvalidInputError(
                f"{self.name} cannot be read near line {lines.line_num}: {error}."
            ) from error

    def _fill(self, row: list[str], width: int, line: int) -> None:
        """Add the empty fields that programs leave out at the end of a line."""
        if len(row) > width:
            raise InvalidInputError(
                f"{self.name} has a row with {len(row)} fields shortly before line "
                f"{line + 1}, but {width} columns: put fields that hold "
                f"{self.delimiter!r} into double quotes. It begins with {row[0]!r:.60}."
            )
        row += [""] * (width - len(row))


class TsvReader(CsvReader):
    """The same with tabs."""

    format = "tsv"

    def _find_delimiter(self, head: str) -> str:
        return "\t"


class JsonLinesReader(Reader):
    """One JSON object a line."""

    format = "jsonl"

    def _find_columns(self) -> list[str]:
        for chunk in self.chunks(1):
            return list(chunk.rows[0])
        raise InvalidInputError(f"{self.name} is empty, but JSON lines are expected.")

    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""
        try:
            with self.path.open(encoding=self.encoding, newline="\n") as file:
                lines = ((n, line) for n, line in enumerate(file, 1) if line.strip())
                for _ in islice(lines, skip):
                    pass
                while some := list(islice(lines, n_rows)):
                    rows = [self._parse(number, line) for number, line in some]
                    yield Chunk(rows, [line.strip() for _, line in some])
        except UnicodeError as error:
            raise self._explain(error) from error

    def _parse(self, number: int, line: str) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if isinstance(error, RecursionError):
                error = ValueError("it is nested too deeply")
            hint = " A file with one JSON array is not read." if line[0] == "[" else ""
            raise InvalidInputError(
                f"{self.name}, line {number} is no JSON ({error}), but one object a "
                f"line is expected.{hint}"
            ) from error
        if not isinstance(row, dict):
            raise InvalidInputError(
                f"{self.name}, line {number} is a JSON {type(row).__name__}, but one "
                "object a line is expected."
            )
        return row


class ParquetReader(Reader):
    """A Parquet file."""

    format = "parquet"

    def _find_columns(self) -> list[str]:
        require_extra("pyarrow", "cli", "Reading Parquet")
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(self.path)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InvalidInputError(
                f"{self.name} is no Parquet file: {error}"
            ) from error
        self.schema = self._file.schema_arrow
        return list(self.schema.names)

    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""
        for batch in self._file.iter_batches(n_rows):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            rest = batch.slice(skip)
            skip = 0
            yield Chunk(rest.to_pylist(), batch=rest)


_READERS: dict[str, type[Reader]] = {
    reader.format: reader
    for reader in (CsvReader, TsvReader, JsonLinesReader, ParquetReader)
}


def open_reader(path: Path, format: str, encoding: str, name: str) -> Reader:
    """Open a table in an existing file; Parquet has no encoding."""
    return _READERS[format](path, name, encoding)
