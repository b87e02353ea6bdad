"""Classifiers whose opinion comes from a lexicon and only their cuts from labels.

A score is computed once a text and process, as folds and candidates ask for the same
texts again and again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._tags import Tags
from sklearn.utils.validation import check_is_fitted

from sktransfer.baselines.labels import check_targets
from sktransfer.baselines.ordinal import OrdinalModel, fit_ordinal, order_classes
from sktransfer.packages import require_extra
from sktransfer.texts import check_texts

__all__ = [
    "LexiconClassifier",
    "SnowNLPClassifier",
    "VaderClassifier",
    "score_snownlp",
    "score_vader",
]

# Scores that a process remembers, with their texts.
_REMEMBERED = 2**16

# Naive Bayes is sure of itself beyond what its floats can tell from 0 and 1.
_SUREST = 1e-9


def score_vader(texts: Sequence[str]) -> NDArray[np.float64]:
    """Compound scores of VADER.

    Parameters
    ----------
    texts : sequence of str, of length n

    Returns
    -------
    scores : ndarray of shape (n,)
        In [-1, 1]; 0 for a text without a word of the lexicon.

    Raises
    ------
    MissingExtraError
        If the extra ``baselines`` is not installed.

    Examples
    --------
    >>> from sktransfer.baselines.lexicons import score_vader
    >>> score_vader(["I love it", "Not good", "A table"]).round(2)
    array([ 0.64, -0.34,  0.  ])
    """
    return np.array([_score_vader(text) for text in texts], dtype=np.float64)


def score_snownlp(texts: Sequence[str]) -> NDArray[np.float64]:
    """Log-odds of being positive, by the naive Bayes model in SnowNLP.

    Parameters
    ----------
    texts : sequence of str, of length n
        A text of 20 characters takes some milliseconds, the first of all some seconds.

    Returns
    -------
    scores : ndarray of shape (n,)
        About -21 to 21.

    Raises
    ------
    MissingExtraError
        If the extra ``baselines`` is not installed.

    Examples
    --------
    >>> from sktransfer.baselines.lexicons import score_snownlp
    >>> (score_snownlp(["很喜欢", "太差了"]) > 0).tolist()
    [True, False]
    """
    shares = np.array([_score_snownlp(text) for text in texts], dtype=np.float64)
    scores: NDArray[np.float64] = logit(np.clip(shares, _SUREST, 1 - _SUREST))
    return scores


@functools.lru_cache(maxsize=_REMEMBERED)
def _score_vader(text: str) -> float:
    return float(_open_vader().polarity_scores(text)["compound"])


@functools.lru_cache(maxsize=_REMEMBERED)
def _score_snownlp(text: str) -> float:
    return float(_open_snownlp()(text))


@functools.cache
def _open_vader() -> Any:
    require_extra("vaderSentiment", "baselines", "VaderClassifier")
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@functools.cache
def _open_snownlp() -> Callable[[str], float]:
    require_extra("snownlp", "baselines", "SnowNLPClassifier")
    # Importing it reads the tables of its segmenter too, which the sentiment needs.
    from snownlp import sentiment

    classify: Callable[[str], float] = sentiment.classify
    return classify


class LexiconClassifier(ClassifierMixin, BaseEstimator):
    """Base of the classifiers that cut a given score of a text.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(self, *, class_weight: Any = None) -> None:
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Order the classes by their mean score, and learn where to cut between them.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.
        y : array-like of shape (n,)
            Labels of any type; at least two distinct ones.
        sample_weight : array-like of shape (n,) or None, default=None
            A row of weight 2 counts like two rows.

        Returns
        -------
        self : LexiconClassifier

        Raises
        ------
        InvalidInputError
            If X or y cannot be used.
        """
        self._validate_params()
        texts = check_texts(X)
        targets = check_targets(y, len(texts), sample_weight, self.class_weight)
        scores = self._score([texts[row] for row in targets.rows])
        n_classes = len(targets.classes)
        order = order_classes(scores, targets.numbers, n_classes, targets.weight)
        ranks = np.argsort(order)[targets.numbers]
        model = fit_ordinal(scores, ranks, n_classes, targets.weight)
        self.classes_ = targets.classes
        self.order_ = targets.classes[order]
        self.slope_, self.cuts_ = model.slope, model.cuts
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probability of each class.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            Columns in the order of `classes_`; rows sum to 1.
        """
        model, scores = self._read(X)
        # The order holds all classes, so sorting it gives the columns of `classes_`.
        return model.probabilities(scores)[:, np.argsort(self.order_)]

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Log-odds of the second of two classes, or logarithms of the probabilities.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        decisions : ndarray of shape (n,) or (n, n_classes)
        """
        model, scores = self._read(X)
        if len(self.classes_) == 2:
            sign = 1.0 if self.order_[1] == self.classes_[1] else -1.0
            decisions: NDArray[np.float64] = sign * model.logits(scores)[:, 0]
            return decisions
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable label of each text.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        labels : ndarray of shape (n,)
            As they were written in y.
        """
        decisions = self.decision_function(X)
        two = decisions.ndim == 1
        numbers = (decisions > 0).astype(int) if two else decisions.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[numbers]
        return labels

    def _read(self, X: Any) -> tuple[OrdinalModel, NDArray[np.float64]]:
        check_is_fitted(self)
        return OrdinalModel(self.slope_, self.cuts_), self._score(check_texts(X))

    def _score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How positive each text is, shape (n,)."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


