from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.words.text.spans import LONGEST_KEY, KeyTable, key_spans, split_spans

ASCII = st.text(st.characters(max_codepoint=127))
GLUED = re.compile(r"\w+(?:[-.,'&/@:]\w+)*|[^\w\s]+", re.ASCII)


def pad(text: str) -> np.ndarray:
    return np.frombuffer(f" {text}{' ' * LONGEST_KEY}".encode(), np.uint8)


def keys_of(*texts: str) -> np.ndarray:
    letters = pad(" ".join(texts))
    starts, stops = split_spans(letters)
    assert len(starts) == len(texts)
    return key_spans(letters, starts, stops)


@given(ASCII)
def test_spans_of_ascii_are_those_of_the_pattern(text):
    letters = pad(text)
    starts, stops = split_spans(letters)
    found = [
        letters[i:j].tobytes().decode() for i, j in zip(starts, stops, strict=True)
    ]
    expected = [match for part in text.split() for match in GLUED.findall(part)]
    assert found == expected


def test_what_is_not_ascii_stays_together():
    starts, stops = split_spans(pad("café不好，a, b"))
    assert (stops - starts).tolist() == [len("café不好，a".encode()), 1, 1]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 31, 32])
def test_keys_follow_every_byte(length):
    word = "a" * length
    others = [word[:place] + "b" + word[place + 1 :] for place in range(length)]
    keys = keys_of(word, *others, word + "a", word)
    assert keys[0] == keys[-1]
    assert len(set(keys.tolist())) == len(keys) - 1


def test_equal_spans_have_equal_keys_wherever_they_stand():
    assert len(set(keys_of("x", "well-made", "yy").tolist())) == 3
    assert keys_of("x", "well-made")[1] == keys_of("well-made", "longer", "z")[0]


@pytest.mark.slow
def test_a_table_finds_what_was_added():
    generator = np.random.default_rng(0)
    keys = np.unique(generator.integers(1, 2**63, 3_000, dtype=np.uint64))
    # Half of them crowd into a few slots.
    keys[::2] >>= np.uint64(20)
    keys = np.unique(keys)
    generator.shuffle(keys)
    table, half = KeyTable(), len(keys) // 2
    table.add(keys[:half], np.arange(half))
    np.testing.assert_array_equal(table.find(keys[:half]), np.arange(half))
    assert (table.find(keys[half:]) == -1).all()
    table.add(keys[half:], np.arange(half, len(keys)))
    np.testing.assert_array_equal(table.find(keys), np.arange(len(keys)))


def test_an_empty_table_and_no_keys():
    table, nothing = KeyTable(), np.zeros(0, np.uint64)
    assert table.find(np.array([5], np.uint64)).tolist() == [-1]
    table.add(nothing, np.zeros(0, np.int32))
    assert table.find(nothing).tolist() == []
