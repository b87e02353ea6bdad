"""Vectors out of the store that ``cache=...`` means, computed where it lacks them.

A folder's vectors that were read lately are held in memory, too.

A grid search asks for the same texts a hundred times; from a folder each answer is
searched, proved and copied. What was proved once is right for good, as a key names all
that its vector depends on.

Threads that ask for the same text at the same time wait for the one that is at it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sktransfer.encoders.cache.disk import DiskStore
from sktransfer.encoders.cache.memory import CacheInfo, MemoryStore, Store, memory_store

__all__ = ["RecentStore", "disk_store", "hash_texts", "look_up", "open_store"]

# A call for more than this part of the memory would drive out what others ask for.
_SHARE = 4
_opening = threading.Lock()

# Hashes that are remembered, and characters of the longest text for which they are: at
# most some 64 MB, usually a tenth of it.
_N_REMEMBERED = 2**15
_SHORT = 512


class RecentStore:
    """A store in a folder, and a bounded copy in memory of what was read from it.

    Parameters
    ----------
    disk : DiskStore
        What holds all vectors.
    max_bytes : int, default=128 MiB
        Most memory to take; what was not used for longest goes first.
    """

    def __init__(self, disk: DiskStore, max_bytes: int = 2**27) -> None:
        self.disk = disk
        self._memory = MemoryStore(max_bytes)
        self._most = max_bytes // _SHARE

    def get_many(
        self, keys: Sequence[bytes], out: NDArray[np.float32], *, count: bool = True
    ) -> NDArray[np.bool_]:
        """Fill in the vectors that are there.

        Parameters
        ----------
        keys : sequence of bytes, of length n
            All of one recipe.
        out : float32 array of shape (n, width)
            Filled in where there is a vector.
        count : bool, default=True
            Whether it counts as hits and misses.

        Returns
        -------
        found : bool array of shape (n,)
        """
        if out.nbytes > self._most:
            return self.disk.get_many(keys, out, count=count)
        found = self._memory.get_many(keys, out, count=count)
        if found.all():
            return found
        rest = np.flatnonzero(~found)
        wanted = [keys[index] for index in rest.tolist()]
        vectors = np.empty((len(rest), out.shape[1]), dtype=np.float32)
        there = self.disk.get_many(wanted, vectors, count=count)
        out[rest[there]] = vectors[there]
        found[rest[there]] = True
        read = [key for key, known in zip(wanted, there, strict=True) if known]
        self._memory.put_many(read, vectors[there])
        return found

    def put_many(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep vectors in the folder.

        Parameters
        ----------
        keys : sequence of bytes, of length n
            All of one recipe.
        vectors : float32 array of shape (n, width)
            The vector of each key.
        """
        self.disk.put_many(keys, vectors)

    def turns(self, keys: Sequence[bytes]) -> Iterator[list[int]]:
        """Yield positions of keys whose vectors no other process is computing.

        Parameters
        ----------
        keys : sequence of bytes, of length n
            All of one recipe.

        Yields
        ------
        positions : list of int
            Each position once.
        """
        return self.disk.turns(keys)

    def cache_info(self) -> CacheInfo:
        """Return counts of this process and sizes of the folder.

        Returns
        -------
        info : CacheInfo
        """
        info = self.disk.cache_info()
        return info._replace(hits=info.hits + self._memory.cache_info().hits)

    def resize(self, max_bytes: int) -> None:
        """Change the bound of the folder for this process.

        Parameters
        ----------
        max_bytes : int
            Most space to take on disk; 0 keeps nothing.
        """
        self._memory.clear()
        self.disk.resize(max_bytes)

    def clear(self) -> None:
        """Remove all vectors and start counting anew."""
        self._memory.clear()
        self.disk.clear()

    def forget_other_threads(self) -> None:
        """Let go of locks whose holders are not there any more, after a fork."""
        self._memory.forget_other_threads()
        self.disk.forget_other_threads()


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


def _forget_stores_of_other_threads() -> None:
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
    os.register_at_fork(after_in_child=_forget_stores_of_other_threads)


