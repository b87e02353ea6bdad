"""Files of vectors that are written once and proved before they are believed.

Small ones are merged, and the oldest removed, so that a folder has few files and no
more bytes than it may have.

A segment is a header, keys in rising order, a checksum for each vector, and the vectors
as one matrix. Header, keys and checksums are proved when the file is opened, a vector
when it is read: what is truncated or garbled is missing, never wrong. Shapes: n vectors
in a segment, w numbers in a vector, m keys looked for.

Every change is a new whole file or the removal of one, so that it may stop anywhere.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import struct
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sktransfer.storage import write_file_beside

__all__ = [
    "KEY_BYTES",
    "SMALL",
    "Segment",
    "SegmentError",
    "choose_oldest",
    "list_files",
    "merge_small",
    "name_segment",
    "write_segment",
]

KEY_BYTES = 16

_MAGIC = b"sktvec01"
_HEADER = struct.Struct("<8sQQ32s8x")
_CHUNK = 8192

Keys = NDArray[np.uint64]

# Bytes from which on a file is left as it is.
SMALL = 2**24
# Seconds after which a file that nobody has finished is one of a killed process.
_ABANDONED = 3600.0


class SegmentError(Exception):
    """A file is not a whole segment; callers go on without it."""


class Segment:
    """A file that `write_segment` wrote, mapped into memory.

    Raises SegmentError if it is not whole, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size or header[:8] != _MAGIC:
                raise SegmentError("it does not begin as one of this version")
            _, n, width, digest = _HEADER.unpack(header)
            self._size = _size(n, width)
            if os.fstat(file.fileno()).st_size != self._size:
                raise SegmentError("its length is not what its header says")
            index = file.read(n * (KEY_BYTES + 8))
        if _digest(n, width, index) != digest:
            raise SegmentError("its keys are damaged")
        self.n = int(n)
        self.width = int(width)
        self.keys = _as_numbers(index[: n * KEY_BYTES])
        self._sums = np.frombuffer(index, "<u8", offset=n * KEY_BYTES)
        self._vectors = np.memmap(
            path, "<f4", mode="r", offset=_HEADER.size + len(index), shape=(n, width)
        )

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Where keys (m, 2) of `write_segment`'s form are; -1 where one is not."""
        found = np.searchsorted(self.keys[:, 0], keys[:, 0])
        found = np.minimum(found, self.n - 1)
        return np.where((self.keys[found] == keys).all(axis=1), found, -1)

    def read(
        self,
        positions: NDArray[np.int64],
        out: NDArray[np.float32],
        rows: NDArray[np.int64],
    ) -> None:
        """Copy vectors, each proved, to these rows of `out`.

        `positions` (m,) are as `find` returned them, without -1. Raises SegmentError if
        a vector is damaged, or the file was cut since it was opened.
        """
        # Reading a map beyond the end of its file would end the process. A file that
        # another process has removed meanwhile is still whole in the map.
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size != self._size:
                raise SegmentError("it was changed after it was opened")
        for start in range(0, len(positions), _CHUNK):
            chunk = positions[start : start + _CHUNK]
            part = self._vectors[chunk]
            if not np.array_equal(
                _checksums(self.keys[chunk], part), self._sums[chunk]
            ):
                raise SegmentError("vectors in it are damaged")
            out[rows[start : start + _CHUNK]] = part


def write_segment(path: Path, keys: Keys, vectors: NDArray[np.float32]) -> None:
    """Write vectors (n, w) to a new file, which is there whole or not at all.

    `keys` (n, 2) are the halves of keys of 16 bytes, big-endian.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys, vectors = keys[order], vectors[order].astype("<f4", copy=False)
    index = keys.astype(">u8").tobytes() + _checksums(keys, vectors).tobytes()
    n, width = vectors.shape
    header = _HEADER.pack(_MAGIC, n, width, _digest(n, width, index))
    with write_file_beside(path) as beside, beside.open("wb") as file:
        file.write(header)
        file.write(index)
        file.write(vectors.data)


def _as_numbers(keys: bytes) -> Keys:
    return np.frombuffer(keys, ">u8").reshape(-1, 2).astype(np.uint64)


def _size(n: int, width: int) -> int:
    return int(_HEADER.size + n * (KEY_BYTES + 8 + 4 * width))


def _digest(n: int, width: int, index: bytes) -> bytes:
    sizes = struct.pack("<8sQQ", _MAGIC, n, width)
    return hashlib.blake2b(sizes + index, digest_size=32).digest()


def _checksums(keys: Keys, vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """A number for each vector under its key: any one changed word changes it."""
    if vectors.shape[1] % 2:
        vectors = np.pad(vectors, ((0, 0), (0, 1)))
    # Words of 8 bytes: twice as fast as words of 4.
    words = np.ascontiguousarray(vectors).view("<u8")
    sums: NDArray[np.uint64] = (words @ _factors(words.shape[1])) ^ keys[:, 0]
    return sums.astype("<u8", copy=False)


@functools.lru_cache(maxsize=16)
def _factors(width: int) -> NDArray[np.uint64]:
    # Odd, so that no multiple of them by a word is 0 modulo 2 ** 64.
    noise = hashlib.shake_128(_MAGIC).digest(8 * width)
    return np.frombuffer(noise, "<u8").astype(np.uint64) | np.uint64(1)


def name_segment(home: Path) -> Path:
    """A path in a recipe's folder that no other process will choose."""
    return home / f"{uuid.uuid4().hex}.vec"


def list_files(folder: Path) -> list[tuple[float, int, Path]]:
    """Time of last use in seconds, size and path of segments, oldest use first."""
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
    """Choose what must go for the rest to take no more than `max_bytes`.

    Empty where all fit; else a tenth more than needed goes, so that not every new file
    removes an old one.
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
    """Put small segments of a recipe into one: each costs a search at every look-up.

    Nothing happens where another process is at it, or where a file is damaged; who
    reads that one will find out.
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
