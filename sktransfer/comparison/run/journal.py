"""A journal of finished work: one line of JSON a fold, safe against kill -9.

A line is appended, flushed and put on disk before the next fold begins. Each has a
digest, so that one that was cut short, or changed, is seen and its work done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import IO, Any

from filelock import Timeout
from sklearn.utils import check_random_state

from sktransfer.bundles.folders import OF_SYSTEMS, check_place
from sktransfer.exceptions import (
    InvalidParameterError,
    ModelFolderError,
    SktransferWarning,
)
from sktransfer.storage import locked

__all__ = [
    "JOURNAL",
    "Journal",
    "draw_seed",
    "forget_comparison",
    "in_use",
    "is_journal",
    "list_own_files",
    "open_journal",
    "recorded_seed",
]

_FORMAT = 1
JOURNAL = "journal.jsonl"
# How the first line goes on behind its digest.
_HEAD = b' {"entry":"header",'
_HEX = frozenset(b"0123456789abcdef")

_LOCK = f"{JOURNAL}.lock"
_MODEL = re.compile(r"sources/[0-9a-f]{16}")
# Models that a killed process was writing or replacing; vectors, and their locks.
_UNFINISHED = r"sources/\.[0-9a-f]{16}\.\w{8}(\.old)?/[^/]+"
_VECTORS = (
    r"vectors/sktransfer-vectors-\d+/[0-9a-f]{32}/"
    r"([0-9a-f]{32}\.vec|\.[0-9a-f]{32}\.vec\.\w{8}|(turn-\d+|merge)\.lock)"
)
_BY_NAME = re.compile(f"{_UNFINISHED}|{_VECTORS}")


class Journal:
    """Entries of a comparison, in memory and, where there is a folder, on disk.

    Parameters
    ----------
    file : file object or None, default=None
        To append to.
    entries : list of dict, default=()
        What an earlier run has left.

    Attributes
    ----------
    entries : list of dict
        In the order of writing.
    """

    def __init__(
        self, file: IO[bytes] | None = None, entries: list[dict[str, Any]] | None = None
    ) -> None:
        self._file = file
        self.entries = list(entries or [])

    def write(self, entry: dict[str, Any]) -> None:
        """Add an entry; it is on the disk when this returns.

        Parameters
        ----------
        entry : dict
            What JSON can hold.
        """
        self.entries.append(entry)
        if self._file is not None:
            self._file.write(_seal(entry))
            self._file.flush()
            os.fsync(self._file.fileno())

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Entries with that value of "entry".

        Parameters
        ----------
        kind : str

        Returns
        -------
        entries : list of dict
        """
        return [entry for entry in self.entries if entry["entry"] == kind]


@contextlib.contextmanager
def open_journal(folder: Path | None, settings: Mapping[str, Any]) -> Iterator[Journal]:
    """Open the journal in a folder, a new one or one to go on with.

    Parameters
    ----------
    folder : pathlib.Path or None
        Created if it is missing; None keeps entries in memory only.
    settings : mapping of str to str, int, float, None
        What must be the same for entries to be used again.

    Yields
    ------
    journal : Journal

    Raises
    ------
    InvalidParameterError
        If the folder's journal is of other data or settings, or is in use, or if
        something else has its name.
    """
    if folder is None:
        yield Journal()
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    try:
        with locked(path, timeout=0):
            if not is_journal(path):
                raise _not_ours(path)
            entries, n_bytes = _read(path)
            header = {"entry": "header", "format": _FORMAT, "settings": dict(settings)}
            if entries:
                _check_header(entries[0], header, path)
            with path.open("ab") as file:
                # What follows the last whole line was cut short.
                file.truncate(n_bytes)
                journal = Journal(file, entries)
                if not entries:
                    journal.write(header)
                yield journal
    except Timeout as error:
        raise in_use(folder) from error


def recorded_seed(folder: Path | None) -> int | None:
    """Return the seed that a comparison without `random_state` has drawn before.

    Parameters
    ----------
    folder : pathlib.Path or None
        Of its journal.

    Returns
    -------
    seed : int or None
        None where there is no journal.
    """
    if folder is None or not (entries := _read(folder / JOURNAL)[0]):
        return None
    seed = entries[0].get("settings", {}).get("random_state")
    return seed if isinstance(seed, int) else None


def is_journal(path: Path) -> bool:
    """Whether a file is a journal, or the torn beginning of one.

    Parameters
    ----------
    path : pathlib.Path
        It may be missing: that is where a journal begins.

    Returns
    -------
    is_journal : bool
    """
    if not os.path.lexists(path):
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        line = file.readline()
    if line.endswith(b"\n"):
        digest, _, body = line[:-1].partition(b" ")
        return digest == _digest(body) and (b" " + body).startswith(_HEAD)
    return _HEX.issuperset(line[:16]) and _HEAD.startswith(line[16 : 16 + len(_HEAD)])


