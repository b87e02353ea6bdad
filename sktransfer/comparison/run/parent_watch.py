"""Processes that end with the one that has begun them, and leave Ctrl-C to it.

It imports nothing that takes time: a worker watches before it loads its first task.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["deaf_to_interrupts", "end_with", "watch_parent"]

_SECONDS_BETWEEN_LOOKS = 0.2


def watch_parent(parent: int) -> None:
    """End this process, which `parent` has begun, as soon as `parent` is gone.

    It may be gone already, while this process was loading.
    """
    if os.getppid() != parent:
        os._exit(1)
    end_with(parent)


@functools.cache
def end_with(parent: int) -> None:
    """Start to look, every now and then, whether the parent is still there."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Have processes that are begun within never heed Ctrl-C; this one does later.

    A terminal sends it to all of them, and each would print where it was. What a
    process has blocked, those that it begins have blocked too.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
