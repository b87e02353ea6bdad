"""The rule of a class: which attributes its objects have, and how they fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sktransfer.bundles.proving.fields import (
    Choice,
    Count,
    Field,
    Labels,
    Sizes,
)
from sktransfer.bundles.proving.parameters import check_parameters_of
from sktransfer.bundles.proving.requests import REQUESTS, are_requests
from sktransfer.exceptions import ModelFolderError

__all__ = ["Rule", "refuse"]

# What any estimator may have beside its own.
_COMMON: dict[str, Field] = {
    "n_features_in_": Count("m"),
    "feature_names_in_": Labels("m"),
    "_n_features_out": Count(high=2**40),
}
_OUTPUTS = Choice((None, "default", "pandas", "polars"))

Together = Callable[[Any, Sizes], str | None]


def refuse(owner: str, attribute: str, value: object, expected: str) -> None:
    """Raise the error of an attribute that does not fit."""
    raise ModelFolderError(
        f"{attribute} of {owner} is {_show(value)}, but {expected} is expected: fit "
        "the model again, and save it again."
    )


def _show(value: object) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        dtype = getattr(value, "dtype", "?")
        return f"an array of {dtype} of shape {shape}"
    return f"{value!r:.60}"


@dataclass(frozen=True)
class Rule:
    """What objects of a class may hold.

    Attributes
    ----------
    fitted : dict of str to Field
        Attributes that a fit leaves, in the order in which they are proved. An object
        that was not fitted has none of them.
    optional : dict of str to Field, default={}
        Those that not every version or parameter leaves, and what a constructor sets
        beside its parameters.
    parameters : dict of str to Field, default={}
        Parameters that have a rule here, beside scikit-learn's.
    together : callable or None, default=None
        Says what is wrong with the attributes beside one another.
    others : Field or None, default=None
        What attributes may be that are not named; None allows none.
    """

    fitted: Mapping[str, Field] = field(default_factory=dict)
    optional: Mapping[str, Field] = field(default_factory=dict)
    parameters: Mapping[str, Field] = field(default_factory=dict)
    together: Together | None = None
    others: Field | None = None

    def prove(self, value: Any) -> None:
        """Raise ModelFolderError unless an object is as its rule has it."""
        owner, attributes = type(value).__name__, vars(value)
        names = set(type(value)._get_param_names()) if _has_names(value) else set()
        given = {name: attributes[name] for name in names if name in attributes}
        if missing := sorted(names - set(attributes)):
            refuse(owner, missing[0], None, "a value")
        self._prove_parameters(value, given)
        sizes: Sizes = {}
        rest = {name: one for name, one in attributes.items() if name not in names}
        output = rest.pop("_sklearn_output_config", {})
        if not isinstance(output, dict) or set(output) - {"transform"}:
            refuse(owner, "_sklearn_output_config", output, "a format of the output")
        if _OUTPUTS.fault(output.get("transform"), sizes) is not None:
            refuse(owner, "_sklearn_output_config", output, "a format of the output")
        if REQUESTS in rest and not are_requests(asked := rest.pop(REQUESTS)):
            refuse(owner, REQUESTS, asked, "requests of metadata")
        known = {**_COMMON, **self.optional, **self.fitted}
        for name in sorted(set(rest) - set(known)):
            if self.others is None or self.others.fault(rest[name], {}) is not None:
                refuse(owner, name, rest[name], "no such attribute")
        is_fitted = any(name in rest for name in self.fitted)
        # In the order of the rule, in which sizes become known.
        for name in [*_COMMON, *self.fitted, *self.optional]:
            if name not in rest:
                if is_fitted and name in self.fitted:
                    refuse(owner, name, None, "a fitted attribute")
                continue
            expected = known[name].fault(rest[name], sizes)
            if expected is not None:
                refuse(owner, name, rest[name], expected)
        if is_fitted or not self.fitted:
            self._prove_together(value, owner, sizes)

    def _prove_parameters(self, value: Any, given: Mapping[str, Any]) -> None:
        owner = type(value).__name__
        check_parameters_of(value, given, self.parameters)
        for name, rule in self.parameters.items():
            if name in given and (expected := rule.fault(given[name], {})) is not None:
                refuse(owner, name, given[name], expected)

    def _prove_together(self, value: Any, owner: str, sizes: Sizes) -> None:
        if self.together is None:
            return
        try:
            fault = self.together(value, sizes)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            fault = f"its attributes do not fit together ({error})"
        if fault is not None:
            raise ModelFolderError(
                f"{owner} does not fit together: {fault}. Fit the model again, and "
                "save it again."
            )


def _has_names(value: Any) -> bool:
    return hasattr(type(value), "_get_param_names")
