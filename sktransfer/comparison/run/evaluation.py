"""One fit and one prediction, and how good it is: what a fold of a strategy amounts to.

Runs in a worker process where there are several; it reads no files of the comparison
and writes none. Shapes: n texts, c classes.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from inspect import getattr_static
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer,
    get_scorer_names,
    recall_score,
)
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from sktransfer._compat import _BaseScorer
from sktransfer.comparison.run.peak_memory import PeakMemory
from sktransfer.comparison.setup.candidates import (
    Grid,
    PooledClassifier,
    seed_estimator,
)
from sktransfer.comparison.setup.folds import Rows
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
from sktransfer.estimators import TextClassifier, open_wrappers
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.load_times import noting_loads
from sktransfer.validation import did_you_mean, show

__all__ = [
    "METRICS",
    "Charge",
    "Prediction",
    "Scoring",
    "Task",
    "choose_metric",
    "count_parameters",
    "evaluate",
    "failed",
    "fit_estimator",
    "measure",
    "predict",
    "rescore",
]

# Always told, as accuracy alone misleads where classes are skewed.
METRICS = ("accuracy", "balanced_accuracy", "f1_macro")

_OF_ONE_CLASS = ("f1", "jaccard", "precision", "recall")

_SHARES = (
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "f1",
    "jaccard",
    "precision",
    "recall",
    "roc_auc",
    "top_k_accuracy",
)

# Classes are skewed where one has more than this share of the texts, or where one has
# less than this part of what it had if all were equally common.
_MOST_COMMON, _LEAST_OF_EVEN = 0.7, 0.5

# Folds of the search within a training part.
_N_INNER = 3

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Charge:
    """Seconds that a text costs a strategy on top of what is measured.

    Attributes
    ----------
    train, test : float
        Seconds a text.
    fixed : float
        Seconds a fit, for texts that every fit reads.
    loads : dict of str to float
        What was loaded beforehand, once, and the seconds that it took.
    """

    train: float = 0.0
    test: float = 0.0
    fixed: float = 0.0
    loads: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What has to be done for one fold of one strategy.

    Attributes
    ----------
    strategy : str
        Its name in the journal.
    train_size : int
        Key of the row that the fold belongs to.
    repeat, fold : int
    train, test : ndarray of int
        Positions of texts.
    seed : int
        For whatever is random in the estimator.
    keep_model : bool, default=False
        Whether the outcome holds the fitted model.
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
    estimator: TextClassifier,
    texts: list[str],
    labels: Labels,
    *,
    seed: int,
    grid: Grid | None = None,
    bound: Rows | None = None,
    scoring: Scoring | None = None,
) -> Any:
    """Fit a clone, after a search over its parameters where there is a grid.

    The seed is for each ``random_state`` that is None, and for the folds of the search,
    which keep together what is `bound`. What was frozen is fitted already.
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
    estimator: TextClassifier,
    texts: list[str],
    labels: Labels,
    *,
    classes: Labels,
    scoring: Scoring,
    charge: Charge,
    grid: Grid | None = None,
    bound: Rows | None = None,
) -> dict[str, Any]:
    """Fit and measure; an error is an answer, too.

    The outcome is what JSON can hold: the task's key, "n_train", "n_test", "metrics",
    seconds with what was charged, "status", "error" and "predictions". "load_seconds"
    are those of what is loaded once, which are in no others but "elapsed_seconds", by
    the clock. Beside that, where the task keeps it and the status is "done", the fitted
    "model".
    """
    outcome = _name(task)
    tested = [texts[row] for row in task.test]
    try:
        memory = PeakMemory()
        started = time.perf_counter()
        with noting_loads() as of_fit:
            model = fit_estimator(
                estimator,
                [texts[row] for row in task.train],
                labels[task.train],
                seed=task.seed,
                grid=grid,
                bound=None if bound is None else bound[task.train],
                scoring=scoring,
            )
        fit_seconds = time.perf_counter() - started - of_fit.spent
        # What was fitted elsewhere took its memory there.
        is_fitted = isinstance(estimator, FrozenEstimator)
        fit_peak = math.nan if is_fitted else memory.rise()
        with noting_loads() as of_predict:
            said = predict(model, tested, classes)
        spent = time.perf_counter() - started
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
        "predict_seconds": max(said.seconds - of_predict.spent, 0.0)
        + charge.test * len(task.test),
        "load_seconds": sum(
            {**charge.loads, **of_fit.used, **of_predict.used}.values()
        ),
        "elapsed_seconds": spent,
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
    """Outcome of a task that has ended in an error, as of `evaluate`."""
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


def _number_labels(labels: Labels, classes: Labels) -> list[int]:
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


