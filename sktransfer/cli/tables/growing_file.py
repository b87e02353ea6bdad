"""A file that grows while it is made, and that a killed run can go on with.

Beside ``out.csv`` stand ``out.csv.part``, which is appended to, and ``out.csv.state``,
which says how many bytes of it count and what their digest is: together an `Unfinished`
file. The state has a digest of its own. So whatever is damaged is seen, and nothing is
gone on with that the run has not written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from sktransfer.exceptions import InvalidInputError
from sktransfer.storage import Unfinished, is_filled, write_file_beside
from sktransfer.turns import take_turn

__all__ = ["GrowingFile"]

_FORMAT = 2
_FACTS_OF_1 = frozenset({"format", "made_of", "n_rows", "n_bytes"})
# `whole` is the digest of the file once all rows are there, else None.
_FACTS = _FACTS_OF_1 | {"digest", "whole", "seal"}
# What is put on the disk at most so often costs nothing to speak of.
_SECONDS = 1.0
_PIECE = 1 << 20


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
    is_done : bool
        Whether an earlier run has left nothing to do but to say so.
    """

    def __init__(
        self, path: Path, made_of: Mapping[str, str], *, fresh: bool = False
    ) -> None:
        self.path = path
        part, state, lock = self.names(path)
        self._unfinished = Unfinished(part, state, _FACTS)
        self.made_of = dict(made_of)
        self.fresh = fresh
        self.is_done = False
        self.n_rows, self._n_bytes = 0, 0
        self._digest = hashlib.sha256()
        self._whole: str | None = None
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

    @classmethod
    def is_left_whole(cls, path: Path) -> bool:
        """Whether `path` is complete, and what made it was killed right then."""
        part, state, _ = cls.names(path)
        notes = Unfinished(part, state, _FACTS).read_notes()
        if notes is None or _seal(notes) != notes["seal"] or not path.is_file():
            return False
        return (
            notes["whole"] is not None and _digest(path).hexdigest() == (notes["whole"])
        )

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
            if self.is_done:
                return self
            if not self.is_resumed:
                self._write_state()
            # Without a buffer, so that what is counted is what was written.
            self._file = self._unfinished.part.open("ab", buffering=0)
            self._file.truncate(self._n_bytes)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: object
    ) -> None:
        try:
            if self._file is not None:
                # After Ctrl-C, too, what was appended counts. Where that cannot be put
                # down, as on a full disk, the state before it holds.
                ignored = [] if kind is None else [OSError]
                with contextlib.suppress(*ignored), self._file:
                    self._save()
        finally:
            self._release()

    def append(self, data: bytes, n_rows: int) -> None:
        """Add so many rows, as they stand in the file."""
        assert self._file is not None
        rest = memoryview(data)
        with self._named():
            while rest:
                rest = rest[self._file.write(rest) :]
        self._digest.update(data)
        self._n_bytes += len(data)
        self.n_rows += n_rows
        if time.monotonic() - self._saved >= _SECONDS:
            self._save()

    def finish(
        self, check: Callable[[], None], make: Callable[[Path, Path], None] | None
    ) -> None:
        """Make the part the whole, and remove all that stands beside it.

        `make` writes the whole, its second argument, from the part, its first one; None
        where the part is it already. `check` refuses to replace what came meanwhile.
        """
        assert self._file is not None
        self._save()
        self._file.close()
        self._file = None
        part = self._unfinished.part
        if self._whole is None:
            check()
            with self._named():
                self._make_whole(part, make)
        _name(part, self.path, check)
        self._unfinished.notes.unlink(missing_ok=True)

    def _make_whole(
        self, part: Path, make: Callable[[Path, Path], None] | None
    ) -> None:
        """Put down the whole's digest first, so that a kill can be told from damage."""
        if make is None:
            self._whole = self._digest.hexdigest()
            self._write_state()
            return
        with write_file_beside(part) as beside:
            make(part, beside)
            self._whole = _digest(beside).hexdigest()
            self._write_state()

    def _save(self) -> None:
        assert self._file is not None
        with self._named():
            os.fsync(self._file.fileno())
            self._write_state()
        self._saved = time.monotonic()

    def _write_state(self) -> None:
        facts: dict[str, Any] = {
            "format": _FORMAT,
            "made_of": self.made_of,
            "n_rows": self.n_rows,
            "n_bytes": self._n_bytes,
            "digest": self._digest.hexdigest(),
            "whole": self._whole,
        }
        self._unfinished.write_notes(**facts, seal=_seal(facts))

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say of an error of the system which file it is about, and what to do."""
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror or error}: what is done stays there, and the same "
                "command goes on once there is room",
                str(self._unfinished.part),
            ) from error

    def _take_up(self) -> None:
        """Go on from the state, if it is of the same input and the part is there."""
        part, notes = self._unfinished.part, self._unfinished.notes
        state = self._unfinished.read_notes()
        if state is None:
            old = Unfinished(part, notes, _FACTS_OF_1)
            _refuse(old.find_foreign())
            state = old.read_notes()
        self._remove_torn()
        if state is None:
            return
        state = {"digest": None, "whole": None, "seal": ""} | state
        if self.is_left_whole(self.path):
            self._tidy_up(state)
            return
        if self.fresh or not part.exists():
            return
        if _seal(state) != state["seal"]:
            # Where no row is there yet, nothing is lost by beginning anew.
            if state["format"] == 1 and not state["n_rows"]:
                return
            why = "was changed or damaged since it was written"
            if state["format"] == 1:
                why = "is of an earlier version, which put down no digest"
            raise InvalidInputError(
                f"{notes} {why}, so that nobody knows what of {part.name} is right: "
                "say --fresh to begin anew, or name another output."
            )
        if not state["n_rows"]:
            return
        if state["made_of"] != self.made_of:
            old_facts = state["made_of"]
            names = dict.fromkeys([*self.made_of, *old_facts])
            others = [n for n in names if old_facts.get(n) != self.made_of.get(n)]
            raise InvalidInputError(
                f"{part} was left by a run with another {' and '.join(others)}: "
                f"say --fresh to begin anew, or name another output."
            )
        self._take_part(state)

    def _take_part(self, state: Mapping[str, Any]) -> None:
        """Prove what the part holds, of which the state is right."""
        part, n_bytes = self._unfinished.part, state["n_bytes"]
        size = part.stat().st_size
        if state["whole"] is not None and _digest(part).hexdigest() == state["whole"]:
            self._whole, n_bytes = state["whole"], size
        elif size < n_bytes:
            raise InvalidInputError(
                f"{part} is shorter than {self._unfinished.notes} says: say --fresh to "
                "begin anew."
            )
        found = _digest(part, n_bytes)
        if self._whole is None and found.hexdigest() != state["digest"]:
            raise InvalidInputError(
                f"{part} was changed or damaged since it was written, as its digest is "
                f"another one than {self._unfinished.notes} says: say --fresh to begin "
                "anew, or name another output."
            )
        self._digest, self._n_bytes = found, n_bytes
        self.n_rows = state["n_rows"]

    def _tidy_up(self, state: Mapping[str, Any]) -> None:
        """Remove what a run has left that was killed once its file was complete."""
        part = self._unfinished.part
        if part.is_file() and _digest(part).hexdigest() == state["whole"]:
            part.unlink()
        self._unfinished.notes.unlink()
        if state["made_of"] == self.made_of and not self.fresh:
            self.is_done, self.n_rows = True, state["n_rows"]

    def _remove_torn(self) -> None:
        """Remove what a killed run was about to rename."""
        for path in self.names(self.path)[:2]:
            with take_turn(path, alone=True):
                pass

    def _release(self) -> None:
        # Before the lock is free: what is removed later may be another run's already.
        with contextlib.suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()
        with contextlib.suppress(OSError):  # Windows removes no open files
            if os.name == "nt":
                Path(self._lock.lock_file).unlink(missing_ok=True)


def _digest(path: Path, n_bytes: int | None = None) -> Any:
    """SHA-256 of a file's first bytes, to which more can be added; None is all."""
    digest, left = hashlib.sha256(), path.stat().st_size if n_bytes is None else n_bytes
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    return digest


def _seal(facts: Mapping[str, Any]) -> str:
    """Digest of a state, without what it says itself of that."""
    told = {name: fact for name, fact in facts.items() if name != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _name(part: Path, path: Path, check: Callable[[], None]) -> None:
    """Give the whole its name; where one must not be replaced, that cannot happen."""
    was_there = os.path.lexists(path)
    check()
    if not was_there:
        with contextlib.suppress(OSError):
            # Unlike renaming, it fails where a file has come since it was looked. Some
            # file systems have no links, for which a last check must do.
            os.link(part, path)
            part.unlink()
            return
        check()
    part.replace(path)


def _refuse(foreign: list[Path]) -> None:
    """Refuse to write over files that no run has left."""
    if foreign:
        raise InvalidInputError(
            f"{foreign[0]} is in the way, and was not left by an unfinished run of "
            "sktransfer: move it, or name another output."
        )
