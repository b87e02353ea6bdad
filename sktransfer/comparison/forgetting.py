"""Removes what a comparison has left in a folder, and nothing of anybody else's."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from filelock import Timeout

from sktransfer.bundles.folders import OF_SYSTEMS, check_place
from sktransfer.comparison.journal import JOURNAL, in_use, is_journal
from sktransfer.exceptions import InvalidParameterError, ModelFolderError
from sktransfer.storage import locked

__all__ = ["forget_comparison", "list_own_files"]

_LOCK = f"{JOURNAL}.lock"
_MODEL = re.compile(r"sources/[0-9a-f]{16}")
# Models that a killed process was writing or replacing; vectors, and their locks.
_UNFINISHED = r"sources/\.[0-9a-f]{16}\.\w{8}(\.old)?/[^/]+"
_VECTORS = (
    r"vectors/sktransfer-vectors-\d+/[0-9a-f]{32}/"
    r"([0-9a-f]{32}\.vec|\.[0-9a-f]{32}\.vec\.\w{8}|(turn-\d+|merge)\.lock)"
)
_BY_NAME = re.compile(f"{_UNFINISHED}|{_VECTORS}")


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
