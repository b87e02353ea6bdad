"""What an estimator is before it is fitted: parameters, clones, repr, tags."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_clusterer, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sktransfer.testing.assertions import fail, shown, skip
from sktransfer.testing.new_process import ask_new_process
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import (
    ANSWERS,
    Subject,
    fingerprint,
    only_if,
    parameters_of,
)


def check_constructor_stores_parameters(subject: Subject) -> None:
    """The constructor stores what it is given, unchecked: clones and grids need it."""
    kind = type(subject.estimator)
    given: dict[str, Any] = {
        name: object() for name in parameters_of(subject.estimator)
    }
    try:
        made = kind(**given)
    except Exception as error:
        fail(
            f"{subject.name}(**parameters) raised {type(error).__name__}: {error}; "
            "values are to be checked by fit, not by the constructor."
        )
    for name, value in given.items():
        stored = getattr(made, name, "nothing")
        if stored is not value:
            fail(f"{name} was given {value}, but {shown(stored)} is stored.")


def check_constructor_sets_nothing_else(subject: Subject) -> None:
    """The constructor sets no public attribute besides its parameters."""
    fresh = clone(subject.estimator)
    names = set(fresh.get_params(deep=False))
    extra = [n for n in vars(fresh) if n not in names and not n.startswith("_")]
    if extra:
        fail(f"the constructor has set {sorted(extra)}, which are no parameters.")


def check_constructor_loads_nothing(subject: Subject) -> None:
    """The constructor opens no large file and no connection: candidates are free."""
    parameters = subject.estimator.get_params(deep=False)
    pickled = _pickle_or_skip((type(subject.estimator), parameters))
    opened = ask_new_process(subject.estimator, "opened_by_construction", pickled)
    if opened:
        fail(f"the constructor has opened {opened}; that is for fit.")


def check_clone(subject: Subject) -> None:
    """A clone has equal parameters, and is not fitted where its original was."""
    one = clone(subject.estimator)
    two = clone(one)
    if one is subject.estimator or type(two) is not type(one):
        fail("clone gave the estimator itself or one of another class.")
    _assert_same_parameters(one, two, "a clone of a clone")
    if not subject.needs_fit:
        return
    again = clone(subject.fitted)
    try:
        check_is_fitted(again)
    except NotFittedError:
        return
    fail("the clone of a fitted estimator says that it is fitted.")


def check_get_params(subject: Subject) -> None:
    """Every parameter of the constructor is in get_params, and deep ones besides."""
    shallow = subject.estimator.get_params(deep=False)
    deep = subject.estimator.get_params(deep=True)
    missing = set(parameters_of(subject.estimator)) - set(shallow)
    if missing:
        fail(f"get_params lacks {sorted(missing)}, which the constructor takes.")
    if not set(shallow) <= set(deep):
        fail(f"get_params(deep=True) lacks {sorted(set(shallow) - set(deep))}.")


def check_set_params(subject: Subject) -> None:
    """What get_params gave, set_params takes; it returns self, and refuses others."""
    one = clone(subject.estimator)
    before = one.get_params()
    if one.set_params(**before) is not one:
        fail("set_params does not return the estimator.")
    after = one.get_params()
    changed = [n for n in before if not _same_value(after.get(n), before[n])]
    if changed:
        fail(f"set_params(**get_params()) has changed {sorted(changed)}.")
    try:
        one.set_params(no_such_parameter=1)
    except ValueError as error:
        if "no_such_parameter" not in str(error):
            fail(f"set_params does not name what it refuses: {error}")
    else:
        fail("set_params(no_such_parameter=1) was accepted.")


def check_set_params_checks_nothing(subject: Subject) -> None:
    """Any value is stored by set_params, since a grid sets parameters one by one."""
    one = clone(subject.estimator)
    for name in parameters_of(one):
        value = object()
        kept = getattr(one, name)
        # Names of parts of a composite are looked up in the value itself.
        if isinstance(kept, (list, tuple)) or hasattr(kept, "get_params"):
            continue
        try:
            one.set_params(**{name: value})
        except Exception as error:
            fail(f"set_params({name}=...) raised {type(error).__name__}: {error}")
        if getattr(one, name) is not value:
            fail(f"set_params({name}=...) stores {shown(getattr(one, name))}.")


def check_repr(subject: Subject) -> None:
    """The repr and the HTML form name the class, before a fit and after it."""
    for one, when in ((subject.estimator, "before"), (subject.fitted, "after")):
        for text in (
            repr(one),
            one._repr_html_() if hasattr(one, "_repr_html_") else "",
        ):
            if text and subject.name not in text:
                fail(f"{when} a fit repr is {shown(text)}, without {subject.name}.")


def check_tags(subject: Subject) -> None:
    """Tags say that X is text and what the estimator is, before a fit and after it."""
    inputs = get_tags(subject.first_step).input_tags
    if not inputs.string:
        fail("tags.input_tags.string is False, but texts are read.")
    tags, fitted = get_tags(subject.estimator), get_tags(subject.fitted)
    if tags != fitted:
        fail(f"tags change by a fit: {shown(tags, 400)} and {shown(fitted, 400)}.")
    kinds = {
        "classifier": is_classifier,
        "regressor": is_regressor,
        "clusterer": is_clusterer,
    }
    for kind, is_kind in kinds.items():
        if (tags.estimator_type == kind) != is_kind(subject.estimator):
            fail(f"estimator_type is {tags.estimator_type!r}, and is_{kind} disagrees.")


@only_if("takes_numbers")
def check_tags_are_true(subject: Subject) -> None:
    """Where tags allow X to be a table of numbers, fit takes one."""
    table = np.random.default_rng(0).normal(size=(len(TEXTS), 4))
    try:
        subject.fit(table)
    except Exception as error:
        fail(
            f"tags.input_tags.two_d_array is True, but fit on a table of numbers "
            f"raised {type(error).__name__}: {shown(str(error), 200)}"
        )


@only_if("needs_fit")
def check_not_fitted(subject: Subject) -> None:
    """Each method raises NotFittedError before a fit, and changes nothing."""
    one = subject.new()
    before = dict(vars(one))
    asked = [name for name in (*ANSWERS, "score") if hasattr(one, name)]
    for method in asked:
        arguments = (TEXTS, subject.labels()) if method == "score" else (TEXTS,)
        try:
            getattr(one, method)(*arguments)
        except NotFittedError:
            pass
        except Exception as error:
            fail(
                f"{method} before a fit raised {type(error).__name__}: "
                f"{shown(str(error), 200)}, but NotFittedError was expected."
            )
        else:
            fail(f"{method} answered before a fit, but NotFittedError was expected.")
    if vars(one) != before:
        fail("asking before a fit has changed the estimator.")


@only_if("needs_fit")
def check_is_fitted_agrees(subject: Subject) -> None:
    """check_is_fitted raises before a fit and passes after it."""
    try:
        check_is_fitted(subject.new())
    except NotFittedError:
        pass
    else:
        fail("check_is_fitted takes a new clone for fitted.")
    try:
        check_is_fitted(subject.fitted)
    except NotFittedError:
        fail("check_is_fitted takes a fitted estimator for not fitted.")


@only_if("needs_fit")
def check_not_fitted_loads_nothing(subject: Subject) -> None:
    """Asking before a fit opens no large file and no connection, only to refuse."""
    one = subject.new()
    methods = [name for name in ANSWERS if hasattr(one, name)]
    pickled = _pickle_or_skip(one)
    opened = ask_new_process(one, "opened_unfitted", pickled, methods, TEXTS[:2])
    if opened:
        fail(f"asking before a fit has opened {opened}.")


def _pickle_or_skip(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        skip(f"it cannot be pickled: {type(error).__name__}: {error}")


def _same_value(one: Any, two: Any) -> bool:
    """Whether two values of a parameter are equal; estimators need the same class."""
    if one is two:
        return True
    return fingerprint(one) == fingerprint(two)


def _assert_same_parameters(one: Any, two: Any, what: str) -> None:
    for name, value in one.get_params().items():
        other = two.get_params().get(name)
        if not _same_value(value, other):
            fail(f"{what} has {name}={shown(other)}, not {shown(value)}.")
