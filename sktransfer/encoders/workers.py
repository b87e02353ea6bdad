"""Batches spread over threads, each of which computes with one core.

torch divides every single operation over its threads and waits at the end of each for
the slowest; a forward pass has a hundred operations. Whole batches divided over threads
wait once, which on a busy machine is half as fast again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TypeVar

import torch

from sktransfer.encoders.cores import threads_with_cores

__all__ = ["do_each"]

Item = TypeVar("Item")


def do_each(
    do: Callable[[Item], bool], items: Sequence[Item], n_workers: int
) -> list[Item]:
    """Call a function on each item, until one call says that it could not.

    Parameters
    ----------
    do : callable
        Returns whether it did it. It is called by several threads at once, under
        ``torch.inference_mode``.
    items : sequence
        Taken in their order.
    n_workers : int
        Threads to use; with 1 it is the calling one, with all cores that torch has.

    Returns
    -------
    left : list
        Items that were not done: none, or the one that could not be and those after.
        An error of `do` is raised here once all threads have stopped.

    Examples
    --------
    >>> from sktransfer.encoders.workers import do_each
    >>> do_each(lambda item: item < 3, [1, 2, 3, 4], n_workers=1)
    [3, 4]
    """
    work = _Work(do, items)
    if min(n_workers, len(items)) <= 1:
        work.go_through()
    else:
        _share(work, min(n_workers, len(items)))
    if work.error is not None:
        raise work.error
    return [item for item, done in zip(items, work.done, strict=True) if not done]


class _Work:
    """Items, which of them are done, and whether to go on."""

    def __init__(self, do: Callable[[Item], bool], items: Sequence[Item]) -> None:
        self._do = do
        self._items = items
        self._next = iter(range(len(items)))
        self._taking = threading.Lock()
        self.done = [False] * len(items)
        self.stopped = False
        self.error: BaseException | None = None

    def go_through(self) -> None:
        """Take items until none is left, or until anyone stops."""
        try:
            with torch.inference_mode():
                while not self.stopped:
                    with self._taking:
                        position = next(self._next, None)
                    if position is None:
                        return
                    self.done[position] = self._do(self._items[position])
                    self.stopped |= not self.done[position]
        except BaseException as error:
            self.stopped = True
            self.error = error


def _share(work: _Work, n_workers: int) -> None:
    """Let threads with one core each go through the work."""
    with threads_with_cores(n_workers, n_cores=1) as pool:
        try:
            wait([pool.submit(work.go_through) for _ in range(n_workers)])
        finally:
            # Ctrl-C: what is being computed is finished, and nothing more is begun.
            work.stopped = True
