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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sktransfer.cli.table_readers import Chunk, CsvReader, Reader
from sktransfer.exceptions import InvalidInputError
from sktransfer.packages import require_extra
from sktransfer.storage import write_file_beside

__all__ = ["Writer", "make_writer"]

Columns = Mapping[str, Sequence[Any]]


class Writer(ABC):
    """Turns chunks of a reader into bytes.

    Parameters
    ----------
    reader : Reader
    added : mapping of str to sequence
        Names of the new columns, and values such as will be in them.
    """

    format = ""

    def __init__(self, reader: Reader, added: Columns) -> None:
        self.reader = reader
        self.added = added

    def head(self) -> bytes:
        """What comes before the first row."""
        return b""

    @abstractmethod
    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""

    def finish(self, part: Path, path: Path) -> None:
        """Make the file of what was appended; where it is that already, nothing."""
        if part != path:
            part.replace(path)


class CsvWriter(Writer):
    """Comma-separated values, with the marks of the input where that is the same."""

    format = "csv"

    def __init__(self, reader: Reader, added: Columns) -> None:
        super().__init__(reader, added)
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
        names = self.reader.columns
        for row in chunk.rows:
            if len(row) > len(names) or not row.keys() <= set(names):
                new = next(name for name in row if name not in names)
                raise InvalidInputError(
                    f"{self.reader.name} has a row with {new!r}, which its first row "
                    "has not, so that a table of columns cannot hold it: write JSON "
                    "lines, as in -o out.jsonl."
                )
        columns = [[row.get(name) for row in chunk.rows] for name in names]
        return self._encode(zip(*columns, *added.values(), strict=True))

    def _encode(self, rows: Any) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerows([_cell(value) for value in row] for row in rows)
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
        lines = chunk.lines or [_dump(row) for row in chunk.rows]
        new = zip(*added.values(), strict=True)
        return "".join(
            f"{_join(line, _dump(dict(zip(added, values, strict=True))))}\n"
            for line, values in zip(lines, new, strict=True)
        ).encode("utf-8", "surrogatepass")


class ParquetWriter(Writer):
    """A Parquet file; the columns of one keep their types."""

    format = "parquet"

    def __init__(self, reader: Reader, added: Columns) -> None:
        super().__init__(reader, added)
        require_extra("pyarrow", "cli", "Writing Parquet")
        import pyarrow as pa

        # By a sample, as a chunk may have nothing in a column.
        self._types = {name: pa.array(values).type for name, values in added.items()}

    def encode(self, chunk: Chunk, added: Columns) -> bytes:
        """Rows of a chunk, with a value of each new column."""
        import pyarrow as pa

        if chunk.batch is not None:
            table = pa.Table.from_batches([chunk.batch])
        else:
            rows = [{n: row.get(n) for n in self.reader.columns} for row in chunk.rows]
            table = pa.Table.from_pylist(rows)
        for name, values in added.items():
            table = table.append_column(name, pa.array(values, self._types[name]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def finish(self, part: Path, path: Path) -> None:
        """Make the Parquet file of the streams."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        n_bytes = part.stat().st_size
        if n_bytes:
            with ExitStack() as stack:
                beside = stack.enter_context(write_file_beside(path))
                file = stack.enter_context(part.open("rb"))
                writer = None
                while file.tell() < n_bytes:
                    table = pa.ipc.open_stream(file).read_all()
                    if writer is None:
                        writer = pq.ParquetWriter(beside, table.schema)
                        stack.callback(writer.close)
                    try:
                        writer.write_table(table.cast(writer.schema))
                    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
                        raise InvalidInputError(
                            f"{self.reader.name} has columns whose types change from "
                            f"row to row ({error}), which Parquet cannot hold: write "
                            "JSON lines, as in -o out.jsonl."
                        ) from error
        part.unlink()


_WRITERS: dict[str, type[Writer]] = {
    "csv": CsvWriter,
    "tsv": TsvWriter,
    "jsonl": JsonLinesWriter,
    "parquet": ParquetWriter,
}


def make_writer(format: str, reader: Reader, added: Columns) -> Writer:
    """Make the writer of a format; the arguments are those of `Writer`."""
    return _WRITERS[format](reader, added)


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
