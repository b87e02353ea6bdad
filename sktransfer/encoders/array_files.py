"""Vectors of more texts than memory holds, written to a file that can be gone on with.

The file is an ordinary ``.npy``, which is `Unfinished` until it is complete. It has its
full size from the start, so that a disk without room shows at once. The notes hold two
hashes of each block that is done, of its texts and of the bytes of its vectors: what
does not have both is computed again. Who writes holds a claim on the part, so that a
second call for the same file is refused, and a killed one is not in the way.

Shapes: n texts, w numbers in a vector.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sktransfer.encoders.cache.claims import claim
from sktransfer.exceptions import FileError, InvalidInputError
from sktransfer.storage import Unfinished, is_filled, read_json

__all__ = ["names_beside", "write_vectors"]

_BLOCK = 8192
_FACTS = frozenset({"digest", "shape", "blocks"})
# What systems answer that cannot reserve room.
_NO_RESERVATIONS = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV}


def write_vectors(
    texts: Iterable[str],
    n_texts: int,
    path: Path,
    *,
    width: int,
    digest: str,
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Write the vector of each text to a memory-mapped array, a block at a time.

    Blocks of the same texts that an earlier call had completed are kept, if the digest
    of what turns texts into vectors, of shape (n, width), is the same. The answer is
    the array, read-only. Fewer or more than `n_texts` are an `InvalidInputError`, and
    so are a file of somebody else's where the array is made, and another call that
    makes it; a disk without room is an `FileError`.
    """
    shape = (n_texts, width)
    with _claim_part(path) as (unfinished, file):
        part = _Part(unfinished, file, digest, shape)
        with _writing(path):
            part.begin()
        done = 0
        source = iter(texts)
        while block := list(itertools.islice(source, _BLOCK)):
            if done + len(block) > n_texts:
                raise InvalidInputError(
                    f"X holds more than the {n_texts} texts that were announced: pass "
                    "their number as n_texts, or X as a list."
                )
            own = _hash(block)
            if not part.has(done, len(block), own):
                vectors = np.ascontiguousarray(encode(block), dtype="<f4")
                with _writing(path):
                    part.add(done, vectors, own)
            done += len(block)
        if done < n_texts:
            raise InvalidInputError(
                f"X holds {done} texts, but {n_texts} were announced as n_texts: pass "
                "their number, or X as a list."
            )
        with _writing(path):
            part.finish(path)
    written: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return written


class _Part:
    """An array on its way into a file that is claimed.

    Attributes
    ----------
    hashes : list of str
        Of the blocks that are done, those of an earlier call included: of their texts,
        and of the bytes of their vectors.
    """

    def __init__(
        self, unfinished: Unfinished, file: FileIO, digest: str, shape: tuple[int, int]
    ) -> None:
        self._unfinished, self._file = unfinished, file
        self._digest, self._shape = digest, shape
        beginning = io.BytesIO()
        fields = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(beginning, fields)
        self._header = beginning.getvalue()
        self.hashes = self._read_hashes()

    def begin(self) -> None:
        """Have the file at its full size, and the notes for what it will hold."""
        size = len(self._header) + 4 * self._shape[0] * self._shape[1]
        try:
            os.ftruncate(self._file.fileno(), size)
            _reserve(self._file, size)
        except OSError:
            if not self.hashes:  # a part that holds nothing would take the room
                os.ftruncate(self._file.fileno(), 0)
            raise
        self._put(0, self._header)
        self._note()

    def has(self, first: int, n_rows: int, texts: str) -> bool:
        """Whether the rows from `first` on are those of texts with that hash."""
        number = first // _BLOCK
        noted = "".join(self.hashes[number : number + 1])
        if not noted.startswith(f"{texts} "):
            return False
        self._file.seek(self._place(first))
        n_bytes = 4 * n_rows * self._shape[1]
        content = self._file.read(n_bytes)
        return len(content) == n_bytes and noted == f"{texts} {_digest(content)}"

    def add(self, first: int, vectors: NDArray[np.float32], texts: str) -> None:
        """Put a block on the disk, and then into the notes."""
        content = vectors.tobytes()
        self._put(self._place(first), content)
        os.fsync(self._file.fileno())
        del self.hashes[first // _BLOCK :]
        self.hashes.append(f"{texts} {_digest(content)}")
        self._note()

    def finish(self, path: Path) -> None:
        """Give the whole file its name, and remove the notes."""
        os.fsync(self._file.fileno())
        if os.name == "nt":  # what is open cannot be renamed there
            self._file.close()
        self._unfinished.part.replace(path)
        self._unfinished.notes.unlink(missing_ok=True)

    def _place(self, first: int) -> int:
        return len(self._header) + 4 * first * self._shape[1]

    def _put(self, offset: int, content: bytes) -> None:
        self._file.seek(offset)
        left = memoryview(content)
        while left:
            left = left[self._file.write(left) :]

    def _note(self) -> None:
        self._unfinished.write_notes(
            digest=self._digest, shape=self._shape, blocks=self.hashes
        )

    def _read_hashes(self) -> list[str]:
        """Those of the notes; none if they are of something else."""
        notes = _read_notes(self._unfinished)
        if notes is None or (notes["digest"], notes["shape"]) != (
            self._digest,
            [*self._shape],
        ):
            return []
        blocks = notes["blocks"]
        whole = isinstance(blocks, list) and all(isinstance(one, str) for one in blocks)
        return blocks if whole else []


def _reserve(file: FileIO, size: int) -> None:
    """Have the system set room aside, where it can."""
    if not size or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _NO_RESERVATIONS:
            raise


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say which file it was that could not be written."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error.strerror or error}): make room or name "
            "a file elsewhere. What is done is kept beside it, and the same call goes "
            "on with it."
        ) from error


