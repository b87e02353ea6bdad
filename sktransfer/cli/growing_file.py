"""A file that grows while it is made, and that a killed run can go on with.

Beside ``out.csv`` stand ``out.csv.part``, which is appended to, and ``out.csv.state``,
which says how many bytes of it count: together an `Unfinished` file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Self

from filelock import FileLock, Timeout

from sktransfer.exceptions import InvalidInputError
from sktransfer.storage import Unfinished, is_filled

__all__ = ["GrowingFile"]

_FORMAT = 1
_FACTS = frozenset({"format", "made_of", "n_rows", "n_bytes"})
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
    fresh : bool, default=False
        Whether to begin anew where an earlier run was stopped.

    Attributes
    ----------
    n_rows : int
        Rows that are in the part.
    is_resumed : bool
        Whether an earlier run has left some.
    """

    def __init__(
        self, path: Path, made_of: Mapping[str, str], *, fresh: bool = False
    ) -> None:
        self.path = path
        part, state, lock = self.names(path)
        self._unfinished = Unfinished(part, state, _FACTS)
        self.made_of = dict(made_of)
        self.fresh = fresh
        self.n_rows = 0
        self._n_bytes = 0
        self._file: BinaryIO | None = None
        self._lock = FileLock(lock)
        self._saved = time.monotonic()

    @staticmethod
    def names(path: Path) -> tuple[Path, Path, Path]:
        """Files that stand beside `path` while it is made: a part, a state, a lock."""
        part, state, lock = (
            path.with_name(f"{path.name}.{kind}") for kind in ("part", "state", "lock")
        )
        return part, state, lock

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier run has left rows."""
        return self.n_rows > 0

    def __enter__(self) -> Self:
        lock = Path(self._lock.lock_file)
        _refuse([lock] if is_filled(lock) else [])
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InvalidInputError(
                f"{self.path} is being written by another process: wait for it, or "
                "name another output."
            ) from error
        try:
            self._take_up()
            if not self.is_resumed:
                self._write_state()
            self._file = self._unfinished.part.open("ab")
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
        """Add so many rows, as they stand in the file."""
        assert self._file is not None
        self._file.write(data)
        self._n_bytes += len(data)
        self.n_rows += n_rows
        if time.monotonic() - self._saved >= _SECONDS:
            self._save()

    def close_part(self) -> Path:
        """Put all on the disk, and return the part, which may become the whole."""
        assert self._file is not None
        self._save()
        self._file.close()
        self._file = None
        return self._unfinished.part

    def forget(self) -> None:
        """Remove the state, once the whole is there."""
        self._unfinished.notes.unlink(missing_ok=True)

    def _save(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._write_state()
        self._saved = time.monotonic()

    def _write_state(self) -> None:
        self._unfinished.write_notes(
            format=_FORMAT,
            made_of=self.made_of,
            n_rows=self.n_rows,
            n_bytes=self._n_bytes,
        )

    def _take_up(self) -> None:
        """Go on from the state, if it is of the same input and the part is there."""
        _refuse(self._unfinished.find_foreign())
        part, state = self._unfinished.part, self._unfinished.read_notes()
        # Where no row is there yet, nothing is lost by beginning anew.
        if state is None or self.fresh or not part.exists() or not state["n_rows"]:
            return
        if state["format"] != _FORMAT or state["made_of"] != self.made_of:
            old = state["made_of"]
            names = dict.fromkeys([*self.made_of, *old])
            others = [n for n in names if old.get(n) != self.made_of.get(n)]
            raise InvalidInputError(
                f"{part} was left by a run with another {' and '.join(others)}: "
                f"say --fresh to begin anew, or name another output."
            )
        if part.stat().st_size < state["n_bytes"]:
            raise InvalidInputError(
                f"{part} is shorter than {self._unfinished.notes} says: say --fresh to "
                "begin anew."
            )
        self.n_rows, self._n_bytes = state["n_rows"], state["n_bytes"]

    def _release(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def _refuse(foreign: list[Path]) -> None:
    """Refuse to write over files that no run has left."""
    if foreign:
        raise InvalidInputError(
            f"{foreign[0]} is in the way, and was not left by an unfinished run of "
            "sktransfer: move it, or name another output."
        )
