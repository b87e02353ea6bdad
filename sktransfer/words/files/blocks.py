"""Arrays in files, each block of which is read and proved when it is first used.

A file of vectors may be large, damaged, and changed while it is open. To prove all of
it at the opening takes 45 ms for 80 MB (SHA-256, 1.7 GB/s), where an opening takes one.
To trust its times says nothing of a file that changes later. To map it ends the process
where somebody cuts it. So a file has a digest for each 16 KiB, and a block goes to the
array's memory once its bytes have been read and have the right digest. A process pays
for it once, and only for blocks that hold words which are asked for. From then on the
numbers are plain memory. Larger blocks cost more where words are few and far between,
smaller ones where all is read.

The digests are an array in blocks of its own, so that an opening reads none of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import os
import stat
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import WordVectorsError

__all__ = [
    "BYTES_A_DIGEST",
    "BlockArray",
    "HeldArray",
    "count_blocks",
    "digest_blocks",
    "read_digests",
    "read_exactly",
    "split_file",
]

_BYTES_A_BLOCK = 1 << 14
BYTES_A_DIGEST = 16

# Where a file can only be read from its position, one thread at a time.
_SEEKING = threading.Lock()

# Memory is taken as blocks are read, so that nothing needs to be set aside for all.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


def count_blocks(dtype: str, shape: tuple[int, ...]) -> int:
    """Blocks of the file of an array."""
    return -(-_count_bytes(dtype, shape) // _BYTES_A_BLOCK)


def _count_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    # Numbers of Python, as forged shapes may be beyond 64 bits.
    return math.prod(shape) * np.dtype(dtype).itemsize


def split_file(path: Path) -> Iterator[bytes]:
    """The blocks of a file, one by one."""
    with path.open("rb") as file:
        while block := file.read(_BYTES_A_BLOCK):
            yield block


def read_exactly(path: Path, n_bytes: int) -> bytes:
    """Content of a file that has that many bytes."""
    handle = _open_file(path, n_bytes)
    with os.fdopen(handle, "rb") as file:
        return file.read(n_bytes)


def _digest_block(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:BYTES_A_DIGEST]


def digest_blocks(blocks: Iterable[bytes]) -> bytes:
    """What proves some blocks, one digest behind the other."""
    return b"".join(map(_digest_block, blocks))


class HeldArray:
    """An array that lies in memory.

    Parameters
    ----------
    array : ndarray
        Of one or two dimensions, in one piece.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def load(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """The array, in which those spans of rows may be read; others may not."""
        return self._array

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows, each at least 0, as a fresh array."""
        if len(rows) and int(rows.max()) >= len(self):
            raise IndexError(f"There is no row {rows.max()}, as there are {len(self)}.")
        return np.asarray(self.load(rows, rows + 1)[rows])

    def whole(self) -> NDArray[Any]:
        """All of it, read-only where it comes from a file."""
        return self._array


class BlockArray(HeldArray):
    """An array in a file of its own, which may be damaged or change at any time.

    Any number of threads and forked processes may read it.

    Parameters
    ----------
    path : pathlib.Path
    dtype : str
    shape : tuple of int
        No more than the file holds.
    proofs : pair of HeldArray and int
        Rows of digests, and which of them is the first block's.
    mend : callable or None
        Called with a reason where a block is wrong: makes the file again at its path.
    """

    def __init__(
        self,
        path: Path,
        dtype: str,
        shape: tuple[int, ...],
        proofs: tuple[HeldArray, int],
        mend: Callable[[str], None] | None,
    ) -> None:
        self._path, self._mend = path, mend
        self._proofs, self._first_proof = proofs
        self._n_bytes = _count_bytes(dtype, shape)
        self._open()
        self._memory = _empty_memory(max(self._n_bytes, 1))
        self._bytes = np.frombuffer(self._memory, np.uint8, self._n_bytes)
        super().__init__(self._bytes.view(dtype).reshape(shape))
        self._array.flags.writeable = False
        self._row_bytes = _count_bytes(dtype, shape[1:])
        self._missing = np.ones(count_blocks(dtype, shape), bool)
        self._is_whole = not len(self._missing)

    def load(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[Any]:
        """The array, in which those spans of rows may be read; others may not."""
        if self._is_whole:
            return self._array
        filled = stops > starts
        first = starts[filled] * self._row_bytes // _BYTES_A_BLOCK
        last = (stops[filled] * self._row_bytes - 1) // _BYTES_A_BLOCK
        # Spans that have begun less those that have ended: above 0 within one.
        n_blocks = len(self._missing)
        begun = np.bincount(first, minlength=n_blocks + 1)
        ended = np.bincount(last + 1, minlength=n_blocks + 1)
        needed = np.cumsum(begun - ended)[:n_blocks] > 0
        self._fetch(np.flatnonzero(needed & self._missing))
        return self._array

    def whole(self) -> NDArray[Any]:
        """All of it, read-only."""
        if not self._is_whole:
            self._fetch(np.flatnonzero(self._missing))
            self._is_whole = True
        return self._array

    def _fetch(self, blocks: NDArray[np.int64]) -> None:
        # Without a lock: threads that read one block write the same proved bytes.
        if not len(blocks):
            return
        if 2 * len(blocks) > len(self._missing) and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # pages of 2 MiB come ten times as fast
                self._memory.madvise(mmap.MADV_HUGEPAGE)
        proofs = self._proofs.take(self._first_proof + blocks)
        for block, proof in zip(blocks.tolist(), proofs, strict=True):
            start = block * _BYTES_A_BLOCK
            data = self._read(block, proof.tobytes())
            self._bytes[start : start + len(data)] = np.frombuffer(data, np.uint8)
            self._missing[block] = False

    def _read(self, block: int, proof: bytes) -> bytes:
        """Bytes of a block, proved."""
        try:
            return self._read_proved(block, proof)
        except WordVectorsError as error:
            if self._mend is None:
                raise
            self._mend(str(error))
        self._open()
        return self._read_proved(block, proof)

    def _read_proved(self, block: int, proof: bytes) -> bytes:
        start = block * _BYTES_A_BLOCK
        n_bytes = min(_BYTES_A_BLOCK, self._n_bytes - start)
        try:
            data = _read_at(self._handle, start, n_bytes)
        except OSError as error:
            raise WordVectorsError(
                f"{self._path} cannot be read at byte {start} ({error}): get the "
                "vectors again."
            ) from error
        if len(data) == n_bytes and _digest_block(data) == proof:
            return data
        raise WordVectorsError(
            f"{self._path} is damaged: its bytes {start} to {start + n_bytes} are not "
            "those that were written (their digest differs): get the vectors again, or "
            "save them again."
        )

    def _open(self) -> None:
        """Keep the file open, so that one that takes its place changes nothing."""
        handle = _open_file(self._path, self._n_bytes)
        # Whoever reads through the old handle still may.
        weakref.finalize(self, os.close, handle)
        self._handle = handle


def read_digests(digests: bytes) -> HeldArray:
    """Rows of digests that lie one behind the other, as `BlockArray` takes them."""
    return HeldArray(np.frombuffer(digests, np.uint8).reshape(-1, BYTES_A_DIGEST))


def _empty_memory(n_bytes: int) -> mmap.mmap:
    if os.name == "nt":
        return mmap.mmap(-1, n_bytes)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    try:
        return mmap.mmap(-1, n_bytes, flags=flags)
    except OSError as error:
        raise MemoryError(f"{n_bytes} bytes cannot be had: {error}") from error


def _open_file(path: Path, n_bytes: int) -> int:
    """Handle of a file of that size."""
    found = "missing"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        state = path.stat()
        found = f"{state.st_size} bytes"
        if not stat.S_ISREG(state.st_mode):
            found = "no file"  # a pipe would wait, a device never end
        elif state.st_size == n_bytes:
            return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    raise WordVectorsError(
        f"{path} is {found}, but {n_bytes} bytes are expected: get the vectors again, "
        "or save them again."
    )


def _read_at(handle: int, start: int, n_bytes: int) -> bytes:
    if hasattr(os, "pread"):
        # Forked processes share the position of a file, which this leaves alone.
        return os.pread(handle, n_bytes, start)
    with _SEEKING:
        os.lseek(handle, start, os.SEEK_SET)
        return os.read(handle, n_bytes)
