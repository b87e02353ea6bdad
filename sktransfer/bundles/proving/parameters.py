"""Parameters of scikit-learn's constructors, by scikit-learn's own table of them.

Its rules are about types and ranges. Narrower here is what a parameter could do: call a
function, read a file, keep a pickle, or never come to an end.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector
from sklearn.feature_selection import (
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
)

from sktransfer._compat import (
    InvalidParameterError,
    _BaseScorer,
    _PassthroughScorer,
    rv_frozen,
    validate_parameter_constraints,
)
from sktransfer.bundles.proving.patterns import pattern_fault
from sktransfer.bundles.proving.values import is_plain
from sktransfer.exceptions import ModelFolderError

__all__ = ["HELD", "check_parameters_of", "check_selector", "is_harmless"]

# Functions that go into a file by their name.
_SCORES = (chi2, f_classif, f_regression, mutual_info_classif, mutual_info_regression)
#: What estimators may hold beside plain values.
HELD = (
    BaseEstimator,
    BaseCrossValidator,
    BaseShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    _BaseScorer,
    _PassthroughScorer,
    make_column_selector,
    rv_frozen,
)
_FUNCTIONS = {"score_func": _SCORES}
_UFUNCS = ("func", "inverse_func")
# More workers than any machine has, and more rounds than anything takes to converge.
_MOST_JOBS, _MOST_ROUNDS = 1024, 10**7
_ROUNDS = ("max_iter", "max_doc_update_iter")


def check_parameters_of(
    estimator: Any, given: Mapping[str, Any], others: Container[str]
) -> None:
    """Raise ModelFolderError for the first parameter that does not fit.

    Those in `others` have rules of their own.
    """
    owner = type(estimator).__name__
    for name, value in given.items():
        expected = None if name in others else _fault(name, value)
        if expected is not None:
            raise ModelFolderError(
                f"the parameter {name} of {owner} is {value!r:.60}, but {expected} is "
                "expected: set it so, fit the model again, and save it again."
            )
    if not type(estimator).__module__.startswith("sklearn."):
        return  # Those of this package have rules of their own, which a fit applies.
    constraints = getattr(type(estimator), "_parameter_constraints", {})
    try:
        validate_parameter_constraints(constraints, dict(given), caller_name=owner)
    except (InvalidParameterError, TypeError, ValueError, AttributeError) as error:
        raise ModelFolderError(
            f"a parameter of {owner} does not fit: {error} Set it so, fit the model "
            "again, and save it again."
        ) from error


def _fault(name: str, value: Any) -> str | None:
    if name == "input" and value != "content":
        # Else the texts name files, and these are read.
        return "'content'"
    if name == "token_pattern" and value is not None:
        return pattern_fault(value)
    if name == "ngram_range":
        return (
            None
            if _is_pair(value)
            else "two whole numbers from 1 on, the smaller one first"
        )
    if name == "n_jobs" and isinstance(value, (int, np.integer)):
        within = abs(int(value)) <= _MOST_JOBS
        return None if within else f"a number from {-_MOST_JOBS} to {_MOST_JOBS}"
    if name in _ROUNDS and isinstance(value, (int, float, np.number)):
        return None if value <= _MOST_ROUNDS else f"at most {_MOST_ROUNDS}"
    if name == "dtype":
        return _dtype_fault(value)
    if name in _FUNCTIONS:
        fits = any(value is one for one in _FUNCTIONS[name])
        return None if fits else "a score of sklearn.feature_selection"
    if name in _UFUNCS:
        fits = value is None or _is_unary_ufunc(value)
        return None if fits else "a function of numpy that takes one array"
    return None if is_harmless(value) else "no function and no object of others"


def _is_pair(value: Any) -> bool:
    if type(value) not in (tuple, list) or len(value) != 2:
        return False
    whole = all(isinstance(n, (int, np.integer)) for n in value)
    return bool(whole and 1 <= value[0] <= value[1])


def _dtype_fault(value: Any) -> str | None:
    try:
        kind = "O" if value is object else np.dtype(value).kind
    except (TypeError, ValueError):
        kind = "O"
    # Encoders of labels have theirs as objects or texts.
    return None if kind in "biufO" and value is not object else "a type of numbers"


def _is_unary_ufunc(value: Any) -> bool:
    name = getattr(value, "__name__", "")
    known = [getattr(module, name, None) for module in (np, special)]
    return isinstance(value, np.ufunc) and value.nin == 1 and value in known


def check_selector(selector: Any) -> None:
    """Raise ModelFolderError unless a selector of columns has an end on any name."""
    if selector.pattern is not None and (fault := pattern_fault(selector.pattern)):
        raise ModelFolderError(
            f"the pattern of a selector of columns is {selector.pattern!r:.60}, but "
            f"{fault.rstrip(',')} is expected."
        )
    for types in (selector.dtype_include, selector.dtype_exclude):
        several = types if isinstance(types, (list, tuple)) else [types]
        if not all(one is None or isinstance(one, (str, type)) for one in several):
            raise ModelFolderError(
                f"a selector of columns has the types {types!r:.60}, but names of "
                "types are expected."
            )


def is_harmless(value: Any, depth: int = 0) -> bool:
    """Whether a parameter is plain, or made of estimators and what they may hold."""
    is_ours = type(value).__module__.startswith("sktransfer.")
    if isinstance(value, HELD) or is_ours or is_plain(value):
        return True
    if depth > 20:
        return False
    if isinstance(value, np.ma.MaskedArray):  # such as what a search has tried
        value = np.ma.getdata(value)
    if type(value) is np.ndarray and value.dtype.kind == "O":
        value = value.ravel().tolist()
    if isinstance(value, dict):
        value = list(value.values())
    if type(value) in (list, tuple, set):
        return all(is_harmless(item, depth + 1) for item in value)
    return False
