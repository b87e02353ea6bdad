"""How objects of a class are taken apart into plain values, and put together again.

Estimators of this package say so in the module ``saving`` of their folder; those of
scikit-learn are their parameters and fitted attributes. What these hold beside plain
values, such as scorers and splitters, has ways of its own.

What comes out of a folder may not choose files that a later fit would open: joblib
keeps pickles in the folder that `memory` names, and a search may set it, or the weights
of an encoder.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.bundles.held import HELD, SPLITTERS, splitter_way
from sktransfer.bundles.proving.proof import prove_alone
from sktransfer.bundles.proving.requests import REQUESTS
from sktransfer.bundles.proving.rules import Rule
from sktransfer.estimators import walk
from sktransfer.exceptions import ModelFolderError
from sktransfer.packages import PACKAGED

__all__ = [
    "Kind",
    "check_choices",
    "estimator_kind",
    "estimators_in",
    "kind_named",
    "kind_of",
    "take_estimator_apart",
]

_GRIDS = ("param_grid", "param_distributions")
# Parameters that name what is opened, and the values of each that name no such thing.
_HARMLESS: dict[str, set[str]] = {
    "encoder": {"passthrough", "drop", *PACKAGED},
    "memory": set(),
    "model": {"passthrough", "drop", *PACKAGED},
}

# Defaults of scikit-learn's parameters that are about to go, or to change.
_UNSET = ("deprecated", "warn")
# Parameters that only told how names of columns are kept.
_GONE = ("force_int_remainder_cols",)
# Kept apart from what was fitted: requests of metadata, which are packed beside it,
# and callbacks, which are code.
_BESIDE = (REQUESTS, "_skl_callbacks")
# Names of columns, which are objects of pandas where frames went through a union.
_NAMES = "_transformers_feature_names_out"

# Folders of the package whose module ``saving`` says how their classes are saved, in a
# dictionary KINDS. It is imported when an object of that folder comes along, so that a
# folder of word vectors opens without torch.
_PARTS = ("baselines", "classifier", "comparison", "encoders", "words")


def check_choices(attributes: Mapping[str, Any]) -> None:
    """Refuse an estimator that would open files of its own choice in a fit.

    `attributes` are an estimator's, or its parameters. Raises ModelFolderError if it
    has a cache of joblib's, or if a search would set one, or name weights.
    """
    if attributes.get("memory") is not None:
        raise ModelFolderError("it asks for a cache in a folder of its own choice.")
    for name in _GRIDS:
        for grid in _everything(attributes.get(name)):
            for key, values in grid.items() if isinstance(grid, dict) else ():
                if _names_files(str(key).rpartition("__")[2], values):
                    raise ModelFolderError(
                        f"its search sets {str(key)!r} to a folder of its own choice: "
                        "search among estimators instead, or save the best one."
                    )


def _names_files(parameter: str, values: Any) -> bool:
    if parameter not in _HARMLESS:
        return False
    return any(
        isinstance(value, os.PathLike)
        or (isinstance(value, str) and value not in _HARMLESS[parameter])
        for value in walk(values, lambda one: False)
    )


def estimators_in(value: Any) -> list[BaseEstimator]:
    """Estimators anywhere in `value`, each once."""
    return [one for one in _everything(value) if isinstance(one, BaseEstimator)]


def _everything(value: Any) -> Iterator[Any]:
    """All that `value` holds, attributes of any object too."""
    return walk(value, lambda one: True)


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
    prove : callable, default=prove_alone
        Raises ModelFolderError where what an object holds does not fit together. It is
        called with what was put together, and with what is about to be written.
    """

    take_apart: Callable[[Any], dict[str, Any]]
    put_together: Callable[[dict[str, Any]], Any]
    prove: Callable[[Any], None] = prove_alone


def kind_of(value: object) -> tuple[str, Kind] | None:
    """Name and kind of an object of this package or of scikit-learn, else None."""
    cls = type(value)
    package, _, rest = cls.__module__.partition(".")
    if package == "sktransfer":
        part = rest.partition(".")[0]
        kind = _kinds_of_part(part).get(cls) if part in _PARTS else None
        return (f"{part}.{cls.__name__}", kind) if kind else None
    if package == "sklearn" and isinstance(value, BaseEstimator):
        return _name(cls), estimator_kind(cls)
    if cls in HELD:
        return _name(cls), Kind(*HELD[cls])
    if package == "sklearn" and issubclass(cls, SPLITTERS):
        return _name(cls), Kind(*splitter_way(cls))
    return None


def kind_named(name: str) -> Kind:
    """Kind that `kind_of` gave this name; ModelFolderError if there is none.

    The name is from a file, so nothing is imported but modules of scikit-learn and the
    ones that say how this package saves, and nothing is taken from scikit-learn but
    estimators and what they hold.
    """
    for held, way in HELD.items():
        if name == _name(held):
            return Kind(*way)
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
            return Kind(*splitter_way(found))
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


def estimator_kind(cls: type[BaseEstimator], rule: Rule | None = None) -> Kind:
    """Kind of an estimator whose state is its parameters and fitted attributes.

    One of this package has a `rule`; scikit-learn's have theirs in a table.
    """
    put_together = functools.partial(_put_estimator_together, cls)
    prove = prove_alone if rule is None else rule.prove
    return Kind(take_estimator_apart, put_together, prove)


def take_estimator_apart(estimator: Any) -> dict[str, Any]:
    """Parameters, and the other attributes as what was fitted.

    A cache of intermediate results is none of either: it is a folder of this machine,
    and joblib keeps pickles there.
    """
    parameters = estimator.get_params(deep=False)
    if "memory" in parameters:
        parameters["memory"] = None
    check_choices(parameters)
    apart = {*parameters, *_BESIDE}
    others = {k: v for k, v in vars(estimator).items() if k not in apart}
    if _NAMES in others and isinstance(others[_NAMES], list):
        others[_NAMES] = [np.array(names, object) for names in others[_NAMES]]
    return {"parameters": parameters, "fitted": others}


def _put_estimator_together(cls: type[Any], fields: dict[str, Any]) -> Any:
    parameters, fitted = fields["parameters"], fields["fitted"]
    check_choices(parameters)
    # What was checked is not replaced by what was not.
    if hidden := sorted(set(fitted).intersection(cls._get_param_names())):
        raise ModelFolderError(
            f"its parameter {hidden[0]!r} stands among what was fitted."
        )
    estimator = cls(**_given(cls, parameters))
    vars(estimator).update(fitted)
    return estimator


def _given(cls: type[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters but for those that say, in the words of another version, nothing.

    scikit-learn gives a parameter such a default for some versions before it goes.
    """
    unset = {
        name
        for name, value in parameters.items()
        if name in _GONE or (isinstance(value, str) and value in _UNSET)
    }
    if not unset:
        return parameters
    own = inspect.signature(cls).parameters
    left = {
        name
        for name in unset
        if name not in own
        or (name not in _GONE and own[name].default != parameters[name])
    }
    return {name: one for name, one in parameters.items() if name not in left}


@functools.cache
def _kinds_of_part(part: str) -> dict[type[Any], Kind]:
    module = importlib.import_module(f"sktransfer.{part}.saving")
    kinds: dict[type[Any], Kind] = module.KINDS
    return kinds