class VaderClassifier(LexiconClassifier):
    """English sentiment by the lexicon and rules of VADER, without training.

    The labels decide only which class is the positive one and where to cut: classes are
    put in the order of the mean compound score of their texts, and the cuts between
    them are those of a proportional-odds model, which with two classes is logistic
    regression on the score. Needs the extra ``baselines``.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    order_ : ndarray of shape (n_classes,)
        The labels from the most negative to the most positive.
    slope_ : float
        Log-odds for each unit of the score.
    cuts_ : ndarray of shape (n_classes - 1,)
        Log-odds at which one class gives way to the next.

    See Also
    --------
    SnowNLPClassifier : The same for Chinese.

    Notes
    -----
    A text without a word of the lexicon, a Chinese one for example, has the score 0.

    References
    ----------
    Hutto and Gilbert (2014). "VADER: A Parsimonious Rule-based Model for Sentiment
    Analysis of Social Media Text". ICWSM.

    Examples
    --------
    >>> from sktransfer import VaderClassifier
    >>> texts = ["I love it", "great!", "I hate it", "awful"]
    >>> model = VaderClassifier().fit(texts, ["pos", "pos", "neg", "neg"])
    >>> model.predict(["not good", "the best"])
    array(['neg', 'pos'], dtype='<U3')
    """

    def _score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return score_vader(texts)


class SnowNLPClassifier(LexiconClassifier):
    """Chinese sentiment by the naive Bayes model that comes with SnowNLP.

    The labels decide only which class is the positive one and where to cut, as in
    `VaderClassifier`. Needs the extra ``baselines``.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    order_ : ndarray of shape (n_classes,)
        The labels from the most negative to the most positive.
    slope_ : float
        Log-odds for each unit of the score.
    cuts_ : ndarray of shape (n_classes - 1,)
        Log-odds at which one class gives way to the next.

    See Also
    --------
    VaderClassifier : The same for English.

    Notes
    -----
    The model was trained on the Chinese reviews that `fetch_reviews` gives: on these
    its scores are those of a model that has seen the answers. It is slow, some
    milliseconds for 20 characters, so scores are remembered by the process; its tables
    take some seconds to open and 400 MB.

    Examples
    --------
    >>> from sktransfer import SnowNLPClassifier
    >>> texts = ["很喜欢", "非常好看", "太差了", "不值这个价"]
    >>> model = SnowNLPClassifier().fit(texts, [1, 1, 0, 0])
    >>> model.predict(["服务很差", "质量很好"])
    array([0, 1])
    """

    def _score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return score_snownlp(texts)
