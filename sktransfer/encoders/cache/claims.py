"""Claims on open files, which end with their process however that ends.

A file that is being written is claimed; one that is not claimed any more was left by a
process that was killed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["claim", "remove_abandoned"]

# Seconds within which a new file is claimed.
_NEW = 1.0


def claim(file: IO[Any]) -> bool:
    """Claim an open file until it is closed; False where another has claimed it.

    True too where the file system knows no claims.
    """
    try:
        if sys.platform == "win32":
            # Others may not read what is locked: a byte that no file has.
            file.seek(2**62)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            finally:
                file.seek(0)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove the files of that pattern that nobody is at."""
    for path in folder.glob(pattern):
        # Who cannot remove them goes on without.
        with contextlib.suppress(OSError):
            if abs(time.time() - path.stat().st_mtime) < _NEW:
                continue
            # What is no file is not opened: a pipe would wait.
            handle = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(handle, "r+b", buffering=0) as file:
                if claim(file):
                    path.unlink()
