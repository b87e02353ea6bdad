"""Which store a ``cache=...`` means: one in memory, or one for each folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from sktransfer.encoders.disk import DiskStore
from sktransfer.encoders.recent import RecentStore
from sktransfer.encoders.store import MemoryStore, memory_store

__all__ = ["disk_store", "open_store"]

_by_folder: dict[Path, RecentStore] = {}
_opening = threading.Lock()


def disk_store(folder: str | os.PathLike[str]) -> RecentStore:
    """Return the store in a folder, one for the whole process.

    Parameters
    ----------
    folder : path-like
        Created at the first vector that is kept.

    Returns
    -------
    store : RecentStore
    """
    path = Path(folder).expanduser().resolve()
    with _opening:
        if path not in _by_folder:
            _by_folder[path] = RecentStore(DiskStore(path))
        return _by_folder[path]


def _forget_other_threads() -> None:
    global _opening
    _opening = threading.Lock()
    for store in _by_folder.values():
        store.forget_other_threads()


def open_store(
    cache: str | os.PathLike[str] | None,
) -> MemoryStore | RecentStore | None:
    """Return the store that a featurizer's parameter names.

    Parameters
    ----------
    cache : {"memory"}, path-like or None
        Where vectors are kept.

    Returns
    -------
    store : MemoryStore, RecentStore or None
    """
    if cache is None:
        return None
    return memory_store() if cache == "memory" else disk_store(cache)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
