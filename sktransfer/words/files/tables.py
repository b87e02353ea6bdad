"""Vectors as they lie in memory, or in a folder of arrays that are read when needed.

Opening takes a millisecond whatever the size, every answer is proved, and the content
has a digest. All other formats are read once into this one::

    vectors.json    format, n_words, width, dtype, digests, and a seal over all that
    proofs.bin      a digest for each block of the arrays, one file behind the other
    letters.bin, offsets.bin, hashes.bin, order.bin    the words, see `PackedWords`
    matrix.bin      n_words x width numbers, row by row
    buckets.bin     only with subwords: vectors of hashed pieces of words

Format 1 had neither proofs nor seal; `old_tables` reads it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sktransfer.exceptions import SktransferWarning, WordVectorsError, warn
from sktransfer.storage import write_json
from sktransfer.validation import show
from sktransfer.words.files.blocks import (
    BYTES_A_DIGEST,
    BlockArray,
    HeldArray,
    count_blocks,
    digest_blocks,
    read_digests,
    split_file,
)
from sktransfer.words.files.proofs import prove_finite, seal
from sktransfer.words.files.vocabulary import (
    StoredWords,
    Subwords,
    Vocabulary,
    pack_words,
)

__all__ = [
    "FACTS",
    "WORDS_A_BLOCK",
    "Block",
    "Source",
    "Table",
    "build_table",
    "digest_table",
    "find_others",
    "gather_table",
    "is_old",
    "is_table",
    "open_table",
    "prove_table",
    "split_source",
    "start_digest",
    "write_table",
]

Block = tuple[list[str], NDArray[np.floating]]
"""Some words and their vectors, of shape (n_words, width)."""

WORDS_A_BLOCK = 8192

_FORMAT = 2
FACTS = "vectors.json"
_PROOFS = "proofs.bin"
_PACKED = ("letters", "offsets", "hashes", "order")
_ARRAYS = (*_PACKED, "matrix", "buckets")
# What the digest of a table is over; the rest follows from these.
_DIGESTED = ("letters", "offsets", "matrix", "buckets")


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
    """Vectors as they lie in memory or in files.

    Attributes
    ----------
    vocabulary : Vocabulary
        N words.
    rows : HeldArray
        Of float32 or float16, shape (N, width).
    digest : str
        SHA-256 over words, numbers and subwords.
    subwords : Subwords or None
    """

    vocabulary: Vocabulary
    rows: HeldArray
    digest: str
    subwords: Subwords | None = None

    @property
    def matrix(self) -> NDArray[np.floating]:
        """All vectors, read-only."""
        return self.rows.whole()


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
    try:
        with np.errstate(over="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            numbers = np.array(matrix, dtype=np.float32, order="C")
    except (TypeError, ValueError, np.exceptions.ComplexWarning) as error:
        raise WordVectorsError(
            f"The matrix is {show(matrix)}, but numbers, a row for each word, are "
            f"expected ({error})."
        ) from error
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
            "finite, but finite ones are expected: leave the word out."
        )
    numbers.flags.writeable = False
    return Table(Vocabulary(words), HeldArray(numbers), "", subwords)


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
    if table.subwords is not None:
        parts.append(table.subwords.buckets)
    digest = start_digest(table.rows.shape, str(table.rows.dtype), table.subwords)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return str(digest.hexdigest())


def start_digest(shape: tuple[int, ...], dtype: str, subwords: Subwords | None) -> Any:
    """The digest of a table before its letters, offsets, matrix and buckets."""
    header = [str(shape), dtype]
    if subwords is not None:
        header.append(str(subwords.facts()))
    return hashlib.sha256(" ".join(header).encode())


def write_table(
    folder: Path, source: Source, dtype: str, name: str, made_of: str = ""
) -> None:
    """Write vectors into an empty folder, block by block.

    A word that comes again is left out with a warning: the first vector counts. `name`
    is how the messages call the vectors; `made_of` tells a table of the cache from one
    of other vectors.
    """
    seen: dict[str, None] = {}
    n_repeated = 0
    with (folder / "matrix.bin").open("wb") as file:
        for words, matrix in source.blocks:
            numbers = _convert(words, matrix, dtype, name)
            fresh = {word: row for row, word in reversed(list(enumerate(words)))}
            rows = sorted(row for word, row in fresh.items() if word not in seen)
            if len(rows) < len(words):
                n_repeated += len(words) - len(rows)
                words, numbers = [words[row] for row in rows], numbers[rows]
            seen.update(dict.fromkeys(words))
            file.write(numbers.data)
    if not seen:
        raise WordVectorsError(f"{name} holds no word vectors: is it the right file?")
    if n_repeated:
        warn(
            f"{n_repeated} words stand more than once in {name}: the first vector of "
            "each counts.",
            SktransferWarning,
        )
    packed = pack_words(list(seen))
    for part in _PACKED:
        getattr(packed, part).tofile(folder / f"{part}.bin")
    facts: dict[str, Any] = {
        "format": _FORMAT,
        "n_words": len(seen),
        "n_letters": len(packed.letters),
        "width": source.width,
        "dtype": dtype,
        "made_of": made_of,
    }
    if source.subwords is not None:
        prove_finite(source.subwords.buckets, name)
        source.subwords.buckets.tofile(folder / "buckets.bin")
        facts["subwords"] = source.subwords.facts()
    facts |= _write_proofs(folder, facts, source.subwords)
    write_json(folder / FACTS, facts | {"seal": seal(facts)})


def _write_proofs(
    folder: Path, facts: dict[str, Any], subwords: Subwords | None
) -> dict[str, str]:
    """Write the digests of all blocks; those of the table and of these digests."""
    shape = (facts["n_words"], facts["width"])
    whole = start_digest(shape, facts["dtype"], subwords)
    with (folder / _PROOFS).open("wb") as file:
        for part in _shapes(facts):
            blocks = split_file(folder / f"{part}.bin")
            if part in _DIGESTED:
                blocks = _tell(blocks, whole.update)
            file.write(digest_blocks(blocks))
    proofs = digest_blocks(split_file(folder / _PROOFS))
    return {"digest": whole.hexdigest(), "proofs": proofs.hex()}


def _tell(blocks: Iterator[bytes], listen: Callable[[bytes], None]) -> Iterator[bytes]:
    for block in blocks:
        listen(block)
        yield block


def is_table(folder: Path) -> bool:
    """Whether `folder` was written by `write_table`."""
    return (folder / FACTS).is_file()


def find_others(folder: Path) -> list[str]:
    """Names in a folder beside vectors that `write_table` wrote.

    All there are where no vectors are.
    """
    arrays = {f"{part}.bin" for part in _ARRAYS}
    ours = {FACTS, _PROOFS, *arrays} if is_table(folder) else set()
    return sorted({path.name for path in folder.iterdir()} - ours)


def is_old(facts: dict[str, Any]) -> bool:
    """Whether a folder of vectors lacks what proves each of its blocks."""
    return bool(facts["format"] < _FORMAT)


def open_table(
    folder: Path, facts: dict[str, Any], mend: Callable[[str], None] | None = None
) -> Table:
    """Open what `write_table` wrote, with its facts; of the arrays nothing is read.

    `mend` is called with a reason where a block turns out to be damaged, and makes the
    whole folder again.
    """
    shapes = _shapes(facts)
    n_blocks = [count_blocks(*each) for each in shapes.values()]
    shape_of_proofs = (sum(n_blocks), BYTES_A_DIGEST)
    n_bytes = BYTES_A_DIGEST * count_blocks("uint8", shape_of_proofs)
    if not re.fullmatch(f"[0-9a-f]{{{2 * n_bytes}}}", facts["proofs"]):
        raise WordVectorsError(
            f"{folder / FACTS} has {facts['proofs']!r:.80} as proofs, but {n_bytes} "
            "bytes in hexadecimal are expected: get the vectors again."
        )
    first = read_digests(bytes.fromhex(facts["proofs"]))
    proofs = BlockArray(folder / _PROOFS, "uint8", shape_of_proofs, (first, 0), mend)
    firsts = [0, *itertools.accumulate(n_blocks)]
    arrays = {
        part: BlockArray(folder / f"{part}.bin", *shape, (proofs, first), mend)
        for (part, shape), first in zip(shapes.items(), firsts, strict=False)
    }
    subwords = None
    if "buckets" in arrays:
        subwords = Subwords.from_facts(arrays["buckets"], facts["subwords"])
    words = StoredWords({part: arrays[part] for part in _PACKED}, folder)
    return Table(Vocabulary(words), arrays["matrix"], facts["digest"], subwords)


def prove_table(table: Table) -> None:
    """Read all of a table, or raise."""
    table.vocabulary.pack()
    table.rows.whole()
    if table.subwords is not None:
        _ = table.subwords.buckets


def _shapes(facts: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array of a table, in the order of their proofs."""
    n_words, width = facts["n_words"], facts["width"]
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "letters": ("uint8", (facts["n_letters"],)),
        "offsets": ("int64", (n_words + 1,)),
        "hashes": ("uint32", (n_words,)),
        "order": ("int32", (n_words,)),
        "matrix": (facts["dtype"], (n_words, width)),
    }
    if "subwords" in facts:
        shapes["buckets"] = ("float32", (facts["subwords"]["n_buckets"], width))
    return shapes


def _convert(
    words: list[str], matrix: NDArray[Any], dtype: str, name: str
) -> NDArray[Any]:
    """Vectors as numbers of a type, which all of them fit into."""
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = np.ascontiguousarray(matrix, dtype)
        # A sum is finite only if all its terms are, and needs no array of its own.
        if np.isfinite(numbers.sum(dtype=np.float64)):
            return numbers
    row, column = np.argwhere(~np.isfinite(numbers))[0]
    raise WordVectorsError(
        f"The vector of {words[row]!r:.80} in {name} has {matrix[row, column]} as "
        f"number {column}, but finite numbers of {dtype} are expected: repair the file "
        "or drop the word."
    )
