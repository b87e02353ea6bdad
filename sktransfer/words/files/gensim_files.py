"""gensim's own files and fastText's binary ones, which gensim reads."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files.fasttext_proofs import prove_fasttext
from sktransfer.words.files.tables import Source, split_source
from sktransfer.words.files.vocabulary import Subwords

__all__ = [
    "is_fasttext",
    "is_pickle",
    "read_fasttext",
    "read_gensim",
    "source_of_keyed_vectors",
]

_FASTTEXT_MAGIC = struct.pack("<i", 793712314)


def is_fasttext(start: bytes) -> bool:
    """Whether a file that begins with `start` is fastText's .bin."""
    return start[:4] == _FASTTEXT_MAGIC


def is_pickle(start: bytes) -> bool:
    """Whether a file that begins with `start` is a pickle, as gensim writes."""
    return len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5


def read_fasttext(path: Path, limit: int | None) -> Source:
    """Have gensim read a file of fastText, which is numbers and words."""
    prove_fasttext(path)
    from gensim.models.fasttext import load_facebook_vectors

    return _have_read(load_facebook_vectors, path, limit)


def read_gensim(path: Path, limit: int | None) -> Source:
    """Have gensim open a file of its own: a pickle, which runs the code that it holds.

    No name and no content of a file may lead here, nor anything that a saved model
    says: only a caller who asked for this very format, and trusts who wrote it.
    """
    from gensim.utils import SaveLoad

    return _have_read(lambda name: SaveLoad.load(name, mmap="r"), path, limit)


def _have_read(read: Callable[[str], Any], path: Path, limit: int | None) -> Source:
    try:
        found = read(str(path))
    except Exception as error:  # gensim and pickle raise all kinds
        raise WordVectorsError(
            f"gensim cannot read {path} ({type(error).__name__}: {error}): is the file "
            "whole, and are all files beside it that gensim wrote?"
        ) from error
    return source_of_keyed_vectors(getattr(found, "wv", found), limit, str(path))


def source_of_keyed_vectors(keyed: Any, limit: int | None, name: str) -> Source:
    """Hand over gensim's KeyedVectors, with subwords where they are fastText's.

    `name` is how the error message calls what holds something else.
    """
    words = getattr(keyed, "index_to_key", None)
    matrix = getattr(keyed, "vectors", None)
    if not isinstance(words, list) or not isinstance(matrix, np.ndarray):
        raise WordVectorsError(
            f"{name} holds a {type(keyed).__name__}, but gensim's KeyedVectors or a "
            "model that has some is expected."
        )
    subwords = None
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or len(words) > len(matrix):
        raise WordVectorsError(
            f"{name} has {len(words)} words, but numbers of shape {matrix.shape} and "
            f"type {matrix.dtype}: get it again, or save it again."
        )
    subwords = None
    buckets = getattr(keyed, "vectors_ngrams", None)
    if buckets is not None:
        lengths = {"shortest": int(keyed.min_n), "longest": int(keyed.max_n)}
        facts = {"n_buckets": len(buckets), **lengths}
        rows = np.ascontiguousarray(buckets, np.float32)
        subwords = Subwords.from_facts(rows, facts)
    return split_source([str(word) for word in words[:limit]], matrix, limit, subwords)
