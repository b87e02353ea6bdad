"""TF-IDF and logistic regression."""

from __future__ import annotations

from collections.abc import Iterable

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from sktransfer.baselines.language import PIECES, language_of
from sktransfer.baselines.registry import EVERY_LANGUAGE, Baseline

__all__ = ["BASELINE", "tfidf_baseline"]


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
        Unfitted, with the steps "features" and "classifier".

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
    # Rows of length 1 need less regularisation than the default gives them.
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    return Pipeline([("features", features), ("classifier", classifier)])


BASELINE = Baseline("tfidf", tfidf_baseline, EVERY_LANGUAGE)
