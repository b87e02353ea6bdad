"""Proves one object, or all that a value holds, before anybody calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from sktransfer.bundles.proving.classifiers import RULES as CLASSIFIERS
from sktransfer.bundles.proving.parameters import HELD
from sktransfer.bundles.proving.rules import Rule
from sktransfer.bundles.proving.transformers import RULES as TRANSFORMERS
from sktransfer.bundles.proving.values import is_random_state, sparse_fault
from sktransfer.bundles.proving.wrappers import RULES as WRAPPERS
from sktransfer.bundles.proving.wrappers import Held
from sktransfer.exceptions import ModelFolderError

__all__ = ["SUPPORTED", "prove", "prove_alone"]

#: Classes of scikit-learn that may come fitted out of a file, by their names.
SUPPORTED: dict[str, Rule] = {**CLASSIFIERS, **TRANSFORMERS, **WRAPPERS}

_UNFITTED = Rule(others=Held())
# Attributes that are proved with their owner.
_MADE = ("_loss_function_", "loss_function_", "_optimizer", "f_")
_DEEPEST = 200


def prove_alone(value: Any) -> None:
    """Prove an object of scikit-learn, whose parts were proved before.

    Raises ModelFolderError where an attribute is not what its class has, or does not
    fit the others. Of a class that is not among those that are supported an object may
    be there if it was not fitted.
    """
    cls = type(value)
    rule = SUPPORTED.get(cls.__name__)
    if not cls.__module__.startswith("sklearn."):
        return
    if rule is None and not isinstance(value, BaseEstimator):
        if isinstance(value, HELD):  # made by its constructor
            return
        raise ModelFolderError(f"objects of the type {cls.__name__} are not made.")
    if rule is None and (fitted := _fitted_in(value)):
        raise ModelFolderError(
            f"{cls.__name__} was fitted (it has {fitted[0]!r}), and is not one of the "
            "classes whose numbers are proved when they are loaded: replace it by one "
            "of those that docs/saving.rst lists, such as LogisticRegression, or keep "
            "the model in a file of your own."
        )
    (rule or _UNFITTED).prove(value)


def _fitted_in(value: Any) -> list[str]:
    """Attributes beside those that a constructor sets."""
    attributes, names = vars(value), type(value)._get_param_names()
    if missing := sorted(set(names) - set(attributes)):
        return missing
    fresh = type(value)(**{name: attributes[name] for name in names})
    return sorted(set(attributes) - set(vars(fresh)) - {"_sklearn_output_config"})


def prove(value: Any) -> None:
    """Prove all objects in what was read from a file, the innermost ones first.

    Raises ModelFolderError as `prove_alone`.
    """
    for one in _inside_out(value):
        if isinstance(one, np.random.RandomState):
            if not is_random_state(one):
                raise ModelFolderError("a state of random numbers is none: fit again.")
        elif sparse.issparse(one):
            if (fault := sparse_fault(one)) is not None:
                raise ModelFolderError(f"a sparse matrix has {fault}: save it again.")
        elif hasattr(one, "__dict__"):
            prove_alone(one)


def _inside_out(value: Any) -> Iterator[Any]:
    """Objects that a value holds, each after those that it holds itself."""
    seen: dict[int, Any] = {}

    def visit(one: Any, depth: int) -> Iterator[Any]:
        if one is None or isinstance(one, (str, int, float, bytes, np.generic, type)):
            return
        if id(one) in seen:
            return
        seen[id(one)] = one
        if depth > _DEEPEST:
            raise ModelFolderError("its parts are nested too deeply: save it again.")
        for part in _parts(one):
            yield from visit(part, depth + 1)
        yield one

    yield from visit(value, 0)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, np.ndarray):
        value = np.ma.getdata(value)
        return value.ravel().tolist() if value.dtype.kind == "O" else []
    if hasattr(value, "__dict__") and type(value).__module__.startswith("sklearn."):
        return [one for name, one in vars(value).items() if name not in _MADE]
    return []
