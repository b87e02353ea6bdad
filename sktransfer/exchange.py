"""Two folders that change places in one step, where the system can do that.

Python has no name for it. Linux and macOS have, and so have most of their file systems.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["exchange"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # of Linux
_RENAME_SWAP = 2  # of macOS
# What systems and file systems answer that have no such step.
_UNKNOWN = {
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EPERM,  # of containers that forbid calls they do not know
}


def exchange(first: Path, second: Path) -> bool:
    """Have two folders, which are both there, change places.

    At no moment is one of the names missing. False, with nothing done, where the system
    or the file system has no such step.
    """
    call = _find_call()
    if call is None or call(os.fsencode(first), os.fsencode(second)) == 0:
        return call is not None
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))


@functools.cache
def _find_call() -> Callable[[bytes, bytes], int] | None:
    """The system's function, which answers 0, or leaves the reason in errno."""
    if os.name != "posix":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        swap = getattr(library, "renamex_np", None)
        if swap is None:
            return None
        swap.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint)
        return lambda first, second: int(swap(first, second, _RENAME_SWAP))
    rename = getattr(library, "renameat2", None)
    if rename is None:
        return None
    kinds = (ctypes.c_int, ctypes.c_char_p)
    rename.argtypes = (*kinds, *kinds, ctypes.c_uint)
    return lambda first, second: int(
        rename(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    )
