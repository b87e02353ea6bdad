"""Folders as kumo's packages carry them: a NumPy array, and its words in Parquet.

Both are read into memory: a map would end the process where somebody cuts the file.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from sktransfer.exceptions import WordVectorsError
from sktransfer.packages import require_extra

__all__ = ["read_package_folder"]


def read_package_folder(path: Path) -> tuple[list[str], np.ndarray]:
    """Words and numbers, of which there are as many."""
    matrices = sorted(path.glob("*_emb.npy"))
    tables = sorted(path.glob("*_index.parquet"))
    if len(matrices) != 1 or len(tables) != 1:
        raise WordVectorsError(
            f"{path} is a folder, but not one of vectors: 'vectors.json', or one "
            "'..._emb.npy' and one '..._index.parquet' are expected in it."
        )
    words, matrix = _read_words(tables[0]), _read_matrix(matrices[0])
    if len(words) != len(matrix):
        raise WordVectorsError(
            f"{path} has {len(words)} words, but {len(matrix)} vectors: get it again."
        )
    return words, matrix


def _read_words(path: Path) -> list[str]:
    require_extra("pyarrow", "models", "Reading the words of packaged vectors")
    import pyarrow.parquet

    try:
        words: list[Any] = pyarrow.parquet.read_table(
            path, columns=["index"], page_checksum_verification=True
        )["index"].to_pylist()
    except Exception as error:  # pyarrow raises all kinds
        raise WordVectorsError(
            f"{path} holds no words, as a column 'index' of a Parquet file "
            f"({type(error).__name__}: {str(error)[:200]}): get it again."
        ) from error
    for row, word in enumerate(words):
        if not isinstance(word, str):
            raise WordVectorsError(
                f"{path} has {word!r:.40} in row {row}, but a word is expected: get it "
                "again."
            )
    return words


def _read_matrix(path: Path) -> np.ndarray:
    """Numbers, shape (n_words, width); what holds objects is a pickle."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, is_fortran, dtype = read(file)
        except Exception as error:  # the header is an expression of Python
            raise WordVectorsError(
                f"{path} begins with no header of a NumPy array ({error}): get it "
                "again."
            ) from error
        if len(shape) != 2 or min(shape) < 1 or dtype.kind not in "fiu":
            raise WordVectorsError(
                f"{path} holds an array of shape {shape} and type {dtype}, but rows of "
                "numbers are expected: get it again."
            )
        n_bytes = math.prod(shape) * dtype.itemsize
        found = os.fstat(file.fileno()).st_size - file.tell()
        if found != n_bytes:
            raise WordVectorsError(
                f"{path} has {found} bytes of numbers, but {n_bytes} are expected for "
                f"the shape {shape}: the file was cut; get it again."
            )
        matrix = np.fromfile(file, dtype, math.prod(shape))
    if len(matrix) != math.prod(shape):
        raise WordVectorsError(f"{path} was cut while it was read: get it again.")
    return matrix.reshape(shape, order="F" if is_fortran else "C")
