"""Files and folders that are either whole or not there.

Whatever the package writes goes to a temporary name beside its destination, is flushed
to the disk, and is then renamed: a killed process or a full disk leaves the old state,
never half of the new one. This module knows files and digests, and no estimator.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from filelock import FileLock

from sktransfer.exchange import exchange
from sktransfer.turns import hidden_name, remove_whole, take_turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DigestedReader",
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
_MOST_KNOWN = 256
_KNOWN: dict[tuple[object, ...], str] = {}


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
    known = _Known(path, path.stat())
    if found := known.find():
        return found
    with path.open("rb") as file:
        known = _Known(path, os.fstat(file.fileno()))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        known.keep(digest, os.fstat(file.fileno()))
    return digest


class DigestedReader:
    """Reads an open file from its beginning, and tells the digest of what was read.

    It is of these very bytes, whatever becomes of the file meanwhile. It is remembered
    as `digest_file` does, for files that nobody changes.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self._handle = handle
        self._known = _Known(path.resolve(), os.fstat(handle))
        self._found = self._known.find()
        self._hash = None if self._found else hashlib.sha256()
        self.size = os.fstat(handle).st_size

    def read(self, n_bytes: int) -> NDArray[np.uint8]:
        """So many of the next bytes, or all that are left where those are fewer."""
        import numpy as np

        content, n_read = np.empty(n_bytes, np.uint8), 0
        with io.FileIO(self._handle, closefd=False) as file:
            while n_new := file.readinto(content[n_read:].data):
                n_read += n_new
        if self._hash is not None:
            self._hash.update(content[:n_read].data)
        return content[:n_read]

    def digest(self) -> str:
        """SHA-256 of what was read, which is all; empty if the file was changed."""
        state = os.fstat(self._handle)
        if self._hash is None:
            is_same = _facts(state) == self._known.facts
            return self._found or "" if is_same else ""
        digest = self._hash.hexdigest()
        self._known.keep(digest, state)
        return digest


def _facts(state: os.stat_result) -> tuple[int, ...]:
    times = (state.st_mtime_ns, state.st_ctime_ns)
    return (state.st_ino, state.st_size, *times, state.st_dev)


class _Known:
    """What is known of a file in the state that it has now."""

    def __init__(self, path: Path, state: os.stat_result) -> None:
        self.path, self.facts = path, _facts(state)
        # Of two writes within a tick of the clock the second leaves the times as they
        # are. The system sets the one that counts, but on Windows.
        changed = state.st_mtime if os.name == "nt" else state.st_ctime
        self.is_settled = time.time() - changed >= _SETTLED
        self.is_large = state.st_size >= _WORTH_A_NOTE

    def find(self) -> str | None:
        """The digest that was kept in this state."""
        if not self.is_settled:
            return None
        key = (self.path, *self.facts)
        if key not in _KNOWN and self.is_large and (note := self._note()):
            noted = _read_note(note)
            if noted is not None:
                _remember(key, noted)
        return _KNOWN.get(key)

    def keep(self, digest: str, state: os.stat_result) -> None:
        """Keep a digest, if the file was in one state while it was read."""
        if not self.is_settled or _facts(state) != self.facts:
            return
        _remember((self.path, *self.facts), digest)
        if self.is_large and (note := self._note()):
            # A cache that cannot be written to costs time only.
            with contextlib.suppress(OSError), write_file_beside(note) as beside:
                beside.write_text(_seal(note, digest), encoding="ascii")

    def _note(self) -> Path | None:
        """Where the digest is noted, if it may be."""
        try:
            folder = cache_folder("digests")
            if not _is_own(folder):
                return None
        except OSError:
            return None
        facts = (str(self.path), *self.facts[:-1])
        return folder / hashlib.sha256(repr(facts).encode()).hexdigest()


def _remember(key: tuple[object, ...], digest: str) -> None:
    while len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.pop(next(iter(_KNOWN)), None)
    _KNOWN[key] = digest


def _is_own(path: Path) -> bool:
    """Whether nobody but this user may put anything into a folder, or ever might."""
    if os.name == "nt":
        return True
    state = path.stat()
    if state.st_uid == os.geteuid() and state.st_mode & 0o022:
        path.chmod(0o700)
    return state.st_uid == os.geteuid()


def _read_note(note: Path) -> str | None:
    """The digest in a note; None where there is none, or it is not of this user."""
    try:
        with note.open(encoding="ascii") as file:
            if os.name != "nt" and os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            content = file.read(200)
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

    An error inside the block removes the temporary file and leaves `path` as it was. Of
    several writers the last one wins. The folder must exist.
    """
    with take_turn(path, alone=False):
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
def write_folder_beside(
    path: Path, *, check: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on leaving, it becomes `path`.

    At every moment either the old or the new one is complete at `path`, where the
    system can exchange folders. Elsewhere a kill between two renames leaves the old one
    under a hidden name, from where the next writer, or `turns.put_back`, puts it back.
    A link stays, and what it points to is replaced. Another writer is waited for, with
    a TimeoutError in the end.

    `check` is called with the old folder in its last state, out of the way of others,
    before it is removed; where it raises an error, all stays as it was.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_replaceable(path)
    with take_turn(path, alone=True):
        beside = _make_beside(path, os.mkdir)
        made, is_done = beside.stat(), False
        try:
            yield beside
            for entry in sorted(beside.rglob("*"), reverse=True):
                _give_mode(entry, made.st_mode)
                _flush(entry)
            _flush(beside)
            if path.exists():
                _replace_folder(beside, path, check)
            else:
                _move_folder(beside, path)
            is_done = True
        finally:
            # Once done it is the old one; else it could be that, where no step works.
            if is_done or _is_same(beside, made):
                remove_whole(beside)


def _is_same(path: Path, state: os.stat_result) -> bool:
    return path.exists() and os.path.samestat(path.stat(), state)


def _check_replaceable(path: Path) -> None:
    """Refuse to replace what is no folder, or one that this user may not remove."""
    if not path.exists():
        return
    if not path.is_dir():
        number = errno.ENOTDIR
        raise NotADirectoryError(number, "a file is in the way of a folder", str(path))
    is_own = os.name == "nt" or path.stat().st_uid == os.geteuid()
    if not is_own and not os.access(path, os.W_OK | os.X_OK):
        what = "it belongs to another user, who alone may change it"
        raise PermissionError(errno.EACCES, what, str(path))


def _move_folder(beside: Path, path: Path) -> None:
    beside.rename(path)
    try:
        _flush(path.parent)
    except OSError:
        path.rename(beside)
        raise


def _replace_folder(
    beside: Path, path: Path, check: Callable[[Path], None] | None
) -> None:
    """Put a new folder in the place of an old one, which is removed."""
    if exchange(beside, path):
        try:
            if check is not None:
                check(beside)
            _flush(path.parent)
        except BaseException:
            exchange(beside, path)
            raise
        return
    retired = beside.with_name(beside.name + ".old")
    path.rename(retired)
    try:
        if check is not None:
            check(retired)
        _move_folder(beside, path)
    except BaseException:
        retired.rename(path)
        raise
    remove_whole(retired)


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
        beside = hidden_name(path, secrets.token_hex(4))
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
