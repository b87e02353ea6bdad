"""Where words stand in a text, and from other pieces of text to words.

A span is (start, stop): the piece is ``text[start:stop]``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sktransfer.words.text.segmentation import segment, tidy

__all__ = ["Span", "locate_words", "spread_over_words", "word_spans"]

Span = tuple[int, int]

_VISIBLE = re.compile(r"\S+")


def word_spans(text: str) -> list[Span]:
    """Words of a text, punctuation included, in order and without overlap.

    Chinese is cut by the extra ``chinese``: where that is not installed, a text with
    Chinese characters is a `MissingExtraError`.

    Examples
    --------
    >>> from sktransfer.explanation.word_spans import word_spans
    >>> [("Not good!")[start:stop] for start, stop in word_spans("Not good!")]
    ['Not', 'good', '!']
    """
    found = locate_words(segment(text), text)
    if found is not None:
        return found
    return [match.span() for match in _VISIBLE.finditer(text)]


def locate_words(
    words: Sequence[str], text: str, *, lowercase: bool = False
) -> list[Span] | None:
    """Places of words that a tokenizer has taken from a text, in their order.

    The words are tidy, and in lower case where the text was lowercased before it was
    cut. None where one is not in the text, as after stemming.

    Examples
    --------
    >>> from sktransfer.explanation.word_spans import locate_words
    >>> locate_words(["do", "n't"], "I DON\u2019T", lowercase=True)
    [(2, 4), (4, 7)]
    """
    folded = _fold(text, lowercase)
    if folded is None:
        return None
    seen, starts, stops = folded
    spans, place = [], 0
    for word in words:
        begin = seen.find(word, place)
        if begin < 0 or not word:
            return None
        place = begin + len(word)
        spans.append((starts[begin], stops[place - 1]))
    return spans


def spread_over_words(
    spans: Sequence[Span], values: Sequence[float], words: Sequence[Span]
) -> NDArray[np.float64]:
    """Give each word its share of what other pieces of the text are worth.

    These are sub-words, runs of characters, or words that were cut otherwise. A piece
    is divided by the characters that it shares with each word; one that shares none, as
    white space does, goes to the nearest. Where there is a word, nothing is lost.

    Examples
    --------
    >>> from sktransfer.explanation.word_spans import spread_over_words
    >>> spread_over_words([(0, 4)], [3.0], [(0, 2), (3, 4), (5, 9)])
    array([2., 1., 0.])
    """
    shares = np.zeros(len(words))
    if not len(words):
        return shares
    starts, stops = np.array(words, dtype=np.int64).T
    for (start, stop), value in zip(spans, values, strict=True):
        common = np.minimum(stops, stop) - np.maximum(starts, start)
        shared = np.maximum(common, 0)
        if shared.any():
            shares += value * shared / shared.sum()
        else:
            shares[common.argmax()] += value  # the least negative gap
    return shares


def _fold(text: str, lowercase: bool) -> tuple[str, list[int], list[int]] | None:
    """The text as tokenizers see it, and where each of its characters comes from."""
    expected = tidy(text.lower() if lowercase else text)
    if len(expected) == len(text):
        places = list(range(len(text) + 1))
        return expected, places[:-1], places[1:]
    pieces: list[str] = []
    starts: list[int] = []
    stops: list[int] = []
    begin = 0
    while begin < len(text):
        end = begin + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        cluster = text[begin:end]
        piece = tidy(cluster.lower() if lowercase else cluster)
        pieces.append(piece)
        starts += [begin] * len(piece)
        stops += [end] * len(piece)
        begin = end
    # Some scripts compose letters across these borders: there nothing is claimed.
    return (expected, starts, stops) if "".join(pieces) == expected else None
