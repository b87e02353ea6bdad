"""How many cores torch has in a thread.

torch keeps the number for each thread, and one more for threads to come: the last that
any thread has set. Two threads that set it for a while and then back, each to what it
found, can leave themselves and all threads to come with the lower number for ever. What
is set here holds for one thread; for threads to come the number stays what it was.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["count_cores", "limited_cores", "on_one_core", "threads_with_cores"]

Result = TypeVar("Result")

# Held while the number of threads to come is another for some microseconds.
_setting = threading.Lock()


def count_cores() -> int:
    """Return the cores that torch has for an operation of this thread.

    Who computes asks before all else. A thread takes over the number of threads to come
    at its first question or operation, and must not do so while that is another.

    Returns
    -------
    n_cores : int
    """
    with _setting:
        return torch.get_num_threads()


@contextlib.contextmanager
def limited_cores(n_cores: int) -> Iterator[None]:
    """Have torch compute with so many cores in this thread.

    Parameters
    ----------
    n_cores : int
        For an operation.

    Yields
    ------
    None
        While it does so; no other thread is concerned.
    """
    before = count_cores()
    try:
        _set_cores(n_cores)
        yield
    finally:
        _set_cores(before)


@contextlib.contextmanager
def threads_with_cores(n_threads: int, n_cores: int) -> Iterator[ThreadPoolExecutor]:
    """Make threads in which torch computes with some of the cores.

    Parameters
    ----------
    n_threads : int
        How many.
    n_cores : int
        What each has for an operation of torch.

    Yields
    ------
    pool : concurrent.futures.ThreadPoolExecutor
        Of as many threads; they end with the block.
    """
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
    torch's own, it can also compute in a process that was forked.

    Parameters
    ----------
    compute : callable
        What it returns or raises comes back to the caller. It sets torch's modes, such
        as ``torch.inference_mode``, by itself.

    Returns
    -------
    result : object

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.cores import on_one_core
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
