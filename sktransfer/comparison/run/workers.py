"""What joblib's workers do: tasks and lessons; they stay, and go with their parent."""

from __future__ import annotations

import functools
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

from joblib.externals.loky import process_executor

from sktransfer.comparison.run.evaluation import Task
from sktransfer.comparison.run.source_models import Lesson
from sktransfer.comparison.run.speed import put_aside

__all__ = ["answer", "settle", "teach"]

# Bytes by which a worker may grow; 300 MB, joblib's own, is what torch takes at once.
_LEAK = 2**32
_SECONDS_BETWEEN_LOOKS = 1.0


def settle(parent: int) -> None:
    """Let this process work until its parent has no more tasks, or is gone.

    joblib takes for a leak what a process needs once it trains a network, and starts a
    new worker, which spends ten seconds on imports. And its workers outlive a parent
    that was killed, by the fold that they are at and five minutes.

    Parameters
    ----------
    parent : int
        Number of the process that hands out the tasks; where it is this one, or not the
        one that has started this one, nobody is watched.
    """
    process_executor._MAX_MEMORY_LEAK_SIZE = _LEAK
    if os.getppid() == parent:
        _end_with(parent)


@functools.cache
def _end_with(parent: int) -> None:
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def answer(
    parent: int, number: int, call: Any, task: Task, aside: Path
) -> tuple[int, dict[str, Any]]:
    """Outcome of a task, with the number of its row: answers come in any order.

    Parameters
    ----------
    parent : int
        As in `settle`.
    number : int
        Of the row.
    call : callable
        From a task to its outcome.
    task : Task
        What to do.
    aside : pathlib.Path
        Where the model is left, if the task keeps it.

    Returns
    -------
    number : int
    outcome : dict
        Without the model.
    """
    settle(parent)
    outcome = call(task)
    model = outcome.pop("model", None)
    if model is not None:
        put_aside(model, aside)
    return number, outcome


def teach(parent: int, digest: str, lesson: Lesson) -> tuple[str, bytes | None]:
    """A model of the source; None where that fails, for the main process to try.

    As bytes, since joblib opens answers in a thread of its own that must not fail, and
    a network reads its checkpoint when it is opened.

    Parameters
    ----------
    parent : int
        As in `settle`.
    digest : str
        Which model it is.
    lesson : callable
        Answers with the model and its seconds.

    Returns
    -------
    digest : str
    pickled : bytes or None
        Both.
    """
    settle(parent)
    try:
        return digest, pickle.dumps(lesson())
    except Exception:
        return digest, None
