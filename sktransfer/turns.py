"""Who writes to a destination, and what those leave beside it who are killed.

Beside a destination ``model`` stand, while it is written, ``.model.sktransfer-<hex>``,
which becomes the new one, and ``.model.sktransfer-lock``, on which each of its writers
holds a lock of the system's that ends with its process. Whoever is alone there may
remove the rest: it is of processes that were killed. The last one removes the lock.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a writer's file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "find_retired",
    "hidden_name",
    "put_back",
    "remove_leftovers",
    "remove_whole",
    "take_turn",
]

_MARK = "sktransfer-"
_LOCK = "lock"
_HEX = r"[0-9a-f]{8}"
# What earlier versions left of a folder.
_EARLIER = rf"{_HEX}\.old"
_LONGEST_NAME = 200
_MOST_TRIES = 100
_NO_LOCKS = -1
# Seconds: between two looks, between two renames at the most, and for another writer.
_PAUSE = 0.002
_BETWEEN_RENAMES = 2.0
_LONGEST_WAIT = 10.0


def hidden_name(path: Path, end: str) -> Path:
    """Neighbour of a destination, of a name that nobody else would choose."""
    return path.with_name(f".{_stem(path)}.{_MARK}{end}")


def _stem(path: Path) -> str:
    """Name in the names of neighbours, which systems allow 255 bytes."""
    encoded = os.fsencode(path.name)
    if len(encoded) <= _LONGEST_NAME:
        return path.name
    return hashlib.sha256(encoded).hexdigest()[:32]


@contextlib.contextmanager
def take_turn(path: Path, *, alone: bool, patience: float = 30.0) -> Iterator[None]:
    """Be a writer to `path`: the only one, or one of several, whose last one wins.

    What killed writers have left is removed; a folder that one of them had moved away
    is put back. A TimeoutError says that another writer was still there after so many
    seconds. Where the file system has no locks, nobody waits and nothing is removed.
    """
    lock = hidden_name(path, _LOCK)
    deadline = time.monotonic() + patience
    while (handle := _take(lock, alone=alone)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"another process has been writing there for {patience:.0f} s",
                str(path),
            )
        time.sleep(_PAUSE)
    try:
        if alone and handle != _NO_LOCKS:
            _clean(path)
        elif alone:
            put_back(path)
        yield
    finally:
        _leave(path, handle)


def put_back(path: Path, *, earlier: bool = True) -> None:
    """Undo what a writer to a folder did who was killed between two renames.

    One who is at it just now is waited for. Where nothing may be renamed, nothing is.
    `earlier` says whether folders of earlier versions count, whose names are less
    certain to be ours.
    """
    start = time.monotonic()
    while not os.path.lexists(path) and find_retired(path, earlier=earlier):
        handle = _take(hidden_name(path, _LOCK), alone=True)
        waited = time.monotonic() - start
        if handle is None or (handle == _NO_LOCKS and waited < _BETWEEN_RENAMES):
            if waited > _LONGEST_WAIT:
                return
            time.sleep(_PAUSE)
            continue
        try:
            _put_back(path, earlier=earlier)
        except OSError:
            return
        finally:
            _leave(path, handle)


def find_retired(path: Path, *, earlier: bool = True) -> list[Path]:
    """Folders that were moved away from `path`, the last one first."""
    times: dict[Path, int] = {}
    for one in _neighbours(path, rf"{_MARK}{_HEX}\.old"):
        with contextlib.suppress(OSError):
            times[one] = one.lstat().st_ctime_ns
    if earlier and not times:
        times = dict.fromkeys(_neighbours(path, _EARLIER), 0)
    found = [one for one in times if one.is_dir() and not one.is_symlink()]
    return sorted(found, key=lambda one: -times[one])


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers have left of any destination in a folder.

    For destinations that nobody writes to again, of which the next writer would do it.
    """
    for lock in folder.glob(f".*.{_MARK}{_LOCK}"):
        stem = lock.name.removesuffix(f".{_MARK}{_LOCK}").removeprefix(".")
        handle = _take(lock, alone=True)
        if handle is not None and handle != _NO_LOCKS:
            _clean(folder / stem)
            _leave(folder / stem, handle)


def _take(lock: Path, *, alone: bool) -> int | None:
    """A handle that holds the lock; None if others do."""
    handle = _NO_LOCKS if fcntl is None else _open(lock)
    if handle == _NO_LOCKS:
        return handle
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:  # such as those of a network without locks
        os.close(handle)
        return _NO_LOCKS
    # The one who was there before may have removed the file.
    if _is_at(handle, lock):
        return handle
    os.close(handle)
    return None


def _open(lock: Path) -> int:
    """Open the file of a lock, which is made if need be."""
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW
    for _ in range(_MOST_TRIES):
        try:
            return os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            pass
        except OSError:  # such as those of a folder that one may only read
            return _NO_LOCKS
        try:
            handle = os.open(lock, flags)
        except FileNotFoundError:
            continue
        except OSError:
            return _NO_LOCKS
        state = os.fstat(handle)
        if stat.S_ISREG(state.st_mode) and state.st_size <= 1:
            # Whoever finds the file there has the last one look for leftovers.
            with contextlib.suppress(OSError):
                os.truncate(handle, 1)
            return handle
        os.close(handle)
        break
    return _NO_LOCKS


def _leave(path: Path, handle: int) -> None:
    """Give up a lock, and remove its file if nobody else holds it."""
    if handle == _NO_LOCKS:
        return
    lock = hidden_name(path, _LOCK)
    try:
        # Others may hold it, too: the last one removes it.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, lock):
                if os.fstat(handle).st_size:
                    _clean(path)
                lock.unlink()
    finally:  # after Ctrl-C, too
        # Not only closed: a process that was forked meanwhile would go on holding it.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _neighbours(path: Path, ends: str) -> list[Path]:
    """Hidden neighbours of `path` whose names end as the pattern `ends` says."""
    pattern = re.compile(rf"\.{re.escape(_stem(path))}\.(?:{ends})")
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if pattern.fullmatch(entry.name)]
    except OSError:
        return []
    return [path.with_name(name) for name in names]


def _clean(path: Path) -> None:
    """Put back what was moved away, and remove the rest, as the only one there."""
    with contextlib.suppress(OSError):
        _put_back(path, earlier=False)
    for leftover in _neighbours(path, rf"{_MARK}{_HEX}(\.old)?"):
        # What could not be put back is the only one that there is.
        if os.path.lexists(path) or not leftover.name.endswith(".old"):
            remove_whole(leftover)


def _put_back(path: Path, *, earlier: bool) -> None:
    found = find_retired(path, earlier=earlier)
    if found and not os.path.lexists(path):
        found[0].rename(path)


def remove_whole(path: Path) -> None:
    """Remove a file or a folder with all in it; what resists stays."""
    if path.is_symlink() or not path.is_dir():
        with contextlib.suppress(OSError):
            path.unlink()
        return
    with contextlib.suppress(OSError):
        path.chmod(0o700)
        for place, folders, _ in os.walk(path):
            for folder in folders:
                if not Path(place, folder).is_symlink():
                    Path(place, folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
