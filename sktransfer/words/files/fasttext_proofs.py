"""What fastText's binary file promises, proved before gensim believes it.

gensim takes counts from the header as they are: one that is too large has it read for
ever, or ask for memory that there is not.

====================  ============================================================
header                magic, version, 12 whole numbers, a float64
dictionary            counts of entries, words, labels (int32), tokens and pruned
                      pieces (int64), then "word", 0, count (int64), kind (int8)
matrix                quantised?, rows, columns (int64), numbers (float32)
====================  ============================================================
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import IO, Any

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files.proofs import (
    MOST_LETTERS,
    MOST_NUMBERS,
    MOST_WORDS,
    prove_numbers,
)

__all__ = ["prove_fasttext"]

_HEADER = struct.Struct("<14id")
_COUNTS = struct.Struct("<3i2q")
_SHAPE = struct.Struct("<?2q")
_BYTES_BEHIND_A_WORD = 9
_BYTES_A_READ = 1 << 22


def prove_fasttext(path: Path) -> None:
    """Raise unless the counts, the words and the matrix of a file fit one another."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _unpack(file, _HEADER, path)
        width, n_buckets, shortest, longest = header[2], *header[10:13]
        n_entries, n_words, n_labels, _, n_pruned = _unpack(file, _COUNTS, path)
        found: dict[str, Any] = {
            "the width": width,
            "the number of buckets": n_buckets,
            "the number of words": n_words,
        }
        prove_numbers(found, ["the width"], 1, MOST_NUMBERS, path)
        prove_numbers(found, ["the number of buckets"], 0, MOST_WORDS, path)
        prove_numbers(found, ["the number of words"], 1, MOST_WORDS, path)
        pieces = {"the shortest piece": shortest, "the longest piece": longest}
        prove_numbers(pieces, pieces, 0, MOST_LETTERS, path)
        if n_labels > 0 or n_entries != n_words or n_pruned > 0:
            raise WordVectorsError(
                f"{path} has {n_entries} entries, {n_labels} labels and {n_pruned} "
                f"pruned pieces for {n_words} words, but a model of words alone is "
                "expected: give one that was trained with skipgram or cbow, and not "
                "quantised."
            )
        file.seek(_skip_words(file, n_words, path))
        is_quantised, n_rows, n_columns = _unpack(file, _SHAPE, path)
        rest = size - file.tell()
    if is_quantised or (n_rows, n_columns) != (n_words + n_buckets, width):
        raise WordVectorsError(
            f"{path} has a matrix of {n_rows} x {n_columns} numbers, but "
            f"{n_words + n_buckets} x {width} are expected, not quantised: get it "
            "again."
        )
    if rest < 4 * n_rows * n_columns:
        raise _cut(path, size)


def _unpack(file: IO[bytes], layout: struct.Struct, path: Path) -> tuple[Any, ...]:
    data = file.read(layout.size)
    if len(data) < layout.size:
        raise _cut(path, file.tell())
    return layout.unpack(data)


def _skip_words(file: IO[bytes], n_words: int, path: Path) -> int:
    """Where the last of so many words ends."""
    start, buffer, place = file.tell(), b"", 0
    for number in range(n_words):
        end = buffer.find(b"\0", place)
        if end < 0 or end + 1 + _BYTES_BEHIND_A_WORD > len(buffer):
            start, buffer, place = start + place, buffer[place:], 0
            buffer += file.read(_BYTES_A_READ)
            end = buffer.find(b"\0")
        stop = end + 1 + _BYTES_BEHIND_A_WORD
        if end < 0 or stop > len(buffer):
            raise WordVectorsError(
                f"{path} announces {n_words} words, but word {number}, at byte "
                f"{start + place}, has no end: the file was cut; get it again."
            )
        place = stop
    return start + place


def _cut(path: Path, size: int) -> WordVectorsError:
    return WordVectorsError(
        f"{path} ends at byte {size}, but more is expected: the file was cut; get it "
        "again."
    )
