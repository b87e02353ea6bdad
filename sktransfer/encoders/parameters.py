"""Parameters of BertFeaturizer: their rules, what "auto" stands for, and the recipe.

A `Recipe` is all that changes the vector of a text. Its fingerprint is part of the key
under which a cache keeps that vector.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch

from sktransfer.encoders.checkpoints.checkpoint import Checkpoint, known_layers
from sktransfer.encoders.compute.devices import DTYPES, INT8
from sktransfer.encoders.compute.loop import POOLINGS
from sktransfer.encoders.tokens import LONG_TEXTS
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import (
    FLAG,
    VERBOSE,
    Rule,
    exactly,
    instance,
    one_of,
    whole,
)

__all__ = [
    "CHANGE_VECTORS",
    "RULES",
    "Recipe",
    "explain_staleness",
    "resolve_layers",
    "resolve_max_length",
    "resolve_pooling",
]

# Part of every fingerprint: raise it when the same recipe would give other vectors.
# (Which attention a model uses follows from its configuration, which the digest holds.)
_FORMAT = 2

_SHARES = ("poolings", "layers")

#: Parameters of a featurizer that change vectors.
CHANGE_VECTORS = (
    "model",
    "revision",
    "pooling",
    "layers",
    "normalize",
    "prefix",
    "max_length",
    "long_text",
    "dtype",
)


@dataclass(frozen=True)
class Recipe:
    """All that changes the vector of a text.

    Scaling to length 1 is not part of it: it costs next to nothing and is done last.

    Attributes
    ----------
    checkpoint : Checkpoint
        Weights and tokenizer.
    layers : tuple of int
        Hidden states that are averaged.
    pooling : tuple of {"mean", "cls", "max"}
        Put side by side.
    prefix : str
        Put before each text.
    max_length : int
        Tokens of a row, special ones included.
    long_text : {"truncate", "head_tail", "window"}
        What becomes of longer texts.
    device : torch.device
        Where it is computed.
    dtype : torch.dtype
        In which number format.
    """

    checkpoint: Checkpoint
    layers: tuple[int, ...]
    pooling: tuple[str, ...]
    prefix: str
    max_length: int
    long_text: str
    device: torch.device
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """Length of a vector."""
        return len(self.pooling) * self.checkpoint.hidden_size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that tells two vectors of one text apart.

        The folder and the number of a card are no part of it.
        """
        return self.digest(self.device.type, str(self.dtype))

    def digest(self, *choices: object) -> str:
        """SHA-256 of checkpoint, layers, pooling, prefix, lengths, and `choices`.

        These need a ``repr`` that is the same everywhere.
        """
        parts = (
            _FORMAT,
            self.checkpoint.digest,
            self.layers,
            self.pooling,
            self.prefix,
            self.max_length,
            self.long_text,
            *choices,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def resolve_pooling(pooling: Any, checkpoint: Checkpoint) -> tuple[str, ...]:
    """The poolings to put side by side; "auto" asks the checkpoint."""
    if pooling != "auto":
        return (pooling,) if isinstance(pooling, str) else tuple(pooling)
    unknown = [name for name in checkpoint.pooling if name not in POOLINGS]
    if unknown:
        raise InvalidParameterError(
            f"pooling is 'auto', and the checkpoint {checkpoint.name!r} declares "
            f"{unknown[0]!r}, which does not exist here: choose {_list(POOLINGS)}."
        )
    return checkpoint.pooling


def resolve_layers(layers: Any, checkpoint: Checkpoint) -> tuple[int, ...]:
    """The hidden states to average, by indices that count from the last, -1.

    "auto" is the last layer, or what was measured to serve this checkpoint better.
    """
    if isinstance(layers, str):  # "auto"
        layers = known_layers(checkpoint.name)
    chosen = tuple(int(layer) for layer in np.ravel(layers))
    depth = checkpoint.n_layers
    for layer in chosen:
        if not -depth - 1 <= layer <= depth:
            raise InvalidParameterError(
                f"layers is {layers!r}, but {checkpoint.name!r} has {depth} layers: "
                f"indices from {-depth - 1} to {depth} are expected, 0 being the "
                "embeddings."
            )
    return tuple(
        int(layer) - depth - 1 if layer >= 0 else int(layer) for layer in chosen
    )


def resolve_max_length(max_length: int | None, checkpoint: Checkpoint) -> int:
    """How many tokens of a text are read at once."""
    if max_length is None:
        return checkpoint.max_length
    limit = checkpoint.n_positions
    if limit is not None and max_length > limit:
        raise InvalidParameterError(
            f"max_length is {max_length}, but {checkpoint.name!r} reads at most "
            f"{limit} tokens at once: pass a smaller one, or long_text='window' for "
            "long texts."
        )
    return int(max_length)


def explain_staleness(now: dict[str, Any], then: dict[str, Any]) -> str:
    """Why vectors would not be those of the time of ``fit``, and what to do.

    Names the first parameter that changed vectors, else the weights.
    """
    for name in CHANGE_VECTORS:
        if now[name] != then[name]:
            return (
                f"{name} is {now[name]!r}, but this BertFeaturizer was fitted with "
                f"{name}={then[name]!r}, which gives other vectors: call fit again."
            )
    return (
        f"The weights found as {now['model']!r} are not those that this BertFeaturizer "
        "was fitted with: call fit again, or restore them."
    )


def _is_pooling(value: Any) -> bool:
    if isinstance(value, str):
        return value == "auto" or value in POOLINGS
    return (
        isinstance(value, (tuple, list))
        and 0 < len(set(map(str, value))) == len(value)
        and all(isinstance(name, str) and name in POOLINGS for name in value)
    )


def _is_layers(value: Any) -> bool:
    if isinstance(value, str):
        return value == "auto"
    parts = value if isinstance(value, (tuple, list)) else (value,)
    return len(parts) > 0 and all(
        isinstance(part, Integral) and not isinstance(part, bool) for part in parts
    )


def _is_cache(value: Any) -> bool:
    # A folder is named as a path, so that a slip such as 'disk' makes no folder.
    if isinstance(value, str):
        return value == "memory" or os.sep in value or "/" in value
    return value is None or isinstance(value, os.PathLike)


def _list(names: Any) -> str:
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}"


_NONE = exactly(None)
_AUTO = exactly("auto")

RULES = {
    "model": Rule(
        lambda value: (
            isinstance(value, (str, os.PathLike)) and bool(str(value).strip())
        ),
        "a folder, the name of packaged weights or a hub id",
    ),
    "revision": _NONE | instance(str, "a branch, tag or commit of the hub"),
    "pooling": Rule(
        _is_pooling, f"'auto', {_list(POOLINGS)}, or a tuple of different ones of them,"
    ),
    "layers": Rule(_is_layers, "'auto', an index of a layer or a tuple of indices"),
    "prefix": instance(str, "'auto' or a str"),
    "normalize": FLAG,
    "local_files_only": FLAG,
    "verbose": VERBOSE,
    "max_length": _NONE | whole(1, "tokens"),
    "long_text": one_of(*LONG_TEXTS),
    "batch_tokens": _AUTO | whole(1, "tokens"),
    "device": instance(str, "'auto' or a device of torch"),
    "dtype": one_of("auto", *DTYPES, INT8),
    "cache": Rule(
        _is_cache, "None, 'memory' or a folder (a Path, or a str with a '/')"
    ),
    "share": one_of(None, *_SHARES),
}
