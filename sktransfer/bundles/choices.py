"""What an estimator out of a folder may not choose: files that it would open.

joblib keeps pickles in the folder that `memory` names, and a later fit opens them. A
search sets parameters of that kind, or the weights of an encoder, when it is fitted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.exceptions import ModelFolderError
from sktransfer.packages import PACKAGED

__all__ = ["check_choices", "estimators_in"]

_GRIDS = ("param_grid", "param_distributions")
# Parameters that name what is opened, and the values of each that name no such thing.
_HARMLESS: dict[str, set[str]] = {
    "memory": set(),
    "model": {"passthrough", "drop", *PACKAGED},
}


def check_choices(attributes: Mapping[str, Any]) -> None:
    """Refuse an estimator that would open files of its own choice in a fit.

    Parameters
    ----------
    attributes : mapping of str to object
        Of an estimator, or its parameters.

    Raises
    ------
    ModelFolderError
        If it has a cache of joblib's, or if a search would set one, or name weights.
    """
    if attributes.get("memory") is not None:
        raise ModelFolderError("it asks for a cache in a folder of its own choice.")
    for name in _GRIDS:
        for grid in _walk(attributes.get(name)):
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
        for value in _walk(values, objects=False)
    )


def estimators_in(value: Any) -> list[BaseEstimator]:
    """Estimators anywhere in `value`.

    Parameters
    ----------
    value : object

    Returns
    -------
    estimators : list of estimator
        Each once.
    """
    return [one for one in _walk(value) if isinstance(one, BaseEstimator)]


def _walk(value: Any, *, objects: bool = True) -> Iterator[Any]:
    """Everything that `value` holds, itself included, each once.

    Without `objects`, attributes of objects are left out.
    """
    # The objects are kept beside their ids, which could be given out again else.
    waiting, seen = [value], {}
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        yield one
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
        elif isinstance(one, np.ndarray):
            waiting += one.ravel().tolist() if one.dtype.kind in "OSU" else []
        elif objects and hasattr(one, "__dict__") and not isinstance(one, type):
            waiting += vars(one).values()
