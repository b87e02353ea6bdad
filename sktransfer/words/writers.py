"""Write vectors in formats that others read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO

import numpy as np

from sktransfer.exceptions import InvalidParameterError, WordVectorsError
from sktransfer.storage import write_file_beside, write_folder_beside
from sktransfer.words.table_files import find_others, write_table
from sktransfer.words.tables import Source, Table

__all__ = ["FORMATS", "write_vectors"]

FORMATS = ("sktransfer", "word2vec", "word2vec-binary", "gensim")


def write_vectors(path: Path, table: Table, format: str) -> None:
    """Write vectors to `path`, which is either whole afterwards or as it was.

    Parameters
    ----------
    path : pathlib.Path
        A folder for "sktransfer", else a file, compressed where its name ends in .gz.
    table : Table
    format : {"sktransfer", "word2vec", "word2vec-binary", "gensim"}

    Raises
    ------
    InvalidParameterError
        If `format` is none of these.
    WordVectorsError
        If a word cannot be written in the format, or if a folder of vectors would
        replace something else.
    """
    if format not in FORMATS:
        raise InvalidParameterError(
            f"format={format!r}, but one of {list(FORMATS)} is expected."
        )
    words, matrix = table.vocabulary.words, table.matrix
    if format == "sktransfer":
        _check_place(path)
        source = Source(matrix.shape[1], iter([(list(words), matrix)]), table.subwords)
        with write_folder_beside(path) as folder:
            write_table(folder, source, str(matrix.dtype), str(path))
        return
    if format == "gensim":
        _write_gensim(path, table)
        return
    binary = format == "word2vec-binary"
    for word in words:
        # Text lines keep words with spaces apart by their width; the rest cannot.
        if not word or "\n" in word or (binary and " " in word):
            raise WordVectorsError(
                f"The word {word!r} cannot be written as {format}: save as "
                "'sktransfer' or 'gensim', or leave the word out."
            )
    with write_file_beside(path) as beside, _open(beside, path) as file:
        file.write(f"{len(words)} {matrix.shape[1]}\n".encode())
        for word, vector in zip(words, matrix.astype(np.float32), strict=True):
            file.write(word.encode() + b" ")
            # Nine digits give every float32 back exactly.
            text = " ".join(f"{number:.9g}" for number in vector.tolist())
            file.write(vector.astype("<f4").tobytes() if binary else text.encode())
            file.write(b"\n")


def _check_place(path: Path) -> None:
    """Refuse to replace anything but a folder of vectors by one."""
    if path.exists() and not path.is_dir():
        raise WordVectorsError(
            f"{path} is a file, but vectors are saved to a folder: name another path, "
            "or another format."
        )
    if path.exists() and (others := find_others(path)):
        raise WordVectorsError(
            f"{path} holds {', '.join(others[:5])}, and saving would remove that: move "
            "it, or choose a new folder."
        )


def _open(beside: Path, path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(beside, "wb")  # type: ignore[return-value]
    return beside.open("wb")


def _write_gensim(path: Path, table: Table) -> None:
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(table.matrix.shape[1])
    keyed.add_vectors(list(table.vocabulary.words), np.array(table.matrix, np.float32))
    # gensim puts large arrays beside the file under its name, so no renaming here.
    keyed.save(str(path))
