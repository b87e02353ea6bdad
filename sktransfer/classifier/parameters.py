"""What the classifier's parameters may be: each for itself, and together."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.classifier.network.heads import ACTIVATIONS
from sktransfer.classifier.strategies.base import STRATEGIES
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import (
    CLASS_WEIGHT,
    FLAG,
    RANDOM_STATE,
    VERBOSE,
    Rule,
    exactly,
    instance,
    number,
    one_of,
    whole,
)

__all__ = ["CONSTRAINTS", "check_parameters"]

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

CONSTRAINTS: dict[str, Rule] = {
    "strategy": one_of(*STRATEGIES),
    "n_trainable_layers": whole(1),
    "lora_rank": whole(1),
    "train_embeddings": FLAG,
    "hidden_layer_sizes": instance((tuple, list), "a tuple of numbers of units"),
    "activation": one_of(*ACTIVATIONS),
    "dropout": _PART,
    "scale_features": _AUTO | FLAG,
    "head_first": FLAG,
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
    "calibrate": FLAG,
    "warm_start": FLAG,
    "callbacks": _NONE | instance(list, "a list of callbacks of skorch"),
    "net_params": _NONE | instance(dict, "a dict of parameters of skorch's net"),
    "device": instance(str, "'auto' or a device of torch"),
    "dtype": one_of("auto", "float32", "bfloat16"),
    "random_state": RANDOM_STATE,
    "verbose": VERBOSE,
}


def check_parameters(model: Any) -> None:
    """Refuse parameters of a classifier that contradict each other.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Each parameter is valid for itself.

    Raises
    ------
    InvalidParameterError
        Naming the parameters and the way out.
    """
    sizes = model.hidden_layer_sizes
    if not all(_is_count(size) for size in sizes):
        raise InvalidParameterError(
            f"hidden_layer_sizes={sizes!r}, but each entry is a number of units, at "
            "least 1: for example (64, 32), or () for a linear head."
        )
    given = set(model.net_params or {})
    clash = _SET_BY_CLASSIFIER & (given | {name.split("__")[0] for name in given})
    if clash:
        raise InvalidParameterError(
            f"net_params holds {sorted(clash)}, which the classifier sets itself: use "
            "its own parameters (encoder_learning_rate, device, ...) instead."
        )
    if model.l2_sp and model.init_from is None:
        raise InvalidParameterError(
            f"l2_sp={model.l2_sp} pulls towards the source's parameters, but init_from "
            "is None: pass init_from=FrozenEstimator(source), or set l2_sp=0."
        )


def _is_count(size: object) -> bool:
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    return whole and size >= 1  # type: ignore[operator]
