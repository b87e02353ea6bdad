"""A folder that somebody else may replace or damage while it is read.

It is opened once, and its files are looked up in what was opened: a folder that is put
in its place meanwhile is another one. Only regular files are read, whatever the names
in a folder stand for, so nothing waits for the other end of a pipe.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from sktransfer.exceptions import ModelFolderError
from sktransfer.storage import DigestedReader

__all__ = ["OpenedFolder"]

_Answer = TypeVar("_Answer")
_BY_HANDLE = {os.open, os.stat} <= os.supports_dir_fd
# Those that only some systems have: no link is followed, and no pipe waited for.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class OpenedFolder:
    """A folder whose files are read by name; a context manager.

    Parameters
    ----------
    path : pathlib.Path
        Absolute. OSError is raised where it is no folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        if _BY_HANDLE:
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        elif not path.is_dir():
            raise FileNotFoundError(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def is_in_place(self) -> bool:
        """Whether the path still leads to what was opened."""
        if self._handle is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._handle), self.path.stat())
        except OSError:
            return False

    def size(self, name: str) -> int | None:
        """Bytes of a regular file; None where none has that name.

        Raises ModelFolderError if the name leads out of the folder.
        """
        try:
            is_within = Path(name).name == name and name not in ("", ".", "..")
            state = self._look(name) if is_within else None
        except OSError:
            return None
        except ValueError:  # no file system has such a name
            state = None
        if state is None or stat.S_ISLNK(state.st_mode):
            raise ModelFolderError(
                f"{self.path} names the file {name!r}, which is not in the folder "
                "itself as an ordinary file: it is not read, so save the model again."
            )
        return state.st_size if stat.S_ISREG(state.st_mode) else None

    def read(self, name: str) -> tuple[bytes, str]:
        """Bytes of a regular file, and their SHA-256.

        Raises OSError if it cannot be read, or is no regular file any more.
        """
        return self.read_by(name, lambda file: file.read(file.size).tobytes())

    def read_by(
        self, name: str, read: Callable[[DigestedReader], _Answer]
    ) -> tuple[_Answer, str]:
        """What `read` makes of a regular file, all of which it reads, and the SHA-256.

        The SHA-256 is empty if the file was changed meanwhile.
        """
        handle = self._open(name)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise FileNotFoundError(str(self.path / name))
            file = DigestedReader(self.path / name, handle)
            return read(file), file.digest()
        finally:
            os.close(handle)

    def _look(self, name: str) -> os.stat_result:
        if self._handle is None:
            return (self.path / name).lstat()
        return os.stat(name, dir_fd=self._handle, follow_symlinks=False)

    def _open(self, name: str) -> int:
        flags = os.O_RDONLY | _FLAGS | _BINARY
        if self._handle is None:
            return os.open(self.path / name, flags)
        return os.open(name, flags, dir_fd=self._handle)
