"""How positive a text is, by tools that were made for it.

A score is computed once a text and process, as folds and candidates ask for the same
texts again and again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from sktransfer.packages import require_extra

__all__ = ["score_snownlp", "score_vader"]

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
    >>> from sktransfer.baselines.scores import score_vader
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
    >>> from sktransfer.baselines.scores import score_snownlp
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