def hash_texts(texts: Iterable[str], fingerprint: str) -> list[bytes]:
    """Return the key of each text under a recipe.

    Parameters
    ----------
    texts : iterable of str, of length n_texts
        Half of a surrogate pair is allowed.
    fingerprint : str
        Of the recipe, in hexadecimal.

    Returns
    -------
    keys : list of bytes, of length n_texts
        32 bytes each.
    """
    recipe = bytes.fromhex(fingerprint)[:16]
    return [
        recipe + (_hash_again(text) if len(text) <= _SHORT else _hash(text))
        for text in texts
    ]


def _hash(text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16).digest()


# A grid search hashes the same texts a hundred times.
_hash_again = functools.lru_cache(maxsize=_N_REMEMBERED)(_hash)


class _Claim:
    """What one call of `look_up` has taken upon itself to find or to compute."""

    def __init__(self) -> None:
        self.finished = threading.Event()


# Which call is at which key of which store.
_under_way: dict[tuple[int, bytes], _Claim] = {}
_claiming = threading.Lock()


def look_up(
    store: Store,
    keys: Sequence[bytes],
    width: int,
    compute: Callable[[list[int]], Iterable[tuple[list[int], NDArray[np.float32]]]],
    *,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the vector of each key, computing those that the store lacks.

    Parameters
    ----------
    store : Store
        Where to look, and where to keep what was computed.
    keys : sequence of bytes, of length n_texts
        As `hash_texts` returns them, without duplicates.
    width : int
        Length of a vector.
    compute : callable
        Gets positions in `keys` and yields pairs of positions and their vectors, a part
        at a time. Each part is kept as soon as it comes, so that an interrupted
        computation is not lost.
    out : float32 array of shape (n_texts, width) or None, default=None
        Where to put the vectors; None makes a new array.

    Returns
    -------
    vectors : float32 array of shape (n_texts, width)
        `out` where it is given.
    """
    result = np.empty((len(keys), width), dtype=np.float32) if out is None else out

    def look_again(indices: list[int]) -> list[int]:
        """Fill in what is there by now and return what is not."""
        rows = np.empty((len(indices), width), dtype=np.float32)
        found = store.get_many([keys[i] for i in indices], rows, count=False)
        result[np.asarray(indices, dtype=np.intp)[found]] = rows[found]
        return [index for index, there in zip(indices, found, strict=True) if not there]

    # Only what is missing is claimed: mostly nothing is.
    pending = np.flatnonzero(~store.get_many(keys, result)).tolist() if keys else []
    while pending:
        claim, mine, theirs = _claim(store, keys, pending)
        try:
            missing = look_again(mine)
            turns = store.turns([keys[index] for index in missing]) if missing else ()
            for turn in turns:
                part = [missing[position] for position in turn]
                # While this process waited for its turn, another may have done it.
                part = look_again(part)
                for done, vectors in compute(part) if part else ():
                    store.put_many([keys[index] for index in done], vectors)
                    result[done] = vectors
        finally:
            _release(store, [keys[index] for index in mine], claim)
        # Our own work is done first, so that two calls never wait for each other.
        for _, other in theirs:
            other.finished.wait()
        # Now they are in the store, unless it has no room or the other call failed.
        pending = [index for index, _ in theirs]
    return result


def _claim(
    store: Store, keys: Sequence[bytes], pending: Iterable[int]
) -> tuple[_Claim, list[int], list[tuple[int, _Claim]]]:
    """Divide positions into ours and those that another call is at."""
    claim = _Claim()
    mine: list[int] = []
    theirs: list[tuple[int, _Claim]] = []
    with _claiming:
        for index in pending:
            owner = _under_way.setdefault((id(store), keys[index]), claim)
            if owner is claim:
                mine.append(index)
            else:
                theirs.append((index, owner))
    return claim, mine, theirs


def _release(store: Store, keys: Iterable[bytes], claim: _Claim) -> None:
    with _claiming:
        for key in keys:
            _under_way.pop((id(store), key), None)
    claim.finished.set()


def _forget_other_threads() -> None:
    """After a fork the threads that held locks and claims are not there any more."""
    global _claiming
    _claiming = threading.Lock()
    _under_way.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)

_by_folder: dict[Path, RecentStore] = {}
