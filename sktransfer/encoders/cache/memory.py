"""Vectors that were computed before, kept in the memory of this process.

A vector is kept as bytes under a key of 32 bytes: half says how it was computed (a
recipe's fingerprint), half which text it is. Texts themselves are not kept, only
whether they lost tokens. `Store` says what a store does; `MemoryStore` is one, and
`disk` has another.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidParameterError

__all__ = ["CacheInfo", "MemoryStore", "Store", "memory_store"]

# Beside its bytes an entry costs two Python objects and its place in an ordered
# dictionary: so many bytes, measured with 300 000 vectors.
_ENTRY_OVERHEAD = 470


class CacheInfo(NamedTuple):
    """What a store has done and holds.

    Attributes
    ----------
    hits, misses : int
        Vectors asked for that were there, and that were not.
    n_vectors : int
        Vectors held.
    n_bytes, max_bytes : int
        Memory or disk taken, and its bound.
    """

    hits: int
    misses: int
    n_vectors: int
    n_bytes: int
    max_bytes: int


class Store(Protocol):
    """What `look_up` needs of a store. All of it may be called by several threads."""

    def get_many(
        self,
        keys: Sequence[bytes],
        out: NDArray[np.float32],
        *,
        count: bool = True,
        cut: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Fill in the rows of `out` (n, width) that are there, and say which (n,).

        `cut` (n,) is set where a vector was put as one of a text that lost tokens.
        """

    def put_many(
        self,
        keys: Sequence[bytes],
        vectors: NDArray[np.float32],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keep each row of vectors (n, width) under its key, and `cut` (n,) with it."""

    def lock(self, keys: Sequence[bytes]) -> Iterator[list[int]]:
        """Yield all positions in keys, in parts locked against other processes."""


class MemoryStore:
    """A store in this process' memory that forgets what was not used for longest.

    `max_bytes` is the most memory to take, keys and overhead included.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.encoders.cache.memory import MemoryStore
    >>> store = MemoryStore(max_bytes=1000)
    >>> store.put_many([b"a", b"b"], np.ones((2, 3), dtype=np.float32))
    >>> vectors = np.zeros((2, 3), dtype=np.float32)
    >>> store.get_many([b"b", b"c"], vectors)
    array([ True, False])
    >>> vectors
    array([[1., 1., 1.],
           [0., 0., 0.]], dtype=float32)
    """

    def __init__(self, max_bytes: int) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self._cut: set[bytes] = set()
        self._max_bytes = _check_bound(max_bytes)
        self._n_bytes = 0
        self._hits = 0
        self._misses = 0

    def get_many(
        self,
        keys: Sequence[bytes],
        out: NDArray[np.float32],
        *,
        count: bool = True,
        cut: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Fill in the rows of `out` (n, width) that are there, and say which (n,).

        `cut` (n,) is set where a vector was put as one of a text that lost tokens.
        """
        with self._lock:
            values = list(map(self._values.get, keys))
            if cut is not None and self._cut:
                lost = map(self._cut.__contains__, keys)
                cut |= np.fromiter(lost, dtype=bool, count=len(keys))
            there = [value for value in values if value is not None]
            for key, value in zip(keys, values, strict=True):
                if value is not None:
                    self._values.move_to_end(key)
            if count:
                self._hits += len(there)
                self._misses += len(values) - len(there)
        if there:
            # One copy of all vectors together is faster than one of each.
            joined = np.frombuffer(b"".join(there), dtype=np.float32)
            if len(there) == len(values):
                out[:] = joined.reshape(out.shape)
                return np.ones(len(values), dtype=bool)
        found = np.fromiter((value is not None for value in values), dtype=bool)
        if there:
            out[found] = joined.reshape(len(there), -1)
        return found

    def put_many(
        self,
        keys: Sequence[bytes],
        vectors: NDArray[np.float32],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keep each row of vectors (n, width), and forget others if room is short."""
        lost = [] if cut is None else np.flatnonzero(cut).tolist()
        with self._lock:
            for key, vector in zip(keys, vectors, strict=True):
                self._forget(key)
                # Bytes cannot be changed by whoever gave the vector.
                self._values[key] = vector.tobytes()
                self._n_bytes += _cost(key, self._values[key])
            self._cut.update(keys[index] for index in lost)
            self._shrink()

    def lock(self, keys: Sequence[bytes]) -> Iterator[list[int]]:
        """Yield all positions at once: no other process sees this memory."""
        yield list(range(len(keys)))

    def resize(self, max_bytes: int) -> None:
        """Change the bound, and forget what no longer fits; 0 keeps nothing."""
        with self._lock:
            self._max_bytes = _check_bound(max_bytes)
            self._shrink()

    def clear(self) -> None:
        """Forget all values and start counting anew."""
        with self._lock:
            self._values.clear()
            self._cut.clear()
            self._n_bytes = self._hits = self._misses = 0

    def forget_other_threads(self) -> None:
        """Let go of a lock whose holder is not there any more, after a fork."""
        self._lock = threading.Lock()

    def cache_info(self) -> CacheInfo:
        """Counts and sizes."""
        with self._lock:
            return CacheInfo(
                hits=self._hits,
                misses=self._misses,
                n_vectors=len(self._values),
                n_bytes=self._n_bytes,
                max_bytes=self._max_bytes,
            )

    def _forget(self, key: bytes) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._n_bytes -= _cost(key, value)
            self._cut.discard(key)

    def _shrink(self) -> None:
        # What was used last stands at the end.
        while self._n_bytes > self._max_bytes:
            self._forget(next(iter(self._values)))


def _cost(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + _ENTRY_OVERHEAD


def _check_bound(max_bytes: int) -> int:
    if max_bytes < 0:
        raise InvalidParameterError(
            f"max_bytes is {max_bytes}, but at least 0 is expected: 0 keeps nothing."
        )
    return max_bytes


# About a quarter of a million vectors of 384 numbers.
_memory_store = MemoryStore(max_bytes=2**29)


def memory_store() -> MemoryStore:
    """The store of this process, which all featurizers share.

    Examples
    --------
    >>> from sktransfer.encoders.cache.memory import memory_store
    >>> memory_store().cache_info().max_bytes
    536870912
    """
    return _memory_store


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory_store.forget_other_threads)
