"""Processes that share a folder take turns, so that none does the work of another."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["take_turns"]

_N_SHARES = 4
# Keys of one turn: enough to fill batches, few enough that nobody waits for long.
_TURN = 1024
# Keys up to which it is not worth dividing them.
_FEW = 64
# Seconds after which it is better to do work twice than to go on waiting.
_PATIENCE = 120.0


def take_turns(folder: Path, keys: Sequence[bytes]) -> Iterator[list[int]]:
    """Divide keys so that of several processes each has some that no other is at.

    A key belongs to a share, and a share to the process that holds its lock; the system
    gives locks of a dead process back. Shares that another process holds come last.

    Parameters
    ----------
    folder : pathlib.Path
        Where the files of the locks are.
    keys : sequence of bytes, of length n
        What is to be done. The last byte decides on the share.

    Yields
    ------
    positions : list of int
        Positions in `keys`, each exactly once. The locks are held until the next are
        asked for. Another process may have been at them since: look again first.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    shares = [key[-1] % _N_SHARES for key in keys]
    waiting: deque[tuple[list[int], list[int]]] = deque()
    if len(keys) <= _FEW:
        waiting.append((list(range(len(keys))), sorted(set(shares))))
    else:
        for share in range(_N_SHARES):
            mine = [position for position, own in enumerate(shares) if own == share]
            for start in range(0, len(mine), _TURN):
                waiting.append((mine[start : start + _TURN], [share]))
    n_refused = 0
    while waiting:
        positions, locks = waiting.popleft()
        patience = _PATIENCE if n_refused > len(waiting) else 0.0
        with contextlib.ExitStack() as held:
            try:
                # Always in the same order, so that no two wait for each other.
                for lock in locks:
                    path = folder / f"turn-{lock}.lock"
                    held.enter_context(FileLock(path, timeout=patience))
            except Timeout:
                if not patience:
                    waiting.append((positions, locks))
                    n_refused += 1
                    continue
            n_refused = 0
            yield positions
