"""What a fit may do: to the estimator, to what it is given, and to the process."""

from __future__ import annotations

import locale
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import sklearn

from sktransfer.testing.assertions import assert_same_answers, fail, shown, skip
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, fingerprint, only_if


def check_leaves_random_state_alone(subject: Subject) -> None:
    """The global generators of Python, numpy and torch stay where they were."""
    _assert_left_alone(subject, _RANDOM)


def check_leaves_environment_alone(subject: Subject) -> None:
    """Environment variables, locale and scikit-learn's configuration stay."""
    _assert_left_alone(subject, _SETTINGS)


def check_leaves_warnings_and_logs_alone(subject: Subject) -> None:
    """Filters of warnings and levels of loggers stay: they are the user's."""
    _assert_left_alone(subject, _MESSAGES)


def check_leaves_torch_alone(subject: Subject) -> None:
    """Threads, defaults and modes of torch stay as they were, if it is loaded."""
    if "torch" not in sys.modules:
        skip("torch is not loaded")
    _assert_left_alone(subject, _TORCH)


def check_fit_returns_self(subject: Subject) -> None:
    """The estimator is what fit returns, so that calls can be chained."""
    one, y = subject.new(), subject.labels()
    back = one.fit(TEXTS) if y is None else one.fit(TEXTS, y)
    if back is not one:
        fail(f"fit returned {shown(back)}, but the estimator itself was expected.")


def check_fit_keeps_parameters(subject: Subject) -> None:
    """A fit changes no parameter: what the user has set, clone and grids need again."""
    one = subject.new()
    before = one.get_params()
    hashes = {name: fingerprint(value) for name, value in before.items()}
    subject.fit_one(one)
    after = one.get_params()
    for name, value in before.items():
        same = name in after and fingerprint(after[name]) == hashes[name]
        # A pipeline keeps what it has fitted among its steps.
        if not same or (after[name] is not value and not _holds_estimators(value)):
            fail(f"fit has changed {name}, to {shown(after.get(name))}.")


def check_fitted_attributes_end_in_underscore(subject: Subject) -> None:
    """What a fit sets ends in an underscore, or begins with one."""
    one = subject.new()
    before = set(vars(one))
    subject.fit_one(one)
    wrong = [n for n in vars(one) if n not in before]
    wrong = [n for n in wrong if not n.startswith("_") and not n.endswith("_")]
    if wrong:
        fail(f"fit has set {sorted(wrong)}, which do not end in an underscore.")


@only_if("repeats")
def check_fit_twice(subject: Subject) -> None:
    """A second fit of one estimator comes to the same: nothing of the first is left."""
    one = subject.new()
    subject.fit_one(one, TEXTS[::-1][:12], _first(subject.labels(), 12))
    subject.fit_one(one)
    _compare(subject, one, "after two fits")


