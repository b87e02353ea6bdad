"""Vectors of more texts than memory holds, written to a file that can be gone on with.

The file is an ordinary ``.npy``, which is `Unfinished` until it is complete. It has its
full size from the start, so the notes hold a hash of each block of texts that is done.
Shapes: n texts, w numbers in a vector.
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
from sktransfer.storage import Unfinished, read_json

__all__ = ["names_beside", "write_vectors"]

_BLOCK = 8192
_FACTS = frozenset({"digest", "shape", "blocks"})


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

    Blocks of the same texts that an earlier call had completed are kept, if the digest
    of what turns texts into vectors, of shape (n, width), is the same. The answer is
    the array, read-only. Fewer or more than `n_texts` are an `InvalidInputError`, and
    so is a file of somebody else's where the array is made.
    """
    unfinished = Unfinished(*names_beside(path), _FACTS)
    part, shape = unfinished.part, (n_texts, width)
    hashes = _find_done(unfinished, digest, shape)
    if not hashes:
        unfinished.write_notes(digest=digest, shape=shape, blocks=[])
    mode: Any = "r+" if hashes else "w+"
    vectors = open_memmap(part, mode=mode, dtype=np.float32, shape=shape)
    if vectors.shape != shape:
        hashes = []
        vectors = open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
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
            unfinished.write_notes(digest=digest, shape=shape, blocks=hashes)
        done = end
    if done < n_texts:
        raise InvalidInputError(
            f"X holds {done} texts, but {n_texts} were announced as n_texts: pass "
            "their number, or X as a list."
        )
    del vectors
    part.replace(path)
    unfinished.notes.unlink(missing_ok=True)
    written: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return written


def names_beside(path: Path) -> tuple[Path, Path]:
    """Files that stand beside an array while it is made: a part, and notes."""
    part, notes = (path.with_name(path.name + end) for end in (".part", ".part.json"))
    return part, notes


def _find_done(
    unfinished: Unfinished, digest: str, shape: tuple[int, int]
) -> list[str]:
    """Hashes of the blocks that are done; none if they are of something else."""
    foreign = [
        path
        for path in unfinished.find_foreign()
        if path != unfinished.notes or _is_json(path)  # nobody misses damaged ones
    ]
    if foreign:
        raise InvalidInputError(
            f"{foreign[0]} is in the way, and was not left by an interrupted call: "
            "move it, or name another file for the vectors."
        )
    notes = unfinished.read_notes() if unfinished.part.is_file() else None
    if notes is None or (notes["digest"], notes["shape"]) != (digest, [*shape]):
        return []
    return [str(block) for block in notes["blocks"]]


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except (OSError, ValueError):
        return False
    return True


def _hash(texts: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
