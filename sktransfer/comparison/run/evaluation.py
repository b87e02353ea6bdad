"""One fit and one prediction: what a fold of a strategy amounts to.

Runs in a worker process where there are several; it reads no files of the comparison
and writes none.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from sktransfer.comparison.run.encoding_costs import Charge
from sktransfer.comparison.run.peak_memory import PeakMemory
from sktransfer.comparison.run.scoring import Scoring, measure, predict
from sktransfer.comparison.setup.candidates import seed_estimator
from sktransfer.exceptions import InvalidInputError

__all__ = ["Task", "count_parameters", "evaluate", "failed", "fit_estimator"]

Rows = npt.NDArray[np.intp]

# Folds of the search within a training part.
_N_INNER = 3


@dataclass(frozen=True)
class Task:
    """What has to be done for one fold of one strategy.

    Attributes
    ----------
    strategy : str
        Its name.
    train_size : int
        Key of the row that the fold belongs to.
    repeat, fold : int
        Which fold.
    train, test : ndarray of int
        Positions of texts.
    seed : int
        For whatever is random in the estimator.
    keep_model : bool, default=False
        Whether it holds the fitted model.
    """

    strategy: str
    train_size: int
    repeat: int
    fold: int
    train: Rows
    test: Rows
    seed: int
    keep_model: bool = False

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What tells the task from others."""
        return self.strategy, self.train_size, self.repeat, self.fold


def fit_estimator(
    estimator: Any,
    texts: list[str],
    labels: npt.NDArray[Any],
    *,
    seed: int,
    grid: Any = None,
    bound: Rows | None = None,
    scoring: Scoring | None = None,
) -> Any:
    """Fit a clone, after a search over its parameters where there is a grid.

    Parameters
    ----------
    estimator : classifier
        Left as it is.
    texts : list of str, of length n
        To learn from.
    labels : ndarray of shape (n,)
        Their labels.
    seed : int
        For each ``random_state`` that is None, and for the folds of the search.
    grid : dict, list of dict or None, default=None
        Parameters to search.
    bound : ndarray of int of shape (n,) or None, default=None
        What must stay on one side of the search's folds.
    scoring : Scoring or None, default=None
        What the search goes by.

    Returns
    -------
    model : classifier
        Fitted; with a grid a GridSearchCV.
    """
    if isinstance(estimator, FrozenEstimator):
        return estimator
    seeded = seed_estimator(estimator, seed)
    if grid is None:
        return seeded.fit(texts, labels)
    folds = StratifiedGroupKFold(_N_INNER, shuffle=True, random_state=seed)
    scorer = None if scoring is None else scoring.scorer
    search = GridSearchCV(seeded, grid, cv=folds, scoring=scorer, error_score="raise")
    return search.fit(texts, labels, groups=bound)


def evaluate(
    task: Task,
    estimator: Any,
    texts: list[str],
    labels: npt.NDArray[Any],
    *,
    classes: npt.NDArray[Any],
    scoring: Scoring,
    charge: Charge,
    grid: Any = None,
    bound: Rows | None = None,
) -> dict[str, Any]:
    """Fit and measure; an error is an answer, too.

    Parameters
    ----------
    task : Task
        Which rows.
    estimator : classifier
        Left as it is.
    texts : list of str, of length n
        All of the target domain.
    labels : ndarray of shape (n,)
        Their labels.
    classes : ndarray
        Distinct labels, sorted.
    scoring : Scoring
        The main metric.
    charge : Charge
        Seconds a text that were spent beforehand.
    grid : dict, list of dict or None, default=None
        Parameters to search.
    bound : ndarray of int of shape (n,) or None, default=None
        What must stay together.

    Returns
    -------
    outcome : dict
        What JSON can hold: the task's key, "n_train", "n_test", "metrics", seconds,
        "status", "error" and, where they are kept, "predictions". Beside that, where it
        is kept and the status is "done", the fitted "model".
    """
    outcome = _name(task)
    tested = [texts[row] for row in task.test]
    try:
        memory = PeakMemory()
        started = time.perf_counter()
        model = fit_estimator(
            estimator,
            [texts[row] for row in task.train],
            labels[task.train],
            seed=task.seed,
            grid=grid,
            bound=None if bound is None else bound[task.train],
            scoring=scoring,
        )
        fit_seconds = time.perf_counter() - started
        # What was fitted elsewhere took its memory there.
        is_fitted = isinstance(estimator, FrozenEstimator)
        fit_peak = math.nan if is_fitted else memory.rise()
        said = predict(model, tested, classes)
        metrics = measure(model, said, tested, labels[task.test], classes, scoring)
        numbers = _number_labels(said.labels, classes)
    except Exception as error:
        return failed(task, error)
    if not math.isfinite(metrics["score"]):
        why = f"{scoring.name} is {metrics['score']}, which is no score."
        return outcome | {"status": "failed", "error": why}
    outcome |= {
        "status": "done",
        "error": "",
        "metrics": metrics,
        "fit_seconds": fit_seconds + charge.train * len(task.train) + charge.fixed,
        "predict_seconds": said.seconds + charge.test * len(task.test),
        "fit_peak_mib": fit_peak,
        "n_trainable_parameters": count_parameters(model),
        "best_params": repr(model.best_params_) if grid is not None else "",
    }
    outcome["predictions"] = {
        "rows": task.test.tolist(),
        "predicted": numbers,
        "probabilities": said.probabilities.tolist(),
    }
    if task.keep_model:
        outcome["model"] = model
    return outcome


def failed(task: Task, error: Exception) -> dict[str, Any]:
    """Outcome of a task that has ended in an error.

    Parameters
    ----------
    task : Task
        Which rows.
    error : Exception
        What came of it.

    Returns
    -------
    outcome : dict
        As of `evaluate`.
    """
    return _name(task) | {"status": "failed", "error": describe_error(error)}


def _name(task: Task) -> dict[str, Any]:
    return {
        "strategy": task.strategy,
        "train_size": task.train_size,
        "repeat": task.repeat,
        "fold": task.fold,
        "n_train": len(task.train),
        "n_test": len(task.test),
    }


def _number_labels(labels: npt.NDArray[Any], classes: npt.NDArray[Any]) -> list[int]:
    place = {label: number for number, label in enumerate(classes.tolist())}
    unknown = [label for label in labels.tolist() if label not in place]
    if unknown:
        raise InvalidInputError(
            f"the label {unknown[0]!r} was predicted, but y has {list(place)[:10]}."
        )
    return [place[label] for label in labels.tolist()]


def describe_error(error: BaseException) -> str:
    """One line on an error: its type and what it says."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def count_parameters(model: Any) -> float:
    """Numbers that a model has learnt from the labels; NaN where nobody knows.

    Parameters
    ----------
    model : classifier
        Fitted. Of a pipeline the last step counts, of a search the best model.

    Returns
    -------
    n_parameters : float
    """
    for name in ("best_estimator_", "estimator_"):
        if hasattr(model, name):
            return count_parameters(getattr(model, name))
    if isinstance(model, FrozenEstimator):
        return count_parameters(model.estimator)
    if hasattr(model, "steps"):
        return count_parameters(model.steps[-1][1])
    if hasattr(model, "n_trainable_parameters_"):
        return float(model.n_trainable_parameters_)
    if hasattr(model, "coef_"):
        return float(np.size(model.coef_) + np.size(getattr(model, "intercept_", ())))
    return math.nan