@dataclass(frozen=True)
class Prediction:
    """What a fitted classifier says of some texts.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        Predicted.
    probabilities : ndarray of shape (n, c)
        Of all classes of the comparison. Without ``predict_proba`` they are the
        logistic function or softmax of ``decision_function``, and NaN without either.
    decisions : ndarray of shape (n,) or (n, c), or None
        What ``decision_function`` gave, where that was asked.
    classes : ndarray
        Those that the classifier knows.
    seconds : float
        Of predicting.
    """

    labels: Labels
    probabilities: Floats
    decisions: Floats | None
    classes: Labels
    seconds: float


@dataclass(frozen=True)
class Scoring:
    """The main metric.

    Attributes
    ----------
    name : str
        How it is called.
    scorer : callable
        From an estimator, texts and labels to a number; the greater the better.
    reason : str, default=""
        Why it is this one, where the labels have decided that: a clause.
    """

    name: str
    scorer: Callable[..., float]
    reason: str = ""

    @property
    def is_share(self) -> bool:
        """Whether the metric is known to lie between 0 and 1."""
        return self.name.startswith(_SHARES)

    @classmethod
    def resolve(
        cls,
        scoring: str | Callable[..., float],
        labels: Collection[Any] | None = None,
    ) -> Scoring:
        """Make one of what users pass: "auto", a name of scikit-learn's, or a callable.

        All labels are needed for "auto" only.
        """
        if isinstance(scoring, str) and scoring == "auto" and labels is not None:
            name, reason = choose_metric(labels)
            return cls(name, get_scorer(name), reason)
        if isinstance(scoring, str) and scoring in _OF_ONE_CLASS and labels is not None:
            _check_positive(str(scoring), np.unique(np.asarray(labels)).tolist())
        if scoring is None:
            raise InvalidParameterError(
                "scoring=None, but 'auto', a callable or the name of a metric of "
                "scikit-learn's is expected."
            )
        if callable(scoring):
            function = getattr(scoring, "_score_func", scoring)
            name = getattr(function, "__name__", type(function).__name__)
            # A user's own accuracy need not be the one that is told beside it.
            return cls(f"own_{name}" if name in METRICS else name, scoring)
        try:
            return cls(str(scoring), get_scorer(scoring))
        except (ValueError, TypeError) as error:
            raise InvalidParameterError(
                f"scoring={show(scoring)}, but 'auto', a callable or one of the names "
                "that sklearn.metrics.get_scorer_names() lists is expected, as "
                "'accuracy', 'balanced_accuracy', 'f1_macro' or 'roc_auc'."
                + did_you_mean(scoring, get_scorer_names())
            ) from error


def _check_positive(scoring: str, classes: list[Any]) -> None:
    """Refuse a metric of one class where scikit-learn would not know which one."""
    if len(classes) > 2 or 1 not in classes:
        raise InvalidParameterError(
            f"scoring={scoring!r} is of one class of two, the one that is labelled 1, "
            f"but y has the classes {classes[:10]}: take '{scoring}_macro', the mean "
            "over classes."
        )


def choose_metric(labels: Collection[Any]) -> tuple[str, str]:
    """Name of the metric that suits these labels, and why it is not accuracy.

    Accuracy, and then the second is empty; balanced accuracy where classes are skewed.

    Examples
    --------
    >>> from sktransfer.comparison.run.evaluation import choose_metric
    >>> choose_metric(["good", "good", "good", "bad"])
    ('balanced_accuracy', "1 of 4 texts is 'bad', so balanced accuracy decides")
    >>> choose_metric(["good", "bad"])
    ('accuracy', '')
    """
    counts = Counter(np.asarray(labels).tolist()).most_common()
    n_texts, (rarest, least) = len(labels), counts[-1]
    even = n_texts / len(counts)
    is_skewed = counts[0][1] > _MOST_COMMON * n_texts or least < _LEAST_OF_EVEN * even
    if not is_skewed:
        return "accuracy", ""
    verb = "is" if least == 1 else "are"
    return (
        "balanced_accuracy",
        f"{least:,} of {n_texts:,} texts {verb} {rarest!r}, so balanced accuracy "
        "decides",
    )


def predict(model: TextClassifier, texts: list[str], classes: Labels) -> Prediction:
    """Labels and probabilities of texts, each text read once where that will do.

    The model is fitted; the classes, sorted, are those of the comparison.
    """
    started = time.perf_counter()
    known = np.asarray(model.classes_)
    if _answers_by_probability(model):
        given = np.asarray(model.predict_proba(texts), dtype=np.float64)
        asked = open_wrappers(model, *_PASSING)
        by_share = isinstance(asked, BalancedThresholdClassifier)
        labels = asked.decide(given) if by_share else known[given.argmax(axis=1)]
        seconds = time.perf_counter() - started
        return Prediction(labels, _align(given, known, classes), None, known, seconds)
    labels = np.asarray(model.predict(texts))
    seconds = time.perf_counter() - started
    decisions = None
    if hasattr(model, "predict_proba"):
        given = np.asarray(model.predict_proba(texts), dtype=np.float64)
    elif hasattr(model, "decision_function"):
        decisions = np.asarray(model.decision_function(texts), dtype=np.float64)
        if decisions.ndim == 1:
            given = np.column_stack([expit(-decisions), expit(decisions)])
        else:
            given = softmax(decisions, axis=1)
    else:
        given = np.full((len(texts), len(known)), np.nan)
    aligned = _align(given, known, classes)
    return Prediction(labels, aligned, decisions, known, seconds)


