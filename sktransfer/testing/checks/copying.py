"""Copies of a fitted estimator, in this process and in a new one."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import joblib
from sklearn.base import clone

from sktransfer.testing.assertions import assert_same_answers, fail, import_or_skip
from sktransfer.testing.new_process import ask_new_process
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject


def check_pickle(subject: Subject) -> None:
    """A pickle, of what is fitted or not, has the same parameters and answers."""
    empty = pickle.loads(pickle.dumps(subject.new()))
    if set(empty.get_params()) != set(subject.new().get_params()):
        fail("a pickle of what was not fitted has other parameters.")
    _assert_same(subject, pickle.loads(pickle.dumps(subject.fitted)), "of a pickle")


def check_pickle_in_new_process(subject: Subject) -> None:
    """A pickle answers the same in a process that has not seen the estimator."""
    _assert_same_elsewhere(subject, pickle.dumps(subject.fitted))


def check_cloudpickle_in_new_process(subject: Subject) -> None:
    """What cloudpickle has written, as joblib and Dask do, answers the same there."""
    cloudpickle = import_or_skip("cloudpickle")
    _assert_same_elsewhere(subject, cloudpickle.dumps(subject.fitted))


def check_joblib(subject: Subject) -> None:
    """joblib.dump and joblib.load, by which models are kept, bring it back."""
    file = io.BytesIO()
    joblib.dump(subject.fitted, file)
    file.seek(0)
    _assert_same(subject, joblib.load(file), "of what joblib has loaded")


def check_deep_copy(subject: Subject) -> None:
    """A deep copy answers the same, and a fit of it leaves the first as it is."""
    copied = copy.deepcopy(subject.fitted)
    _assert_same(subject, copied, "of a deep copy")
    y = subject.labels()
    subject.fit_one(copied, TEXTS[::-1][:12], None if y is None else y[::-1][:12])
    _assert_same(subject, subject.fitted, "after a copy was fitted again")


def check_clone_learns_by_itself(subject: Subject) -> None:
    """A fit of a clone leaves the fitted estimator that it was cloned from as it is."""
    y = subject.labels()
    other = clone(subject.fitted)
    subject.fit_one(other, TEXTS[::-1][:12], None if y is None else y[::-1][:12])
    _assert_same(subject, subject.fitted, "after a clone was fitted")


def _assert_same(subject: Subject, one: Any, what: str) -> None:
    found = subject.answers(one)
    assert_same_answers(subject, found, subject.expected, what, "the estimator")


def _assert_same_elsewhere(subject: Subject, pickled: bytes) -> None:
    methods = subject.methods(subject.fitted)
    found = ask_new_process(subject.fitted, "answers_of", pickled, methods, TEXTS)
    assert_same_answers(
        subject, found, subject.expected, "in a new process", "this process"
    )
