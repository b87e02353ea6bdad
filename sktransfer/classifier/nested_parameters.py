"""Parameters within parameters: of an encoder by name, callbacks, and the net's.

scikit-learn reaches what is inside an estimator by names such as ``encoder__pooling``,
if it is an estimator as well. Here are three parameters whose insides are in reach too:
an `encoder` that is None or a name, the list `callbacks`, and the dict `net_params`.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import is_estimator
from sktransfer.exceptions import InvalidParameterError
from sktransfer.packages import PACKAGED
from sktransfer.validation import did_you_mean
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = [
    "change_inside",
    "names_encoder",
    "nested_parameters",
    "open_encoder",
    "separate",
]

_OTHER = object()
_NESTED = ("encoder", "callbacks", "net_params")


def names_encoder(value: object) -> bool:
    """Whether an `encoder` is no estimator itself, but stands for one."""
    return value is None or isinstance(value, (str, os.PathLike))


def open_encoder(encoder: Any) -> Any:
    """The estimator that `encoder` stands for, or is.

    The name of packaged word vectors is theirs; any other name or path is that of a
    transformer. Nothing is looked for.

    >>> from sktransfer.classifier.nested_parameters import open_encoder
    >>> open_encoder("all-MiniLM-L6-v2"), open_encoder("glove-6b-50d")
    (BertFeaturizer(model='all-MiniLM-L6-v2'), WordVectorFeaturizer())
    """
    if encoder is None:
        return BertFeaturizer()
    if not names_encoder(encoder):
        return encoder
    known = PACKAGED.get(encoder) if isinstance(encoder, str) else None
    if known is not None and known.kind == "vectors":
        return WordVectorFeaturizer(encoder)
    return BertFeaturizer(encoder)


def nested_parameters(own: Mapping[str, Any]) -> dict[str, Any]:
    """What is inside a classifier's `own` parameters and no estimator tells of."""
    found: dict[str, Any] = {}
    if names_encoder(own["encoder"]):
        inside = open_encoder(own["encoder"]).get_params()
        found |= {f"encoder__{name}": value for name, value in inside.items()}
    for name, callback in _named(own["callbacks"]).items():
        found[f"callbacks__{name}"] = callback
        for inner, value in _parameters_of(callback).items():
            found[f"callbacks__{name}__{inner}"] = value
    if isinstance(own["net_params"], dict):
        for name, value in own["net_params"].items():
            found[f"net_params__{name}"] = value
    return found


def separate(
    parameters: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters that are set from without, and those inside the three of above."""
    plain: dict[str, Any] = {}
    inside: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in parameters.items():
        owner, delimiter, rest = name.partition("__")
        if delimiter and owner in _NESTED:
            inside[owner][rest] = value
        else:
            plain[name] = value
    return plain, inside


def change_inside(owner: str, value: Any, changes: Mapping[str, Any]) -> Any:
    """The parameter `owner` with its inside changed.

    An encoder or a callback that was given is changed itself, as scikit-learn does with
    the steps of a pipeline; a list or a dict is copied.
    """
    if owner == "net_params":
        if not (value is None or isinstance(value, dict)):
            raise InvalidParameterError(
                f"net_params__{next(iter(changes))} was set, but net_params="
                f"{value!r:.80} is no dict: set net_params to one as well."
            )
        return {**(value or {}), **changes}
    if owner == "callbacks":
        return _change_callbacks(value, changes)
    if not (names_encoder(value) or is_estimator(value)):
        raise InvalidParameterError(
            f"encoder__{next(iter(changes))} was set, but encoder={value!r:.80} is no "
            "transformer with parameters: set encoder to one as well."
        )
    opened = open_encoder(value)
    if names_encoder(value):
        inside = opened.get_params()
        if all(inside.get(name, _OTHER) is new for name, new in changes.items()):
            return value  # What it stands for has all that already.
    opened.set_params(**changes)
    return opened


def _change_callbacks(
    callbacks: Sequence[Any] | None, changes: Mapping[str, Any]
) -> list[Any]:
    named = _named(callbacks)
    places = {name: place for place, name in enumerate(named)}
    changed = list(callbacks or [])
    # Whole callbacks first, as their parameters may be set at once.
    for name, value in sorted(changes.items(), key=lambda item: "__" in item[0]):
        owner, inner = _split(name, named)
        if not inner:
            named[owner] = value
            changed[places[owner]] = (owner, value)
            continue
        if isinstance(named[owner], type):
            named[owner] = named[owner]()
            changed[places[owner]] = (owner, named[owner])
        if named[owner] is None:
            raise InvalidParameterError(
                f"callbacks__{name} was set, but the callback {owner!r} is None: set "
                f"callbacks__{owner} as well."
            )
        named[owner].set_params(**{inner: value})
    return changed


def _split(name: str, named: Mapping[str, Any]) -> tuple[str, str]:
    """Name of a callback, and what is set of it; empty where it is replaced."""
    owner, _, inner = name.partition("__")
    if owner not in named:
        raise InvalidParameterError(
            f"callbacks__{name} was set, but the callbacks are named "
            f"{list(named)}: name one of them, or pass callbacks as pairs of a name "
            f"and a callback.{did_you_mean(owner, named)}"
        )
    return owner, inner


def _named(callbacks: Any) -> dict[str, Any]:
    """Callbacks in their order, by the names that skorch has for them.

    One without a name is called like its class; of several such ones each has a number.
    """
    if not isinstance(callbacks, (list, tuple)):
        return {}
    pairs = [
        (one[0], one[1]) if _is_pair(one) else (_class_of(one).__name__, one)
        for one in callbacks
    ]
    counts, seen = Counter(name for name, _ in pairs), Counter[str]()
    found = {}
    for name, callback in pairs:
        seen[name] += 1
        numbered = f"{name}_{seen[name]}" if counts[name] > 1 else name
        found[numbered] = callback
    return found


def _is_pair(one: object) -> bool:
    return isinstance(one, (tuple, list)) and len(one) == 2 and isinstance(one[0], str)


def _class_of(callback: object) -> type:
    return callback if isinstance(callback, type) else type(callback)


def _parameters_of(callback: Any) -> dict[str, Any]:
    if isinstance(callback, type) or not hasattr(callback, "get_params"):
        return {}
    try:
        found: dict[str, Any] = callback.get_params()
    except (AttributeError, RuntimeError):
        # A callback of somebody's own may not keep what its constructor was given.
        return {}
    return found
