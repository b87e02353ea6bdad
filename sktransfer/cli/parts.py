"""A file that grows while it is made, and that a killed run can go on with.

Beside ``out.csv`` stand ``out.csv.part``, which is appended to, and ``out.csv.state``,
which says how much of it counts and what it was made of. The state is written beside
and renamed after the part is on the disk, so that it never promises too much.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from sktransfer.exceptions import InvalidInputError
from sktransfer.storage import read_json, write_file_beside, write_json

__all__ = ["GrowingFile"]

_FORMAT = 1
# What is put on the disk at most so often costs nothing to speak of.
_SECONDS = 1.0


class GrowingFile:
    """Appends to a part until the whole is there; a context manager.

    Parameters
    ----------
    path : pathlib.Path
        What is to be made.
    made_of : mapping of str to str
        What must be the same for a part to be gone on with.

    Attributes
    ----------
    n_rows : int
        Rows that are in the part.
    is_resumed : bool
        Whether an earlier run has left some.
    """

    def __init__(self, path: Path, made_of: Mapping[str, str]) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self.state = path.with_name(path.name + ".state")
        self.made_of = dict(made_of)
        self.n_rows = 0
        self._n_bytes = 0
        self._file: BinaryIO | None = None
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._saved = time.monotonic()

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier run has left rows."""
        return self.n_rows > 0

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InvalidInputError(
                f"{self.path} is being written by another process: wait for it, or "
                "name another output."
            ) from error
        try:
            self._take_up()
            self._file = self.part.open("ab")
            self._file.truncate(self._n_bytes)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            # After Ctrl-C, too, what was appended counts.
            self._save()
            self._file.close()
        self._release()

    def append(self, data: bytes, n_rows: int) -> None:
        """Add rows.

        Parameters
        ----------
        data : bytes
            As they stand in the file.
        n_rows : int
            How many.
        """
        assert self._file is not None
        self._file.write(data)
        self._n_bytes += len(data)
        self.n_rows += n_rows
        if time.monotonic() - self._saved >= _SECONDS:
            self._save()

    def close_part(self) -> Path:
        """Put all on the disk; the part may then become the whole.

        Returns
        -------
        part : pathlib.Path
        """
        assert self._file is not None
        self._save()
        self._file.close()
        self._file = None
        return self.part

    def forget(self) -> None:
        """Remove the state, once the whole is there."""
        self.state.unlink(missing_ok=True)

    def _save(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {
            "format": _FORMAT,
            "made_of": self.made_of,
            "n_rows": self.n_rows,
            "n_bytes": self._n_bytes,
        }
        with write_file_beside(self.state) as beside:
            write_json(beside, state)
        self._saved = time.monotonic()

    def _take_up(self) -> None:
        """Go on from the state, if it is of the same input and the part is there."""
        if not (self.state.exists() and self.part.exists()):
            return
        state: dict[str, Any] = read_json(self.state)
        if state.get("format") != _FORMAT or state["made_of"] != self.made_of:
            old = state.get("made_of", {})
            others = [n for n in self.made_of if old.get(n) != self.made_of[n]]
            raise InvalidInputError(
                f"{self.part} was left by a run with another {' and '.join(others)}: "
                f"say --fresh to begin anew, or name another output."
            )
        if self.part.stat().st_size < state["n_bytes"]:
            raise InvalidInputError(
                f"{self.part} is shorter than {self.state} says: say --fresh to begin "
                "anew."
            )
        self.n_rows, self._n_bytes = state["n_rows"], state["n_bytes"]

    def _release(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)
