"""Vectors kept in a folder, for all processes and runs that share it.

Processes lock the keys they compute, so that none does the work of another.

Each recipe has a folder of its own with segments in it: immutable files, each whole
from the moment it has its name. Nothing is ever changed in place, so that two writers
never meet, a killed one leaves nothing half done, and no lock is needed to read. Which
texts lost tokens is told by the keys of segments in a folder beside it, whose vectors
are of no use.

Measured: 723,000 reads of 384 floats a second; LMDB 390,000 to 550,000, SQLite 50,000
to 130,000. LMDB trusts its pages besides: a damaged file can end the process that maps
it, where here it is a text to encode again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from sktransfer.encoders.cache.memory import CacheInfo, MemoryStore
from sktransfer.encoders.cache.segments import (
    SMALL,
    Keys,
    Segment,
    SegmentError,
    choose_oldest,
    list_files,
    merge_small,
    name_segment,
    remove_unfinished,
    write_segment,
)
from sktransfer.exceptions import CacheWarning, warn

__all__ = ["DiskStore", "RecentStore", "disk_store", "lock_keys"]

# Locks of a recipe: so many processes can compute for it at the same time.
_N_SHARES = 4
# Keys of one lock: enough to fill batches, few enough that nobody waits for long.
_KEYS_A_LOCK = 1024
# Keys up to which it is not worth dividing them.
_FEW = 64
# Seconds after which it is better to do work twice than to go on waiting.
_PATIENCE = 120.0

# Another layout is another folder, so that versions never read each other's files. What
# earlier ones have left goes where room is needed, as nobody uses it any more.
_FOLDER = "sktransfer-vectors-2"
_EARLIER = ("sktransfer-vectors-1",)
# Ends the name of the folder of a recipe's texts that lost tokens.
_CUT = "-cut"
# More small files than this are merged into one.
_MANY = 32
# Seconds between two notes that a file was used, which decides what goes first.
_TOUCH = 60.0

# A call for more than this part of the memory would drive out what others ask for.
_MEMORY_SHARE = 4

_opening = threading.Lock()
_by_folder: dict[Path, RecentStore] = {}


def lock_keys(folder: Path, keys: Sequence[bytes]) -> Iterator[list[int]]:
    """Divide keys so that of several processes each has some that no other is at.

    A key belongs to a share by its last byte, and a share to the process that holds its
    lock; the system gives locks of a dead process back. Shares that another process
    holds come last. Yields positions in `keys`, each exactly once; the locks are held
    until the next are asked for. Another process may have been at them since: look
    again first.
    """
    shares = [key[-1] % _N_SHARES for key in keys]
    waiting: deque[tuple[list[int], list[int]]] = deque()
    if len(keys) <= _FEW:
        waiting.append((list(range(len(keys))), sorted(set(shares))))
    else:
        for share in range(_N_SHARES):
            mine = [position for position, own in enumerate(shares) if own == share]
            for start in range(0, len(mine), _KEYS_A_LOCK):
                waiting.append((mine[start : start + _KEYS_A_LOCK], [share]))
    n_refused = 0
    while waiting:
        positions, locks = waiting.popleft()
        patience = _PATIENCE if n_refused > len(waiting) else 0.0
        with contextlib.ExitStack() as held:
            try:
                # Always in the same order, so that no two wait for each other.
                for lock in locks:
                    path = folder / f"turn-{lock}.lock"
                    held.enter_context(FileLock(path, timeout=patience))
            except Timeout:
                if not patience:
                    waiting.append((positions, locks))
                    n_refused += 1
                    continue
            n_refused = 0
            yield positions


class DiskStore:
    """A store in a folder that forgets the files not used for longest.

    The folder is created if it is missing; `max_bytes` is the most space to take.
    """

    def __init__(self, folder: Path, max_bytes: int = 2**33) -> None:
        self.folder = folder / _FOLDER
        self._earlier = [folder / name for name in _EARLIER]
        self._max_bytes = max_bytes
        self._segments: dict[Path, Segment] = {}
        self._damaged: set[Path] = set()
        self._swept: set[Path] = set()
        self._touched: dict[Path, float] = {}
        self._hits = self._misses = 0
        self._lock = threading.RLock()

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
        found = np.zeros(len(keys), dtype=bool)
        if not len(keys):
            return found
        home, numbers = self._home(keys[0]), _numbers(keys)
        # In rising order a search finds what the last one has brought into the caches.
        order = np.argsort(numbers[:, 0])
        numbers = numbers[order]
        with self._lock:
            known = [self._segments[path] for path in self._of(home)]
            self._search(known, numbers, order, out, found)
            # The folder is listed only if something is missing: mostly nothing is.
            if not found.all():
                self._search(self._refresh(home), numbers, order, out, found)
            if cut is not None:
                self._search_cut(home, numbers, order, found, cut)
            if count:
                self._hits += int(found.sum())
                self._misses += int((~found).sum())
        return found

    def put_many(
        self,
        keys: Sequence[bytes],
        vectors: NDArray[np.float32],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keep each row of vectors (n, width); all keys are of one recipe."""
        # More than may be kept would drive out all else, and then itself.
        if not len(keys) or vectors.nbytes > self._max_bytes:
            return
        home, numbers = self._home(keys[0]), _numbers(keys)
        try:
            # First, so that whoever finds a vector finds what is told of it.
            if cut is not None and cut.any():
                nothing = np.zeros((int(cut.sum()), 1), dtype=np.float32)
                self._write(_cut_of(home), numbers[cut], nothing)
            self._write(home, numbers, vectors)
        except OSError as error:
            self._warn(f"cannot be written to ({error}); vectors are not kept")

    def _write(self, home: Path, numbers: Keys, vectors: NDArray[np.float32]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        write_segment(name_segment(home), numbers, vectors)
        with self._lock:
            self._tidy(home)

    def lock(self, keys: Sequence[bytes]) -> Iterator[list[int]]:
        """Yield positions of keys, in parts locked against other processes."""
        done = 0
        try:
            home = self._home(keys[0])
            home.mkdir(parents=True, exist_ok=True)
            for positions in lock_keys(home, keys):
                done += len(positions)
                yield positions
        except OSError as error:
            # Locks are taken before anything is computed, so that nothing is half done.
            if done:
                raise
            self._warn(f"cannot be written to ({error}); other processes do not wait")
            yield list(range(len(keys)))

    def cache_info(self) -> CacheInfo:
        """Counts of this process and sizes of the folder."""
        with self._lock:
            for home in self.folder.glob("*/"):
                self._refresh(home)
            return CacheInfo(
                hits=self._hits,
                misses=self._misses,
                n_vectors=sum(
                    segment.n
                    for path, segment in self._segments.items()
                    if not path.parent.name.endswith(_CUT)
                ),
                n_bytes=sum(size for _, size, _ in list_files(self.folder)),
                max_bytes=self._max_bytes,
            )

    def resize(self, max_bytes: int) -> None:
        """Change the bound for this process, and forget what no longer fits."""
        with self._lock:
            self._max_bytes = max_bytes
            self._evict()

    def clear(self) -> None:
        """Remove all vectors from the folder and start counting anew."""
        with self._lock:
            for _, _, path in self._list_all():
                self._remove(path)
            self._damaged.clear()
            self._hits = self._misses = 0

    def forget_other_threads(self) -> None:
        """Let go of a lock whose holder is not there any more, after a fork."""
        self._lock = threading.RLock()

    def _home(self, key: bytes) -> Path:
        return self.folder / key[:16].hex()

    def _of(self, home: Path) -> list[Path]:
        return [path for path in self._segments if path.parent == home]

    def _search(
        self,
        segments: Sequence[Segment],
        keys: Keys,
        order: NDArray[np.intp],
        out: NDArray[np.float32],
        found: NDArray[np.bool_],
    ) -> None:
        """Fill in what the segments hold of what is not found yet."""
        for segment in segments:
            waiting = ~found[order]
            if not waiting.any():
                return
            positions = segment.find(keys[waiting])
            wanted = order[waiting][positions >= 0]
            positions = positions[positions >= 0]
            if not len(wanted) or segment.width != out.shape[1]:
                continue
            try:
                segment.read(positions, out, wanted)
            except FileNotFoundError:  # merged or removed by another process since
                self._segments.pop(segment.path, None)
                continue
            except (SegmentError, OSError) as error:
                self._discard(segment.path, error)
                continue
            found[wanted] = True
            self._touch(segment.path)

    def _search_cut(
        self,
        home: Path,
        keys: Keys,
        order: NDArray[np.intp],
        found: NDArray[np.bool_],
        cut: NDArray[np.bool_],
    ) -> None:
        """Set `cut` for what was found and is among the texts that lost tokens."""
        for path in self._of(_cut_of(home)):
            there = order[self._segments[path].find(keys) >= 0]
            there = there[found[there]]
            if len(there):
                cut[there] = True
                self._touch(path)

    def _refresh(self, home: Path) -> list[Segment]:
        """Open segments that others have written since, and let go of those removed.

        Those that tell of its texts come after those that hold their vectors, since
        they were written before.
        """
        new = self._open_new(home)
        if not home.name.endswith(_CUT):
            self._open_new(_cut_of(home))
        return new

    def _open_new(self, home: Path) -> list[Segment]:
        if home not in self._swept:
            self._swept.add(home)
            remove_unfinished(home)
        there = {path for _, _, path in list_files(home)}
        for path in set(self._of(home)) - there:
            del self._segments[path]
        new = []
        for path in there - self._segments.keys() - self._damaged:
            try:
                self._segments[path] = Segment(path)
                new.append(self._segments[path])
            except FileNotFoundError:  # merged or removed by another process since
                continue
            except (SegmentError, OSError) as error:
                self._discard(path, error)
        return new

    def _discard(self, path: Path, error: Exception) -> None:
        """Go on without a damaged file, and have it out of the way."""
        is_cut = path.parent.name.endswith(_CUT)
        loss = (
            "that its texts were cut is not told"
            if is_cut
            else "its texts are encoded again"
        )
        self._warn(f"has a damaged file, {path.name} ({error}); {loss}")
        self._damaged.add(path)
        self._remove(path)

    def _remove(self, path: Path) -> None:
        self._segments.pop(path, None)
        try:
            path.unlink(missing_ok=True)
        except OSError:
            # A read-only folder, or on Windows a file that another process has mapped.
            self._damaged.add(path)

    def _touch(self, path: Path) -> None:
        now = time.monotonic()
        if now - self._touched.get(path, -_TOUCH) >= _TOUCH:
            self._touched[path] = now
            try:
                os.utime(path)
            except OSError:
                return

    def _tidy(self, home: Path) -> None:
        sizes = [size for _, size, path in list_files(home) if size < SMALL]
        if len(sizes) > _MANY:
            merge_small(home)
            self._refresh(home)
        self._evict()

    def _evict(self) -> None:
        for path in choose_oldest(self._list_all(), self._max_bytes):
            self._remove(path)

    def _list_all(self) -> list[tuple[float, int, Path]]:
        """Files of this layout and of earlier ones, oldest use first."""
        folders = [self.folder, *self._earlier]
        return sorted(itertools.chain.from_iterable(map(list_files, folders)))

    def _warn(self, what: str) -> None:
        warn(
            f"The cache {self.folder} {what}. The result is right, only slower.",
            CacheWarning,
        )


class RecentStore:
    """A store in a folder, and a bounded copy in memory of what was read from it.

    A grid search asks for the same texts a hundred times; from a folder each answer is
    searched, proved and copied. What was proved once is right for good, as a key names
    all that its vector depends on. Of the `max_bytes` of memory, what was not used for
    longest goes first.
    """

    def __init__(self, disk: DiskStore, max_bytes: int = 2**27) -> None:
        self.disk = disk
        self._memory = MemoryStore(max_bytes)
        self._most = max_bytes // _MEMORY_SHARE

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
        if out.nbytes > self._most:
            return self.disk.get_many(keys, out, count=count, cut=cut)
        found = self._memory.get_many(keys, out, count=count, cut=cut)
        if found.all():
            return found
        rest = np.flatnonzero(~found)
        wanted = [keys[index] for index in rest.tolist()]
        vectors = np.empty((len(rest), out.shape[1]), dtype=np.float32)
        lost = np.zeros(len(rest), dtype=bool)
        there = self.disk.get_many(wanted, vectors, count=count, cut=lost)
        out[rest[there]] = vectors[there]
        found[rest[there]] = True
        if cut is not None:
            cut[rest[lost]] = True
        read = [key for key, known in zip(wanted, there, strict=True) if known]
        self._memory.put_many(read, vectors[there], lost[there])
        return found

    def put_many(
        self,
        keys: Sequence[bytes],
        vectors: NDArray[np.float32],
        cut: NDArray[np.bool_] | None = None,
    ) -> None:
        """Keep each row of vectors (n, width); all keys are of one recipe."""
        self.disk.put_many(keys, vectors, cut)

    def lock(self, keys: Sequence[bytes]) -> Iterator[list[int]]:
        """Yield positions of keys, in parts locked against other processes."""
        return self.disk.lock(keys)

    def cache_info(self) -> CacheInfo:
        """Counts of this process and sizes of the folder."""
        info = self.disk.cache_info()
        return info._replace(hits=info.hits + self._memory.cache_info().hits)

    def resize(self, max_bytes: int) -> None:
        """Change the bound for this process, and forget what no longer fits."""
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
    """The store in a folder, one for the whole process."""
    path = Path(folder).expanduser().resolve()
    with _opening:
        if path not in _by_folder:
            _by_folder[path] = RecentStore(DiskStore(path))
        return _by_folder[path]


def _forget_other_threads() -> None:
    """After a fork the threads that held locks are not there any more."""
    global _opening
    _opening = threading.Lock()
    for store in _by_folder.values():
        store.forget_other_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def _cut_of(home: Path) -> Path:
    return home.with_name(home.name + _CUT)


def _numbers(keys: Sequence[bytes]) -> Keys:
    """Halves of the parts of keys that stand for texts, shape (n, 2)."""
    joined = np.frombuffer(b"".join(keys), ">u8").reshape(len(keys), -1)
    return joined[:, 2:].astype(np.uint64)
