"""check_text_estimator and parametrize_with_text_checks, in scikit-learn's manner."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import SkipTest

from sklearn import config_context
from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning

from sktransfer.testing.registry import applying
from sktransfer.testing.subject import Check, Subject

__all__ = [
    "TextCheck",
    "check_text_estimator",
    "parametrize_with_text_checks",
    "text_checks_generator",
]

TOLERANCE = 1e-5


@dataclass
class TextCheck:
    """A check that takes an estimator.

    Attributes
    ----------
    function : callable
        What is called with a `Subject`.
    subject : Subject
        Kept, so that the checks of one estimator share a fit.
    skipped : str, default=""
        Why it is not run.
    """

    function: Check
    subject: Subject
    skipped: str = field(default="")

    @property
    def __name__(self) -> str:
        return self.function.__name__

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self.function.__doc__

    def __call__(self, estimator: Any) -> None:
        """Check an estimator; an AssertionError or what it raises itself is a failure.

        Warnings that are not asked about stay silent.
        """
        if self.skipped:
            raise SkipTest(self.skipped)
        subject = self.subject
        if estimator is not subject.estimator:
            subject = Subject(estimator, subject.tolerance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.function(subject)


def check_text_estimator(
    estimator: Any = None,
    *,
    tolerance: float = TOLERANCE,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_skip: Literal["warn"] | None = "warn",
    on_fail: Literal["raise", "warn"] | None = "raise",
    callback: Callable[..., object] | None = None,
) -> list[dict[str, Any]]:
    """Check if an estimator of texts keeps to the conventions of scikit-learn.

    What `sklearn.utils.estimator_checks.check_estimator` is for tables of numbers, for
    X that is one str a row. Transformers from texts to numbers, classifiers,
    regressors, clusterers and pipelines of them can be checked.

    Parameters
    ----------
    estimator : estimator
        What is checked, not fitted. It is cloned, and stays as it is.
    tolerance : float, default=1e-5
        How far numbers may differ that should be equal, such as the row of a text that
        is alone and of one in a batch: a share of the largest one, or of 1.
    expected_failed_checks : dict of str to str or None, default=None
        Names of checks that are expected to fail, and why.
    on_skip : {"warn"} or None, default="warn"
        Whether a SkipTestWarning is issued where a check cannot be run, for example as
        a package is not installed.
    on_fail : {"raise", "warn"} or None, default="raise"
        What a check that fails comes to: its error, an EstimatorCheckFailedWarning, or
        an entry of the result only.
    callback : callable or None, default=None
        Called with each entry of the result, as keywords. Only where `on_fail` is not
        "raise".

    Returns
    -------
    results : list of dict
        For each check ``estimator``, ``check_name``, ``exception``, ``status`` (one of
        "passed", "failed", "skipped" and "xfail"), ``expected_to_fail`` and
        ``expected_to_fail_reason``.

    Raises
    ------
    Exception
        What the first check that fails raises, if `on_fail` is "raise".

    See Also
    --------
    parametrize_with_text_checks : The same as tests of pytest.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sktransfer.testing import check_text_estimator
    >>> results = check_text_estimator(TfidfVectorizer(), on_fail=None, on_skip=None)
    >>> [one["check_name"] for one in results if one["status"] == "failed"][0]
    'check_reads_pyarrow_array'
    """
    _refuse_classes([estimator])
    if on_fail == "raise" and callback is not None:
        raise ValueError("callback cannot be provided together with on_fail='raise'")
    for name, value, known in (
        ("on_fail", on_fail, ("raise", "warn", None)),
        ("on_skip", on_skip, ("warn", None)),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r}, but one of {known} is expected.")
    expected = dict(expected_failed_checks or {})
    results = []
    for one, check in text_checks_generator(estimator, tolerance=tolerance):
        result = _run(one, check, expected)
        if result["status"] == "failed" and on_fail == "raise":
            raise result["exception"]
        if result["status"] == "skipped" and on_skip == "warn":
            message = f"Skipping {check.__name__} for {type(one).__name__}: "
            warnings.warn(
                message + str(result["exception"]), SkipTestWarning, stacklevel=2
            )
        if result["status"] in ("failed", "xfail") and on_fail == "warn":
            warnings.warn(EstimatorCheckFailedWarning(**result), stacklevel=2)
        results.append(result)
        if callback:
            callback(**result)
    return results


def _run(estimator: Any, check: TextCheck, expected: dict[str, str]) -> dict[str, Any]:
    """What came of one check."""
    foreseen = check.__name__ in expected
    exception: Exception | None = None
    try:
        check(estimator)
        status = "passed"
    except SkipTest as error:
        exception, status = error, "skipped"
    except Exception as error:
        exception, status = error, "xfail" if foreseen else "failed"
    return {
        "estimator": estimator,
        "check_name": check.__name__,
        "exception": exception,
        "status": status,
        "expected_to_fail": foreseen,
        "expected_to_fail_reason": expected.get(
            check.__name__, "Check is not expected to fail"
        ),
    }


def text_checks_generator(
    estimator: Any,
    *,
    tolerance: float = TOLERANCE,
    expected_failed_checks: Mapping[str, str] | None = None,
    mark: Literal["xfail", "skip"] | None = None,
    xfail_strict: bool | None = None,
) -> Iterator[Any]:
    """Yield an estimator with each check that applies to it.

    Parameters
    ----------
    estimator : estimator
        What is checked.
    tolerance : float, default=1e-5
        As in `check_text_estimator`.
    expected_failed_checks : dict of str to str or None, default=None
        Names of checks that are expected to fail, and why.
    mark : {"xfail", "skip"} or None, default=None
        What becomes of those: a mark of pytest, or a check that is skipped.
    xfail_strict : bool or None, default=None
        Whether a check that is expected to fail has to; None leaves it to pytest.

    Yields
    ------
    pair : tuple of estimator and callable
        ``check(estimator)`` runs one; its name is ``check.__name__``.

    See Also
    --------
    check_text_estimator : Runs them.
    parametrize_with_text_checks : Makes tests of them.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.testing import text_checks_generator
    >>> estimator, check = next(text_checks_generator(CountVectorizer()))
    >>> check.__name__
    'check_constructor_stores_parameters'
    >>> check(estimator)
    """
    expected = expected_failed_checks or {}
    subject = Subject(estimator, tolerance)
    for function in applying(subject):
        check = TextCheck(function, subject)
        reason = expected.get(check.__name__)
        if reason is None or mark is None:
            yield estimator, check
        elif mark == "skip":
            yield estimator, TextCheck(function, subject, reason)
        else:
            import pytest

            strict: dict[str, Any] = {}
            if xfail_strict is not None:
                strict["strict"] = xfail_strict
            marks = pytest.mark.xfail(reason=reason, **strict)
            yield pytest.param(estimator, check, marks=marks)


def parametrize_with_text_checks(
    estimators: Sequence[Any],
    *,
    tolerance: float = TOLERANCE,
    expected_failed_checks: Callable[[Any], Mapping[str, str]] | None = None,
    xfail_strict: bool | None = None,
) -> Any:
    """Make a test of pytest for each estimator and each check that applies to it.

    Parameters
    ----------
    estimators : sequence of estimators
        What is checked. Each is cloned, and stays as it is.
    tolerance : float, default=1e-5
        As in `check_text_estimator`.
    expected_failed_checks : callable or None, default=None
        Takes an estimator, and returns a dict of names of checks that are expected to
        fail, with reasons. They are marked as xfail.
    xfail_strict : bool or None, default=None
        Whether a check that is expected to fail has to; None leaves it to pytest.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a function with the arguments ``estimator`` and ``check``.

    See Also
    --------
    check_text_estimator : The same in one call, without pytest.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.testing import parametrize_with_text_checks
    >>> @parametrize_with_text_checks([CountVectorizer()])
    ... def test_conventions(estimator, check):
    ...     check(estimator)
    """
    import pytest

    _refuse_classes(estimators)
    pairs = [
        pair
        for estimator in estimators
        for pair in text_checks_generator(
            estimator,
            tolerance=tolerance,
            expected_failed_checks=(
                expected_failed_checks(estimator) if expected_failed_checks else None
            ),
            mark="xfail",
            xfail_strict=xfail_strict,
        )
    ]
    return pytest.mark.parametrize(("estimator", "check"), pairs, ids=_id_of)


def _refuse_classes(estimators: Sequence[Any]) -> None:
    for estimator in estimators:
        if inspect.isclass(estimator):
            raise TypeError(
                f"{estimator.__name__} is a class, but an instance is expected: pass "
                f"{estimator.__name__}()."
            )
        if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
            raise TypeError(
                f"{type(estimator).__name__} has no get_params and fit, so it is no "
                "estimator."
            )


def _id_of(value: Any) -> str | None:
    """Part of a test's name: the estimator as it is written, or the check's name."""
    if isinstance(value, TextCheck):
        return value.__name__
    if hasattr(value, "get_params"):
        with config_context(print_changed_only=True):
            return re.sub(r"\s", "", str(value))
    return None
