"""Rules for the values of single parameters, and the error where one is broken.

An estimator has a table of names and rules, which ``fit`` applies through
`check_parameters`, and so has a public function. What several parameters mean together
it checks itself.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config

from sktransfer.exceptions import (
    FileError,
    InvalidInputError,
    InvalidParameterError,
    MissingFileError,
    SktransferError,
)

__all__ = [
    "CALLBACK",
    "CLASS_WEIGHT",
    "FLAG",
    "PATH",
    "POSITIVE",
    "RANDOM_STATE",
    "SHARE",
    "VERBOSE",
    "Rule",
    "check_parameters",
    "did_you_mean",
    "exactly",
    "explained",
    "instance",
    "number",
    "on_disk",
    "one_of",
    "show",
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
    choices : tuple of str or None, default=()
        Names that it may be.
    """

    accepts: Callable[[Any], bool]
    expected: str
    choices: tuple[str | None, ...] = ()

    def __or__(self, other: Rule) -> Rule:
        return Rule(
            lambda value: self.accepts(value) or other.accepts(value),
            f"{self.expected} or {other.expected}",
            self.choices + other.choices,
        )


def check_parameters(
    parameters: Mapping[str, Any], rules: Mapping[str, Rule], *, always: bool = False
) -> None:
    """Raise InvalidParameterError for the first parameter that breaks its rule.

    As with scikit-learn's own estimators, rules do not count where its configuration
    says ``skip_parameter_validation``; `always` is for what nothing may go on with, as
    a path that something is written to.

    Examples
    --------
    >>> from sktransfer.validation import check_parameters, exactly, whole
    >>> check_parameters({"n_rounds": 0}, {"n_rounds": exactly("auto") | whole(1)})
    Traceback (most recent call last):
        ...
    sktransfer.exceptions.InvalidParameterError: n_rounds=0, but 'auto' or a whole
    number, at least 1, is expected.
    """
    if not always and get_config()["skip_parameter_validation"]:
        return
    for name, rule in rules.items():
        if name in parameters and not rule.accepts(parameters[name]):
            raise InvalidParameterError(
                f"{name}={show(parameters[name])}, but {rule.expected} is expected."
                + did_you_mean(parameters[name], rule.choices)
            )


def show(value: object, width: int = 80) -> str:
    """A value as Python writes it, shortened; its type where it cannot be shown.

    Examples
    --------
    >>> from sktransfer.validation import show
    >>> show("a" * 100, 10)
    "'aaaaaa..."
    """
    try:
        shown = repr(value)
    except Exception:  # whatever a stranger's __repr__ raises
        return f"<{type(value).__name__}>"
    return shown if len(shown) <= width else f"{shown[: width - 3]}..."


def did_you_mean(given: object, known: Iterable[object]) -> str:
    """A question with a blank before it, or nothing where no known name is like it.

    Examples
    --------
    >>> from sktransfer.validation import did_you_mean
    >>> did_you_mean("finetune", ["frozen", "fine_tune"])
    " Did you mean 'fine_tune'?"
    """
    if not isinstance(given, str):
        return ""
    plain = {_plain(name): name for name in known if isinstance(name, str)}
    near = difflib.get_close_matches(_plain(given[:100]), plain, n=1)
    return f" Did you mean {plain[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")


@contextmanager
def on_disk(name: str, path: object) -> Iterator[None]:
    """Tell errors of the system about a path that a user gave as the package's own.

    `name` is that of the parameter.
    """
    check_parameters({name: path}, {name: PATH}, always=True)
    try:
        yield
    except SktransferError:
        raise
    except OSError as error:
        where = "" if error.filename in (None, str(path)) else f": {error.filename}"
        kind = MissingFileError if isinstance(error, FileNotFoundError) else FileError
        told = kind(
            f"{name}={show(path, 200)} cannot be used "
            f"({error.strerror or error}{where}): check it, or name another place."
        )
        told.errno = error.errno
        raise told from error


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """Tell errors that libraries raise about what a user gave as the package's own.

    They become ``{what} ({the library's message}): {remedy}.``
    """
    try:
        yield
    except SktransferError:
        raise
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        why = " ".join(str(error).split()).rstrip(".")[:500]
        raise InvalidInputError(f"{what} ({why}): {remedy}.") from error


def exactly(choice: str | None) -> Rule:
    """Nothing but this value."""
    # An array does not say by == whether it is the value.
    return Rule(
        lambda value: isinstance(value, (str, type(None))) and value == choice,
        repr(choice),
        (choice,),
    )


def one_of(*choices: str | None) -> Rule:
    """One of these values."""
    return Rule(
        lambda value: isinstance(value, (str, type(None))) and value in choices,
        f"one of {list(choices)}",
        choices,
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
    """A number from `low` to `high`; a square bracket in `ends` counts that end in.

    True and False are none.
    """
    expected = f"a number in {ends[0]}{low}, {high}{ends[1]}"
    if math.isinf(high):
        expected = f"a number {'of at least' if ends[0] == '[' else 'above'} {low}"

    def accepts(value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        found: Any = value
        above = found >= low if ends[0] == "[" else found > low
        return bool(above and (found <= high if ends[1] == "]" else found < high))

    return Rule(accepts, expected)


def instance(kinds: type | tuple[type, ...], expected: str) -> Rule:
    """An object of one of these types."""
    return Rule(lambda value: isinstance(value, kinds), expected)


# 0 and 1 are what tables and settings files have for it, and say the same.
FLAG = Rule(
    lambda value: (
        isinstance(value, (bool, np.bool_))
        or (isinstance(value, Integral) and value in (0, 1))
    ),
    "True or False",
)

# Such as a level of confidence.
SHARE = Rule(number(0, 1, ends="()").accepts, "a number between 0 and 1")

POSITIVE = Rule(number(0, ends="()").accepts, "a positive number")

CALLBACK = Rule(lambda value: value is None or callable(value), "None or a callable")

CLASS_WEIGHT = (
    exactly(None) | exactly("balanced") | instance(dict, "a dict of labels to weights")
)

RANDOM_STATE = Rule(
    lambda value: (
        isinstance(value, (type(None), np.random.RandomState))
        or (whole(0).accepts(value) and value < 2**32)
    ),
    "None, a whole number from 0 to 2**32 - 1 or a RandomState of numpy",
)

PATH = Rule(
    lambda value: (
        isinstance(value, (str, os.PathLike))
        and isinstance(os.fspath(value), str)
        and "\0" not in os.fspath(value)
        and os.fspath(value) != ""
    ),
    "a path, a str or pathlib.Path,",
)

VERBOSE = Rule(
    lambda value: FLAG.accepts(value) or whole(0).accepts(value),
    "a whole number, at least 0,",
)
