"""Callbacks that users give: which wait for the last training, and what they miss."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    InputShapeSetter,
    LoadInitState,
    ParamMapper,
    TrainEndCheckpoint,
)
from skorch.utils import freeze_parameter, unfreeze_parameter

from sktransfer.exceptions import InvalidParameterError

__all__ = ["NamedCallback", "missing_score", "names_set", "usable", "waits"]

#: As skorch takes them: alone or with a name, and classes of them, too.
NamedCallback: TypeAlias = (
    Callback | type[Callback] | tuple[str, Callback | type[Callback]]
)


def usable(callbacks: Iterable[Any] | None) -> list[NamedCallback]:
    """Return the callbacks that were given, unless one makes networks anew."""
    given = list(callbacks or [])
    if any(issubclass(_class_of(one), InputShapeSetter) for one in given):
        raise InvalidParameterError(
            "callbacks holds an InputShapeSetter, which makes networks of another "
            "shape: leave it out, as the classifier takes the shape from X."
        )
    return given


def waits(callback: NamedCallback) -> bool:
    """Whether a callback of skorch is one of the last training alone.

    It follows a score of validation rows, or what is saved of a whole training.
    """
    if issubclass(_class_of(callback), (LoadInitState, TrainEndCheckpoint)):
        return True
    return str(_monitor(_bare(callback))).startswith("valid")


def _bare(callback: Any) -> Any:
    return callback[1] if isinstance(callback, tuple) else callback


def _class_of(callback: Any) -> type[Any]:
    bare = _bare(callback)
    return bare if isinstance(bare, type) else type(bare)


def _monitor(callback: Any) -> object:
    """Name of the score that a callback follows, or a class of callbacks by default."""
    if not isinstance(callback, type):
        return getattr(callback, "monitor", "")
    parameter = inspect.signature(callback).parameters.get("monitor")
    return "" if parameter is None else parameter.default


def names_set(net: NeuralNet) -> Iterator[str]:
    """Names of the body's parameters that callbacks set, also of such that rest."""
    for _, callback in net.callbacks_:
        if not isinstance(callback, ParamMapper):
            continue
        if callback.fn in (freeze_parameter, unfreeze_parameter):
            continue
        named = list(net.get_all_learnable_params())
        for name, _ in callback.filter_parameters(callback.patterns, named):
            if name.startswith("body."):
                yield name.removeprefix("body.")


def missing_score(
    error: Exception, net: NeuralNet, validates: bool
) -> InvalidParameterError | None:
    """Error of a callback that follows a score which no epoch has, or None."""
    for name, callback in net.callbacks_:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or f"'{monitor}'" not in str(error):
            continue
        known = [key for key in net.history[-1] if key != "batches"]
        if monitor in known:
            continue
        if monitor.startswith("valid") and not validates:
            return InvalidParameterError(
                f"the callback {name!r} follows {monitor!r}, but no rows are validated "
                "on: pass early_stopping=True, or X_val and y_val to fit "
                "(partial_fit validates on none)."
            )
        return InvalidParameterError(
            f"the callback {name!r} follows {monitor!r}, but an epoch has only "
            f"{known}: name one of them, or put what records it before."
        )
    return None
