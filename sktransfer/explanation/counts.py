"""Where in a text the counted words and runs of characters stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sktransfer.explanation.places import Span

__all__ = ["locate_grams"]

_SPACES = re.compile(r"\s\s+")  # as CountVectorizer has it
_WORD = re.compile(r"\S+")


def locate_grams(vectorizer: Any, text: str) -> dict[str, list[list[Span]]] | None:
    """Each occurrence of each feature of a text, as the places of its parts.

    Parameters
    ----------
    vectorizer : CountVectorizer or TfidfVectorizer
        Fitted.
    text : str

    Returns
    -------
    grams : dict of str to list of list of (int, int), or None
        None where the vectorizer's own functions make places unknowable.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.explanation.counts import locate_grams
    >>> vectorizer = CountVectorizer(ngram_range=(1, 2)).fit(["not good"])
    >>> locate_grams(vectorizer, "Not good")["not good"]
    [[(0, 3), (4, 8)]]
    """
    if callable(vectorizer.analyzer):
        return None
    seen = vectorizer.build_preprocessor()(text)
    if len(seen) != len(text):
        return None
    low, high = vectorizer.ngram_range
    if vectorizer.analyzer == "word":
        if vectorizer.tokenizer is not None:
            return None
        found = _word_grams(vectorizer, seen, low, high)
    elif vectorizer.analyzer == "char":
        found = _char_grams(seen, low, high)
    else:
        found = _padded_grams(seen, low, high)
    grams: dict[str, list[list[Span]]] = {}
    counts: Counter[str] = Counter()
    for gram, spans in found:
        grams.setdefault(gram, []).append(spans)
        counts[gram] += 1
    # The vectorizer itself has the last word on what it counts.
    return grams if counts == Counter(vectorizer.build_analyzer()(text)) else None


def _word_grams(
    vectorizer: Any, text: str, low: int, high: int
) -> Iterator[tuple[str, list[Span]]]:
    pattern = re.compile(vectorizer.token_pattern)
    group = min(pattern.groups, 1)
    stop_words = vectorizer.get_stop_words() or ()
    matches = [
        match
        for match in pattern.finditer(text)
        if match.group(group) not in stop_words
    ]
    for length in range(low, high + 1):
        for start in range(len(matches) - length + 1):
            parts = matches[start : start + length]
            gram = " ".join(part.group(group) for part in parts)
            yield gram, [part.span(group) for part in parts]


def _char_grams(text: str, low: int, high: int) -> Iterator[tuple[str, list[Span]]]:
    """Runs of characters, in which white space of any length counts as one."""
    spaces = {match.start(): match.end() for match in _SPACES.finditer(text)}
    letters: list[tuple[str, Span]] = []
    place = 0
    while place < len(text):
        end = spaces.get(place, place + 1)
        letters.append((" " if place in spaces else text[place], (place, end)))
        place = end
    seen = "".join(letter for letter, _ in letters)
    for length in range(low, high + 1):
        for start in range(len(seen) - length + 1):
            stop = start + length
            yield seen[start:stop], [(letters[start][1][0], letters[stop - 1][1][1])]


def _padded_grams(text: str, low: int, high: int) -> Iterator[tuple[str, list[Span]]]:
    """Runs of characters within words, which have a space at either end."""
    for match in _WORD.finditer(text):
        word = f" {match.group()} "
        for length in range(low, high + 1):
            # A short word is counted once, whatever the length asked for.
            for start in range(max(len(word) - length + 1, 1)):
                gram = word[start : start + length]
                first = match.start() + max(start - 1, 0)
                last = match.start() + min(start + len(gram) - 1, len(match.group()))
                yield gram, [(first, max(first, last))]
            if len(word) <= length:
                break