def in_use(folder: Path) -> InvalidParameterError:
    """Error for a folder in which another comparison is running.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    error : InvalidParameterError
    """
    return InvalidParameterError(
        f"folder={str(folder)!r} is in use by another comparison: wait for it, or "
        "name another folder."
    )


def _not_ours(path: Path) -> InvalidParameterError:
    return InvalidParameterError(
        f"{path} was not written by this version of compare_strategies: name another "
        "folder, or move it away."
    )


def _seal(entry: dict[str, Any]) -> bytes:
    body = json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode()
    return _digest(body) + b" " + body + b"\n"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Intact lines of a journal, and where the last whole line ends."""
    if not path.exists():
        return [], 0
    entries, n_bytes, n_damaged = [], 0, 0
    content = path.read_bytes()
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        digest, _, body = line[:-1].partition(b" ")
        n_bytes += len(line)
        if digest == _digest(body):
            entries.append(json.loads(body))
        else:
            n_damaged += 1
    if n_damaged:
        warnings.warn(
            f"{path} has {n_damaged} damaged lines: what they told is done again.",
            SktransferWarning,
            stacklevel=4,
        )
    return entries, n_bytes


def _check_header(found: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    if found.get("entry") != "header" or found.get("format") != _FORMAT:
        raise _not_ours(path)
    old, new = found["settings"], expected["settings"]
    others = [name for name in new if old.get(name) != new[name]]
    if others:
        told = "; ".join(
            f"{name} was {_shorten(old.get(name))} and is {_shorten(new[name])}"
            for name in others
        )
        raise InvalidParameterError(
            f"folder={str(path.parent)!r} holds another comparison, which cannot be "
            f"gone on with: {told}. Name another folder, or delete this one."
        )


def _shorten(value: Any) -> str:
    told = str(value)
    return told if len(told) <= 24 else told[:12] + "..."


def list_own_files(folder: Path) -> list[Path]:
    """List what a comparison has left in its folder.

    Parameters
    ----------
    folder : pathlib.Path
        That was passed to `compare_strategies`; it may be missing.

    Returns
    -------
    files : list of pathlib.Path
        The journal, models of the source, vectors, and locks.

    Raises
    ------
    InvalidParameterError
        If there is anything else in the folder.
    """
    own, others = [], []
    for name in _list_files(folder):
        if _is_own(folder, name):
            own.append(folder / name)
        elif Path(name).name not in OF_SYSTEMS:
            others.append(name)
    if others:
        more = ", ..." if len(others) > 3 else ""
        raise InvalidParameterError(
            f"{str(folder)!r} holds {', '.join(map(repr, others[:3]))}{more}, which no "
            "comparison has left there, so nothing in it is removed: move that away, "
            "or name another folder."
        )
    return own


def forget_comparison(folder: Path) -> None:
    """Remove what a comparison has left in its folder, so that the next begins anew.

    Parameters
    ----------
    folder : pathlib.Path
        That was passed to `compare_strategies`; it may be missing.

    Raises
    ------
    InvalidParameterError
        If there is anything else in the folder, or if a comparison is using it. Then
        nothing is removed.
    """
    if not list_own_files(folder):
        return
    try:
        with locked(folder / JOURNAL, timeout=0):
            # The lock stays: another process may be about to take it.
            own = [path for path in list_own_files(folder) if path.name != _LOCK]
            for path in own:
                path.unlink(missing_ok=True)
            above = {place for path in own for place in path.parents}
            for place in sorted(above, reverse=True):
                if place != folder and place.is_relative_to(folder):
                    with contextlib.suppress(OSError):  # it is not empty
                        place.rmdir()
    except Timeout as error:
        raise in_use(folder) from error


def _list_files(folder: Path) -> list[str]:
    """All that is no folder, by its name from here; links are not followed."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in [*files, *links]:
            found.append(Path(place, name).relative_to(folder).as_posix())
    return sorted(found)


def _is_own(folder: Path, name: str) -> bool:
    if name == JOURNAL:
        return is_journal(folder / name)
    if name == _LOCK:
        return (folder / name).stat().st_size == 0
    place, _, _ = name.rpartition("/")
    if _MODEL.fullmatch(place):
        try:
            check_place(folder / place)
        except ModelFolderError:
            return False
        return True
    return bool(_BY_NAME.fullmatch(name))


def draw_seed(random_state: Any, folder: Path | None) -> int:
    """One seed for everything; a comparison that goes on keeps the one it drew.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Of the user.
    folder : pathlib.Path or None
        Where a journal may be.

    Returns
    -------
    seed : int
    """
    if isinstance(random_state, Integral):
        return int(random_state)
    recorded = recorded_seed(folder) if random_state is None else None
    if recorded is not None:
        return recorded
    return int(check_random_state(random_state).randint(2**31 - 1))
