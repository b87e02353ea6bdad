"""A line that counts rows, where somebody is watching."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sktransfer.cli.messages import stderr_console

__all__ = ["RowCounter"]


class RowCounter:
    """Counts rows on the standard error; a context manager.

    Parameters
    ----------
    n_before : int, default=0
        Rows of an earlier run.
    """

    def __init__(self, n_before: int = 0) -> None:
        console = stderr_console()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f} rows"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=console,
            # In a log file each step would be a line.
            disable=not console.is_terminal,
            transient=True,
        )
        self._n_before = n_before
        self._task = self._progress.add_task(
            "", total=None, completed=n_before, rate=""
        )

    def advance(self, n_rows: int) -> None:
        """Count some more.

        Parameters
        ----------
        n_rows : int
        """
        task = self._progress.tasks[0]
        n_new = task.completed + n_rows - self._n_before
        rate = f"{n_new / max(task.elapsed or 0.0, 1e-3):,.0f} rows/s"
        self._progress.update(self._task, advance=n_rows, rate=rate)

    def stop(self) -> None:
        """Take the line away, for something else to be said."""
        self._progress.stop()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
