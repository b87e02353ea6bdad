"""What joblib's workers do: folds, and fits on the source."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from joblib import Parallel
from joblib.parallel import get_active_backend

from sktransfer._compat import LokyBackend, process_executor
from sktransfer.comparison.run.evaluation import Task
from sktransfer.comparison.run.parent_watch import (
    deaf_to_interrupts,
    end_with,
    watch_parent,
)
from sktransfer.comparison.run.preparation import SourceFit
from sktransfer.comparison.run.speed import put_aside
from sktransfer.exceptions import TruncationWarning, warn

__all__ = ["become_worker", "fit_source", "pass_on", "run_task", "start_workers"]

# Bytes by which a worker may grow; 300 MB, joblib's own, is what torch takes at once.
_LEAK = 2**32


class _WatchingBackend(LokyBackend):
    """joblib's processes, each of which watches its parent from its beginning."""

    def configure(self, *args: Any, **options: Any) -> Any:
        """Start processes; joblib calls it."""
        options.setdefault("initializer", watch_parent)
        options.setdefault("initargs", (os.getpid(),))
        return super().configure(*args, **options)


def start_workers(n_jobs: int | None, calls: Iterator[Any]) -> Iterator[Any]:
    """Have workers make calls, as many at a time, and yield answers as they come.

    They are of the backend that the user has chosen by joblib, if any.
    """
    backend, _ = get_active_backend()
    if type(backend) is LokyBackend:
        watching = _WatchingBackend()
        watching.__dict__.update(backend.__dict__)
        backend = watching
    workers = Parallel(
        n_jobs,
        backend=backend,
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
    )
    with deaf_to_interrupts():
        answers: Iterator[Any] = workers(calls)
    return answers


def become_worker(parent: int) -> None:
    """Let this process work until its parent has no more tasks, or is gone.

    joblib takes for a leak what a process needs once it trains a network, and starts a
    new worker, which spends ten seconds on imports. And its workers outlive a parent
    that was killed, by the fold that they are at and five minutes.

    Where `parent`, the number of the process that hands out the tasks, is this one, or
    not the one that has started this one, nobody is watched.
    """
    process_executor._MAX_MEMORY_LEAK_SIZE = _LEAK
    if os.getppid() == parent:
        end_with(parent)


def run_task(
    parent: int,
    number: int,
    call: Callable[[Task], dict[str, Any]],
    task: Task,
    aside: Path,
) -> tuple[int, dict[str, Any]]:
    """Outcome of a task, with the number of its row: answers come in any order.

    The model of a task that keeps it is left in the file `aside`. Warnings come along
    in the outcome, for `pass_on`.
    """
    become_worker(parent)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # That texts are cut is true of the data, and is said of them, once.
        warnings.simplefilter("ignore", TruncationWarning)
        outcome = call(task)
    told = dict.fromkeys((one.category, str(one.message)) for one in caught)
    outcome["warnings"] = list(told)
    model = outcome.pop("model", None)
    if model is not None:
        put_aside(model, aside)
    return number, outcome


def fit_source(parent: int, digest: str, fit: SourceFit) -> tuple[str, bytes | None]:
    """A model of the source and its seconds; None where that fails.

    The main process then tries again. As bytes, since joblib opens answers in a thread
    of its own that must not fail, and a network reads its checkpoint when it is opened.
    """
    become_worker(parent)
    try:
        with warnings.catch_warnings():
            # Folds on the same model will say it again.
            warnings.simplefilter("ignore")
            return digest, pickle.dumps(fit())
    except Exception:
        return digest, None


def pass_on(told: Iterable[tuple[type[Warning], str]]) -> None:
    """Warn of what a worker was warned of.

    The worker's own would be printed with lines of our source, and once a worker.
    """
    for category, message in told:
        warn(message, category)
