"""What is said to the person at the terminal: on the standard error, in plain lines."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console

from sktransfer.exceptions import SktransferWarning

__all__ = ["fail", "note", "show_warning", "stderr_console", "stdout_console"]


def stderr_console() -> Console:
    """Console on the standard error as it is now; tests exchange it."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_console() -> Console:
    """Console on the standard output as it is now."""
    return Console(highlight=False)


def note(message: str) -> None:
    """Say something in passing.

    Parameters
    ----------
    message : str
        Shown as it is, without rich's markup.
    """
    stderr_console().print(message, style="dim", markup=False)


def fail(message: str) -> None:
    """Say why it did not work.

    Parameters
    ----------
    message : str
        Shown as it is, without rich's markup.
    """
    console = stderr_console()
    console.print("Error:", style="bold red", end=" ")
    console.print(message, markup=False)


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show the package's warnings as lines, and those of libraries not at all.

    Parameters
    ----------
    message, category, filename, lineno, file, line
        As in :func:`warnings.showwarning`.
    """
    if issubclass(category, SktransferWarning):
        console: Any = stderr_console()
        console.print("Warning:", style="yellow", end=" ")
        console.print(str(message), markup=False)
        sys.stderr.flush()
