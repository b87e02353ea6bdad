"""Metrics of one fold, from one prediction of it.

Shapes: n texts, c classes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, f1_score, get_scorer, recall_score
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils.metaestimators import available_if

from sktransfer.exceptions import InvalidParameterError

__all__ = ["METRICS", "Prediction", "Scoring", "measure", "predict", "rescore"]

# Always told, as accuracy alone misleads where classes are skewed.
METRICS = ("accuracy", "balanced_accuracy", "f1_macro")

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

# Classifiers whose label is the most probable class, and what others ask within.
_BY_PROBABILITY = ("TransferSentimentClassifier", "LogisticRegression")
_ASK_INSIDE = {"PooledClassifier": "estimator_", "GridSearchCV": "best_estimator_"}

Floats = npt.NDArray[np.float64]


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

    labels: npt.NDArray[Any]
    probabilities: Floats
    decisions: Floats | None
    classes: npt.NDArray[Any]
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
    """

    name: str
    scorer: Any

    @property
    def is_share(self) -> bool:
        """Whether the metric is known to lie between 0 and 1."""
        return self.name.startswith(_SHARES)

    @classmethod
    def resolve(cls, scoring: Any) -> Scoring:
        """Make one of what users pass: a name of scikit-learn's, or a callable.

        Parameters
        ----------
        scoring : str or callable

        Returns
        -------
        scoring : Scoring

        Raises
        ------
        InvalidParameterError
            If there is no such metric.
        """
        if callable(scoring):
            function = getattr(scoring, "_score_func", scoring)
            return cls(getattr(function, "__name__", type(function).__name__), scoring)
        try:
            return cls(str(scoring), get_scorer(scoring))
        except (ValueError, TypeError) as error:
            raise InvalidParameterError(
                f"scoring={scoring!r}, but a callable or one of the names that "
                "sklearn.metrics.get_scorer_names() lists is expected, as 'accuracy', "
                "'balanced_accuracy', 'f1_macro' or 'roc_auc'."
            ) from error


def predict(model: Any, texts: list[str], classes: npt.NDArray[Any]) -> Prediction:
    """Labels and probabilities of texts, each text read once where that will do.

    Parameters
    ----------
    model : classifier
        Fitted.
    texts : list of str, of length n
        To label.
    classes : ndarray of shape (c,)
        Of the comparison, sorted.

    Returns
    -------
    prediction : Prediction
    """
    started = time.perf_counter()
    known = np.asarray(model.classes_)
    if _answers_by_probability(model):
        given = np.asarray(model.predict_proba(texts), dtype=np.float64)
        labels, seconds = known[given.argmax(axis=1)], time.perf_counter() - started
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
    model: Any,
    prediction: Prediction,
    texts: list[str],
    labels: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    scoring: Scoring,
) -> dict[str, float]:
    """Metrics of a prediction.

    Parameters
    ----------
    model : classifier
        Only asked where `scoring` is a function of its own.
    prediction : Prediction
        Of `texts`.
    texts : list of str, of length n
        Texts of a test part.
    labels : ndarray of shape (n,)
        Their labels.
    classes : ndarray of shape (c,)
        Of the comparison, sorted.
    scoring : Scoring
        The main metric.

    Returns
    -------
    metrics : dict of str to float
        The key "score" is the main metric; it is there under its own name as well.
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
    prediction: Prediction,
    labels: npt.NDArray[Any],
    classes: npt.NDArray[Any],
    scoring: Scoring,
) -> float:
    """Score a prediction by a scorer of scikit-learn's, which asks no model again.

    Parameters
    ----------
    prediction : Prediction
        Of n texts.
    labels : ndarray of shape (n,)
        Their labels.
    classes : ndarray of shape (c,)
        Of the comparison, sorted.
    scoring : Scoring
        Whose scorer was made by scikit-learn.

    Returns
    -------
    score : float
    """
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

    def __init__(self, prediction: Prediction, classes: npt.NDArray[Any]) -> None:
        self.prediction = prediction
        self.classes = classes
        self.classes_ = classes if prediction.decisions is None else prediction.classes

    @available_if(_has_decisions)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Floats | None:
        """Decisions as they were."""
        return self.prediction.decisions

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """Probabilities as they were."""
        return self.prediction.probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Labels as they were predicted."""
        return self.prediction.labels


def _answers_by_probability(model: Any) -> bool:
    """Whether the label is the most probable class, so that one question will do."""
    while True:
        if hasattr(model, "steps"):
            model = model.steps[-1][1]
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif type(model).__name__ in _ASK_INSIDE:
            model = getattr(model, _ASK_INSIDE[type(model).__name__])
        else:
            return type(model).__name__ in _BY_PROBABILITY


def _align(given: Floats, known: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Floats:
    """Columns of all classes; a class that the classifier never saw gets 0."""
    if np.array_equal(known, classes):
        return given
    aligned = np.zeros((len(given), len(classes)))
    for column, label in enumerate(known.tolist()):
        where = np.flatnonzero(classes == label)
        aligned[:, where] = given[:, [column]]
    return aligned
