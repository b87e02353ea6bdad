"""How many cores torch has in a thread, and batches spread over threads.

Also whether torch may compute in this process at all: not after a fork.

torch keeps the number for each thread, and one more for threads to come: the last that
any thread has set. Two threads that set it for a while and then back, each to what it
found, can leave themselves and all threads to come with the lower number for ever. What
is set here holds for one thread; for threads to come the number stays what it was.

torch divides every single operation over its threads and waits at the end of each for
the slowest; a forward pass has a hundred operations. Whole batches divided over threads
wait once, which on a busy machine is half as fast again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from sktransfer.exceptions import ForkedProcessError

__all__ = [
    "count_cores",
    "count_texts",
    "do_each",
    "ensure_not_forked",
    "limited_cores",
    "n_texts_encoded",
    "on_one_core",
    "threads_with_cores",
]

Result = TypeVar("Result")

# Held while the number of threads to come is another for some microseconds.
_setting = threading.Lock()

Item = TypeVar("Item")

_counting = threading.Lock()
_n_texts = 0
_first_process: int | None = None


def count_cores() -> int:
    """The cores that torch has for an operation of this thread.

    Who computes asks before all else. A thread takes over the number of threads to come
    at its first question or operation, and must not do so while that is another.
    """
    with _setting:
        return torch.get_num_threads()


@contextlib.contextmanager
def limited_cores(n_cores: int) -> Iterator[None]:
    """Have torch compute with so many cores in this thread, and in no other."""
    before = count_cores()
    try:
        _set_cores(n_cores)
        yield
    finally:
        _set_cores(before)


@contextlib.contextmanager
def threads_with_cores(n_threads: int, n_cores: int) -> Iterator[ThreadPoolExecutor]:
    """Make threads in which torch computes with some of the cores."""
    everyone = threading.Barrier(n_threads + 1)

    def begin() -> None:
        # A thread adopts the last setting at its first question: ask before setting.
        torch.get_num_threads()
        torch.set_num_threads(n_cores)
        everyone.wait()

    with ThreadPoolExecutor(n_threads, initializer=begin) as pool:
        try:
            with _same_for_threads_to_come():
                for _ in range(n_threads):
                    pool.submit(int)
                everyone.wait()
        except BaseException:
            everyone.abort()
            raise
        yield pool


def on_one_core(compute: Callable[[], Result]) -> Result:
    """Call a function where torch computes with one core.

    That is another thread, unless this one has only one core itself. It lives on, so
    that a call costs some tens of microseconds; and as it never waits for threads of
    torch's own, it can also compute in a process that was forked. The function sets
    torch's modes, such as ``torch.inference_mode``, by itself.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.compute.threads import on_one_core
    >>> on_one_core(torch.get_num_threads)
    1
    """
    if count_cores() == 1:
        return compute()
    return _alone.pool().submit(_compute_alone, compute).result()


class _Alone:
    """Threads with one core each, made when they are first needed."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self.of_thread = threading.local()

    def pool(self) -> ThreadPoolExecutor:
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(os.cpu_count(), "sktransfer-one-core")
            return self._pool


_alone = _Alone()


def _compute_alone(compute: Callable[[], Result]) -> Result:
    # Not as the pool's initializer: if that fails once, the pool is of no more use.
    if not hasattr(_alone.of_thread, "is_set"):
        _set_cores(1)
        _alone.of_thread.is_set = True
    return compute()


def _set_cores(n_cores: int) -> None:
    """``torch.set_num_threads`` for this thread alone."""
    if count_cores() != n_cores:
        with _same_for_threads_to_come():
            torch.set_num_threads(n_cores)


@contextlib.contextmanager
def _same_for_threads_to_come() -> Iterator[None]:
    # A new thread knows the number, and can set it without a change to anybody's own.
    with _setting, ThreadPoolExecutor(1) as other:
        n_cores = other.submit(torch.get_num_threads).result()
        try:
            yield
        finally:
            other.submit(torch.set_num_threads, n_cores).result()


def _forget_other_threads() -> None:
    """After a fork the threads that held locks and computed are not there any more."""
    global _setting, _alone
    _setting, _alone = threading.Lock(), _Alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def do_each(
    do: Callable[[Item], bool], items: Sequence[Item], n_workers: int
) -> list[Item]:
    """Call a function on each item, until one call says that it could not.

    Several threads call it at once, under ``torch.inference_mode``; with one worker it
    is the calling thread, with all cores that torch has. Returns the items that were
    not done: none, or the one that could not be and those after. An error is raised
    here once all threads have stopped.

    Examples
    --------
    >>> from sktransfer.encoders.compute.threads import do_each
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


def ensure_not_forked() -> None:
    """Raise in a process that was forked after its parent had computed with torch.

    Its threads are not there after a fork, and the first parallel operation would wait
    for them for ever. Call it before each computation: the first call takes note of the
    process.
    """
    global _first_process
    process = os.getpid()
    if _first_process is None:
        _first_process = process
    # With one thread there is nobody to wait for.
    elif _first_process != process and torch.get_num_threads() > 1:
        raise ForkedProcessError(
            f"Process {process} was forked from process {_first_process} after a model "
            "had run there, and torch would wait for ever for threads that the fork "
            "left behind. Start workers by 'spawn' or 'forkserver' or through joblib's "
            "default backend, fork before the first text is encoded, or call "
            "torch.set_num_threads(1) first in the worker."
        )


def n_texts_encoded() -> int:
    """How many texts went through a model in this process; those of a cache did not."""
    return _n_texts


def count_texts(n_texts: int) -> None:
    """Add texts that have gone through a model to what `n_texts_encoded` returns."""
    global _n_texts
    with _counting:
        _n_texts += n_texts
