"""How many columns an estimator reads and gives, where its attributes tell.

Steps of a pipeline have to agree: a step that was given more columns than it was fitted
on would look beyond its own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["answers", "chain_fault", "n_classes", "width_in", "width_out"]

_PASSED = (None, "passthrough")
# Transformers that give as many columns as they read.
_SAME = {
    "Binarizer",
    "FunctionTransformer",
    "KernelCenterer",
    "MaxAbsScaler",
    "MinMaxScaler",
    "Normalizer",
    "OrdinalEncoder",
    "PowerTransformer",
    "QuantileTransformer",
    "RobustScaler",
    "StandardScaler",
    "TfidfTransformer",
}
_WORDS = ("CountVectorizer", "TfidfVectorizer", "DictVectorizer")


def width_in(step: Any) -> int | None:
    """Columns that an estimator reads; None where it does not say."""
    name = type(step).__name__
    if name == "Pipeline":
        first = _first(step.steps)
        return None if first is None else width_in(first)
    if name == "FrozenEstimator":
        return width_in(step.estimator)
    found = (
        vars(step).get("n_features_in_") if isinstance(step, BaseEstimator) else None
    )
    return int(found) if isinstance(found, (int, np.integer)) else None


def _first(steps: Sequence[Any]) -> Any:
    return next((one for _, one in steps if not _is_passed(one)), None)


def _is_passed(step: Any) -> bool:
    return step is None or isinstance(step, str)


def width_out(step: Any) -> int | None:
    """Columns that a fitted transformer gives; None where that is not known."""
    name = type(step).__name__
    attributes = vars(step) if hasattr(step, "__dict__") else {}
    if name in _WORDS:
        vocabulary = attributes.get("vocabulary_")
        return None if vocabulary is None else len(vocabulary)
    if name in ("HashingVectorizer", "FeatureHasher"):
        return int(step.n_features)
    if name in _SAME:
        return width_in(step)
    if name == "Pipeline":
        return _pipeline_out(step)
    if name == "FrozenEstimator":
        return width_out(step.estimator)
    if name == "ColumnTransformer":
        parts = attributes.get("transformers_", [("", None, [])])
        return _sum_of([one for _, one, _ in parts if one != "passthrough"], None)
    if name == "FeatureUnion":
        return _sum_of([one for _, one in step.transformer_list], width_in(step))
    found = attributes.get("n_features_out_", attributes.get("_n_features_out"))
    if found is not None:
        return int(found)
    if name == "OneHotEncoder" and "_n_features_outs" in attributes:
        return int(sum(attributes["_n_features_outs"]))
    if hasattr(type(step), "_get_support_mask"):
        return _selected(step)
    components = attributes.get("components_")
    return None if components is None else int(components.shape[0])


def _pipeline_out(step: Any) -> int | None:
    working = [one for _, one in step.steps if not _is_passed(one)]
    return width_out(working[-1]) if working else None


def _sum_of(parts: list[Any], own: int | None) -> int | None:
    total = 0
    for part in parts:
        if isinstance(part, str) and part == "drop":
            continue
        width = own if _is_passed(part) else width_out(part)
        if width is None:
            return None
        total += width
    return total


def _selected(step: Any) -> int | None:
    try:
        return int(np.count_nonzero(step._get_support_mask()))
    except (AttributeError, LookupError, TypeError, ValueError):  # not fitted
        return None


def chain_fault(steps: Sequence[Any]) -> str | None:
    """What is wrong with steps, each of which reads what the one before gives."""
    width: int | None = None
    before = ""
    for step in steps:
        if _is_passed(step):
            continue
        reads, name = width_in(step), type(step).__name__
        if width is not None and reads is not None and width != reads:
            return f"{before} gives {width} columns, but {name} reads {reads}"
        width, before = width_out(step), name
    return None


def n_classes(model: Any) -> int | None:
    """How many classes a fitted classifier tells apart; None where it does not say."""
    try:
        classes = model.classes_
    except (AttributeError, LookupError, TypeError):
        return None
    return len(classes) if isinstance(classes, np.ndarray) else None


def answers(model: Any, method: str) -> int | None:
    """Columns of what a classifier answers, two classes being one column."""
    if method == "predict":
        return 1
    found = n_classes(model)
    return None if found is None else (1 if found == 2 else found)
