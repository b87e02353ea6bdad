"""The folder of a report: which files in it are the report's, and how they get there.

``report.json`` has the digest of every file that was written. What is not in it, or has
another digest, is somebody else's, or was edited since, and stays as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from sktransfer.exceptions import InvalidParameterError
from sktransfer.storage import digest_file, read_json, write_file_beside, write_json

__all__ = [
    "FOLDS",
    "PAGE",
    "PREDICTIONS",
    "SUSPECTS",
    "TABLE",
    "check_folder",
    "list_names",
    "note_file",
    "write_files",
]

_NOTES = "report.json"
_FORMAT, _FORMAT_VERSION = "sktransfer report", 1
PAGE, TABLE, FOLDS = "report.html", "results.csv", "folds.csv"
PREDICTIONS = "predictions.jsonl"
SUSPECTS = "suspects.csv"
_PICTURES = ("scores", "cost", "curves", "confusion", "domains")


def list_names() -> list[str]:
    """Names of all files that a report may have."""
    pictures = [f"{name}.{kind}" for name in _PICTURES for kind in ("svg", "png")]
    return [_NOTES, PAGE, TABLE, FOLDS, PREDICTIONS, SUSPECTS, *pictures]


def check_folder(folder: Path, names: Iterable[str] | None = None) -> None:
    """Refuse to write a report where it would replace what is not one's.

    That is a file of such a name which no report has written, or which was changed
    since. None stands for all names that a report may have; the folder may be missing.
    """
    known = _read_notes(folder)
    names = [_NOTES, *(list_names() if names is None else names)]
    others = [
        name
        for name in dict.fromkeys(names)
        if not _is_own(folder / name, known if name == _NOTES else known.get(name))
    ]
    if others:
        listed = ", ".join(others[:4]) + (", ..." if len(others) > 4 else "")
        raise InvalidParameterError(
            f"{str(folder)!r} holds {listed}, not as a report has left it there, and "
            "it would be lost: move it away, name another folder, or have it "
            "overwritten (overwrite=True, --overwrite)."
        )


def write_files(
    folder: Path, files: Mapping[str, bytes], *, overwrite: bool = False
) -> None:
    """Write files of a report in their order, each whole or as it was.

    Where one would replace a file that no report has written, nothing is written and
    that is an error, unless `overwrite`.
    """
    with _writing(folder):
        if not overwrite:
            check_folder(folder, files)
        _write(folder, files)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    known = _read_notes(folder)
    for name, content in files.items():
        path, digest = folder / name, hashlib.sha256(content).hexdigest()
        # Both, so that after a kill the file is known, be it the old or the new one.
        old = {digest_file(path)} if path.is_file() else set()
        known[name] = sorted(old | {digest})
    _write_notes(folder, known)
    for name, content in files.items():
        try:
            with write_file_beside(folder / name) as beside:
                beside.write_bytes(content)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: what was there before stays there, and the same "
                "command goes on once there is room",
                str(folder / name),
            ) from error


def note_file(folder: Path, name: str) -> None:
    """Make a file known as the report's that another function has put there."""
    with _writing(folder):
        known = _read_notes(folder)
        _write_notes(folder, known | {name: [digest_file(folder / name)]})


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Be the only one who writes into a folder; what killed ones have left goes."""
    lock = folder / f".{_NOTES}.lock"
    with FileLock(lock):
        own = "|".join(map(re.escape, list_names()))
        torn = re.compile(rf"\.({own})\.[0-9a-f]{{8}}")
        for path in folder.iterdir():
            if torn.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)
        try:
            yield
        finally:
            # Before it is free: later it may be another one's. Windows keeps it.
            with contextlib.suppress(OSError):
                lock.unlink()


def _write_notes(folder: Path, known: Mapping[str, list[str]]) -> None:
    with write_file_beside(folder / _NOTES) as beside:
        facts = {"format": _FORMAT, "format_version": _FORMAT_VERSION}
        write_json(beside, facts | {"files": dict(known)})


def _is_own(path: Path, digests: object) -> bool:
    """Whether there is nothing to lose, or what the notes know of."""
    if not path.exists():
        return not path.is_symlink()
    if path.name == _NOTES:
        return bool(digests)
    return path.is_file() and isinstance(digests, list) and digest_file(path) in digests


def _read_notes(folder: Path) -> dict[str, list[str]]:
    """Digests of the files that reports have written, none where there are no notes."""
    try:
        notes = read_json(folder / _NOTES)
    except (OSError, ValueError):
        return {}
    if not isinstance(notes, dict) or notes.get("format") != _FORMAT:
        return {}
    files = notes.get("files")
    return files if isinstance(files, dict) else {}