def measure(
    model: TextClassifier,
    prediction: Prediction,
    texts: list[str],
    labels: Labels,
    classes: Labels,
    scoring: Scoring,
) -> dict[str, float]:
    """Metrics of a prediction; "score" is the main one, under its own name as well.

    The model is only asked where `scoring` is a function of the user's own.
    """
    there = np.unique(labels)
    found = {
        "accuracy": accuracy_score(labels, prediction.labels),
        # Over classes that occur: scikit-learn's own warns where one does not.
        "balanced_accuracy": recall_score(
            labels, prediction.labels, labels=there, average="macro", zero_division=0
        ),
        "f1_macro": f1_score(
            labels, prediction.labels, average="macro", zero_division=0
        ),
    }
    if scoring.name in METRICS and isinstance(scoring.scorer, _BaseScorer):
        score = found[scoring.name]
    elif isinstance(scoring.scorer, _BaseScorer):
        score = rescore(prediction, labels, classes, scoring)
    else:
        score = scoring.scorer(model, texts, labels)
    found[scoring.name] = found["score"] = score
    return {name: float(value) for name, value in found.items()}


def rescore(
    prediction: Prediction, labels: Labels, classes: Labels, scoring: Scoring
) -> float:
    """Score a prediction by a scorer of scikit-learn's, which asks no model again."""
    # Such scorers hand the texts on to the estimator, which here needs none.
    return float(scoring.scorer(_Answers(prediction, classes), labels, labels))


def _has_decisions(answers: _Answers) -> bool:
    return answers.prediction.decisions is not None


def _has_probabilities(answers: _Answers) -> bool:
    prediction = answers.prediction
    return not (_has_decisions(answers) or np.isnan(prediction.probabilities).any())


class _Answers(ClassifierMixin, BaseEstimator):
    """A classifier that repeats what another one has said, so that none is asked twice.

    scikit-learn's scorers ask the estimator themselves, and metrics of probabilities
    and of labels would each have a transformer read the texts again.
    """

    def __init__(self, prediction: Prediction, classes: Labels) -> None:
        self.prediction = prediction
        self.classes = classes
        self.classes_ = classes if prediction.decisions is None else prediction.classes

    @available_if(_has_decisions)  # type: ignore[untyped-decorator]
    def decision_function(self, X: object) -> Floats | None:
        """Decisions as they were."""
        return self.prediction.decisions

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: object) -> Floats:
        """Probabilities as they were."""
        return self.prediction.probabilities

    def predict(self, X: object) -> Labels:
        """Labels as they were predicted."""
        return self.prediction.labels


# Whose label is that of the estimator inside, as it is not with a tuned threshold.
_PASSING = (Pipeline, FrozenEstimator, GridSearchCV, PooledClassifier)


class _Probable(TextClassifier, Protocol):
    def predict_proba(self, X: list[str]) -> Floats: ...


def _answers_by_probability(model: TextClassifier) -> TypeGuard[_Probable]:
    """Whether the label follows from the probabilities, so that one question will do.

    It is the most probable class, or is told by `BalancedThresholdClassifier.decide`.
    """
    asked = open_wrappers(model, *_PASSING)
    known: list[type] = [LogisticRegression, BalancedThresholdClassifier]
    # Only who has one of our networks has loaded torch.
    module = sys.modules.get("sktransfer.classifier.classifier")
    if module is not None:
        known.append(module.TransferSentimentClassifier)
    return any(
        isinstance(asked, cls)
        and all(
            getattr_static(type(asked), method) is getattr_static(cls, method)
            for method in ("predict", "predict_proba")
        )
        for cls in known
    )


def _align(given: Floats, known: Labels, classes: Labels) -> Floats:
    """Columns of all classes; a class that the classifier never saw gets 0."""
    if np.array_equal(known, classes):
        return given
    aligned = np.zeros((len(given), len(classes)))
    for column, label in enumerate(known.tolist()):
        where = np.flatnonzero(classes == label)
        aligned[:, where] = given[:, [column]]
    return aligned


def count_parameters(model: object) -> float:
    """Numbers that a fitted model has learnt from the labels; NaN where nobody knows.

    Of a pipeline the last step counts, of a search the best model.
    """
    model = open_wrappers(model)
    if hasattr(model, "n_trainable_parameters_"):
        return float(model.n_trainable_parameters_)
    if hasattr(model, "coef_"):
        return float(np.size(model.coef_) + np.size(getattr(model, "intercept_", ())))
    return math.nan