@only_if("repeats")
def check_random_state_repeats(subject: Subject) -> None:
    """Equal seeds give equal fits, wherever the global generator stands."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(12345)  # noqa: NPY002
        one = subject.fit()
        np.random.seed(54321)  # noqa: NPY002
        two = subject.fit()
    finally:
        np.random.set_state(state)  # noqa: NPY002
    assert_same_answers(
        subject, subject.answers(one), subject.answers(two), "of one fit", "another"
    )


@only_if("repeats")
def check_random_state_generator(subject: Subject) -> None:
    """A RandomState as random_state gives what an equal one gives."""
    names = [
        n for n in subject.new().get_params() if n.split("__")[-1] == "random_state"
    ]
    if not names:
        skip("it has no random_state")
    one, two = (
        subject.fit_one(
            subject.new().set_params(**{n: np.random.RandomState(3) for n in names})
        )
        for _ in range(2)
    )
    assert_same_answers(
        subject, subject.answers(one), subject.answers(two), "of one fit", "another"
    )


def check_inputs_stay_as_they_are(subject: Subject) -> None:
    """X and y are not changed by fit and by answers."""
    X = np.array(TEXTS, dtype=object)
    y, y_before = subject.labels(), subject.labels()
    X_before = X.copy()
    rows = list(TEXTS)
    subject.answers(subject.fit(X, y), X)
    subject.answers(subject.fit(rows, y), rows)
    if not (np.array_equal(X, X_before) and rows == TEXTS):
        fail("X was changed in place.")
    if y is not None and not np.array_equal(y, y_before):
        fail("y was changed in place.")


def check_read_only_arrays(subject: Subject) -> None:
    """X and y may be read-only, as joblib hands large arrays to its workers."""
    X = np.array(TEXTS, dtype=object)
    y = subject.labels()
    X.flags.writeable = False
    if y is not None:
        y.flags.writeable = False
    one = subject.fit(X, y)
    _compare(subject, one, "on read-only arrays", X)


def check_answers_leave_it_as_it_is(subject: Subject) -> None:
    """No method that answers changes a public attribute of the estimator."""
    one = subject.fit()
    before = {n: fingerprint(v) for n, v in vars(one).items() if not n.startswith("_")}
    subject.answers(one, TEXTS[:5])
    after = {n: fingerprint(v) for n, v in vars(one).items() if not n.startswith("_")}
    changed = [n for n in {*before, *after} if before.get(n) != after.get(n)]
    if changed:
        fail(f"answers have changed {sorted(changed)}.")


def _compare(subject: Subject, one: Any, what: str, X: Any = None) -> None:
    found = subject.answers(one, X)
    assert_same_answers(subject, found, subject.expected, what, "one fit on lists")


def _holds_estimators(value: Any) -> bool:
    """Whether a value is an estimator, or a list of them with names."""
    listed = isinstance(value, (list, tuple)) and value
    return hasattr(value, "get_params") or bool(listed and isinstance(value[0], tuple))


def _first(y: Any, n: int) -> Any:
    return None if y is None else y[:n]


# What belongs to the process ------------------------------------------------------

State = tuple[Callable[[], Any], Callable[[Any], object]]


def _torch() -> Any:
    return sys.modules.get("torch")


def _set_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)


def _levels() -> dict[str, int]:
    """Levels of the loggers that there are."""
    known = logging.root.manager.loggerDict.items()
    found = {name: one.level for name, one in known if isinstance(one, logging.Logger)}
    return found | {"": logging.root.level}


def _set_levels(value: dict[str, int]) -> None:
    for name, level in value.items():
        logging.getLogger(name).setLevel(level)


def _set_filters(value: list[Any]) -> None:
    warnings.filters[:] = value  # type: ignore[index]


_RANDOM: dict[str, State] = {
    "the generator of random": (random.getstate, random.setstate),
    "the generator of numpy.random": (np.random.get_state, np.random.set_state),
    "the generator of torch": (
        lambda: _torch().get_rng_state().numpy() if _torch() else None,
        lambda value: _torch().set_rng_state(_torch().from_numpy(value)),
    ),
}
_SETTINGS: dict[str, State] = {
    "os.environ": (lambda: dict(os.environ), _set_environment),
    "the locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    "the configuration of scikit-learn": (
        sklearn.get_config,
        lambda value: sklearn.set_config(**value),
    ),
    "the working directory": (os.getcwd, os.chdir),
    "numpy's handling of errors": (np.geterr, lambda value: np.seterr(**value)),
}
_MESSAGES: dict[str, State] = {
    "the filters of warnings": (lambda: list(warnings.filters), _set_filters),
    "a level of logging": (_levels, _set_levels),
}
_TORCH: dict[str, State] = {
    "the threads of torch": (
        lambda: _torch().get_num_threads(),
        lambda value: _torch().set_num_threads(value),
    ),
    "the default dtype of torch": (
        lambda: str(_torch().get_default_dtype()),
        lambda value: _torch().set_default_dtype(getattr(_torch(), value[6:])),
    ),
    "the gradient mode of torch": (
        lambda: _torch().is_grad_enabled(),
        lambda value: _torch().set_grad_enabled(value),
    ),
    "the default device of torch": (
        lambda: str(_torch().get_default_device()),
        lambda value: _torch().set_default_device(value),
    ),
    "torch's use of deterministic algorithms": (
        lambda: _torch().are_deterministic_algorithms_enabled(),
        lambda value: _torch().use_deterministic_algorithms(value),
    ),
}


def _assert_left_alone(subject: Subject, states: dict[str, State]) -> None:
    """Fit and answer, and compare what belongs to the process before and after.

    What has changed is put back, and all is done once more: an import, which happens
    once, may leave its mark; the estimator may not.
    """
    for _ in range(2):
        before = {name: get() for name, (get, _) in states.items()}
        subject.answers(subject.fit())
        changed = [n for n in states if not _same(before[n], states[n][0]())]
        for name in changed:
            states[name][1](before[name])
        if not changed:
            return
    fail(f"fit or an answer has changed {', '.join(changed)}.")


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict) and "" in one:
        # A logger that has come with an import is no change of a level.
        return all(two.get(name) == level for name, level in one.items())
    return bool(joblib.hash(one) == joblib.hash(two))
