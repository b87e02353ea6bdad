"""The table of token embeddings, held once for all that read it.

Of a small model with a large vocabulary it is nearly all there is: four fifths of
multilingual-e5-small. It stays as the checkpoint's file has it, mapped from there, so
that a process holds the rows that texts use and several processes hold them together;
what is looked up is converted.
"""

from __future__ import annotations

import dataclasses
import json
import math
import mmap
import struct
import weakref
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sktransfer.encoders.weights import TABLE, BertWeights, find_table, read_weights

__all__ = ["TokenTable", "look_up", "share_table", "share_weights"]

_FORMATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Tokens after which a process lets go of the pages that it has read. The system keeps
# them, for all processes and while nobody else needs the memory; asking for one again
# takes a microsecond.
_PATIENCE = 4096

# By the address of the table: what it is mapped by, and tokens read since.
_mapped: dict[int, tuple[mmap.mmap, int]] = {}


# By the checkpoint's digest, for as long as anybody reads them.
_tables: weakref.WeakValueDictionary[str, Tensor] = weakref.WeakValueDictionary()


def share_table(digest: str, folder: Path) -> Tensor | None:
    """Token embeddings of a checkpoint, the same tensor at each call.

    Parameters
    ----------
    digest : str
        The checkpoint's.
    folder : pathlib.Path
        Where its weights lie.

    Returns
    -------
    table : tensor of shape (vocabulary, width) or None
        On the CPU and in the file's number format. It must never be changed. None where
        `read_weights` leaves the checkpoint to transformers.
    """
    table = _tables.get(digest)
    if table is not None or read_weights(folder) is None:
        return table
    path, name = find_table(folder)
    with path.open("rb") as file:
        (n_bytes,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(n_bytes))[name]
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    table = torch.frombuffer(
        mapping,
        dtype=_FORMATS[entry["dtype"]],
        count=math.prod(entry["shape"]),
        offset=8 + n_bytes + entry["data_offsets"][0],
    ).view(entry["shape"])
    _mapped[table.data_ptr()] = mapping, 0
    weakref.finalize(table, _mapped.pop, table.data_ptr())
    _tables[digest] = table
    return table


def look_up(ids: Tensor, table: Tensor, **options: Any) -> Tensor:
    """Rows of a table of embeddings, which may be a shared one.

    Parameters
    ----------
    ids : int64 tensor of any shape
        Which rows.
    table : tensor of shape (vocabulary, width)
        On the device of `ids`.
    **options
        For ``torch.nn.functional.embedding``.

    Returns
    -------
    rows : tensor of shape (*ids.shape, width)
        In the table's number format.
    """
    rows = F.embedding(ids, table, **options)
    found = _mapped.get(table.data_ptr()) if table.device.type == "cpu" else None
    if found is not None:
        mapping, n_read = found
        n_read += ids.numel()
        if n_read >= _PATIENCE and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)
            n_read = 0
        _mapped[table.data_ptr()] = mapping, n_read
    return rows


def share_weights(digest: str, folder: Path) -> BertWeights | None:
    """Weights of a checkpoint, with the token embeddings that others read too.

    Parameters
    ----------
    digest, folder
        As for `share_table`.

    Returns
    -------
    weights : BertWeights or None
        As `read_weights` returns them.
    """
    weights, table = read_weights(folder), share_table(digest, folder)
    if weights is None or table is None:
        return None
    return dataclasses.replace(weights, tensors={**weights.tensors, TABLE: table})


class _Shared:
    """Keeps a table for others to find; a copy of a module keeps the same one."""

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


class TokenTable(nn.Embedding):
    """A module's token embeddings, shared for as long as they do not learn.

    Parameters
    ----------
    table : tensor of shape (vocabulary, width)
        As `share_table` returns it.
    padding_idx : int or None
        Row without a gradient.
    dtype : torch.dtype
        Number format of what is looked up, and of the table once it is owned.
    """

    def __init__(
        self, table: Tensor, *, padding_idx: int | None, dtype: torch.dtype
    ) -> None:
        n_rows, width = table.shape
        super().__init__(n_rows, width, padding_idx, _weight=table, _freeze=True)
        self.format = dtype
        self.owned = False
        self._shared: _Shared | None = _Shared(table)

    def own(self) -> None:
        """Hold a copy from now on, which may be changed."""
        if not self.owned:
            self.weight.data = self.weight.data.to(self.format, copy=True)
            self.owned, self._shared = True, None

    def forward(self, input: Tensor) -> Tensor:
        """Rows (..., width) of the ids (...), in the format of the layers above."""
        options = {"padding_idx": self.padding_idx, "sparse": self.sparse}
        return look_up(input, self.weight, **options).to(self.format)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        if f"{prefix}weight" in state_dict:
            self.own()
        super()._load_from_state_dict(state_dict, prefix, *args)
