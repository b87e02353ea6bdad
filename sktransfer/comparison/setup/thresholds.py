"""Labels for skewed classes: by a probability beside its class's share, not alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sktransfer.comparison.setup.candidates import (
    CLASSIFIER,
    Candidate,
    weight_parameter,
)
from sktransfer.estimators import TextClassifier, Texts
from sktransfer.validation import check_parameters, one_of

__all__ = ["BalancedThresholdClassifier", "threshold_of", "with_threshold"]


class BalancedThresholdClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that labels by how far a probability is above its class's share.

    Of two classes, the rarer one is predicted where its probability is above its share
    of the training texts, instead of above one half; of several, the class whose
    probability is the largest multiple of its share. That makes balanced accuracy as
    high as the probabilities allow. The probabilities themselves stay as they are.

    Parameters
    ----------
    estimator : classifier
        Has ``predict_proba``; it is cloned and fitted. Where its own ``class_weight``
        balances classes, its probabilities are corrected already: leave that out.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    shares_ : ndarray of shape (n_classes,)
        Share of each class in the training texts, by weight.

    See Also
    --------
    sklearn.model_selection.FixedThresholdClassifier : A threshold of two classes.
    sklearn.model_selection.TunedThresholdClassifierCV : One that is searched for.

    Examples
    --------
    >>> from sktransfer.baselines import tfidf_baseline
    >>> from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
    >>> texts, labels = ["good", "fine", "nice", "good one", "bad"], [1, 1, 1, 1, 0]
    >>> plain = tfidf_baseline(texts)
    >>> balanced = BalancedThresholdClassifier(plain).fit(texts, labels)
    >>> balanced.shares_
    array([0.2, 0.8])
    >>> balanced.predict(["a bad one"])
    array([0])
    """

    # As scikit-learn's threshold classifiers name what they read.
    response_method = "predict_proba"

    def __init__(self, estimator: TextClassifier) -> None:
        self.estimator = estimator

    def fit(
        self, X: Iterable[str], y: npt.ArrayLike, sample_weight: Any = None
    ) -> Self:
        """Fit the estimator, and count the classes.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.
        y : array-like of shape (n,)
            Their labels.
        sample_weight : array-like of shape (n,) or None, default=None
            A text of weight 2 counts like two texts, where the estimator takes weights.

        Returns
        -------
        self : BalancedThresholdClassifier
        """
        check_parameters({"estimator": self.estimator}, {"estimator": CLASSIFIER})
        name = weight_parameter(self.estimator)
        is_weighted = sample_weight is not None and name is not None
        given = {str(name): sample_weight} if is_weighted else {}
        self.estimator_ = clone(self.estimator).fit(X, y, **given)
        self.classes_ = np.asarray(self.estimator_.classes_)
        labels = np.asarray(y)
        weights = np.asarray(sample_weight) if is_weighted else np.ones(len(labels))
        counts = [weights[labels == label].sum() for label in self.classes_]
        self.shares_ = np.array(counts, dtype=np.float64) / weights.sum()
        return self

    def predict_proba(self, X: Texts) -> npt.NDArray[np.float64]:
        """Probability of each class, as the estimator has it.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)

    def decide(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Labels that belong to probabilities of ``predict_proba``.

        Parameters
        ----------
        probabilities : ndarray of shape (n, n_classes)
            As they came.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        labels: npt.NDArray[Any] = self.classes_[
            (probabilities / self.shares_).argmax(axis=1)
        ]
        return labels

    def predict(self, X: Texts) -> npt.NDArray[Any]:
        """Label of each text.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return self.decide(self.predict_proba(X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


def with_threshold(
    candidates: Iterable[Candidate], threshold: str | None
) -> list[Candidate]:
    """Candidates with a threshold, those that can have one; None is none.

    That are all that learn from the target domain and tell probabilities, but guesses.
    """
    check_parameters(
        {"threshold": threshold}, {"threshold": one_of(None, "balanced")}, always=True
    )
    if threshold is None:
        return list(candidates)
    return [
        replace(
            candidate,
            estimator=BalancedThresholdClassifier(candidate.estimator),
            # What starts from a source's network needs the network alone.
            teacher=candidate.learns_source() if candidate.use == "start" else None,
        )
        if _takes_threshold(candidate)
        else candidate
        for candidate in candidates
    ]


def _takes_threshold(candidate: Candidate) -> bool:
    estimator = candidate.estimator
    return (
        candidate.use != "only"
        and hasattr(estimator, "predict_proba")
        and not isinstance(estimator, DummyClassifier)
        # Others of scikit-learn's have a threshold already.
        and not hasattr(estimator, "response_method")
    )


def threshold_of(candidate: Candidate) -> str | None:
    """Threshold of a candidate, as `compare_strategies` calls it."""
    is_balanced = isinstance(candidate.estimator, BalancedThresholdClassifier)
    return "balanced" if is_balanced else None
