"""How objects of a class are taken apart into plain values, and put together again."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeGuard

from sklearn.base import BaseEstimator
from sklearn.calibration import _CalibratedClassifier

from sktransfer.bundles.choices import check_choices
from sktransfer.bundles.evaluation import (
    PAIRS,
    SPLITTERS,
    put_splitter_together,
    take_splitter_apart,
)
from sktransfer.exceptions import ModelFolderError

__all__ = ["Kind", "estimator_kind", "kind_named", "kind_of"]

# Parts of the package, by the names that they have in files, and where each says how
# its classes are saved: in a dictionary KINDS. It is imported when an object of that
# part comes along, so that a folder of word vectors opens without torch.
_PARTS = {
    "baselines": "sktransfer.baselines.saving",
    "classifier": "sktransfer.finetune.saving",
    "comparison": "sktransfer.comparison.saving",
    "encoders": "sktransfer.encoders.saving",
    "words": "sktransfer.words.saving",
}


@dataclass(frozen=True)
class Kind:
    """The way of one class into a folder and back.

    Attributes
    ----------
    take_apart : callable
        From an object to a dict of values that can be packed.
    put_together : callable
        The reverse. What it is given comes from a file: it must check it, and must not
        run code or open files that it names.
    """

    take_apart: Callable[[Any], dict[str, Any]]
    put_together: Callable[[dict[str, Any]], Any]


def kind_of(value: object) -> tuple[str, Kind] | None:
    """Name and kind of an object of this package or of scikit-learn.

    Parameters
    ----------
    value : object

    Returns
    -------
    named : tuple of str and Kind, or None
        None for everything else.
    """
    cls = type(value)
    package, _, rest = cls.__module__.partition(".")
    if package == "sktransfer":
        home = f"sktransfer.{rest.partition('.')[0]}.saving"
        part = next((name for name, at in _PARTS.items() if at == home), None)
        kind = _kinds_of_part(part).get(cls) if part else None
        return (f"{part}.{cls.__name__}", kind) if kind else None
    if package == "sklearn" and isinstance(value, BaseEstimator):
        return _name(cls), estimator_kind(cls)
    if cls in _HELD:
        return _name(cls), _HELD[cls]
    if package == "sklearn" and issubclass(cls, SPLITTERS):
        return _name(cls), _splitter_kind(cls)
    return None


def kind_named(name: str) -> Kind:
    """Kind that `kind_of` gave this name.

    Parameters
    ----------
    name : str
        From a file, so nothing is imported but modules of scikit-learn and the ones
        that say how this package saves, and nothing is taken from scikit-learn but
        estimators and what they hold.

    Returns
    -------
    kind : Kind

    Raises
    ------
    ModelFolderError
        If there is none of this name.
    """
    for held, kind in _HELD.items():
        if name == _name(held):
            return kind
    part, _, simple = name.partition(".")
    if part in _PARTS:
        for cls, kind in _kinds_of_part(part).items():
            if cls.__name__ == simple:
                return kind
    module, _, simple = name.partition(":")
    if module.split(".")[0] == "sklearn":
        try:
            found: Any = getattr(importlib.import_module(module), simple, None)
        except ImportError:
            found = None
        if _is_estimator_of(module, found):
            return estimator_kind(found)
        if _is_splitter_of(module, found):
            return _splitter_kind(found)
    raise ModelFolderError(
        f"an object of the type {name!r} is asked for, but only estimators of "
        "sktransfer and of scikit-learn are made from a folder."
    )


def _is_estimator_of(module: str, found: object) -> TypeGuard[type[BaseEstimator]]:
    is_estimator = isinstance(found, type) and issubclass(found, BaseEstimator)
    return is_estimator and found.__module__ == module


def _is_splitter_of(module: str, found: object) -> TypeGuard[type[Any]]:
    is_splitter = isinstance(found, type) and issubclass(found, SPLITTERS)
    return is_splitter and found.__module__ == module


def _name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__name__}"


def estimator_kind(cls: type[BaseEstimator]) -> Kind:
    """Kind of an estimator whose state is its parameters and fitted attributes.

    Parameters
    ----------
    cls : type
        A subclass of BaseEstimator.

    Returns
    -------
    kind : Kind
    """
    return Kind(take_estimator_apart, functools.partial(_put_estimator_together, cls))


def take_estimator_apart(estimator: Any) -> dict[str, Any]:
    """Parameters, and the other attributes as what was fitted.

    A cache of intermediate results is none of either: it is a folder of this machine,
    and joblib keeps pickles there.
    """
    parameters = estimator.get_params(deep=False)
    if "memory" in parameters:
        parameters["memory"] = None
    check_choices(parameters)
    others = {k: v for k, v in vars(estimator).items() if k not in parameters}
    return {"parameters": parameters, "fitted": others}


def _put_estimator_together(cls: type[Any], fields: dict[str, Any]) -> Any:
    parameters, fitted = fields["parameters"], fields["fitted"]
    check_choices(parameters)
    # What was checked is not replaced by what was not.
    if hidden := sorted(set(fitted).intersection(cls._get_param_names())):
        raise ModelFolderError(
            f"its parameter {hidden[0]!r} stands among what was fitted."
        )
    estimator = cls(**parameters)
    vars(estimator).update(fitted)
    return estimator


def _put_calibrated_together(fields: dict[str, Any]) -> _CalibratedClassifier:
    calibrated = object.__new__(_CalibratedClassifier)
    vars(calibrated).update(fields)
    return calibrated


def _splitter_kind(cls: type[Any]) -> Kind:
    return Kind(take_splitter_apart, functools.partial(put_splitter_together, cls))


# No estimators themselves, but held by scikit-learn's, around one of ours perhaps.
_HELD: dict[type[Any], Kind] = {
    _CalibratedClassifier: Kind(
        lambda value: dict(vars(value)), _put_calibrated_together
    )
} | {cls: Kind(*ways) for cls, ways in PAIRS.items()}


@functools.cache
def _kinds_of_part(part: str) -> dict[type[Any], Kind]:
    kinds: dict[type[Any], Kind] = importlib.import_module(_PARTS[part]).KINDS
    return kinds
