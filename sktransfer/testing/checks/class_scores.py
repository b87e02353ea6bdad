"""Probabilities and decisions of classifiers, and that all say the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.testing import sample_texts
from sktransfer.testing.assertions import assert_same_numbers, fail, skip
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, only_if


@only_if("classifies")
def check_probabilities(subject: Subject) -> None:
    """Probabilities have a column a class, and rows from 0 to 1 that sum to 1."""
    for one in _fits(subject, "predict_proba"):
        table = np.asarray(one.predict_proba(TEXTS))
        shape = (len(TEXTS), len(one.classes_))
        if table.shape != shape:
            fail(f"predict_proba has shape {table.shape}, but {shape} was expected.")
        if table.min() < 0 or table.max() > 1 + 1e-6:
            fail(f"predict_proba goes from {table.min()} to {table.max()}.")
        sums = table.sum(axis=1, dtype=np.float64)
        if np.abs(sums - 1).max() > max(1e-6, subject.tolerance):
            fail(f"a row of predict_proba sums to {sums[np.abs(sums - 1).argmax()]}.")


@only_if("classifies")
def check_predict_agrees_with_probabilities(subject: Subject) -> None:
    """The label is the class of the largest probability, in the order of classes_."""
    for one in _fits(subject, "predict_proba"):
        _assert_largest(subject, one, np.asarray(one.predict_proba(TEXTS)))


@only_if("classifies")
def check_log_probabilities(subject: Subject) -> None:
    """Log-probabilities are the logarithms of the probabilities."""
    for one in _fits(subject, "predict_log_proba"):
        assert_same_numbers(
            np.exp(one.predict_log_proba(TEXTS)),
            one.predict_proba(TEXTS),
            subject.tolerance,
            "exp of predict_log_proba",
            "predict_proba",
        )


@only_if("classifies")
def check_predict_agrees_with_decisions(subject: Subject) -> None:
    """The label goes by the sign of a decision on two classes, else by the largest."""
    for one in _fits(subject, "decision_function"):
        table = np.asarray(one.decision_function(TEXTS))
        n_classes = len(one.classes_)
        shape = (len(TEXTS),) if n_classes == 2 else (len(TEXTS), n_classes)
        if table.shape != shape:
            fail(f"decision_function has shape {table.shape}, not {shape}.")
        if n_classes == 2:
            table = np.column_stack([-table, table])
        _assert_largest(subject, one, table)


@only_if("classifies")
def check_decisions_agree_with_probabilities(subject: Subject) -> None:
    """Of two classes, a higher decision never comes with a lower probability."""
    for method in ("predict_proba", "decision_function"):
        _fits(subject, method)
    decisions = np.asarray(subject.expected["decision_function"], dtype=np.float64)
    second = np.asarray(subject.expected["predict_proba"], dtype=np.float64)[:, 1]
    order = np.argsort(decisions, kind="stable")
    falls = np.diff(second[order]) < -max(1e-6, subject.tolerance)
    if falls.any():
        row = order[1:][falls][0]
        fail(
            f"row {row} has a higher decision than others and a lower probability of "
            "the second class."
        )


def _fits(subject: Subject, method: str) -> list[Any]:
    """Fits on two and on three classes; the check is skipped without the method."""
    if not hasattr(subject.fitted, method):
        skip(f"{subject.name} has no {method}")
    fits = [subject.fitted]
    if subject.knows_more_classes:
        fits.append(subject.fit(TEXTS, sample_texts.labels(3)))
    return fits


def _assert_largest(subject: Subject, one: Any, table: Any) -> None:
    predicted = np.asarray(one.predict(TEXTS))
    best = np.sort(table, axis=1)
    unclear = best[:, -1] - best[:, -2] <= 10 * subject.tolerance
    expected = one.classes_[table.argmax(axis=1)]
    wrong = np.flatnonzero((predicted != expected) & ~unclear)
    if wrong.size:
        row = wrong[0]
        fail(
            f"predict says {predicted[row]!r} for row {row}, but the largest score is "
            f"that of {expected[row]!r}."
        )
