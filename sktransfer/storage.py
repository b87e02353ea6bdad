"""Files and folders that are either whole or not there.

Whatever the package writes goes to a temporary name beside its destination, is flushed
to the disk, and is then renamed: a killed process or a full disk leaves the old state,
never half of the new one. This module knows files and digests, and no estimator.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

__all__ = [
    "Unfinished",
    "cache_folder",
    "digest_file",
    "is_filled",
    "locked",
    "read_json",
    "write_file_beside",
    "write_folder_beside",
    "write_json",
]

# Bytes from which on reading a file takes longer than reading a note about it, and
# seconds for which it must have been left alone.
_WORTH_A_NOTE = 2**22
_SETTLED = 2.0


def cache_folder(*parts: str) -> Path:
    """Folder for what can be made again, created if it is missing.

    Below the environment variable ``SKTRANSFER_CACHE`` where it is set, else below the
    operating system's cache folder of the user.
    """
    root = os.environ.get("SKTRANSFER_CACHE") or platformdirs.user_cache_dir(
        "sktransfer", appauthor=False
    )
    folder = Path(root).expanduser().joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal.

    The digest is remembered for as long as the file's inode, size and both times stay
    as they are, of which the system alone sets one, so asking again costs one look at
    the folder. Those of large files are noted in the user's cache for other processes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sktransfer.storage import digest_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "empty")
    ...     path.touch()
    ...     digest_file(path)[:8]
    'e3b0c442'
    """
    path = path.resolve()
    state = path.stat()
    facts = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return _digest_file(path, *facts)


@functools.lru_cache(maxsize=256)
def _digest_file(
    path: Path, inode: int, size: int, mtime_ns: int, ctime_ns: int
) -> str:
    note = _note_of_digest(path) if size >= _WORTH_A_NOTE else None
    if note is not None and (noted := _read_note(note)):
        return noted
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A cache that cannot be written to costs time only.
    with contextlib.suppress(OSError):
        if note is not None and note == _note_of_digest(path):
            with write_file_beside(note) as beside:
                beside.write_text(_seal(note, digest), encoding="ascii")
    return digest


def _note_of_digest(path: Path) -> Path | None:
    """Where the digest of a file in its present state is noted, if it may be."""
    state = path.stat()
    # Of two writes within a tick of the clock the second leaves the times as they are.
    if time.time() - max(state.st_mtime, state.st_ctime) < _SETTLED:
        return None
    facts = (str(path), state.st_ino, state.st_size, state.st_mtime_ns)
    name = hashlib.sha256(repr((*facts, state.st_ctime_ns)).encode()).hexdigest()
    try:
        return cache_folder("digests") / name
    except OSError:
        return None


def _read_note(note: Path) -> str | None:
    """The digest in a note; None where there is none or it is damaged."""
    try:
        content = note.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return content[:64] if content == _seal(note, content[:64]) else None


def _seal(note: Path, digest: str) -> str:
    proof = hashlib.sha256(f"{note.name} {digest}".encode()).hexdigest()
    return f"{digest} {proof}\n"


@contextlib.contextmanager
def locked(path: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock that other processes of this machine respect.

    It is a file beside what is about to be made, ending in ``.lock``. After `timeout`
    seconds ``filelock.Timeout`` is raised; a negative number waits for good.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock"), timeout=timeout):
        yield


@contextlib.contextmanager
def write_file_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on leaving, it becomes `path`.

    An error inside the block removes the temporary file and leaves `path` as it was.
    The folder must exist.
    """
    beside = _make_beside(path, _make_file)
    usual = beside.stat().st_mode
    try:
        yield beside
        _give_mode(beside, usual)
        _flush(beside)
        beside.replace(path)
        _flush(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on leaving, it becomes `path`.

    A folder already at `path` is moved away first and removed last, so that at every
    moment either the old or the new one is complete on the disk. A process that is
    killed between the two renames leaves nothing at `path`, and the old folder beside
    it under a hidden name that ends in ``.old``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _make_beside(path, os.mkdir)
    usual = beside.stat().st_mode
    retired = beside.with_name(beside.name + ".old")
    try:
        yield beside
        for entry in sorted(beside.rglob("*"), reverse=True):
            _give_mode(entry, usual)
            _flush(entry)
        _flush(beside)
        if path.exists():
            path.rename(retired)
        beside.rename(path)
        _flush(path.parent)
    finally:
        if retired.exists() and not path.exists():
            retired.rename(path)
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


@dataclass(frozen=True)
class Unfinished:
    """What a killed run leaves of a file that takes long to make, to go on with.

    Notes say how much of the part counts, and what it is of. They are written after the
    part is on the disk, so that they never promise too much, and for the first time
    before there is any: files of these names without such notes are somebody else's.

    Attributes
    ----------
    part : pathlib.Path
        What becomes the file once it is complete.
    notes : pathlib.Path
        A small JSON beside it.
    keys : frozenset of str
        Of the notes.
    """

    part: Path
    notes: Path
    keys: frozenset[str]

    def read_notes(self) -> dict[str, Any] | None:
        """Notes of an earlier run; None where there are none of this kind."""
        try:
            found = read_json(self.notes)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.keys() == self.keys else None

    def write_notes(self, **notes: object) -> None:
        """Replace the notes."""
        with write_file_beside(self.notes) as beside:
            write_json(beside, notes)

    def find_foreign(self) -> list[Path]:
        """Those of both files that no run has left, and that are not empty."""
        ours = self.read_notes() is not None
        return [] if ours else list(filter(is_filled, (self.notes, self.part)))


def is_filled(path: Path) -> bool:
    """Whether something is there other than an empty file."""
    return path.exists() and not (path.is_file() and path.stat().st_size == 0)


def read_json(path: Path) -> Any:
    """Content of a JSON file in UTF-8."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as JSON that is pleasant to read and to compare.

    Call it inside one of the ``write_..._beside`` blocks. NaN is refused, as JSON has
    none.
    """
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    """Have the operating system put a file, or a folder's list of names, on disk."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_beside(path: Path, make: Callable[[Path], None]) -> Path:
    """Make a hidden neighbour of `path`, which is nobody else's.

    Unlike tempfile, which lets the owner alone read, this leaves the mode to the
    system: it knows the umask, which the process can only read by changing it, under
    the eyes of its other threads.
    """
    while True:
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(FileExistsError):
            make(beside)
            return beside


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _give_mode(path: Path, usual: int) -> None:
    """Let those read who may read what the system made with the mode `usual`.

    Some libraries, safetensors among them, make files that their owner alone can read.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    bits = 0o777 if path.is_dir() else 0o666
    wanted = (mode & ~bits) | (usual & bits)
    if wanted != mode:
        path.chmod(wanted)
