"""Order in a folder of segments: few files, and no more bytes than there may be.

Every change is a new whole file or the removal of one, so that it may stop anywhere.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from sktransfer.encoders.segments import Segment, SegmentError, write_segment

__all__ = ["SMALL", "choose_oldest", "list_files", "merge_small", "name_segment"]

# Bytes from which on a file is left as it is.
SMALL = 2**24
# Seconds after which a file that nobody has finished is one of a killed process.
_ABANDONED = 3600.0


def name_segment(home: Path) -> Path:
    """Return a path for a new segment, which no other process will choose.

    Parameters
    ----------
    home : pathlib.Path
        The recipe's folder.

    Returns
    -------
    path : pathlib.Path
    """
    return home / f"{uuid.uuid4().hex}.vec"


def list_files(folder: Path) -> list[tuple[float, int, Path]]:
    """List segments, the one not used for longest first.

    Parameters
    ----------
    folder : pathlib.Path
        A recipe's folder, or the one above.

    Returns
    -------
    files : list of (float, int, pathlib.Path)
        Time of last use in seconds, size in bytes, and path.
    """
    files = []
    for path in folder.rglob("*.vec"):
        try:
            state = path.stat()
        except OSError:
            continue
        files.append((state.st_mtime, state.st_size, path))
    return sorted(files)


def choose_oldest(
    files: Sequence[tuple[float, int, Path]], max_bytes: int
) -> list[Path]:
    """Choose what must go for the rest to fit.

    Parameters
    ----------
    files : sequence of (float, int, pathlib.Path)
        As `list_files` returns them.
    max_bytes : int
        Most bytes of what stays.

    Returns
    -------
    paths : list of pathlib.Path
        Empty where all fit; else a tenth more than needed goes, so that not every new
        file removes an old one.
    """
    n_bytes = sum(size for _, size, _ in files)
    if n_bytes <= max_bytes:
        return []
    chosen = []
    for _, size, path in files:
        if n_bytes <= 0.9 * max_bytes:
            break
        chosen.append(path)
        n_bytes -= size
    return chosen


def merge_small(home: Path) -> None:
    """Put small segments into one: each costs a search at every look-up.

    Nothing happens where another process is at it, or where a file is damaged; who
    reads that one will find out.

    Parameters
    ----------
    home : pathlib.Path
        The recipe's folder.
    """
    try:
        with FileLock(home / "merge.lock", timeout=0):
            small = [
                Segment(path) for _, size, path in list_files(home) if size < SMALL
            ]
            keys = np.concatenate([part.keys for part in small])
            vectors = np.empty((len(keys), small[0].width), dtype=np.float32)
            start = 0
            for part in small:
                rows = np.arange(part.n)
                part.read(rows, vectors, start + rows)
                start += part.n
            _, first = np.unique(keys, axis=0, return_index=True)
            write_segment(name_segment(home), keys[first], vectors[first])
            for part in small:
                part.path.unlink(missing_ok=True)
            for left in home.glob(".*.vec.*"):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    left.unlink(missing_ok=True)
    except (Timeout, SegmentError, OSError, ValueError):
        return
