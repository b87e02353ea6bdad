from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.words.files import vocabulary
from sktransfer.words.files.vocabulary import Vocabulary, pack_words

ANY_WORDS = st.lists(st.text(), unique=True, max_size=30)


@given(ANY_WORDS, st.text())
def test_packed_words_are_found_as_plain_ones_are(words, stranger):
    plain, packed = Vocabulary(words), Vocabulary(pack_words(words))
    assert len(packed) == len(plain) == len(words)
    asked = [*words, stranger]
    for word in asked[::2]:
        assert packed.find(word) == plain.find(word)
    for one in (packed, Vocabulary(pack_words(words)), plain):
        assert one.find_all(asked).tolist() == list(map(plain.find, asked))
    assert packed.words == plain.words == tuple(words)


def test_half_of_a_surrogate_pair_is_a_word_like_others():
    assert Vocabulary(pack_words(["\ud83d", "a"])).find("\ud83d") == 0


def test_words_with_the_same_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(vocabulary.zlib, "crc32", lambda word: 7)
    packed = Vocabulary(pack_words(["a", "b", "c"]))
    assert packed.find_all("abcd").tolist() == [0, 1, 2, -1]
    assert [packed.find(word) for word in "abcd"] == [0, 1, 2, -1]


def test_what_is_remembered_stays_bounded(monkeypatch):
    monkeypatch.setattr(vocabulary, "_MOST_REMEMBERED", 3)
    packed = Vocabulary(pack_words(["a", "b"]))
    assert [packed.find(word) for word in "abcdefgab"] == [0, 1, *[-1] * 5, 0, 1]
    assert len(packed._rows) <= 3


def test_find_all_gives_minus_one_for_strangers():
    rows = Vocabulary(["a", "b"]).find_all(["b", "c", "a"])
    assert rows.tolist() == [1, -1, 0]
    assert rows.dtype == np.int64


@pytest.mark.parametrize("words", [[], ["only"]])
def test_few_words_can_be_packed(words):
    assert Vocabulary(pack_words(words)).words == tuple(words)
