"""The classifier's parameters: what each may be, what they may be together, a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.classifier.nested_parameters import names_encoder
from sktransfer.estimators import is_estimator
from sktransfer.exceptions import InvalidParameterError
from sktransfer.packages import DEFAULT_ENCODER, PACKAGED
from sktransfer.validation import (
    CLASS_WEIGHT,
    FLAG,
    PATH,
    RANDOM_STATE,
    VERBOSE,
    Rule,
    exactly,
    instance,
    number,
    one_of,
    whole,
)

__all__ = ["CONSTRAINTS", "FitOptions", "check_together"]

# Parameters of skorch's net that are the classifier's own, and some that our batches
# leave without effect.
_SET_BY_CLASSIFIER = {
    "autocast_dtype",
    "batch_size",
    "callbacks",
    "criterion",
    "dataset",
    "device",
    "iterator_train",
    "iterator_valid",
    "lr",
    "max_epochs",
    "module",
    "optimizer__lr",
    "optimizer__weight_decay",
    "rates",
    "shuffle_seed",
    "train_split",
    "verbose",
    "warm_start",
}
_AUTO = exactly("auto")
_NONE = exactly(None)
_PART = number(0, 1)


def _are_callbacks(value: object) -> bool:
    """Whether all are callbacks, or pairs of a name and one."""
    if not isinstance(value, list):
        return False
    # A pair is that of a name and a callback.
    bare = [part[-1] if part and isinstance(part, tuple) else part for part in value]
    # With a name, None is a callback that was taken out, as skorch has it.
    named = [isinstance(part, tuple) for part in value]
    return all(
        hasattr(entry, "initialize") or (entry is None and has_name)
        for entry, has_name in zip(bare, named, strict=True)
    )


def _names_no_encoder(value: object) -> bool:
    """Whether the package knows the name, but of a dictionary."""
    known = PACKAGED.get(value) if isinstance(value, str) else None
    return known is not None and known.kind == "dictionary"


def _is_encoder(value: object) -> bool:
    if names_encoder(value):
        return value != "" and not _names_no_encoder(value)
    return is_estimator(value) and hasattr(value, "transform")


# Names of strategies and activations are added where these are known.
CONSTRAINTS: dict[str, Rule] = {
    "encoder": Rule(
        _is_encoder,
        "None, a transformer of texts, such as BertFeaturizer(), or the name of one, "
        f"such as {DEFAULT_ENCODER!r},",
    ),
    "n_trainable_layers": whole(1),
    "lora_rank": whole(1),
    "train_embeddings": FLAG,
    "hidden_layer_sizes": _AUTO
    | Rule(
        lambda value: isinstance(value, (tuple, list, np.ndarray)) or _is_count(value),
        "a number of units, at least 1, or a tuple of one for each hidden layer,",
    ),
    "dropout": _PART,
    "scale_features": _AUTO | FLAG,
    "head_first": FLAG,
    "init_from": _NONE | PATH | Rule(is_estimator, "a FrozenEstimator(source)"),
    "l2_sp": number(0),
    "max_epochs": _AUTO | whole(1),
    "batch_size": _AUTO | whole(1),
    "encoder_learning_rate": _AUTO | number(0),
    "head_learning_rate": _AUTO | number(0),
    "weight_decay": _AUTO | number(0),
    "layer_decay": number(0, 1, ends="(]"),
    "warmup_fraction": _PART,
    "max_grad_norm": _NONE | number(0, ends="()"),
    "early_stopping": _AUTO | FLAG,
    "validation_fraction": number(0, 1, ends="()"),
    "n_iter_no_change": whole(1),
    "class_weight": CLASS_WEIGHT,
    "label_smoothing": _PART,
    "calibrate": _AUTO | FLAG,
    "warm_start": FLAG,
    "callbacks": _NONE | Rule(_are_callbacks, "a list of callbacks of skorch"),
    "net_params": _NONE | instance(dict, "a dict of parameters of skorch's net"),
    "device": instance(str, "'auto' or a device of torch"),
    "dtype": one_of("auto", "float32", "bfloat16"),
    "random_state": RANDOM_STATE,
    "verbose": VERBOSE,
}


@dataclass(frozen=True)
class FitOptions:
    """The parameters of a classifier, as they are when a fit begins."""

    # A transformer of texts; scikit-learn's types say no more.
    encoder: Any
    strategy: str
    n_trainable_layers: int
    lora_rank: int
    train_embeddings: bool
    hidden_layer_sizes: tuple[int, ...] | str
    activation: str
    dropout: float
    scale_features: bool | str
    head_first: bool
    init_from: object
    l2_sp: float
    max_epochs: int | str
    batch_size: int | str
    encoder_learning_rate: float | str
    head_learning_rate: float | str
    weight_decay: float | str
    layer_decay: float
    warmup_fraction: float
    max_grad_norm: float | None
    early_stopping: bool | str
    validation_fraction: float
    n_iter_no_change: int
    class_weight: Mapping[object, float] | str | None
    label_smoothing: float
    calibrate: bool | str
    warm_start: bool
    callbacks: list[Any] | None
    net_params: dict[str, Any] | None
    device: str
    dtype: str
    verbose: int

    @classmethod
    def of(cls, model: BaseEstimator) -> FitOptions:
        """Read them from a classifier, and refuse what contradicts each other."""
        options = cls(**{each.name: getattr(model, each.name) for each in fields(cls)})
        check_together(options)
        # Without a source there is nothing to be pulled to, as in a grid over both.
        return replace(
            options,
            hidden_layer_sizes=_sizes(options.hidden_layer_sizes),
            l2_sp=0.0 if options.init_from is None else options.l2_sp,
        )

    @property
    def calibrates_always(self) -> bool:
        """Whether probabilities are calibrated where no layer learns, too."""
        return bool(self.calibrate) and self.calibrate != "auto"


def check_together(options: FitOptions) -> None:
    """Refuse parameters that contradict each other, though each is valid for itself."""
    sizes = _sizes(options.hidden_layer_sizes)
    if sizes != "auto" and not all(_is_count(size) for size in sizes):
        raise InvalidParameterError(
            f"hidden_layer_sizes={options.hidden_layer_sizes!r}, but each entry is a "
            "number of units, at least 1: for example (64, 32), or () for a linear "
            "head."
        )
    given = set(options.net_params or {})
    clash = _SET_BY_CLASSIFIER & (given | {name.split("__")[0] for name in given})
    if clash:
        raise InvalidParameterError(
            f"net_params holds {sorted(clash)}, which the classifier sets itself: give "
            "its own parameters (encoder_learning_rate, device, ...) instead."
        )


def _sizes(given: Any) -> tuple[Any, ...] | str:
    """Hidden layers as a tuple; a number is one layer, as in scikit-learn."""
    if isinstance(given, str):
        return given
    if isinstance(given, Integral):
        return (given,)
    bare = isinstance(given, np.ndarray) and given.ndim == 0
    return tuple(given.ravel() if bare else given)


def _is_count(size: object) -> bool:
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    return whole and size >= 1  # type: ignore[operator]
