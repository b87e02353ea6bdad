"""Several threads at once, and joblib's processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from sktransfer.testing import sample_texts
from sktransfer.testing.assertions import assert_same_answers, fail
from sktransfer.testing.new_process import ask_new_process
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, as_table, only_if

_N_THREADS = 8


def check_threads_answer_alike(subject: Subject) -> None:
    """Eight threads that ask one estimator at once get what one thread gets."""
    one = subject.fit()
    ready = threading.Barrier(_N_THREADS)
    # Each thread asks for the texts in another order, so that a mix-up shows.
    orders = [np.roll(np.arange(len(TEXTS)), shift) for shift in range(_N_THREADS)]

    def ask(order: Any) -> dict[str, Any]:
        ready.wait()
        return subject.answers(one, [TEXTS[row] for row in order])

    with ThreadPoolExecutor(_N_THREADS) as pool:
        for order, found in zip(orders, pool.map(ask, orders), strict=True):
            expected = {
                method: as_table(answer)[order]
                for method, answer in subject.expected.items()
            }
            assert_same_answers(
                subject, found, expected, "of a thread among 8", "one thread"
            )


@only_if("repeats")
def check_threads_fit_alike(subject: Subject) -> None:
    """Clones that are fitted in two threads at once come to what one comes to."""
    ready = threading.Barrier(2)
    y = subject.labels()
    some = (TEXTS[::-1][:12], None if y is None else y[::-1][:12])
    parts: list[tuple[Any, Any]] = [(TEXTS, y), some]

    def fit(part: tuple[Any, Any]) -> Any:
        ready.wait()
        return subject.fit(*part)

    with ThreadPoolExecutor(2) as pool:
        for part, one in zip(parts, pool.map(fit, parts), strict=True):
            expected = subject.answers(subject.fit(*part))
            found = subject.answers(one)
            assert_same_answers(
                subject, found, expected, "fitted in a thread", "fitted alone"
            )


@only_if("repeats")
def check_cross_validation_in_processes(subject: Subject) -> None:
    """cross_val_score with n_jobs=2 gives the scores that it gives without."""
    _skip_unless_importable(subject)
    pipeline, y = _pipeline(subject)
    alone = cross_val_score(pipeline, TEXTS, y, cv=2, error_score="raise")
    with parallel_config("loky"):
        found = cross_val_score(pipeline, TEXTS, y, cv=2, n_jobs=2, error_score="raise")
    # A text whose scores tie may count once to this side and once to the other.
    if np.abs(alone - found).max() > _one_text(subject):
        fail(f"scores with n_jobs=2 are {found}, and without {alone}.")


@only_if("repeats")
def check_grid_search_in_processes(subject: Subject) -> None:
    """GridSearchCV of a pipeline gives the same scores with n_jobs=2."""
    _skip_unless_importable(subject)
    pipeline, y = _pipeline(subject)
    head = pipeline.steps[-1][0]
    grid = {head: [pipeline.steps[-1][1], DummyClassifier()]}
    if not subject.classifies and subject.learns_labels:
        grid = {head: [pipeline.steps[-1][1]]}
    searches = []
    with parallel_config("loky"):
        for n_jobs in (None, 2):
            search = GridSearchCV(
                pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise"
            )
            X = np.array(TEXTS, dtype=object)
            searches.append(search.fit(X, y).cv_results_["mean_test_score"])
    if np.abs(searches[0] - searches[1]).max() > _one_text(subject):
        fail(f"scores with n_jobs=2 are {searches[1]}, and without {searches[0]}.")


def _skip_unless_importable(subject: Subject) -> None:
    ask_new_process(subject.estimator, "nothing")


def _one_text(subject: Subject) -> float:
    return 1.01 * subject.tolerance * len(TEXTS)


def _pipeline(subject: Subject) -> tuple[Pipeline, Any]:
    """The subject as a pipeline that has a score, and what it learns."""
    if subject.learns_labels:
        return Pipeline([("model", subject.new())]), subject.labels()
    steps = [("features", subject.new()), ("head", LogisticRegression())]
    if not hasattr(subject.estimator, "transform"):
        steps = steps[:1]
    return Pipeline(steps), sample_texts.labels()
