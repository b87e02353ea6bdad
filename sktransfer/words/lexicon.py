"""Texts -> numbers of words: each distinct piece of text is cut into words once.

Batches are cut into spans in numpy (`spans`), and only a span that was never seen
before is cut into words by the rules of `segmentation`. Word frequencies are so uneven
that nearly all spans have been seen before.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidInputError
from sktransfer.words.segmentation import (
    has_han,
    segment_chunk,
    separate_han,
    split_unknown,
    tidy,
)
from sktransfer.words.spans import LONGEST_KEY, KeyTable, key_spans, split_spans

__all__ = ["Lexicon", "Ragged"]

# Some 200 MB of memory at most, of which usual corpora need a tenth.
_MOST_WORDS = 2_000_000


class Ragged(NamedTuple):
    """Rows of unequal length: S numbers of words in T texts.

    Attributes
    ----------
    words : ndarray of int32, shape (S,)
        Numbers of words, one text behind the other.
    offsets : ndarray of int32, shape (T + 1,)
        Text t has the words ``words[offsets[t]:offsets[t + 1]]``.
    """

    words: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def keep(self, mask: NDArray[np.bool_]) -> Ragged:
        """The words that `mask`, of shape (S,), is true for."""
        kept = np.zeros(len(mask) + 1, np.int32)
        np.cumsum(mask, out=kept[1:])
        return Ragged(self.words[mask], kept[self.offsets])

    def cut(self, max_length: int | None) -> Ragged:
        """The first `max_length` words of each text; None leaves all."""
        lengths = np.diff(self.offsets)
        if max_length is None or not len(lengths) or lengths.max() <= max_length:
            return self
        places = np.arange(len(self.words)) - np.repeat(self.offsets[:-1], lengths)
        return self.keep(places < max_length)


class Lexicon:
    """Numbers the words of texts as it meets them.

    It remembers what it has cut, up to a bound; threads may share it.

    Parameters
    ----------
    tokenizer : "auto" or callable, default="auto"
        "auto" is `segment`; a callable takes a text and returns a list of str.
    lowercase : bool, default=True
        Whether texts are lowercased before they are cut.
    known : callable, default=None
        Whether the vectors have a word: those that they do not have are cut finer.
        None keeps words as they are.

    Attributes
    ----------
    words : list of str
        All words met so far; a word's number is its place here.

    Examples
    --------
    >>> from sktransfer.words.lexicon import Lexicon
    >>> lexicon = Lexicon()
    >>> lexicon.read(["A good film!", "a bad film"]).words
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
        self._parts = _Parts(self._cut_finer)
        self._spans = _SpanWords()
        self._pieces = _SpanWords()  # of spans with Chinese words

    def read(self, texts: Sequence[str]) -> Ragged:
        """The words of each text, by number.

        Parameters
        ----------
        texts : sequence of str, of length T

        Returns
        -------
        ragged : Ragged

        Raises
        ------
        InvalidInputError
            If the user's tokenizer does not return a list of str.
        """
        if self._lowercase:
            texts = [text.lower() for text in texts]
        if callable(self._tokenizer):
            tokens = [self._tokenizer(text) for text in texts]
            with self._lock:
                return self._read_tokens(tokens)
        encoded = [_encode(text) for text in texts]
        with self._lock:
            return self._spans.read(encoded, self._cut)

    def is_full(self) -> bool:
        """Whether it holds so much that it is time for a new one."""
        n_words = len(self._spans.words) + len(self.words)
        return n_words + len(self._pieces.words) > _MOST_WORDS

    def _cut(self, spans: list[str]) -> Ragged:
        """Words of spans of text."""
        chinese = np.fromiter(map(has_han, spans), np.bool_, len(spans))
        if not chinese.any():
            return _ragged([self._cut_chunk(span) for span in spans])
        separated = separate_han(spans)
        return self._pieces.read(list(map(_to_bytes, separated)), self._cut_pieces)

    def _cut_pieces(self, pieces: list[str]) -> Ragged:
        """Words of what is left once Chinese words stand by themselves."""
        chinese = list(map(has_han, pieces))
        self._learn(list(itertools.compress(pieces, chinese)))
        return _ragged(
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

    def _learn(self, words: list[str]) -> None:
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
        number = self._numbers.setdefault(word, len(self.words))
        if number == len(self.words):
            self.words.append(word)
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
        offsets = np.zeros(len(tokens) + 1, np.int32)
        np.cumsum([len(row) for row in tokens], out=offsets[1:])
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


class _SpanWords:
    """Words of every distinct span of text, cut the first time it is seen."""

    def __init__(self) -> None:
        self.words = array("i")  # of all spans, one behind the other
        self._stops = array("i", [0])
        self._short = KeyTable()
        self._long: dict[bytes, int] = {}

    def read(
        self, texts: Sequence[bytes], cut: Callable[[list[str]], Ragged]
    ) -> Ragged:
        """Numbers of words, where `cut` gives those of each new span."""
        joined = b" ".join([b"", *texts, b" " * LONGEST_KEY])
        letters = np.frombuffer(joined, np.uint8)
        starts, stops = split_spans(letters)
        spans = self._find(joined, letters, starts, stops, cut)
        bounds = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) + 1 for text in texts], out=bounds[1:])
        return self._expand(spans, np.searchsorted(starts, bounds))

    def _find(
        self,
        joined: bytes,
        letters: NDArray[np.uint8],
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        cut: Callable[[list[str]], Ragged],
    ) -> NDArray[np.int32]:
        """Number of each span; new ones get the next numbers."""
        keys = key_spans(letters, starts, stops)
        spans = self._short.find(keys)
        long = stops - starts > LONGEST_KEY
        spans[long] = -2
        missing = np.flatnonzero(spans == -1)
        _, first = np.unique(keys[missing], return_index=True)
        fresh = missing[np.sort(first)]
        added = np.union1d(fresh, np.flatnonzero(long))
        number = len(self._stops) - 1
        new: dict[bytes, int] = {}
        for row, start, stop in zip(
            added.tolist(), starts[added].tolist(), stops[added].tolist(), strict=True
        ):
            span = joined[start:stop]
            known = self._long.get(span) if stop - start > LONGEST_KEY else None
            spans[row] = (
                new.setdefault(span, number + len(new)) if known is None else known
            )
        if new:
            words, offsets = cut(
                [span.decode("utf-8", "surrogatepass") for span in new]
            )
            self._stops.extend((offsets[1:] + len(self.words)).tolist())
            self.words.frombytes(words.astype(np.intc).tobytes())
        # Remembered only now: cutting may fail where a package is missing.
        self._long.update(
            (span, n) for span, n in new.items() if len(span) > LONGEST_KEY
        )
        self._short.add(keys[fresh], spans[fresh])
        spans[missing] = self._short.find(keys[missing])
        return spans

    def _expand(self, spans: NDArray[np.int32], offsets: NDArray[np.int64]) -> Ragged:
        """Words of texts that are given as spans."""
        # Copies: an array cannot grow while numpy looks at it.
        words, stops = np.array(self.words, np.int32), np.array(self._stops, np.int32)
        lengths = np.diff(stops)[spans]
        ends = np.zeros(len(spans) + 1, np.int32)
        np.cumsum(lengths, out=ends[1:])
        # Word i of the result is word (i - where its span begins there) of its span.
        places = np.repeat(stops[spans] - ends[:-1], lengths)
        places += np.arange(len(places), dtype=np.int32)
        return Ragged(words[places], ends[offsets])


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum(list(map(len, rows)), out=offsets[1:])
    flat = itertools.chain.from_iterable(rows)
    return Ragged(np.fromiter(flat, np.int32, offsets[-1]), offsets)


def _encode(text: str) -> bytes:
    if not text.isascii():
        # White space beyond ASCII is seen here, where it is still characters.
        text = " ".join(tidy(text).split())
    return _to_bytes(text)


def _to_bytes(text: str) -> bytes:
    # Half of a surrogate pair is no text, yet it may stand in a str.
    return text.encode("utf-8", "surrogatepass")
