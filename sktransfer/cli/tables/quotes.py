"""Quotes in a CSV that have no partner, and so make one cell of many rows.

A quoted cell may hold line ends, so nothing in the file's grammar is wrong when one
quote too many at the beginning of a cell takes all up to the next quote. What tells is
that the lines in the cell look like rows: as many cells, numbers where other rows have
numbers, and known labels where labels are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sktransfer.exceptions import InvalidInputError, SktransferWarning, warn

__all__ = ["check_quotes"]

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d+)*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
# Rows that show what is in a column, of which so many are needed.
_N_SHOWN, _N_NEEDED = 2000, 5
_MOST_LABELS = 20
# Lines of a cell that are looked at.
_N_LINES = 2000
# So many lines that look like rows are no chance, if most of a cell's do.
_SURELY = 10


class _Lines:
    """Lines of a file, and those of them that the row being read has."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = iter(file)
        self.of_row: list[str] = []
        self.n_of_row = 0
        self.is_over = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.is_over = True
            raise
        self.n_of_row += 1
        if self.n_of_row <= _N_LINES:
            self.of_row.append(line)
        return line

    def begin_row(self) -> None:
        self.of_row, self.n_of_row = [], 0


@dataclass
class _Column:
    """What the cells of a column have in common."""

    n: int = 0
    n_numbers: int = 0
    values: set[str] = field(default_factory=set)

    def add(self, cell: str) -> None:
        self.n += 1
        self.n_numbers += bool(_NUMBER.fullmatch(cell.strip()))
        if len(self.values) <= _MOST_LABELS:
            self.values.add(cell)

    @property
    def holds_numbers(self) -> bool:
        return self.n_numbers > 0.95 * self.n

    @property
    def holds_labels(self) -> bool:
        return len(self.values) <= min(_MOST_LABELS, self.n // 3)

    @property
    def is_telling(self) -> bool:
        return self.n >= _N_NEEDED and (self.holds_numbers or self.holds_labels)

    def fits(self, cell: str) -> bool:
        if not self.is_telling:
            return True
        if self.holds_labels and cell.strip('" \r\n') in self.values:
            return True
        number = _NUMBER.fullmatch(cell.strip('" \r\n'))
        return self.holds_numbers and number is not None


@dataclass(frozen=True)
class _Cell:
    """A row of several lines: from which to which, and what they are."""

    first: int
    last: int
    lines: list[str]


def check_quotes(
    file: Iterable[str], columns: Sequence[str], name: str, dialect: dict[str, Any]
) -> None:
    """See that no quoted cell has taken rows; the file is at its beginning.

    A file that ends in a quoted cell is an `InvalidInputError`, and so are cells of
    which that is sure. Of others that may be such there is a warning.
    """
    lines = _Lines(file)
    shown = [_Column() for _ in columns]
    several: list[_Cell] = []
    reader = csv.reader(lines, **dialect)
    end = 0
    for number, row in enumerate(reader):
        first, end = end + 1, reader.line_num
        if lines.is_over:
            raise InvalidInputError(
                f"{name} ends in line {end:,} within a quoted cell of the row that "
                f"begins in line {first:,}: a quote is missing or too many there. "
                f"{_REMEDY}"
            )
        if lines.n_of_row > 1:
            several.append(_Cell(first, end, lines.of_row))
        elif number > 0 and len(row) == len(columns) and shown[0].n < _N_SHOWN:
            for column, value in zip(shown, row, strict=True):
                column.add(value)
        lines.begin_row()
    doubtful = []
    for cell in several:
        found = _judge(cell, shown, dialect)
        if found == "sure":
            raise InvalidInputError(
                f"{name} has a row that begins in line {cell.first:,} and ends in line "
                f"{cell.last:,}, within which lines look like rows themselves: a quote "
                f"is missing or too many there. {_REMEDY}"
            )
        if found == "doubtful":
            doubtful.append(cell)
    if doubtful:
        cell = doubtful[0]
        more = "" if len(doubtful) == 1 else f", and {len(doubtful) - 1:,} more"
        warn(
            f"{name} has a row from line {cell.first:,} to line {cell.last:,}{more}, "
            "within which lines look like rows themselves: see whether a quote is "
            "missing there.",
            SktransferWarning,
        )


_REMEDY = (
    "Mend the quote; or say --quotes none where quotes are nothing but characters of "
    "texts, or --quotes trust where they are right."
)


def _judge(cell: _Cell, shown: list[_Column], dialect: dict[str, Any]) -> str:
    """Whether a row of several lines is several rows: "sure", "doubtful" or "no"."""
    lines = [line for line in cell.lines if line.strip()]
    if _has_text_behind_quote(cell, dialect):
        # The quote was another cell's first one, if that was a row's.
        new = [_Column() for _ in shown]
        n_alike = sum(_looks_like_row(line, new, dialect) for line in lines)
        return "sure" if n_alike >= 2 else "no"
    n_alike = sum(_looks_like_row(line, shown, dialect) for line in lines)
    is_telling = any(column.is_telling for column in shown)
    if len(shown) == 1 or n_alike < len(lines) / 2:
        return "no"
    if is_telling and n_alike >= max(_SURELY, 0.9 * len(lines)):
        return "sure"
    # Where all columns are texts, lines of them may well have as many commas.
    n_doubtful = 2 if is_telling else _SURELY
    return "doubtful" if max(n_doubtful, len(lines)) <= n_alike else "no"


def _has_text_behind_quote(cell: _Cell, dialect: dict[str, Any]) -> bool:
    """Whether a quoted cell goes on behind its second quote, which none does."""
    try:
        next(csv.reader(iter(cell.lines), **dialect, strict=True))
    except csv.Error as error:
        return "expected after" in str(error)
    return False


def _looks_like_row(line: str, shown: list[_Column], dialect: dict[str, Any]) -> bool:
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        try:
            row = next(csv.reader([line], **dialect, quoting=quoting), [])
        except csv.Error:
            continue
        if len(row) == len(shown) and all(
            column.fits(value) for column, value in zip(shown, row, strict=True)
        ):
            return True
    return False
