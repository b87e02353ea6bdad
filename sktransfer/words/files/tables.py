"""Vectors as they lie in memory, or in a folder of plain arrays opened memory-mapped.

Opening takes a millisecond whatever the size, processes share the pages, and the
content has a digest. All other formats are read once into this one::

    vectors.json    format, n_words, width, dtype, digest
    matrix.bin      n_words x width numbers, row by row
    letters.bin, offsets.bin, hashes.bin, order.bin    the words, see `PackedWords`
    buckets.bin     only with subwords: vectors of hashed pieces of words
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sktransfer.exceptions import SktransferWarning, WordVectorsError
from sktransfer.storage import read_json, write_json
from sktransfer.words.files.vocabulary import (
    PackedWords,
    Subwords,
    Vocabulary,
    pack_words,
)

__all__ = [
    "WORDS_A_BLOCK",
    "Block",
    "Source",
    "Table",
    "build_table",
    "digest_table",
    "find_others",
    "gather_table",
    "is_table",
    "open_table",
    "split_source",
    "write_table",
]

Block = tuple[list[str], NDArray[np.floating]]
"""Some words and their vectors, of shape (n_words, width)."""

WORDS_A_BLOCK = 8192

_FORMAT = 1
_FACTS = "vectors.json"
_PACKED = {
    "letters": np.uint8,
    "offsets": np.int64,
    "hashes": np.uint32,
    "order": np.int32,
}


@dataclass(frozen=True)
class Source:
    """What a reader of some file format hands over.

    Attributes
    ----------
    width : int
        Numbers a vector.
    blocks : iterator of Block
        The words in the file's order, some thousand at a time.
    subwords : Subwords, default=None
        Vectors of pieces of words, where the format has them.
    """

    width: int
    blocks: Iterator[Block]
    subwords: Subwords | None = None


@dataclass(frozen=True)
class Table:
    """Vectors as they lie in memory or in a mapped file.

    Attributes
    ----------
    vocabulary : Vocabulary
        N words.
    matrix : ndarray of float32 or float16, shape (N, width)
        Read-only.
    digest : str
        SHA-256 over words, numbers and subwords.
    subwords : Subwords or None
    """

    vocabulary: Vocabulary
    matrix: NDArray[np.floating]
    digest: str
    subwords: Subwords | None = None


def build_table(
    words: list[str], matrix: ArrayLike, subwords: Subwords | None = None
) -> Table:
    """Vectors that lie in memory, without a digest; the matrix (N, width) is copied."""
    for row, word in enumerate(words):
        if not isinstance(word, str):
            raise WordVectorsError(
                f"words[{row}] is {word!r:.40} of type {type(word).__name__}, but a "
                "str is expected."
            )
    # A copy, so that nobody else can change it.
    numbers = np.array(matrix, dtype=np.float32, order="C")
    if numbers.ndim != 2 or len(numbers) != len(words) or not numbers.size:
        raise WordVectorsError(
            f"The matrix has shape {numbers.shape}, but a row for each of the "
            f"{len(words)} words, and at least one column, is expected."
        )
    if len(set(words)) < len(words):
        seen: set[str] = set()
        twice = next(word for word in words if word in seen or seen.add(word))  # type: ignore[func-returns-value]
        raise WordVectorsError(
            f"The word {twice!r} comes more than once: give each word one vector."
        )
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        raise WordVectorsError(
            f"The vector of {words[int(finite.argmin())]!r} has a number that is not "
            "finite: leave the word out."
        )
    numbers.flags.writeable = False
    return Table(Vocabulary(words), numbers, "", subwords)


def split_source(
    words: Sequence[str],
    matrix: NDArray[np.floating],
    limit: int | None,
    subwords: Subwords | None = None,
) -> Source:
    """The first `limit` words and their vectors, some thousand at a time."""
    words = words[:limit]
    matrix = matrix[: len(words)]
    starts = range(0, len(words), WORDS_A_BLOCK)
    parts = [slice(start, start + WORDS_A_BLOCK) for start in starts]
    blocks = ((list(words[part]), matrix[part]) for part in parts)
    return Source(matrix.shape[1], blocks, subwords)


def gather_table(source: Source) -> Table:
    """Vectors in memory, from all blocks of a source; without a digest."""
    blocks = list(source.blocks)
    words = [word for block, _ in blocks for word in block]
    empty = np.empty((0, source.width), np.float32)
    matrix = np.concatenate([empty, *(numbers for _, numbers in blocks)])
    return build_table(words, matrix, source.subwords)


def digest_table(table: Table) -> str:
    """SHA-256 over the words, the numbers and the subwords of a table."""
    packed = table.vocabulary.pack()
    parts = [packed.letters, packed.offsets, table.matrix]
    header = [str(table.matrix.shape), str(table.matrix.dtype)]
    if table.subwords is not None:
        parts.append(table.subwords.buckets)
        header.append(str(table.subwords.facts()))
    digest = hashlib.sha256(" ".join(header).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def write_table(folder: Path, source: Source, dtype: str, name: str) -> None:
    """Write vectors into an empty folder, block by block.

    A word that comes again is left out with a warning: the first vector counts. `name`
    is how the messages call the vectors.
    """
    seen: dict[str, None] = {}
    n_repeated = 0
    with (folder / "matrix.bin").open("wb") as file:
        for words, matrix in source.blocks:
            _check_finite(words, matrix, name)
            fresh = {word: row for row, word in reversed(list(enumerate(words)))}
            rows = sorted(row for word, row in fresh.items() if word not in seen)
            if len(rows) < len(words):
                n_repeated += len(words) - len(rows)
                words, matrix = [words[row] for row in rows], matrix[rows]
            seen.update(dict.fromkeys(words))
            file.write(np.ascontiguousarray(matrix, dtype).data)
    if not seen:
        raise WordVectorsError(f"{name} holds no word vectors: is it the right file?")
    if n_repeated:
        warnings.warn(
            f"{n_repeated} words stand more than once in {name}: the first vector of "
            "each counts.",
            SktransferWarning,
            stacklevel=2,
        )
    packed = pack_words(list(seen))
    for part in _PACKED:
        getattr(packed, part).tofile(folder / f"{part}.bin")
    facts: dict[str, Any] = {
        "format": _FORMAT,
        "n_words": len(seen),
        "width": source.width,
        "dtype": dtype,
    }
    if source.subwords is not None:
        source.subwords.buckets.tofile(folder / "buckets.bin")
        facts["subwords"] = source.subwords.facts()
    # The digest is that of the opened arrays, and the facts are needed to open them.
    write_json(folder / _FACTS, facts | {"digest": ""})
    write_json(folder / _FACTS, facts | {"digest": digest_table(open_table(folder))})


def is_table(folder: Path) -> bool:
    """Whether `folder` was written by `write_table`."""
    return (folder / _FACTS).is_file()


def find_others(folder: Path) -> list[str]:
    """Names in a folder beside vectors that `write_table` wrote.

    All there are where no vectors are.
    """
    arrays = {f"{part}.bin" for part in ("matrix", "buckets", *_PACKED)}
    ours = {_FACTS, *arrays} if is_table(folder) else set()
    return sorted({path.name for path in folder.iterdir()} - ours)


def open_table(folder: Path) -> Table:
    """Open what `write_table` wrote; nothing but a small JSON file is read."""
    facts = read_json(folder / _FACTS)
    if facts["format"] != _FORMAT:
        raise WordVectorsError(
            f"{folder} has format {facts['format']}, but this version of sktransfer "
            f"reads format {_FORMAT}: save the vectors again."
        )
    if facts["dtype"] not in ("float32", "float16"):
        raise WordVectorsError(
            f"{folder} holds numbers of the type {facts['dtype']!r}, but float32 or "
            "float16 is expected: save the vectors again."
        )
    n_words, width = facts["n_words"], facts["width"]
    offsets = _map(folder / "offsets.bin", np.int64, (n_words + 1,))
    packed = PackedWords(
        letters=_map(folder / "letters.bin", np.uint8, (int(offsets[-1]),)),
        offsets=offsets,
        hashes=_map(folder / "hashes.bin", np.uint32, (n_words,)),
        order=_map(folder / "order.bin", np.int32, (n_words,)),
    )
    subwords = None
    if "subwords" in facts:
        n_buckets = facts["subwords"]["n_buckets"]
        buckets = _map(folder / "buckets.bin", np.float32, (n_buckets, width))
        subwords = Subwords.from_facts(buckets, facts["subwords"])
    matrix = _map(folder / "matrix.bin", np.dtype(facts["dtype"]), (n_words, width))
    return Table(Vocabulary(packed), matrix, facts["digest"], subwords)


def _check_finite(words: list[str], matrix: NDArray[np.floating], name: str) -> None:
    # A sum is finite only if all its terms are, and needs no array of its own.
    if np.isfinite(matrix.sum(dtype=np.float64)):
        return
    row, column = np.argwhere(~np.isfinite(matrix))[0]
    raise WordVectorsError(
        f"The vector of {words[row]!r} in {name} has {matrix[row, column]} as number "
        f"{column}, but finite numbers are expected: repair the file or drop the word."
    )


def _map(path: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.is_file() or path.stat().st_size != expected:
        size = f"{path.stat().st_size} bytes" if path.is_file() else "missing"
        raise WordVectorsError(
            f"{path} is {size}, but {expected} bytes are expected: save the vectors "
            "again, or delete the folder if it lies in the cache."
        )
    if expected == 0:  # an empty file cannot be mapped
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r", shape=shape))
