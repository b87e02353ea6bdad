"""Parameters of BertFeaturizer: whether they are in range, and what "auto" stands for.

Pure functions: the estimator calls them from ``fit`` and ``transform``, as scikit-learn
wants its constructors to store and do nothing else.
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import numpy as np

from sktransfer.encoders.checkpoints.location import known_layers
from sktransfer.encoders.compute.devices import DTYPES, INT8
from sktransfer.encoders.compute.loop import POOLINGS
from sktransfer.encoders.encoding import SHARES
from sktransfer.encoders.registry import Checkpoint
from sktransfer.encoders.tokens import LONG_TEXTS
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import Rule, exactly, instance, one_of, whole

__all__ = [
    "CHANGE_VECTORS",
    "RULES",
    "explain_staleness",
    "resolve_layers",
    "resolve_max_length",
    "resolve_pooling",
    "resolve_prefix",
]

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


def resolve_pooling(pooling: Any, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the poolings to put side by side.

    Parameters
    ----------
    pooling : str or tuple of str
        "auto", a name, or several.
    checkpoint : Checkpoint
        What "auto" asks.

    Returns
    -------
    pooling : tuple of {"mean", "cls", "max"}

    Raises
    ------
    InvalidParameterError
        If "auto" stands for a pooling that does not exist here.
    """
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
    """Return the hidden states to average, checked against the model's depth.

    Parameters
    ----------
    layers : "auto", int or tuple of int
        0 is the embeddings, `n_layers` or -1 the last layer; "auto" is the last layer,
        or what was measured to serve this checkpoint better.
    checkpoint : Checkpoint
        Knows the depth.

    Returns
    -------
    layers : tuple of int
        Negative indices, which count from the last layer.

    Raises
    ------
    InvalidParameterError
        If the model is not that deep.
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


def resolve_prefix(prefix: str, checkpoint: Checkpoint) -> str:
    """Return what to put before each text.

    Parameters
    ----------
    prefix : str
        "auto", or the prefix itself.
    checkpoint : Checkpoint
        What "auto" asks.

    Returns
    -------
    prefix : str
    """
    return checkpoint.prefix if prefix == "auto" else prefix


def resolve_max_length(max_length: int | None, checkpoint: Checkpoint) -> int:
    """Return how many tokens of a text are read at once.

    Parameters
    ----------
    max_length : int or None
        None is what the checkpoint declares.
    checkpoint : Checkpoint
        Knows the most it can read.

    Returns
    -------
    max_length : int

    Raises
    ------
    InvalidParameterError
        If the model has no room for so many.
    """
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
    """Say why vectors would not be those of the time of ``fit``, and what to do.

    Parameters
    ----------
    now, then : dict of str to object
        Parameters at present and at the time of ``fit``.

    Returns
    -------
    message : str
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
    "max_length": _NONE | whole(1, "tokens"),
    "long_text": one_of(*LONG_TEXTS),
    "batch_tokens": _AUTO | whole(1, "tokens"),
    "device": instance(str, "'auto' or a device of torch"),
    "dtype": one_of("auto", *DTYPES, INT8),
    "cache": Rule(
        _is_cache, "None, 'memory' or a folder (a Path, or a str with a '/')"
    ),
    "share": one_of(None, *SHARES),
}
