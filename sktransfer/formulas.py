"""Cells of a CSV that a spreadsheet would take for a formula.

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, whoever wrote it. A
leading apostrophe makes it a text for them, which is what OWASP advises. Numbers stay
numbers, and signs without a word or a number behind them compute nothing.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["escape_formula", "is_formula", "restore_formula"]

_NUMBER = re.compile(r"\s*[-+]?(\d[\d.,]*|\.\d+)(e[-+]?\d+)?\s*%?\s*", re.IGNORECASE)
# Some programs leave out a tab or a line end at the beginning, and see the next sign.
_FORMULA = re.compile(r"[=+\-@\t\r\n].*\w", re.DOTALL)


def is_formula(cell: object) -> bool:
    """Whether a spreadsheet may take a cell for a formula.

    Examples
    --------
    >>> from sktransfer.formulas import is_formula
    >>> [is_formula(cell) for cell in ("=1+1", "@SUM(A1)", "-5", "1e-3", "-", -5)]
    [True, True, False, False, False, False]
    """
    return (
        isinstance(cell, str)
        and _FORMULA.match(cell) is not None
        and _NUMBER.fullmatch(cell) is None
    )


def escape_formula(cell: Any) -> Any:
    """The cell, with an apostrophe before it where it could be a formula.

    Examples
    --------
    >>> from sktransfer.formulas import escape_formula
    >>> [escape_formula(cell) for cell in ("=1+1", "+5", 5)]
    ["'=1+1", '+5', 5]
    """
    return f"'{cell}" if is_formula(cell) else cell


def restore_formula(cell: str) -> str:
    """The cell before `escape_formula` put an apostrophe there.

    Examples
    --------
    >>> from sktransfer.formulas import restore_formula
    >>> restore_formula("'=1+1"), restore_formula("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and is_formula(cell[1:]) else cell
