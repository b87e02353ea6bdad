"""Texts -> numbers of words: each distinct piece of text is cut into words once.

Batches are cut into spans in numpy (`spans`), and only a span that was never seen
before is cut into words by the rules of `segmentation`. Word frequencies are so uneven
that nearly all spans have been seen before.

Measured (benchmarks/words.md), pooling included: 2,706 English reviews a second with
nothing seen before, and 3,533 with other texts seen; model2vec encodes 779.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sktransfer.exceptions import InvalidInputError
from sktransfer.ragged import Ragged, row_offsets
from sktransfer.words.text.segmentation import (
    has_han,
    segment_chunk,
    separate_han,
    split_unknown,
    tidy,
)
from sktransfer.words.text.spans import SpanWords

__all__ = ["Lexicon"]

# Some 200 MB of memory at most, of which usual corpora need a tenth.
_MOST_WORDS = 2_000_000


class Lexicon:
    """Numbers the words of texts as it meets them, and remembers what it has cut.

    Threads may share it. `known` says whether the vectors have a word: those that they
    do not have are cut finer; None keeps words as they are. A word's number is its
    place in `words`.

    Examples
    --------
    >>> from sktransfer.words.text.lexicon import Lexicon
    >>> lexicon = Lexicon()
    >>> lexicon.read(["A good film!", "a bad film"]).values
    array([0, 1, 2, 3, 0, 4, 2], dtype=int32)
    >>> lexicon.words
    ['a', 'good', 'film', '!', 'bad']
    """

    def __init__(
        self,
        tokenizer: str | Callable[[str], list[str]] = "auto",
        lowercase: bool = True,
        known: Callable[[str], bool] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._lowercase = lowercase
        self._known = known
        self._lock = threading.Lock()
        self.words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._forget()

    def read(self, texts: Sequence[str]) -> Ragged:
        """The words of each text, by number.

        Raises InvalidInputError if the user's tokenizer does not return a list of str.
        """
        if self._lowercase:
            texts = [text.lower() for text in texts]
        if callable(self._tokenizer):
            tokens = [self._tokenizer(text) for text in texts]
            with self._lock:
                return self._read_tokens(tokens)
        encoded = [_encode(text) for text in texts]
        with self._lock:
            try:
                return self._spans.read(encoded, self._cut)
            except BaseException:
                # Half of what was cut may have been written down. Numbers stay.
                self._forget()
                raise

    def _forget(self) -> None:
        """Begin anew to remember what was cut."""
        self._parts = _Parts(self._cut_finer)
        self._spans = SpanWords()
        self._pieces = SpanWords()  # of spans with Chinese words

    def is_full(self) -> bool:
        """Whether it holds so much that it is time for a new one."""
        n_words = len(self._spans.words) + len(self.words)
        return n_words + len(self._pieces.words) > _MOST_WORDS

    def _cut(self, spans: list[str]) -> Ragged:
        """Words of spans of text."""
        chinese = np.fromiter(map(has_han, spans), np.bool_, len(spans))
        if not chinese.any():
            return Ragged.from_lists([self._cut_chunk(span) for span in spans])
        separated = separate_han(spans)
        return self._pieces.read(list(map(_to_bytes, separated)), self._cut_pieces)

    def _cut_pieces(self, pieces: list[str]) -> Ragged:
        """Words of what is left once Chinese words stand by themselves."""
        chinese = list(map(has_han, pieces))
        self._add_han_parts(list(itertools.compress(pieces, chinese)))
        return Ragged.from_lists(
            [
                self._parts[piece] if han else self._cut_chunk(piece)
                for piece, han in zip(pieces, chinese, strict=True)
            ]
        )

    def _cut_chunk(self, chunk: str) -> tuple[int, ...]:
        if chunk.isascii() and chunk.isalnum():  # a word, and nothing finer
            return (self._number(chunk),)
        parts = map(self._parts.__getitem__, segment_chunk(chunk))
        return tuple(itertools.chain.from_iterable(parts))

    def _add_han_parts(self, words: list[str]) -> None:
        """Parts of new Chinese words: the same as `_cut_finer`, but faster.

        Of distinct Chinese words every second one is unknown to the vectors.
        """
        known = self._known or (lambda word: True)
        flags = list(map(known, words))
        for word in itertools.compress(words, flags):
            self._parts[word] = (self._number(word),)
        rest = [word for word, flag in zip(words, flags, strict=True) if not flag]
        letters = set(filter(known, set("".join(rest))))
        numbers: dict[str, int] = {}
        for word in rest:
            if letters.isdisjoint(word):
                self._parts[word] = (self._number(word),)
            elif word.isalnum():
                for letter in word:
                    if letter not in numbers:
                        numbers[letter] = self._number(letter)
                self._parts[word] = tuple(map(numbers.__getitem__, word))
            # What else there may be is cut when it is asked for.

    def _cut_finer(self, word: str) -> tuple[int, ...]:
        if self._known is None:
            return (self._number(word),)
        return tuple(map(self._number, split_unknown(word, self._known)))

    def _number(self, word: str) -> int:
        number = self._numbers.get(word)
        if number is None:
            number = len(self.words)
            # First the word: if an interrupt comes here, its number is never given out.
            self.words.append(word)
            self._numbers[word] = number
        return number

    def _read_tokens(self, tokens: list[Any]) -> Ragged:
        for position, entry in enumerate(tokens):
            if not isinstance(entry, (list, tuple)) or not all(
                isinstance(token, str) for token in entry
            ):
                raise InvalidInputError(
                    f"The tokenizer returned {entry!r:.80} for the text at position "
                    f"{position}, but a list of str is expected."
                )
        offsets = row_offsets(list(map(len, tokens)), np.int32)
        flat = map(self._number, itertools.chain.from_iterable(tokens))
        return Ragged(np.fromiter(flat, np.int32, offsets[-1]), offsets)


class _Parts(dict[str, tuple[int, ...]]):
    """Text -> numbers of its parts, cut the first time it is asked for."""

    def __init__(self, cut: Callable[[str], tuple[int, ...]]) -> None:
        super().__init__()
        self._cut = cut

    def __missing__(self, word: str) -> tuple[int, ...]:
        parts = self[word] = self._cut(word)
        return parts


def _encode(text: str) -> bytes:
    if not text.isascii():
        # White space beyond ASCII is seen here, where it is still characters.
        text = " ".join(tidy(text).split())
    return _to_bytes(text)


def _to_bytes(text: str) -> bytes:
    # Half of a surrogate pair is no text, yet it may stand in a str.
    return text.encode("utf-8", "surrogatepass")
