"""What a training that goes on cannot change: encoder, head, source, and scale.

Rates, lengths and what of the encoder learns may be others than in the fit before. A
parameter of the structure would have no effect any more, and nobody would notice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sktransfer.classifier.nested_parameters import open_encoder
from sktransfer.classifier.network.network import HeadLayout
from sktransfer.classifier.parameters import FitOptions
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import is_estimator, open_wrappers
from sktransfer.exceptions import CheckpointError, StaleFitError
from sktransfer.packages import spell
from sktransfer.validation import show

__all__ = ["Origin", "check_unchanged"]

# Of encoders: where they run and what they keep, but not what they give.
_HARMLESS = {
    "batch_tokens",
    "cache",
    "device",
    "local_files_only",
    "memory",
    "n_jobs",
    "share",
    "verbose",
}
_PATHS = (str, os.PathLike)
_BY_VALUE = (bytes, set, frozenset, re.Pattern)
# What `clone` does not copy.
_THEMSELVES_ALONE = (type, FunctionType, BuiltinFunctionType)


@dataclass(frozen=True)
class Origin:
    """How a network began, as far as its tensors do not tell.

    Attributes
    ----------
    init_from : object
        The source, as the user gave it.
    scale_features : bool
        Whether features were to be scaled.
    """

    init_from: object
    scale_features: bool


def check_unchanged(
    options: FitOptions,
    layout: HeadLayout,
    encoder: Any,
    origin: Origin | None,
    who: str,
) -> None:
    """Raise StaleFitError if only a new network would be as the options want it.

    `layout` is the head's, `encoder` was fitted or is None for numbers, and `who` wants
    to go on. "auto" stands for what the network has.
    """
    for name, then, now in _changes(options, layout, encoder, origin):
        raise StaleFitError(
            f"{who} goes on with the network of the last fit, in which {name} was "
            f"{_show(then)}, but it is {_show(now)} now: set it back, or start anew "
            "with warm_start=False and fit."
        )


def _show(value: object) -> str:
    return " ".join(show(value).split())


def _changes(
    options: FitOptions, layout: HeadLayout, encoder: Any, origin: Origin | None
) -> Iterator[tuple[str, object, object]]:
    """Names of what has changed, from what, and to what."""
    if encoder is not None:
        meant = open_encoder(options.encoder)
        if not _same_vectors(encoder, meant):
            yield from _differences("encoder", encoder, meant)
    sizes = options.hidden_layer_sizes
    if sizes not in ("auto", layout.hidden_layer_sizes):
        yield "hidden_layer_sizes", layout.hidden_layer_sizes, sizes
    if layout.hidden_layer_sizes and options.activation != layout.activation:
        yield "activation", layout.activation, options.activation
    if origin is None:
        return
    if not _same_source(origin.init_from, options.init_from):
        yield "init_from", origin.init_from, options.init_from
    scales = options.scale_features
    if scales != "auto" and bool(scales) != origin.scale_features:
        yield "scale_features", origin.scale_features, scales


def _same_vectors(fitted: Any, meant: Any) -> bool:
    """Whether two transformers give the same, perhaps in other words."""
    if not (isinstance(fitted, BertFeaturizer) and isinstance(meant, BertFeaturizer)):
        return False
    now = meant.get_params(deep=False)
    if all(_same(getattr(fitted, name, value), value) for name, value in now.items()):
        return True
    try:
        # It finds weights, and loads none.
        found = clone(meant).set_params(local_files_only=True).fit([""])
    except CheckpointError:
        return False
    return bool(found.encoder_digest_ == fitted.encoder_digest_)


def _differences(name: str, then: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """What differs: of two estimators of one class, each parameter that does."""
    if is_estimator(then) and type(then) is type(now):
        values = now.get_params(deep=False)
        for inner, value in then.get_params(deep=False).items():
            if inner not in _HARMLESS:
                yield from _differences(f"{name}__{inner}", value, values[inner])
    elif not _same(then, now):
        yield name, then, now


def _same(then: Any, now: Any) -> bool:
    """Whether two values are alike, as far as they can be told apart.

    An object that says nothing of its own passes for its copy: `clone` makes one.
    """
    then, now = (v.item() if isinstance(v, np.generic) else v for v in (then, now))
    if then is now:
        return True
    if isinstance(then, Number) and isinstance(now, Number):
        return bool(then == now or (then != then and now != now))
    if isinstance(then, _PATHS) and isinstance(now, _PATHS):
        return spell(then) == spell(now)
    if isinstance(then, (list, tuple)) and isinstance(now, (list, tuple)):
        pairs = zip(then, now, strict=False)
        return len(then) == len(now) and all(_same(*pair) for pair in pairs)
    if type(then) is not type(now) or isinstance(then, _THEMSELVES_ALONE):
        return False
    if isinstance(then, _BY_VALUE):
        return bool(then == now)
    if isinstance(then, dict):
        return then.keys() == now.keys() and all(_same(then[k], now[k]) for k in then)
    if isinstance(then, np.ndarray):
        return then.dtype == object or np.array_equal(then, now)
    if is_estimator(then):
        return not any(True for _ in _differences("", then, now))
    digests = [getattr(value, "digest", None) for value in (then, now)]
    return bool(digests[0] == digests[1]) if isinstance(digests[0], str) else True


def _same_source(one: object, other: object) -> bool:
    if isinstance(one, _PATHS) and isinstance(other, _PATHS):
        paths = (Path(path).expanduser().absolute() for path in (one, other))
        return next(paths) == next(paths)
    # Cloning wraps nothing anew, but users do.
    sources = [open_wrappers(source, FrozenEstimator) for source in (one, other)]
    return sources[0] is sources[1]
