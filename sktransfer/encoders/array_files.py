"""Vectors of more texts than memory holds, written to a file that can be gone on with.

The file is an ordinary ``.npy``; beside it lies a small JSON with how far it is and
what it is of, until it is complete. Shapes: n texts, w numbers in a vector.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidInputError
from sktransfer.storage import read_json, write_file_beside, write_json

__all__ = ["names_beside", "write_vectors"]

_BLOCK = 8192
_FACTS = {"digest", "shape", "blocks"}


def write_vectors(
    texts: Iterable[str],
    n_texts: int,
    path: Path,
    *,
    width: int,
    digest: str,
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Write the vector of each text to a memory-mapped array, a block at a time.

    Parameters
    ----------
    texts : iterable of str, of length n_texts
        Gone through once.
    n_texts : int
        How many there are.
    path : pathlib.Path
        The ``.npy`` file. If an earlier call was interrupted, blocks of the same texts
        that it had completed are kept.
    width : int
        Numbers in a vector.
    digest : str
        Of what turns texts into vectors.
    encode : callable
        Texts to vectors of shape (n, width).

    Returns
    -------
    vectors : float32 memory map of shape (n_texts, width)
        Read-only.

    Raises
    ------
    InvalidInputError
        If there are fewer or more texts than `n_texts`, or if a file that no earlier
        call has left stands where the array is made.
    """
    beside, notes = names_beside(path)
    _check_ours(beside, notes)
    hashes = _read_notes(notes, digest, n_texts, width) if beside.is_file() else []
    shape = (n_texts, width)
    if not hashes:
        # Before the array: one without notes is somebody else's.
        _write_notes(notes, digest, shape, [])
    mode: Any = "r+" if hashes else "w+"
    vectors = open_memmap(beside, mode=mode, dtype=np.float32, shape=shape)
    if vectors.shape != shape:
        hashes = []
        vectors = open_memmap(beside, mode="w+", dtype=np.float32, shape=shape)
    done = 0
    source = iter(texts)
    while block := list(itertools.islice(source, _BLOCK)):
        number, end = done // _BLOCK, done + len(block)
        if end > n_texts:
            raise InvalidInputError(
                f"X holds more than the {n_texts} texts that were announced: pass "
                "their number as n_texts, or X as a list."
            )
        own = _hash(block)
        if hashes[number : number + 1] != [own]:
            vectors[done:end] = encode(block)
            vectors.flush()
            hashes = [*hashes[:number], own]
            _write_notes(notes, digest, shape, hashes)
        done = end
    if done < n_texts:
        raise InvalidInputError(
            f"X holds {done} texts, but {n_texts} were announced as n_texts: pass "
            "their number, or X as a list."
        )
    del vectors
    beside.replace(path)
    notes.unlink(missing_ok=True)
    written: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return written


def names_beside(path: Path) -> tuple[Path, Path]:
    """Files that stand beside an array while it is made.

    Parameters
    ----------
    path : pathlib.Path
        Of the array.

    Returns
    -------
    part, notes : pathlib.Path
    """
    part, notes = (path.with_name(path.name + end) for end in (".part", ".part.json"))
    return part, notes


def _write_notes(
    path: Path, digest: str, shape: tuple[int, int], hashes: list[str]
) -> None:
    with write_file_beside(path) as file:
        content = {"digest": digest, "shape": list(shape), "blocks": hashes}
        write_json(file, content)


def _check_ours(part: Path, notes: Path) -> None:
    """Refuse to write over files that no earlier call has left."""
    try:
        content = read_json(notes)
    except (OSError, ValueError):  # none, or damaged ones: nobody misses those
        in_the_way, is_ours = part, False
    else:
        in_the_way = notes
        is_ours = isinstance(content, dict) and content.keys() == _FACTS
    if not is_ours and in_the_way.exists() and in_the_way.stat().st_size:
        raise InvalidInputError(
            f"{in_the_way} is in the way, and was not left by an interrupted call: "
            "move it, or name another file for the vectors."
        )


def _read_notes(path: Path, digest: str, n_texts: int, width: int) -> list[str]:
    """Hashes of the blocks that are done; none if they are of something else."""
    try:
        notes = read_json(path)
        if notes["digest"] == digest and notes["shape"] == [n_texts, width]:
            return [str(block) for block in notes["blocks"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return []


def _hash(texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
