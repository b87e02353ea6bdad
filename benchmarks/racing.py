"""What a race of strategies changes and saves, on draws of cheap ones.

Each of 20 draws is 300 sentences of product reviews, tweets, movie reviews or news, and
14 strategies in five folds: those of the package that take seconds, copies of TF-IDF
that nearly tie with it, and some that are weak on purpose. All folds of a draw are run,
once, and kept in a journal. The race is then run for real, with each fold looked up
there, so that both sides see the same numbers. Compared are the best strategy, and what
is shown to be better or worse than TF-IDF among the rows that were run to their end.

    racing.py [DRAWS]

Also what a race would have left out of the comparison of docs/example, by its folds. A
run that was stopped goes on where it was. Writes racing.md beside this file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sktransfer import compare_strategies, fetch_reviews

N_TEXTS, N_DRAWS, N_FOLDS = 300, 20, 5
SETS = ("products", "tweets", "movies", "news")
NAMED = (
    "tfidf",
    "nbsvm",
    "vader",
    "word_vectors",
    "frozen",
    "frozen_64_32",
)


def strategies() -> dict[str, Any]:
    """By name: those of the package, near ties, and weak ones."""
    linear = LogisticRegression(max_iter=1000)
    return {name: name for name in NAMED} | {
        "tfidf, C=3": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=3, max_iter=1000),
        ),
        "counts": make_pipeline(CountVectorizer(), linear),
        "binary counts": make_pipeline(CountVectorizer(binary=True), linear),
        "letters": make_pipeline(CountVectorizer(analyzer="char"), linear),
        "20 words": make_pipeline(TfidfVectorizer(max_features=20), linear),
        "naive Bayes": make_pipeline(CountVectorizer(), BernoulliNB()),
        "neighbours": make_pipeline(TfidfVectorizer(), KNeighborsClassifier(3)),
    }


def draw(number: int) -> tuple[list[str], np.ndarray, list[Any] | None]:
    """Texts, labels and groups of a draw."""
    data = fetch_reviews("en", SETS[number % len(SETS)])
    halves = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=number)
    half, _ = next(halves.split(data.data, groups=data.groups))
    mine = np.random.default_rng(number).permutation(half)[:N_TEXTS]
    return (
        [data.data[row] for row in mine],
        np.array(data.target_names)[data.target[mine]],
        [data.groups[row] for row in mine],
    )


def compare(number: int, folder: Path | None, **options: Any) -> Any:
    """The comparison of a draw."""
    texts, labels, groups = draw(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare_strategies(
            texts,
            labels,
            strategies=strategies(),
            groups=groups,
            cv=N_FOLDS,
            folder=folder,
            random_state=number,
            **options,
        )
