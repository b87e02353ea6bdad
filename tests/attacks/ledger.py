"""What an attack tries, each in a process of its own, and what comes of it.

A script of this folder gives a name to each row of the table, tries something so many
times, and says what came of each try. Tries are numbered, and the number is the seed,
so that a try that went wrong can be looked at alone. ``results/`` holds a file for each
row, and ``table.md`` is made of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Answer", "Ledger", "in_child", "parse"]

RESULTS = Path(__file__).with_name("results")

# What may come of a try; all but the first two are faults.
RIGHT, REFUSED = "right", "refused"
FAULTS = (
    "wrong",  # another answer than the undisturbed one
    "raw error",  # not one of ours, or a traceback
    "signal",  # the process was ended by the system, as by SIGSEGV or SIGBUS
    "hung",  # no end within the time
    "code ran",
    "lost",  # something of the user's, or that was saved, is gone
    "left over",  # files that nobody removes
    "unclear",  # an error that lacks the place, the value or the remedy
)
_N_SHOWN = 5
_PRELOADED = ["sktransfer.persistence", "sktransfer.classifier.classifier"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a child process answered.

    ``kind`` is "value", "error", "signal" or "hung"; ``is_ours`` says whether an error
    is one of the package.
    """

    kind: str
    value: Any = None
    name: str = ""
    text: str = ""
    is_ours: bool = False

    @property
    def fault(self) -> str | None:
        """The fault that the answer is whatever was asked; None if it may be right."""
        if self.kind == "error":
            return None if self.is_ours else "raw error"
        return None if self.kind == "value" else self.kind


def in_child(
    function: Callable[..., Any], *arguments: Any, seconds: float = 120.0
) -> Answer:
    """Call a function of a module in a process that may die of it.

    The process is forked from a server that has imported the package and computed
    nothing, so it starts within milliseconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(theirs, function, arguments))
    child.start()
    theirs.close()
    try:
        found = mine.recv() if mine.poll(seconds) else None
    except EOFError:
        found = None
        child.join(10)
    if found is None and child.is_alive():
        child.kill()
        child.join()
        return Answer("hung")
    child.join()
    if found is None:
        code = child.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Answer("signal", name=name)
    return found


def _answer(pipe: Any, function: Callable[..., Any], arguments: Any) -> None:
    from sktransfer.exceptions import SktransferError

    try:
        answer = Answer("value", function(*arguments))
    except BaseException as error:  # whatever it is, it is the answer
        answer = Answer(
            "error",
            name=type(error).__name__,
            text=str(error) or traceback.format_exc(limit=-1),
            is_ours=isinstance(error, SktransferError),
        )
    pipe.send(answer)
    pipe.close()


class Ledger:
    """Collects what came of the tries of one row of the table.

    Parameters
    ----------
    name : str
        Of the file in ``results/``, and first column of the table.
    what : str
        What is tried, in a few words, for the table.
    """

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what
        self.outcomes: Counter[str] = Counter()
        self.faults: list[dict[str, Any]] = []
        self._start = time.monotonic()

    def note(self, outcome: str, number: int, detail: str = "") -> None:
        """Count what came of the try of that number; details of faults are kept."""
        if outcome not in (RIGHT, REFUSED, *FAULTS):
            raise ValueError(outcome)
        self.outcomes[outcome] += 1
        if outcome in FAULTS:
            self.faults.append(
                {"try": number, "outcome": outcome, "detail": detail[:300]}
            )
            print(f"{self.name} {number}: {outcome}: {detail[:300]}", flush=True)

    def write(self) -> None:
        """Write the row's file."""
        RESULTS.mkdir(exist_ok=True)
        content = {
            "what": self.what,
            "tries": self.outcomes.total(),
            "outcomes": dict(sorted(self.outcomes.items())),
            "seconds": round(time.monotonic() - self._start),
            "faults": self.faults[:_N_SHOWN],
        }
        path = RESULTS / f"{self.name}.json"
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
        print(f"{self.name}: {dict(self.outcomes)} in {content['seconds']} s")


def parse(description: str | None, names: list[str]) -> argparse.Namespace:
    """Arguments of a script: which of its rows, and the share of the tries."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(names)}; default all")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the tries, such as 0.1 for a look"
    )
    found = parser.parse_args()
    if unknown := sorted(set(found.rows) - set(names)):
        parser.error(f"there are no rows {unknown}, but {names}")
    found.rows = found.rows or names
    return found
