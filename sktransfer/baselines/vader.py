"""English sentiment by the lexicon of VADER."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.baselines.lexicon_classifier import N_REMEMBERED, LexiconClassifier
from sktransfer.baselines.registry import Baseline
from sktransfer.load_times import loading
from sktransfer.packages import require_extra

__all__ = ["BASELINE", "VaderClassifier"]


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
        with loading("vader"):
            _open_vader()
        return np.array([_score_text(text) for text in texts], dtype=np.float64)


@functools.lru_cache(maxsize=N_REMEMBERED)
def _score_text(text: str) -> float:
    """Compound score, in [-1, 1]."""
    return float(_open_vader().polarity_scores(text)["compound"])


@functools.cache
def _open_vader() -> Any:
    require_extra("vaderSentiment", "baselines", "VaderClassifier")
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


BASELINE = Baseline(
    "vader",
    lambda texts: VaderClassifier(),
    ("en",),
    package="vaderSentiment",
    classes=(VaderClassifier,),
)