@contextlib.contextmanager
def _claim_part(path: Path) -> Iterator[tuple[Unfinished, FileIO]]:
    """The part of a file, which this call alone writes to until it is left."""
    unfinished = Unfinished(*names_beside(path), _FACTS)
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder: name a file for the vectors.")
    if not path.parent.is_dir():
        raise InvalidInputError(
            f"There is no folder {path.parent} to write {path.name} to: make it, or "
            "name a file elsewhere."
        )
    while True:
        _refuse_foreign(unfinished)
        with _open_part(unfinished, path) as file:
            if not claim(file):
                raise InvalidInputError(
                    f"Another call is writing {path} at this moment: wait until it is "
                    "done, or name another file for the vectors."
                )
            # The call that had claimed it may have finished since.
            if _is_at(file, unfinished.part):
                yield unfinished, file
                return


def _open_part(unfinished: Unfinished, path: Path) -> FileIO:
    """The part, made if it is not there; never what a link leads to."""
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):
        flags |= getattr(os, name, 0)
    with _writing(path):
        # Notes first: they tell that the part is none of somebody else's.
        if _read_notes(unfinished) is None:
            unfinished.write_notes(digest="", shape=[], blocks=[])
        if unfinished.part.is_symlink():
            raise _in_the_way(unfinished.part)
        return FileIO(os.open(unfinished.part, flags, 0o666), "r+b")


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _refuse_foreign(unfinished: Unfinished) -> None:
    """Raise an error where there is a file that no call has left."""
    for place in (unfinished.notes, unfinished.part):
        if os.path.lexists(place) and not stat.S_ISREG(place.lstat().st_mode):
            raise _in_the_way(place)
    if _read_notes(unfinished) is not None:
        return
    for place in filter(is_filled, (unfinished.notes, unfinished.part)):
        if place != unfinished.notes or _is_json(place):  # nobody misses damaged ones
            raise _in_the_way(place)


def _in_the_way(place: Path) -> InvalidInputError:
    return InvalidInputError(
        f"{place} is in the way, and was not left by an interrupted call: move it, or "
        "name another file for the vectors."
    )


def _read_notes(unfinished: Unfinished) -> dict[str, Any] | None:
    try:
        return unfinished.read_notes()
    except RecursionError:  # brackets in brackets
        return None


def names_beside(path: Path) -> tuple[Path, Path]:
    """Files that stand beside an array while it is made: a part, and notes."""
    part, notes = (path.with_name(path.name + end) for end in (".part", ".part.json"))
    return part, notes


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except (OSError, ValueError, RecursionError):
        return False
    return True


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _hash(texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
