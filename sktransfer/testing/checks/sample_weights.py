"""Weights of rows, their way through composites, and learning in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sktransfer.testing.assertions import (
    assert_refused,
    assert_same_answers,
    assert_same_numbers,
    fail,
    shown,
)
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, only_if

_N = len(TEXTS)


@only_if("weighs")
def check_equal_weights(subject: Subject) -> None:
    """Weights of 1, and None, are no weights at all."""
    for weights in (None, np.ones(_N), [1] * _N):
        one = subject.fit(sample_weight=weights)
        found = subject.answers(one)
        assert_same_answers(
            subject, found, subject.expected, "with weights of 1", "without weights"
        )


@only_if("weighs")
def check_zero_weights(subject: Subject) -> None:
    """A row of weight 0 is as if it were not there, its text and its label too."""
    y = subject.labels()
    kept = np.arange(_N) % 5 != 0
    weighted = subject.fit(sample_weight=kept.astype(float))
    left = [text for text, keep in zip(TEXTS, kept, strict=True) if keep]
    without = subject.fit(left, None if y is None else y[kept])
    assert_same_answers(
        subject,
        subject.answers(weighted),
        subject.answers(without),
        "with rows of weight 0",
        "without these rows",
    )


@only_if("weighs", "classifies")
def check_weights_count(subject: Subject) -> None:
    """Weights move the scores: one class counting more is not the same fit."""
    y = subject.labels()
    weights = np.where(y == y[0], 20.0, 1.0)
    found = subject.answers(subject.fit(sample_weight=weights))
    scores = [name for name in found if name != "predict"]
    if scores and all(
        np.allclose(found[name], subject.expected[name]) for name in scores
    ):
        fail("weights of 20 for one class change no score.")


@only_if("weighs")
def check_weights_stay_as_they_are(subject: Subject) -> None:
    """sample_weight is not changed, and may be read-only."""
    weights = np.linspace(0.5, 2.0, _N)
    before = weights.copy()
    subject.fit(sample_weight=weights)
    weights.flags.writeable = False
    subject.fit(sample_weight=weights)
    if not np.array_equal(weights, before):
        fail("sample_weight was changed in place.")


@only_if("weighs")
def check_refuses_other_number_of_weights(subject: Subject) -> None:
    """Weights of another length than X are refused, with their length."""
    assert_refused(
        lambda: subject.fit(sample_weight=np.ones(_N - 1)),
        f"fit on {_N} texts with {_N - 1} weights",
        rf"\b{_N - 1}\b",
    )


@only_if("weighs")
def check_refuses_bad_weights(subject: Subject) -> None:
    """A weight that is nan is refused: it would make every answer nan."""
    weights = np.ones(_N)
    weights[2] = np.nan
    assert_refused(
        lambda: subject.fit(sample_weight=weights),
        "fit where sample_weight[2] is nan",
        "nan|finite|weight",
    )


@only_if("weighs", "learns_labels")
def check_weights_reach_a_pipeline(subject: Subject) -> None:
    """Metadata routing: set_fit_request lets a pipeline hand weights on to fit."""
    weights = _uneven()
    with config_context(enable_metadata_routing=True):
        one = _requesting(subject)
        pipeline = Pipeline([("model", one)])
        pipeline.fit(TEXTS, subject.labels(), sample_weight=weights)
        found = subject.answers(pipeline)
    expected = subject.answers(subject.fit(sample_weight=weights))
    assert_same_answers(subject, found, expected, "of a pipeline", "a weighted fit")


def _level(estimator: Any, X: object, y: object) -> float:
    """A score that is the same for all, and takes no weights."""
    return 0.0


@only_if("weighs", "learns_labels")
def check_weights_reach_a_search(subject: Subject) -> None:
    """Metadata routing: a grid search hands weights on to the fits of its folds."""
    weights = _uneven()
    with config_context(enable_metadata_routing=True):
        model = Pipeline([("model", _requesting(subject))])
        search = GridSearchCV(model, {}, scoring=_level, cv=2)
        search.fit(TEXTS, subject.labels(), sample_weight=weights)
        found = subject.answers(search.best_estimator_)
    expected = subject.answers(subject.fit(sample_weight=weights))
    assert_same_answers(subject, found, expected, "of a search", "a weighted fit")


@only_if("learns_in_parts")
def check_partial_fit_knows_all_classes(subject: Subject) -> None:
    """partial_fit learns the classes that it is told, also one that comes later."""
    y = subject.labels()
    first = y == y[0]
    some = [text for text, keep in zip(TEXTS, first, strict=True) if keep]
    one = subject.new()
    if one.partial_fit(some, y[first], classes=np.unique(y)) is not one:
        fail("partial_fit does not return the estimator.")
    if not np.array_equal(one.classes_, np.unique(y)):
        fail(f"classes_ is {shown(one.classes_)}, not {shown(np.unique(y))}.")
    one.partial_fit(TEXTS, y)
    if not np.array_equal(one.classes_, np.unique(y)):
        fail(f"a second call has made classes_ {shown(one.classes_)}.")
    if not set(one.predict(TEXTS)) <= set(y):
        fail("predict gives labels that partial_fit was not told.")


@only_if("learns_in_parts")
def check_partial_fit_refuses_new_classes(subject: Subject) -> None:
    """A label that was not among the classes of the first call is refused."""
    y = subject.labels()
    one = subject.new().partial_fit(TEXTS, y, classes=np.unique(y))
    other = y.astype(object)
    other[1] = "another"
    assert_refused(
        lambda: one.partial_fit(TEXTS, other),
        "partial_fit on a label that is not among classes",
        "another|class|unseen|label",
    )


@only_if("learns_in_parts")
def check_partial_fit_learns(subject: Subject) -> None:
    """A second partial_fit goes on from the first, and changes the scores."""
    y = subject.labels()
    one = subject.new().partial_fit(TEXTS, y, classes=np.unique(y))
    before = subject.answers(one)
    one.partial_fit(TEXTS[:8], y[:8])
    scores = [name for name in before if name != "predict"]
    for name in scores[:1]:
        try:
            assert_same_numbers(
                getattr(one, name)(TEXTS), before[name], 1e-12, "one", "the other"
            )
        except AssertionError:
            return
        fail(f"a second partial_fit changes nothing in {name}.")


def _uneven() -> Any:
    return np.where(np.arange(_N) % 3, 1.0, 3.0)


def _requesting(subject: Subject) -> Any:
    one = subject.new()
    if not hasattr(one, "set_fit_request"):
        fail(f"{subject.name} has no set_fit_request, but fit takes sample_weight.")
    if one.set_fit_request(sample_weight=True) is not one:
        fail("set_fit_request does not return the estimator.")
    return one
