"""Vectors lately read from a slower store, held in memory under their keys.

A grid search asks for the same texts a hundred times; from a folder each answer is
searched, proved and copied. What was proved once is right for good, as a key names all
that its vector depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sktransfer.encoders.disk import DiskStore
from sktransfer.encoders.store import CacheInfo, MemoryStore

__all__ = ["RecentStore"]

# A call for more than this part of the memory would drive out what others ask for.
_SHARE = 4


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
