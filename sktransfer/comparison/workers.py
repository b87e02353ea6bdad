"""What joblib's workers do beside their tasks: they stay, and go with their parent."""

from __future__ import annotations

import functools
import os
import threading
import time

from joblib.externals.loky import process_executor

__all__ = ["settle"]

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
