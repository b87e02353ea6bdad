"""What checks assert: equal answers, clear refusals; messages say what came."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from unittest import SkipTest

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sktransfer.testing.subject import Subject, as_table

__all__ = [
    "assert_refused",
    "assert_same_answers",
    "assert_same_numbers",
    "fail",
    "import_or_skip",
    "shown",
    "skip",
]


def fail(message: str) -> NoReturn:
    """Let a check fail."""
    raise AssertionError(message)


def skip(reason: str) -> NoReturn:
    """Leave a check, which then counts as skipped."""
    raise SkipTest(reason)


def import_or_skip(module: str) -> Any:
    """Import a module, or leave the check where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        skip(f"{module} is not installed")


def shown(value: object, width: int = 120) -> str:
    """A value as Python writes it, shortened."""
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def assert_same_numbers(
    found: Any, expected: Any, tolerance: float, what: str, instead: str
) -> None:
    """Two answers of numbers differ by at most the tolerance, in the same shape.

    `what` and `instead` say in words where the two come from.
    """
    one, two = as_table(found), as_table(expected)
    if one.shape != two.shape:
        fail(f"{what} has shape {one.shape}, but {instead} has {two.shape}.")
    if sparse.issparse(one) or sparse.issparse(two):
        # Columns of zeros on both sides are equal.
        one, two = sparse.csr_matrix(one), sparse.csr_matrix(two)
        columns = np.union1d(one.indices, two.indices)
        one, two = one[:, columns].toarray(), two[:, columns].toarray()
    if one.size == 0:
        return
    one, two = one.astype(np.float64), two.astype(np.float64)
    # log(0) stands for itself.
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    difference = np.abs(np.where(same, 0, one) - np.where(same, 0, two))
    finite = np.abs(two[np.isfinite(two)])
    allowed = tolerance * max(1.0, float(finite.max()) if finite.size else 1.0)
    if not np.all(difference <= allowed):
        row = np.unravel_index(int(np.nanargmax(difference)), one.shape)[0]
        fail(
            f"{what} differs from {instead} by up to {np.nanmax(difference):.2g} "
            f"(row {row}), and {allowed:.2g} is tolerated."
        )


def assert_same_answers(
    subject: Subject,
    found: Mapping[str, Any],
    expected: Mapping[str, Any],
    what: str,
    instead: str,
) -> None:
    """Answers of all methods are the same: numbers within the tolerance, labels equal.

    A label may be another where its scores nearly tie, within ten times the tolerance.
    """
    if set(found) != set(expected):
        fail(f"{what} offers {sorted(found)}, but {instead} offers {sorted(expected)}.")
    for method, answer in found.items():
        other = expected[method]
        if method == "predict" and subject.classifies:
            _assert_same_labels(
                subject, answer, other, expected, f"predict {what}", instead
            )
        else:
            assert_same_numbers(
                answer, other, subject.tolerance, f"{method} {what}", instead
            )


def _assert_same_labels(
    subject: Subject,
    found: Any,
    expected: Any,
    scores: Mapping[str, Any],
    what: str,
    instead: str,
) -> None:
    one, two = np.asarray(found), np.asarray(expected)
    if one.shape != two.shape:
        fail(f"{what} has shape {one.shape}, but {instead} has {two.shape}.")
    differing = np.flatnonzero((one != two) & ~near_ties(subject, scores))
    if differing.size:
        row = differing[0]
        fail(
            f"{what} says {shown(one[row])} for row {row}, but {instead} says "
            f"{shown(two[row])}."
        )


def near_ties(subject: Subject, scores: Mapping[str, Any]) -> Any:
    """Rows whose best two classes have scores within ten times the tolerance."""
    margin = 10 * subject.tolerance
    for method in ("predict_proba", "decision_function"):
        if method in scores:
            table = np.asarray(scores[method])
            if table.ndim == 1:
                return np.abs(table) <= margin
            best = np.sort(table, axis=1)
            return best[:, -1] - best[:, -2] <= margin
    return False


def assert_refused(call: Callable[[], object], what: str, said: str) -> None:
    """A call raises TypeError or ValueError, and its message says what came.

    `what` names the bad input, and the pattern `said` is searched for in the message,
    in letters of either case.
    """
    try:
        call()
    except (TypeError, ValueError) as error:
        message = str(error)
        if isinstance(error, NotFittedError):
            fail(f"{what}: refused as if it had not been fitted: {shown(message)}")
        if not re.search(said, message, re.IGNORECASE):
            fail(
                f"{what}: the message does not say what came (a match of {said!r} was "
                f"expected): {type(error).__name__}: {shown(message, 300)}"
            )
    except Exception as error:
        fail(
            f"{what}: {type(error).__name__}: {shown(str(error), 300)}. A TypeError or "
            "ValueError that says what came was expected."
        )
    else:
        fail(f"{what}: accepted, but a TypeError or ValueError was expected.")
