"""What is said to the person at the terminal: notes, errors, counts, results."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sktransfer.exceptions import SktransferError, SktransferWarning

if TYPE_CHECKING:
    import pandas as pd

    from sktransfer.comparison.columns import Head
    from sktransfer.comparison.result import StrategyComparison

__all__ = [
    "LiveTable",
    "RowCounter",
    "explain_error",
    "fail",
    "named",
    "note",
    "show_results",
    "show_warning",
    "stderr_console",
    "stdout_console",
    "tell",
]

# Set to anything, it shows where an error came from.
TRACEBACK = "SKTRANSFER_TRACEBACK"

# How torch, numpy and the system say that there is no more memory.
_NO_MEMORY = ("can't allocate memory", "out of memory", "cannot allocate memory")


def stderr_console() -> Console:
    """Console on the standard error as it is now; tests exchange it."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_console() -> Console:
    """Console on the standard output as it is now."""
    return Console(highlight=False)


def note(message: str) -> None:
    """Say something in passing, as it is, without rich's markup."""
    stderr_console().print(message, style="dim", markup=False)


def fail(message: str) -> None:
    """Say why it did not work, as it is, without rich's markup."""
    console = stderr_console()
    console.print("Error:", style="bold red", end=" ")
    console.print(message, markup=False)


def tell(error: Exception) -> None:
    """Say why a command failed, with all that led there where that is asked for."""
    if os.environ.get(TRACEBACK):
        sys.stderr.write("".join(traceback.format_exception(error)))
        return
    try:
        fail(explain_error(error))
    except Exception:  # such as too little memory to say so with colours
        os.write(2, f"Error: {type(error).__name__}\n".encode())


def explain_error(error: Exception) -> str:
    """What happened, and what to do, in a line or two.

    An error that is neither the package's nor the system's is a mistake of this
    package, and is told as one.
    """
    text = str(error).strip()
    if isinstance(error, MemoryError) or any(m in text.lower() for m in _NO_MEMORY):
        return (
            "there is not enough memory. Close other programs, use --jobs 1 or a "
            f"smaller encoder, or split the table. ({_name(error)})"
        )
    if isinstance(error, SktransferError):
        return text or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return _explain_system(error)
    return (
        f"{_name(error)}. This is a mistake in sktransfer; {TRACEBACK}=1 in the "
        "environment shows where, for a report of it."
    )


def _explain_system(error: OSError) -> str:
    remedies = {
        errno.ENOSPC: "make room, or name another place",
        errno.EDQUOT: "make room, or name another place",
        errno.EFBIG: "the system limits the size of files: name another place",
        errno.EACCES: "change its permissions, or name another place",
        errno.EROFS: "name another place",
        errno.EMFILE: "raise the limit, as by ulimit -n 1024",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EBADF: "it is closed: open it, or redirect it to a file",
    }
    remedy = remedies.get(error.errno or 0, "check the path")
    place = "" if error.filename is None else f"{_shorten(str(error.filename))}: "
    return f"{place}{error.strerror}; {remedy}."


