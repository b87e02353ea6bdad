"""Tensors of BERT and its relatives under one set of names, straight from the files.

Most encoders in use are BERT with other names: the same sum of embeddings, and layers
of attention and two products with a norm after each. Reading them without transformers
saves the import of its modelling code, which takes longer than the weights do.

Of a small model with a large vocabulary it is nearly all there is: four fifths of
multilingual-e5-small. It stays as the checkpoint's file has it, mapped from there, so
that a process holds the rows that texts use and several processes hold them together;
what is looked up is converted.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import mmap
import re
import struct
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sktransfer.encoders.checkpoints.declarations import (
    Architecture,
    read_architecture,
)

__all__ = [
    "TABLE",
    "BertWeights",
    "TokenTable",
    "find_table",
    "forget_table",
    "look_up",
    "name_weights",
    "read_tensors",
    "read_weights",
    "share_table",
    "share_weights",
    "with_short_table",
]

#: Name of the token embeddings.
TABLE = "embeddings.word_embeddings.weight"

# Architectures that compute what BERT does, and whether their positions are counted
# from the padding's id on.
_RELATIVES = {
    "bert": False,
    "camembert": True,
    "distilbert": False,
    "electra": False,
    "roberta": True,
    "xlm-roberta": True,
}

# DistilBERT's names, as BERT has them.
_RENAMED = [
    (r"^transformer\.layer\.", "encoder.layer."),
    (r"\.attention\.q_lin\.", ".attention.self.query."),
    (r"\.attention\.k_lin\.", ".attention.self.key."),
    (r"\.attention\.v_lin\.", ".attention.self.value."),
    (r"\.attention\.out_lin\.", ".attention.output.dense."),
    (r"\.sa_layer_norm\.", ".attention.output.LayerNorm."),
    (r"\.ffn\.lin1\.", ".intermediate.dense."),
    (r"\.ffn\.lin2\.", ".output.dense."),
    (r"\.output_layer_norm\.", ".output.LayerNorm."),
]
_OF_A_LAYER = [
    f"{name}.{kind}"
    for name in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    for kind in ("weight", "bias")
]
_OF_EMBEDDINGS = [
    TABLE,
    "embeddings.position_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
]

_FORMATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Tokens after which a process lets go of the pages that it has read. The system keeps
# them, for all processes and while nobody else needs the memory; asking for one again
# takes a microsecond.
_PATIENCE = 4096

# By the address of the table: what it is mapped by, and tokens read since.
_mapped: dict[int, tuple[mmap.mmap, int]] = {}


# By the checkpoint's digest, for as long as anybody reads them.
_tables: weakref.WeakValueDictionary[str, Tensor] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class BertWeights:
    """Everything that a BERT-like encoder computes with.

    Attributes
    ----------
    tensors : mapping of str to tensor
        Under BERT's names; projections of embeddings and token types only where the
        architecture has them.
    n_layers, n_heads : int
        Layers above the embeddings, and attention heads of each.
    eps : float
        What keeps the norms from dividing by zero.
    pad_id : int or None
        Where positions are counted from the padding's id on, that id.
    """

    tensors: Mapping[str, Tensor]
    n_layers: int
    n_heads: int
    eps: float
    pad_id: int | None


def read_weights(folder: Path) -> BertWeights | None:
    """Read a BERT-like checkpoint without transformers.

    None where it is another architecture, another format, or incomplete: then
    transformers reads it, or says what is wrong.
    """
    architecture = read_architecture(folder)
    if architecture.kind not in _RELATIVES:
        return None
    try:
        return name_weights(read_tensors(folder), architecture)
    except (OSError, SafetensorError):
        return None


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Tensors of a folder's files, mapped: what nobody reads takes no memory."""
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def find_table(folder: Path) -> tuple[Path, str]:
    """File with the token embeddings of what `read_weights` reads, and their name."""
    kind = read_architecture(folder).kind
    # From the last: where two files name a tensor, `read_tensors` takes the later one.
    for path in sorted(folder.glob("model*.safetensors"), reverse=True):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                if _rename(name, kind) == TABLE:
                    return path, name
    raise LookupError(f"No file in {folder} has the tensor {TABLE!r}.")


def with_short_table(
    tensors: Mapping[str, Tensor], architecture: Architecture, n_rows: int
) -> dict[str, Tensor]:
    """Tensors under a file's names, the first rows alone of the token embeddings."""
    kind = architecture.kind
    return {
        name: tensor[:n_rows] if _rename(name, kind) == TABLE else tensor
        for name, tensor in tensors.items()
    }


