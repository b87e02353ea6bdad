"""Folders of vectors of format 1, which have one digest for all that they hold.

It is proved while such a folder is read, so that all of it is read: the folder is a
source like the files of others, and what comes of it is kept in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files.blocks import HeldArray, read_exactly
from sktransfer.words.files.proofs import MOST_NUMBERS
from sktransfer.words.files.tables import WORDS_A_BLOCK, Block, Source, start_digest
from sktransfer.words.files.vocabulary import PackedWords, StoredWords, Subwords

__all__ = ["read_old_table"]


def read_old_table(folder: Path, facts: dict[str, Any], limit: int | None) -> Source:
    """Vectors of a folder; that they are those that were written shows at the end."""
    n_words, width, dtype = facts["n_words"], facts["width"], facts["dtype"]
    offsets = np.frombuffer(
        read_exactly(folder / "offsets.bin", 8 * (n_words + 1)), np.int64
    )
    n_letters = int(offsets[-1])
    if not 0 <= n_letters <= n_words * MOST_NUMBERS:
        raise WordVectorsError(
            f"{folder / 'offsets.bin'} has {n_letters} letters for {n_words} words: "
            "get the vectors again, or save them again."
        )
    letters = np.frombuffer(read_exactly(folder / "letters.bin", n_letters), np.uint8)
    subwords = None
    if "subwords" in facts:
        shape = (facts["subwords"]["n_buckets"], width)
        data = read_exactly(folder / "buckets.bin", 4 * shape[0] * width)
        buckets = np.frombuffer(data, np.float32).reshape(shape)
        subwords = Subwords.from_facts(buckets, facts["subwords"])
    packed = PackedWords(
        letters, offsets, np.empty(n_words, np.uint32), np.empty(n_words, np.int32)
    )
    parts = {name: HeldArray(part) for name, part in vars(packed).items()}
    words = StoredWords(parts, folder).decode()
    digest = start_digest((n_words, width), dtype, subwords)
    for part in (letters, offsets):
        digest.update(part.data)
    blocks = _read_blocks(folder, facts, words, limit, digest, subwords)
    return Source(width, blocks, subwords)


def _read_blocks(
    folder: Path,
    facts: dict[str, Any],
    words: tuple[str, ...],
    limit: int | None,
    digest: Any,
    subwords: Subwords | None,
) -> Iterator[Block]:
    """Words and numbers up to a limit, while all numbers go to the digest."""
    width, dtype = facts["width"], np.dtype(facts["dtype"])
    with (folder / "matrix.bin").open("rb") as file:
        for start in range(0, len(words), WORDS_A_BLOCK):
            n_rows = min(WORDS_A_BLOCK, len(words) - start)
            data = file.read(n_rows * width * dtype.itemsize)
            digest.update(data)
            wanted = n_rows if limit is None else max(0, min(n_rows, limit - start))
            if wanted and len(data) == n_rows * width * dtype.itemsize:
                matrix = np.frombuffer(data, dtype).reshape(n_rows, width)[:wanted]
                yield list(words[start : start + wanted]), matrix
        digest.update(file.read(1))
    if subwords is not None:
        digest.update(subwords.buckets.data)
    if digest.hexdigest() != facts["digest"]:
        raise WordVectorsError(
            f"{folder} is damaged: its digest is not the one in vectors.json: get the "
            "vectors again, or save them again."
        )
