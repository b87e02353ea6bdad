"""Vectors as they lie in memory or in a mapped file, and as readers hand them over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.subwords import Subwords
from sktransfer.words.vocabulary import Vocabulary

__all__ = ["Block", "Source", "Table", "build_table", "digest_table", "gather_table"]

Block = tuple[list[str], NDArray[np.floating]]
"""Some words and their vectors, of shape (n_words, width)."""


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
    """Vectors that lie in memory.

    Parameters
    ----------
    words : list of str, of length N
        Distinct.
    matrix : array-like of shape (N, width)
        Finite; copied.
    subwords : Subwords, default=None

    Returns
    -------
    table : Table
        Without a digest.

    Raises
    ------
    WordVectorsError
        If words and matrix do not belong together.
    """
    for row, word in enumerate(words):
        if not isinstance(word, str):
            raise WordVectorsError(
                f"words[{row}] is {word!r:.40} of type {type(word).__name__}, but a "
                "str is expected."
            )
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


def gather_table(source: Source) -> Table:
    """Vectors in memory, from all blocks of a source.

    Parameters
    ----------
    source : Source

    Returns
    -------
    table : Table
        Without a digest.
    """
    blocks = list(source.blocks)
    words = [word for block, _ in blocks for word in block]
    empty = np.empty((0, source.width), np.float32)
    matrix = np.concatenate([empty, *(numbers for _, numbers in blocks)])
    return build_table(words, matrix, source.subwords)


def digest_table(table: Table) -> str:
    """SHA-256 over the words, the numbers and the subwords of a table.

    Parameters
    ----------
    table : Table
        Its own `digest` is ignored.

    Returns
    -------
    digest : str of 64 characters
    """
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
