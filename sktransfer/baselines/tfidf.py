"""TF-IDF and logistic regression."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight

from sktransfer._compat import _safe_indexing
from sktransfer.baselines.language import PIECES, language_of
from sktransfer.baselines.registry import EVERY_LANGUAGE, Baseline
from sktransfer.validation import (
    CLASS_WEIGHT,
    check_parameters,
    exactly,
    number,
    whole,
)

__all__ = ["BASELINE", "TunedLogisticRegression", "tfidf_baseline"]

# Where there is nothing to choose by. Rows of length 1 need less regularisation than
# scikit-learn's default gives them.
_C = 10.0
# Ascending. On TF-IDF, weaker penalties were measured to bring nothing, and finer steps
# to take longer and bring nothing either.
_STRENGTHS = (4.0, 20.0, 100.0)
_N_FOLDS = 3

_RULES = {
    "C": exactly("auto") | number(0, ends="()"),
    "class_weight": CLASS_WEIGHT,
    "max_iter": whole(1),
}


class TunedLogisticRegression(LogisticRegression):
    """Logistic regression that chooses its penalty by the log loss of three folds.

    On skewed classes a penalty that is too strong makes it a guess of the commonest
    class, and how strong that is differs from set to set.

    Parameters
    ----------
    C : float > 0 or "auto", default="auto"
        Inverse strength of the penalty. "auto" chooses among 4, 20 and 100 within
        the rows given to ``fit``, and is 10 where a class has fewer than 3 of them.
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.
    max_iter : int, default=1000
        Steps of the solver at most.

    Attributes
    ----------
    C_ : float
        What was chosen.
    classes_ : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    coef_, intercept_, n_iter_, n_features_in_, feature_names_in_
        As in scikit-learn.

    See Also
    --------
    sklearn.linear_model.LogisticRegressionCV : Needs several rows of each class.

    Examples
    --------
    >>> from sktransfer import load_mini_reviews
    >>> from sktransfer.baselines import tfidf_baseline
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> tfidf_baseline(texts).fit(texts, labels)[-1].C_ in (4.0, 20.0, 100.0)
    True
    """

    # scikit-learn's own methods ask for them; here they are no parameters.
    solver = "lbfgs"
    multi_class = "deprecated"  # gone since scikit-learn 1.8

    def __init__(
        self, C: Any = "auto", *, class_weight: Any = None, max_iter: int = 1000
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the penalty, and learn the weights with it from all rows.

        Parameters
        ----------
        X : matrix of shape (n, n_features), dense or sparse
            Features.
        y : array-like of shape (n,)
            Labels, of at least two classes.
        sample_weight : array-like of shape (n,) or None, default=None
            A row of weight 2 counts like two rows, in the choice as well.

        Returns
        -------
        self : TunedLogisticRegression
        """
        check_parameters(self.get_params(deep=False), _RULES)
        self.C_ = self.C
        if self.C == "auto":
            self.C_ = self._choose(X, np.asarray(y), sample_weight)
        fitted = LogisticRegression(
            C=self.C_, class_weight=self.class_weight, max_iter=self.max_iter
        ).fit(X, y, sample_weight)
        for name, value in vars(fitted).items():
            if name.endswith("_"):
                setattr(self, name, value)
        return self

    def _choose(self, X: Any, y: NDArray[Any], sample_weight: Any) -> float:
        """Strength with the least log loss on rows that were held back."""
        classes, numbers, counts = np.unique(y, return_inverse=True, return_counts=True)
        if len(classes) < 2 or counts.min() < _N_FOLDS:
            return _C
        weight = compute_sample_weight(self.class_weight, y)
        if sample_weight is not None:
            weight = weight * np.asarray(sample_weight)
        folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=0)
        parts = [
            (
                _safe_indexing(X, train),
                numbers[train],
                weight[train],
                _safe_indexing(X, test),
                numbers[test],
                test,
            )
            for train, test in folds.split(numbers, numbers)
        ]
        # Each strength goes on from where the one before has come to.
        models = [
            LogisticRegression(max_iter=self.max_iter, warm_start=True) for _ in parts
        ]
        best, least = _C, np.inf
        for strength in _STRENGTHS:
            loss = 0.0
            for model, (rows, known, counted, held, truth, test) in zip(
                models, parts, strict=True
            ):
                model.set_params(C=strength).fit(rows, known, counted)
                told = model.predict_proba(held)[np.arange(len(test)), truth]
                told = np.maximum(told, np.finfo(told.dtype).tiny)
                loss -= float(weight[test] @ np.log(told))
            # It falls, and then rises.
            if loss >= least:
                break
            best, least = strength, loss
        return best


def tfidf_baseline(texts: Iterable[str]) -> Pipeline:
    """TF-IDF and logistic regression: the baseline that many a network misses.

    Parameters
    ----------
    texts : iterable of str, of length n_texts
        Only their language is looked at: words and pairs of words are counted in
        English, runs of one to three characters in Chinese.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Unfitted, with the steps "features" and "classifier". The second chooses its
        penalty in each fit, by the log loss of three folds of the texts given;
        ``set_params(classifier__C=10.0)`` takes a fixed one.

    Raises
    ------
    InvalidInputError
        If `texts` is not a list of texts.

    See Also
    --------
    nbsvm_baseline : Counts weighted by naive Bayes.

    Examples
    --------
    >>> from sktransfer import load_mini_reviews
    >>> from sktransfer.baselines import tfidf_baseline
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> tfidf_baseline(texts).fit(texts, labels).predict(["I love it"])
    array([1])
    """
    features = TfidfVectorizer(sublinear_tf=True, **PIECES[language_of(texts)])
    return Pipeline([("features", features), ("classifier", TunedLogisticRegression())])


BASELINE = Baseline(
    "tfidf", tfidf_baseline, EVERY_LANGUAGE, classes=(TunedLogisticRegression,)
)
