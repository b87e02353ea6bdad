"""What the classifier's parameters may be: each for itself, and together."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from sktransfer.classifier.network.heads import ACTIVATIONS
from sktransfer.classifier.strategies.base import STRATEGIES
from sktransfer.exceptions import InvalidParameterError

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
_AUTO = StrOptions({"auto"})

CONSTRAINTS: dict[str, Any] = {
    "encoder": "no_validation",
    "strategy": [StrOptions(set(STRATEGIES))],
    "n_trainable_layers": [Interval(Integral, 1, None, closed="left")],
    "lora_rank": [Interval(Integral, 1, None, closed="left")],
    "train_embeddings": ["boolean"],
    "hidden_layer_sizes": [tuple, list],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "scale_features": ["boolean", _AUTO],
    "head_first": ["boolean"],
    "init_from": "no_validation",
    "l2_sp": [Interval(Real, 0, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), _AUTO],
    "batch_size": [Interval(Integral, 1, None, closed="left"), _AUTO],
    "encoder_learning_rate": [Interval(Real, 0, None, closed="left"), _AUTO],
    "head_learning_rate": [Interval(Real, 0, None, closed="left"), _AUTO],
    "weight_decay": [Interval(Real, 0, None, closed="left"), _AUTO],
    "layer_decay": [Interval(Real, 0, 1, closed="right")],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
    "early_stopping": ["boolean", _AUTO],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "calibrate": ["boolean"],
    "warm_start": ["boolean"],
    "callbacks": [list, None],
    "net_params": [dict, None],
    "device": [str],
    "dtype": [StrOptions({"auto", "float32", "bfloat16"})],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
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
