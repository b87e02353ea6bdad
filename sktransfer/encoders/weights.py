"""Tensors of BERT and its relatives under one set of names, straight from the files.

Most encoders in use are BERT with other names: the same sum of embeddings, and layers
of attention and two products with a norm after each. Reading them without transformers
saves the import of its modelling code, which takes longer than the weights do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from sktransfer.encoders.layout import Architecture, read_architecture

__all__ = [
    "TABLE",
    "BertWeights",
    "find_table",
    "name_weights",
    "read_tensors",
    "read_weights",
    "without_table",
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

    Parameters
    ----------
    folder : pathlib.Path
        With configuration and safetensors.

    Returns
    -------
    weights : BertWeights or None
        None where it is another architecture, another format, or incomplete: then
        transformers reads it, or says what is wrong.
    """
    architecture = read_architecture(folder)
    if architecture.get("model_type") not in _RELATIVES:
        return None
    try:
        return name_weights(read_tensors(folder), architecture)
    except (OSError, SafetensorError):
        return None


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint's files, mapped: what nobody reads takes no memory.

    Parameters
    ----------
    folder : pathlib.Path
        With safetensors.

    Returns
    -------
    tensors : dict of str to tensor
        Under the files' names.

    Raises
    ------
    OSError, safetensors.SafetensorError
        If a file is damaged or cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors.update(load_file(path))
    return tensors


def find_table(folder: Path) -> tuple[Path, str]:
    """File with the token embeddings of a BERT-like encoder, and their name there.

    Parameters
    ----------
    folder : pathlib.Path
        One that `read_weights` can read.

    Returns
    -------
    path : pathlib.Path
    name : str
    """
    kind = str(read_architecture(folder).get("model_type"))
    for path in sorted(folder.glob("model*.safetensors"), reverse=True):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                if _rename(name, kind) == TABLE:
                    return path, name
    raise LookupError(f"No file in {folder} has the tensor {TABLE!r}.")


def without_table(
    tensors: Mapping[str, Tensor], architecture: Architecture
) -> dict[str, Tensor]:
    """Tensors of a BERT-like encoder, the token embeddings left out.

    Parameters
    ----------
    tensors : mapping of str to tensor
        As a checkpoint's file names them.
    architecture : Architecture
        Entries of the configuration.

    Returns
    -------
    others : dict of str to tensor
    """
    kind = str(architecture.get("model_type"))
    return {
        name: tensor for name, tensor in tensors.items() if _rename(name, kind) != TABLE
    }


def name_weights(
    tensors: Mapping[str, Tensor], architecture: Architecture
) -> BertWeights | None:
    """Give tensors BERT's names, if they are those of a BERT-like encoder.

    Parameters
    ----------
    tensors : mapping of str to tensor
        As a checkpoint's file names them, or as a module's ``state_dict`` does.
    architecture : Architecture
        Entries of the configuration.

    Returns
    -------
    weights : BertWeights or None
        None where the encoder computes anything that BERT does not.
    """
    kind = str(architecture.get("model_type"))
    heads = architecture.get("num_attention_heads") or architecture.get("n_heads")
    activation = architecture.get("hidden_act") or architecture.get("activation")
    positions = architecture.get("position_embedding_type") or "absolute"
    if (
        kind not in _RELATIVES
        or heads is None
        or architecture.n_layers is None
        or (activation or "gelu") != "gelu"
        or positions != "absolute"
        or architecture.get("is_decoder")
    ):
        return None
    named = {_rename(name, kind): tensor for name, tensor in tensors.items()}
    wanted = _OF_EMBEDDINGS + [
        f"encoder.layer.{layer}.{name}"
        for layer in range(architecture.n_layers)
        for name in _OF_A_LAYER
    ]
    if any(name not in named for name in wanted) or not _fits(named, architecture):
        return None
    optional = (
        "embeddings.token_type_embeddings.weight",
        "embeddings_project.weight",
        "embeddings_project.bias",
    )
    wanted += [name for name in optional if name in named]
    return BertWeights(
        tensors={name: named[name] for name in wanted},
        n_layers=architecture.n_layers,
        n_heads=int(heads),
        eps=float(architecture.get("layer_norm_eps") or 1e-12),
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
    last = f"encoder.layer.{(architecture.n_layers or 1) - 1}.output.dense.weight"
    words = named[TABLE]
    n_positions = architecture.get("max_position_embeddings")
    return (
        words.dtype in (torch.float32, torch.float16, torch.bfloat16)
        and words.shape[0] == architecture.get("vocab_size", words.shape[0])
        and named[last].shape[0] == width
        and (words.shape[1] == width or "embeddings_project.weight" in named)
        and n_positions
        in (None, named["embeddings.position_embeddings.weight"].shape[0])
    )