def name_weights(
    tensors: Mapping[str, Tensor], architecture: Architecture
) -> BertWeights | None:
    """Give tensors BERT's names; None where the encoder computes what BERT does not.

    `tensors` have the names of a checkpoint's file, or of a module's ``state_dict``.
    """
    kind = architecture.kind
    heads, n_layers = architecture.n_heads, architecture.n_layers
    eps = architecture.get("layer_norm_eps") or 1e-12
    activation = architecture.get("hidden_act") or architecture.get("activation")
    positions = architecture.get("position_embedding_type") or "absolute"
    if (
        kind not in _RELATIVES
        or heads is None
        or n_layers is None
        or n_layers > len(tensors)
        or not isinstance(eps, (int, float))
        or (activation or "gelu") != "gelu"
        or positions != "absolute"
        or architecture.get("is_decoder")
    ):
        return None
    named = {_rename(name, kind): tensor for name, tensor in tensors.items()}
    wanted = _OF_EMBEDDINGS + [
        f"encoder.layer.{layer}.{name}"
        for layer in range(n_layers)
        for name in _OF_A_LAYER
    ]
    if any(name not in named for name in wanted):
        return None
    optional = (
        "embeddings.token_type_embeddings.weight",
        "embeddings_project.weight",
        "embeddings_project.bias",
    )
    wanted += [name for name in optional if name in named]
    chosen = {name: named[name] for name in wanted}
    if not _fits(chosen, architecture) or not _fit_together(chosen, n_layers, heads):
        return None
    return BertWeights(
        tensors=chosen,
        n_layers=n_layers,
        n_heads=heads,
        eps=float(eps),
        pad_id=architecture.pad_id if _RELATIVES[kind] else None,
    )


def _rename(name: str, kind: str) -> str:
    """A tensor's name as BERT alone, without a head above it, has it."""
    for prefix in ("bert.", "roberta.", "electra.", "distilbert."):
        name = name.removeprefix(prefix)
    if kind == "distilbert":
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
    return name


def _fits(named: Mapping[str, Tensor], architecture: Architecture) -> bool:
    """Whether the sizes are those of the configuration, and the numbers floats."""
    width = architecture.hidden_size
    words = named[TABLE]
    # DistilBERT may have an entry of the other name, which says nothing.
    own = "hidden_dim" if architecture.kind == "distilbert" else "intermediate_size"
    inner = architecture.get(own)
    n_positions = architecture.get("max_position_embeddings")
    return (
        all(tensor.dtype in _FORMATS.values() for tensor in named.values())
        and words.shape[0] == architecture.get("vocab_size", words.shape[0])
        and named["encoder.layer.0.output.dense.bias"].shape == (width,)
        and inner in (None, len(named["encoder.layer.0.intermediate.dense.bias"]))
        and (words.shape[-1] == width or "embeddings_project.weight" in named)
        and n_positions
        in (None, named["embeddings.position_embeddings.weight"].shape[0])
    )


def _fit_together(named: Mapping[str, Tensor], n_layers: int, n_heads: int) -> bool:
    """Whether each tensor has the sizes that the one before and after it call for."""
    words = named[TABLE]
    width = len(named["encoder.layer.0.output.dense.bias"])
    inner = len(named["encoder.layer.0.intermediate.dense.bias"])
    if words.ndim != 2 or not words.numel() or width % n_heads:
        return False
    narrow = words.shape[1]
    positions = named["embeddings.position_embeddings.weight"]
    types = named.get("embeddings.token_type_embeddings.weight", words[:1])
    shapes = {
        "embeddings.position_embeddings.weight": (len(positions), narrow),
        "embeddings.token_type_embeddings.weight": (max(1, len(types)), narrow),
        "embeddings.LayerNorm.weight": (narrow,),
        "embeddings.LayerNorm.bias": (narrow,),
        "embeddings_project.weight": (width, narrow),
        "embeddings_project.bias": (width,),
    }
    for layer, name in itertools.product(range(n_layers), _OF_A_LAYER):
        wide = inner if name.startswith("intermediate") else width
        inputs = inner if name == "output.dense.weight" else width
        plain = name.endswith("bias") or "LayerNorm" in name
        shapes[f"encoder.layer.{layer}.{name}"] = (wide,) if plain else (wide, inputs)
    shapes[TABLE] = tuple(words.shape)
    return all(tensor.shape == shapes[name] for name, tensor in named.items())


def share_table(digest: str, folder: Path) -> Tensor | None:
    """Token embeddings of a checkpoint, (vocabulary, width), one tensor for all calls.

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
        # Copied when written to, as torch warns of memory that cannot be written.
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


def forget_table(digest: str) -> None:
    """Have nobody else find a table that may not be of this digest."""
    _tables.pop(digest, None)


def look_up(ids: Tensor, table: Tensor, **options: Any) -> Tensor:
    """Rows (..., width) of a table for ids (...), in the table's number format.

    The table may be a shared one; `options` are those of
    ``torch.nn.functional.embedding``.
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
    """Weights of a checkpoint, with the token embeddings that others read too."""
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

    `table` (vocabulary, width) is as `share_table` returns it; `dtype` is the number
    format of what is looked up, and of the table once it is owned.
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
