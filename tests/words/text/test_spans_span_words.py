import numpy as np
import pytest

from sktransfer.ragged import Ragged
from sktransfer.words.text.spans import SpanWords


class Cutter:
    """Cuts a span into its letters, and remembers which spans it was given."""

    def __init__(self):
        self.given = []

    def __call__(self, spans):
        self.given += spans
        offsets = np.cumsum([0, *map(len, spans)]).astype(np.int32)
        return Ragged(np.array(list(map(ord, "".join(spans))), np.int32), offsets)


def as_texts(ragged):
    rows = np.split(ragged.values, ragged.offsets[1:-1])
    return ["".join(map(chr, row)) for row in rows]


def test_each_distinct_span_is_cut_once():
    words, cut = SpanWords(), Cutter()
    texts = [b"ab ab, c", b"", b"c  ab"]
    for _ in range(2):
        assert as_texts(words.read(texts, cut)) == ["abab,c", "", "cab"]
    assert cut.given == ["ab", ",", "c"]


@pytest.mark.parametrize("length", [31, 32, 33, 100])
def test_long_spans_are_told_apart(length):
    words, cut = SpanWords(), Cutter()
    spans = ["x" * (length - 1) + last for last in "abab"]
    assert as_texts(words.read([span.encode() for span in spans], cut)) == spans
    assert cut.given == spans[:2]


def test_spans_may_have_no_words():
    words = SpanWords()
    empty = Ragged(np.zeros(0, np.int32), np.zeros(2, np.int32))
    assert as_texts(words.read([b"a", b"a"], lambda spans: empty)) == ["", ""]
