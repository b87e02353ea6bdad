"""Rows with new columns as bytes that are appended to a file.

What was written before stays valid whatever comes after it: that is what lets a killed
run go on. Parquet has its index at the end, so its rows are collected as a row of Arrow
streams, and made into the file when all are there.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sktransfer.cli.tables.table_readers import Chunk, CsvReader, Reader
from sktransfer.exceptions import InvalidInputError
from sktransfer.formulas import escape_formula, is_formula
from sktransfer.packages import require_extra

__all__ = ["Writer", "make_writer"]

Columns = Mapping[str, Sequence[Any]]


class Writer(ABC):
    """Turns chunks of a reader into bytes.

    Parameters
    ----------
    reader : Reader
    added : mapping of str to sequence
        Names of the new columns, and values such as will be in them.
    escape : bool or None, default=None
        Whether texts that spreadsheets may take for formulas get an apostrophe, in CSV
        and TSV. None is for those that have not stood in such a file before: what was
        read of one goes back as it was.
    """

    format = ""

    def __init__(
        self, reader: Reader, added: Columns, escape: bool | None = None
    ) -> None:
        self.reader = reader
        self.added = added
        self.escape = escape
        # Cells of the input that a spreadsheet may take for formulas.
        self.n_formulas = 0

    @property
    def escapes_input(self) -> bool:
        """Whether cells of the input get an apostrophe where they need one."""
        as_it_was = isinstance(self.reader, CsvReader)
        return self.escape if self.escape is not None else not as_it_was

    def head(self) -> bytes:
        """What comes before the first row."""
        return b""

    @abstractmethod
    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""

    def _check_names(self, chunk: Chunk) -> None:
        """See that rows have no other names than the columns are."""
        names = self.reader.columns
        for row in chunk.rows:
            if len(row) > len(names) or not row.keys() <= set(names):
                new = next(name for name in row if name not in names)
                raise InvalidInputError(
                    f"{self.reader.name} has a row with {new!r}, which its first row "
                    "has not, so that a table of columns cannot hold it: write JSON "
                    "lines, as in -o out.jsonl."
                )

    def converter(self) -> Callable[[Path, Path], None] | None:
        """What makes the file of what was appended; None where it is that already."""
        return None


class CsvWriter(Writer):
    """Comma-separated values, with the marks of the input where that is the same."""

    format = "csv"

    def __init__(
        self, reader: Reader, added: Columns, escape: bool | None = None
    ) -> None:
        super().__init__(reader, added, escape)
        self.delimiter, self.mark = self._delimiter, ""
        if isinstance(reader, CsvReader) and reader.format == self.format:
            self.delimiter = reader.delimiter
            # Excel needs the mark to know UTF-8 when it sees it.
            self.mark = "\ufeff" if reader.has_mark else ""

    _delimiter = ","

    def head(self) -> bytes:
        """Names of the columns."""
        return self.mark.encode() + self._encode([[*self.reader.columns, *self.added]])

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""
        self._check_names(chunk)
        names = self.reader.columns
        columns = [
            self._guard([_cell(row.get(n)) for row in chunk.rows]) for n in names
        ]
        new = [list(map(_cell, values)) for values in added.values()]
        if self.escape is not False:
            new = [list(map(escape_formula, values)) for values in new]
        return self._encode(zip(*columns, *new, strict=True))

    def _guard(self, cells: list[Any]) -> list[Any]:
        """Cells of the input, escaped where that is wanted, and counted."""
        n_formulas = sum(map(is_formula, cells))
        self.n_formulas += n_formulas
        return list(map(escape_formula, cells)) if self.escapes_input else cells

    def _encode(self, rows: Any) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerows(rows)
        return text.getvalue().encode("utf-8", "surrogatepass")


class TsvWriter(CsvWriter):
    """The same with tabs."""

    format = "tsv"
    _delimiter = "\t"


class JsonLinesWriter(Writer):
    """One JSON object a line; lines of such a file stay as they are, and grow."""

    format = "jsonl"

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""
        for row in chunk.rows:
            if twice := sorted(row.keys() & set(added)):
                raise InvalidInputError(
                    f"{self.reader.name} has a row with {twice[0]!r} already, which "
                    "its first row has not: say --prefix new_, or another word, to "
                    "name the new columns otherwise."
                )
        lines = chunk.lines or [_dump(row) for row in chunk.rows]
        new = zip(*added.values(), strict=True)
        return "".join(
            f"{_join(line, _dump(dict(zip(added, values, strict=True))))}\n"
            for line, values in zip(lines, new, strict=True)
        ).encode("utf-8", "surrogatepass")


class ParquetWriter(Writer):
    """A Parquet file; the columns of one keep their types."""

    format = "parquet"

    def __init__(
        self, reader: Reader, added: Columns, escape: bool | None = None
    ) -> None:
        super().__init__(reader, added, escape)
        require_extra("pyarrow", "cli", "Writing Parquet")
        import pyarrow as pa

        # By a sample, as a chunk may have nothing in a column.
        self._types = {name: pa.array(values).type for name, values in added.items()}

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""
        import pyarrow as pa

        if chunk.batch is None:
            self._check_names(chunk)
        try:
            table = self._tabulate(chunk, added)
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"{self.reader.name} has a text with half a character "
                f"({error.object[error.start]!r} in {error.object[:40]!r}), which "
                "Parquet cannot hold: write CSV or JSON lines, as in -o out.csv."
            ) from error
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def _tabulate(self, chunk: Chunk, added: Columns) -> Any:
        import pyarrow as pa

        if chunk.batch is not None:
            table = pa.Table.from_batches([chunk.batch])
        else:
            rows = [{n: row.get(n) for n in self.reader.columns} for row in chunk.rows]
            table = pa.Table.from_pylist(rows)
        for name, values in added.items():
            table = table.append_column(name, pa.array(values, self._types[name]))
        return table

    def converter(self) -> Callable[[Path, Path], None]:
        """What makes the Parquet file of the streams."""
        return self._convert

    def _convert(self, part: Path, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        n_bytes = part.stat().st_size
        with ExitStack() as stack:
            file = stack.enter_context(part.open("rb"))
            writer = None
            while file.tell() < n_bytes or writer is None:
                table = pa.ipc.open_stream(file).read_all() if n_bytes else self._none()
                if writer is None:
                    writer = pq.ParquetWriter(path, table.schema)
                    stack.callback(writer.close)
                try:
                    writer.write_table(table.cast(writer.schema))
                except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
                    raise InvalidInputError(
                        f"{self.reader.name} has columns whose types change from "
                        f"row to row ({error}), which Parquet cannot hold: write "
                        "JSON lines, as in -o out.jsonl."
                    ) from error

    def _none(self) -> Any:
        """A table without rows, in which columns of other formats hold texts."""
        import pyarrow as pa

        schema = getattr(self.reader, "schema", None)
        if schema is None:
            schema = pa.schema([(name, pa.string()) for name in self.reader.columns])
        for name, kind in self._types.items():
            schema = schema.append(pa.field(name, kind))
        return schema.empty_table()


_WRITERS: dict[str, type[Writer]] = {
    "csv": CsvWriter,
    "tsv": TsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}


def make_writer(
    format: str, reader: Reader, added: Columns, escape: bool | None = None
) -> Writer:
    """Make the writer of a format; the other arguments are those of `Writer`."""
    return _WRITERS[format](reader, added, escape)


def _cell(value: Any) -> Any:
    """A cell of a table of text."""
    if value is None:
        return ""
    return _dump(value) if isinstance(value, (dict, list)) else value


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _join(line: str, new: str) -> str:
    """Two JSON objects as one; the first one stays as it is written."""
    inside = line[:-1].rstrip()
    comma = "" if inside == "{" else ", "
    return f"{inside}{comma}{new[1:]}"
