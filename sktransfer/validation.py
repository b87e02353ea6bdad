"""Rules for the values of single parameters, and the error where one is broken.

An estimator has a table of names and rules, which ``fit`` applies through
`check_parameters`. What several parameters mean together it checks itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from sktransfer.exceptions import InvalidParameterError

__all__ = [
    "CLASS_WEIGHT",
    "FLAG",
    "RANDOM_STATE",
    "VERBOSE",
    "Rule",
    "check_parameters",
    "exactly",
    "instance",
    "number",
    "one_of",
    "whole",
]


@dataclass(frozen=True)
class Rule:
    """What a parameter may be.

    Attributes
    ----------
    accepts : callable
        Whether a value will do.
    expected : str
        The same in words, as in "..., but {expected} is expected".
    """

    accepts: Callable[[Any], bool]
    expected: str

    def __or__(self, other: Rule) -> Rule:
        return Rule(
            lambda value: self.accepts(value) or other.accepts(value),
            f"{self.expected} or {other.expected}",
        )


def check_parameters(parameters: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Raise InvalidParameterError for the first parameter that breaks its rule.

    Examples
    --------
    >>> from sktransfer.validation import check_parameters, exactly, whole
    >>> check_parameters({"n_rounds": 0}, {"n_rounds": exactly("auto") | whole(1)})
    Traceback (most recent call last):
        ...
    sktransfer.exceptions.InvalidParameterError: n_rounds=0, but 'auto' or a whole
    number, at least 1, is expected.
    """
    for name, rule in rules.items():
        if name in parameters and not rule.accepts(parameters[name]):
            raise InvalidParameterError(
                f"{name}={parameters[name]!r:.80}, but {rule.expected} is expected."
            )


def exactly(choice: str | None) -> Rule:
    """Nothing but this value."""
    # An array does not say by == whether it is the value.
    return Rule(
        lambda value: isinstance(value, (str, type(None))) and value == choice,
        repr(choice),
    )


def one_of(*choices: str | None) -> Rule:
    """One of these values."""
    return Rule(
        lambda value: isinstance(value, (str, type(None))) and value in choices,
        f"one of {list(choices)}",
    )


def whole(least: int, unit: str = "") -> Rule:
    """A whole number from `least` on; True and False are none."""
    of = f" of {unit}" if unit else ""
    return Rule(
        lambda value: (
            isinstance(value, Integral)
            and not isinstance(value, bool)
            and value >= least  # type: ignore[operator]
        ),
        f"a whole number{of}, at least {least},",
    )


def number(low: float, high: float = math.inf, *, ends: str = "[)") -> Rule:
    """A number from `low` to `high`; a square bracket in `ends` counts that end in."""
    expected = f"a number in {ends[0]}{low}, {high}{ends[1]}"
    if math.isinf(high):
        expected = f"a number {'of at least' if ends[0] == '[' else 'above'} {low}"

    def accepts(value: Any) -> bool:
        if not isinstance(value, Real):
            return False
        found: Any = value
        above = found >= low if ends[0] == "[" else found > low
        return bool(above and (found <= high if ends[1] == "]" else found < high))

    return Rule(accepts, expected)


def instance(kinds: type | tuple[type, ...], expected: str) -> Rule:
    """An object of one of these types."""
    return Rule(lambda value: isinstance(value, kinds), expected)


FLAG = instance((bool, np.bool_), "one of [True, False]")

CLASS_WEIGHT = (
    exactly(None) | exactly("balanced") | instance(dict, "a dict of labels to weights")
)

RANDOM_STATE = Rule(
    lambda value: (
        isinstance(value, (type(None), np.random.RandomState))
        or (isinstance(value, Integral) and 0 <= value < 2**32)  # type: ignore[operator]
    ),
    "None, a whole number from 0 to 2**32 - 1 or a RandomState of numpy",
)

VERBOSE = Rule(
    lambda value: FLAG.accepts(value) or whole(0).accepts(value),
    "a whole number, at least 0,",
)
