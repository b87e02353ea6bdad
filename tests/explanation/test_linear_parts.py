from __future__ import annotations

from collections import Counter

import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from sktransfer.explanation.linear_parts import locate_grams

TEXTS = [
    "Not good, not  good\tat all!",
    "a I",
    "这个酒店很好, really",
    "",
    "  one  ",
    "ab\n\ncd",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "options",
    [
        {"ngram_range": (1, 3)},
        {"ngram_range": (2, 2), "stop_words": "english"},
        {"token_pattern": r"(?u)\b(\w)\w*\b"},
        {"analyzer": "char", "ngram_range": (1, 3)},
        {"analyzer": "char_wb", "ngram_range": (1, 4)},
        {"analyzer": "char_wb", "ngram_range": (3, 6)},
        {"lowercase": False},
    ],
    ids=str,
)
def test_places_hold_what_was_counted(options, text):
    vectorizer = TfidfVectorizer(**options)
    grams = locate_grams(vectorizer, text)
    counts = {gram: len(places) for gram, places in grams.items()}
    assert counts == Counter(vectorizer.build_analyzer()(text))
    for gram, occurrences in grams.items():
        for parts in occurrences:
            shown = " ".join(text[start:stop] for start, stop in parts)
            if options.get("lowercase", True):
                shown = shown.lower()
            assert gram.split() == shown.split()


@pytest.mark.parametrize(
    "options",
    [
        {"analyzer": str.split},
        {"tokenizer": str.split, "token_pattern": None},
        {"preprocessor": lambda text: text * 2},
    ],
)
def test_functions_of_the_users_own_have_unknown_places(options):
    assert locate_grams(CountVectorizer(**options), "good film") is None
