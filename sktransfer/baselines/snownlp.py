"""Chinese sentiment by the model that comes with SnowNLP."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from sktransfer.baselines.lexicon_classifier import N_REMEMBERED, LexiconClassifier
from sktransfer.baselines.registry import Baseline
from sktransfer.load_times import loading
from sktransfer.packages import require_extra

__all__ = ["BASELINE", "SnowNLPClassifier"]

# Naive Bayes is sure of itself beyond what its floats can tell from 0 and 1.
_SUREST = 1e-9


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
        with loading("snownlp"):
            _open_snownlp()
        shares = np.array([_score_text(text) for text in texts], dtype=np.float64)
        scores: NDArray[np.float64] = logit(np.clip(shares, _SUREST, 1 - _SUREST))
        return scores


@functools.lru_cache(maxsize=N_REMEMBERED)
def _score_text(text: str) -> float:
    """Probability of being positive."""
    return float(_open_snownlp()(text))


@functools.cache
def _open_snownlp() -> Callable[[str], float]:
    require_extra("snownlp", "baselines", "SnowNLPClassifier")
    # Importing it reads the tables of its segmenter too, which the sentiment needs.
    from snownlp import sentiment

    classify: Callable[[str], float] = sentiment.classify
    return classify


BASELINE = Baseline(
    "snownlp",
    lambda texts: SnowNLPClassifier(),
    ("zh",),
    package="snownlp",
    classes=(SnowNLPClassifier,),
)