def _name(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {_shorten(first)}" if first else repr(error)


def _shorten(text: str, width: int = 300) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


@contextmanager
def named(place: object) -> Iterator[None]:
    """Name the file of errors that the system does not name one in, as of writing."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(place)
        raise


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show the package's warnings as lines, and those of libraries not at all.

    It stands in for :func:`warnings.showwarning`.
    """
    if issubclass(category, SktransferWarning):
        console: Any = stderr_console()
        console.print("Warning:", style="yellow", end=" ")
        console.print(str(message), markup=False)
        sys.stderr.flush()


class RowCounter:
    """Counts rows on the standard error; a context manager.

    `n_before` are those of an earlier run.
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
        """Count some more."""
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


class LiveTable:
    """Rows as they come, on the standard error; a context manager.

    Where nobody is watching, a line is written for each row that is finished.
    """

    def __init__(self) -> None:
        self._console = stderr_console()
        self.told: list[str] = []
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._draw,
                refresh_per_second=4,
                transient=True,
            )

    def update(self, row: dict[str, Any]) -> None:
        """Take what `compare_strategies` tells of a row."""
        self._rows[row["strategy"], row["train_size"]] = row
        if self._live is None and row["status"] != "running":
            told = f"{row['strategy']}, {row['train_size']} texts: {row['status']}"
            if row["status"] == "done":
                told += f", {row['score']:.3f}, {row['fit_seconds']:.2f} s a fit"
            elif row["error"]:
                told += f", {row['error']}"
            note(told)

    def tell(self, finding: dict[str, Any]) -> None:
        """Say above the rows what a check has found, and remember that it is said."""
        self.told.append(finding["number"])
        self._console.print(tell_finding(finding), style="yellow", markup=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _draw(self) -> Table:
        from sktransfer.comparison.columns import heads_of

        several = len({size for _, size in self._rows}) > 1
        varied = ["train_size"] if several else []
        heads = heads_of("live", varied=varied)
        table = _make_table(heads)
        for row in self._rows.values():
            style = {"running": "bold", "failed": "red"}
            style |= dict.fromkeys(("skipped", "stopped"), "dim")
            cells = [head.write(row) for head in heads]
            table.add_row(*map(Text, cells), style=style.get(row["status"]))
        return table


def _make_table(
    heads: Sequence[Head], one_line: Collection[str] = (), *, tight: bool = False
) -> Table:
    """Empty table; a name may take two lines."""
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=tight)
    for head in heads:
        if head.name == "strategy":
            table.add_column(head.title, overflow="fold")
        else:
            no_wrap = head.name in one_line
            table.add_column(head.title, justify="right", no_wrap=no_wrap)
    return table


def tell_finding(finding: Mapping[Any, Any]) -> str:
    """What a check has found, and what to do, in one line."""
    return f"{finding['number']}: {finding['finding']} {finding['remedy']}"


def show_results(
    comparison: StrategyComparison, console: Console, told: Sequence[str] = ()
) -> None:
    """Print the table of results, the best first, and what follows.

    The table fits 80 columns. Of checks whose numbers are `told` no more than these are
    said again.
    """
    from sktransfer.comparison.columns import rank_rows

    rows = rank_rows(comparison.results)
    # Names of encoders are long: the table moves together first, and then goes without
    # speeds, which are in every other table.
    for tight, with_speed in ((False, True), (True, True), (True, False)):
        table = _make_results(comparison, rows, tight=tight, with_speed=with_speed)
        if _width(table, rows["strategy"].tolist(), console) <= console.width:
            break
    console.print(table)
    console.print()
    for verdict in comparison.verdicts:
        console.print(f"- {verdict}", markup=False)
    for row in rows.to_dict("records"):
        if row["status"] == "failed":
            console.print(f"- {row['strategy']}: {row['error']}", markup=False)
    for finding in comparison.checks.to_dict("records"):
        if finding["number"] not in told:
            console.print(f"- {tell_finding(finding)}", markup=False)
    if told:
        numbers = ", ".join(dict.fromkeys(told))
        console.print(f"- Told above the table: {numbers}.", markup=False)


def _make_results(
    comparison: StrategyComparison,
    rows: pd.DataFrame,
    *,
    tight: bool,
    with_speed: bool,
) -> Table:
    from sktransfer.comparison.columns import heads_of, varied_names

    in_points = _in_points(comparison)
    heads = heads_of(
        "terminal",
        set(rows) - (set() if with_speed else {"texts_per_second"}),
        varied=varied_names(rows),
        scoring=comparison.scoring,
        difference="points" if in_points else "differ.",
    )
    one_line = {head.name for head in heads} - {"train_size", "score"}
    table = _make_table(heads, one_line, tight=tight)
    for row in rows.to_dict("records"):
        if row["status"] != "done":
            cells = [head.write(row) for head in heads if head.group == "name"]
            table.add_row(*map(Text, [*cells, row["status"]]), style="dim")
            continue
        row["difference"] *= 100.0 if in_points else 1.0
        best = row["strategy"] == comparison.best_strategy
        cells = [head.write(row) for head in heads]
        table.add_row(*map(Text, cells), style="bold" if best else None)
    return table


def _width(table: Table, names: Sequence[str], console: Console) -> int:
    """Columns that a table needs where names are broken at blanks only."""
    unlimited = console.options.update(max_width=10_000)
    whole = max(map(cell_len, names))
    broken = max(cell_len(word) for name in names for word in name.split())
    return table.__rich_measure__(console, unlimited).maximum - whole + broken


def _in_points(comparison: StrategyComparison) -> bool:
    scores = comparison.results["score"].dropna()
    return bool((scores.abs() <= 1).all())
