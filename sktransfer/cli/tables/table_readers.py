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

from sktransfer.cli.tables.encodings import find_fault
from sktransfer.cli.tables.quotes import check_quotes
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
    """A table in a file; messages call it `name`.

    Parameters
    ----------
    path : pathlib.Path
    name : str
    encoding : str
        As Python calls it. One that ends in "-replace" puts U+FFFD in place of bytes
        that it does not have.
    quotes : {"auto", "trust", "none"}, default="auto"
        Of CSV: "auto" looks for quotes without a partner, "trust" does not, and to
        "none" they are characters as others are.
    """

    format = ""

    def __init__(
        self, path: Path, name: str, encoding: str, quotes: str = "auto"
    ) -> None:
        self.path = path
        self.name = name
        self.encoding = encoding.removesuffix("-replace")
        self.errors = "strict" if encoding == self.encoding else "replace"
        self.quotes = quotes
        self.columns = self._find_columns()

    @abstractmethod
    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""

    @abstractmethod
    def _find_columns(self) -> list[str]:
        """Names of the columns; those of JSON lines are the first line's."""

    def _open(self, newline: str) -> io.TextIOWrapper:
        return self.path.open(
            encoding=self.encoding, errors=self.errors, newline=newline
        )

    def _explain(self, error: UnicodeError) -> InvalidInputError:
        fault = None
        what = str(error)  # of UTF-16 without a mark
        if isinstance(error, UnicodeDecodeError):
            what = f"byte {error.object[error.start]:#04x}"
            fault = find_fault(self.path, self.encoding)
        place = ""
        if fault is not None:
            place = f" in line {fault[0]:,}, column {fault[1]:,}"
        return InvalidInputError(
            f"{self.name} is not {self.encoding} throughout ({what}{place}): mend it, "
            f"or say --encoding {self.encoding}-replace, or name its encoding, for "
            "example --encoding gb18030 or --encoding cp1252."
        )


class CsvReader(Reader):
    """Comma-separated values, or separated by what the first line has most of."""

    format = "csv"

    def _find_columns(self) -> list[str]:
        # Reviews may be longer than the module's limit of 131 072 characters.
        csv.field_size_limit(2**31 - 1)
        try:
            with self._open("") as file:
                head = file.readline()
                with self.path.open("rb") as start:
                    self.has_mark = start.read(3) == codecs.BOM_UTF8
                # Where lines end in line feeds, a carriage return alone ends none.
                self._newline = "\n" if head.endswith("\n") else ""
                self.delimiter = self._find_delimiter(head)
                self._dialect: dict[str, Any] = {"delimiter": self.delimiter}
                if self.quotes == "none":
                    self._dialect["quoting"] = csv.QUOTE_NONE
                file.seek(0)
                columns = next(csv.reader(file, **self._dialect), [])
            self._check_names(columns)
            if self.quotes == "auto" and _has_quotes(self.path):
                with self._open(self._newline) as file:
                    check_quotes(file, columns, self.name, self._dialect)
        except UnicodeError as error:
            raise self._explain(error) from error
        except csv.Error:
            pass  # Reading the rows says where.
        return columns

    def _check_names(self, columns: list[str]) -> None:
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

    def _find_delimiter(self, head: str) -> str:
        outside = "".join(head.split('"')[::2])
        return max(_DELIMITERS, key=outside.count)

    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""
        rows = islice(self._rows(), skip, None)
        while some := list(islice(rows, n_rows)):
            yield Chunk([dict(zip(self.columns, row, strict=True)) for row in some])

    def _rows(self) -> Iterator[list[str]]:
        """All rows, each with a cell for each column."""
        width, end = len(self.columns), 0
        try:
            with self._open(self._newline) as file:
                lines = csv.reader(file, **self._dialect)
                next(lines)
                for row in lines:
                    if row:
                        if len(row) != width:
                            self._fill(row, width, end + 1)
                        yield row
                    end = lines.line_num
        except UnicodeError as error:
            raise self._explain(error) from error
        except csv.Error as error:
            line = lines.line_num
            if "new-line character" in str(error):
                raise InvalidInputError(
                    f"{self.name} has a carriage return within a cell in line {line:,}"
                    ", though lines end in line feeds: put that cell into double "
                    "quotes, or end all lines in the same way."
                ) from error
            raise InvalidInputError(
                f"{self.name} cannot be read in line {line:,} ({error}): mend it."
            ) from error

    def _fill(self, row: list[str], width: int, line: int) -> None:
        """Add the empty fields that programs leave out at the end of a line."""
        if len(row) > width:
            raise InvalidInputError(
                f"{self.name} has a row with {len(row)} fields in line {line:,}, but "
                f"{width} columns: put fields that hold {self.delimiter!r} into double "
                f"quotes. It begins with {row[0]!r:.60}."
            )
        row += [""] * (width - len(row))


def _has_quotes(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in piece for piece in iter(lambda: file.read(1 << 20), b""))


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
            with self._open("\n") as file:
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
        names = list(self.schema.names)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InvalidInputError(
                f"{self.name} has the column {twice[0]!r} twice: rename one of them."
            )
        return names

    def chunks(self, n_rows: int, skip: int = 0) -> Iterator[Chunk]:
        """Rows from the one after `skip` on, `n_rows` at a time."""
        for batch in self._batches(n_rows):
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            rest = batch.slice(skip)
            skip = 0
            yield Chunk(rest.to_pylist(), batch=rest)

    def _batches(self, n_rows: int) -> Iterator[Any]:
        batches, n_read = iter(self._file.iter_batches(n_rows)), 0
        while True:
            try:
                batch = next(batches, None)
                if batch is not None:
                    batch.validate(full=True)
            except (OSError, ValueError) as error:  # among them pyarrow's own
                raise InvalidInputError(
                    f"{self.name} is damaged behind row {n_read:,} ({error}): take a "
                    "whole copy."
                ) from error
            if batch is None:
                return
            n_read += batch.num_rows
            yield batch


_READERS: dict[str, type[Reader]] = {
    reader.format: reader
    for reader in (CsvReader, TsvReader, JsonLinesReader, ParquetReader)
}


def open_reader(
    path: Path, format: str, encoding: str, name: str, quotes: str = "auto"
) -> Reader:
    """Open a table in an existing file; Parquet has no encoding."""
    return _READERS[format](path, name, encoding, quotes)
