"""Training on both domains at once, as an estimator like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils._tags import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sktransfer.finetune.domains import pool_domains

__all__ = ["PooledClassifier"]

_Method = TypeVar("_Method")


def _if_estimator_has(method: str) -> Callable[[_Method], _Method]:
    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    wrapped: Callable[[_Method], _Method] = available_if(check)
    return wrapped


def _weight_parameter(estimator: Any) -> str | None:
    """Name by which ``fit`` takes weights of texts, if it does."""
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        inner = _weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


class PooledClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that learns from a source domain beside the texts given to ``fit``.

    Parameters
    ----------
    estimator : classifier
        Cloned and fitted on both domains.
    source_texts : list of str, of length n_source
        The source domain.
    source_labels : array-like of shape (n_source,)
        Its labels.
    target_weight : float in (0, 1), default=0.5
        Share of the whole weight that the target's texts have together, see
        `pool_domains`. Where the estimator takes no weights, all texts count the same.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray of shape (n_classes,)
        Distinct labels of both domains, sorted.
    """

    def __init__(
        self,
        estimator: Any,
        source_texts: Any,
        source_labels: Any,
        target_weight: float = 0.5,
    ) -> None:
        self.estimator = estimator
        self.source_texts = source_texts
        self.source_labels = source_labels
        self.target_weight = target_weight

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on these texts and on the source's.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts of the target domain.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        self : PooledClassifier
        """
        source = (self.source_texts, self.source_labels)
        texts, labels, weight = pool_domains(source, (X, y), self.target_weight)
        self.estimator_ = clone(self.estimator)
        name = _weight_parameter(self.estimator_)
        given = {} if name is None else {name: weight}
        self.estimator_.fit(texts, labels, **given)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Label of each text.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        check_is_fitted(self)
        labels: npt.NDArray[Any] = self.estimator_.predict(X)
        return labels

    @_if_estimator_has("predict_proba")
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probability of each class, where the estimator has them.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        probabilities: npt.NDArray[np.float64] = self.estimator_.predict_proba(X)
        return probabilities

    @_if_estimator_has("decision_function")
    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Scores of the classes, where the estimator has them.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
        """
        check_is_fitted(self)
        scores: npt.NDArray[np.float64] = self.estimator_.decision_function(X)
        return scores

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags
