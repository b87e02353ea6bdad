from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.exceptions import MissingExtraError
from sktransfer.words.text import segmentation
from sktransfer.words.text.segmentation import segment, split_unknown

NOTHING = frozenset[str]().__contains__


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        ("Good film.", ["Good", "film", "."]),
        ("I don't", ["I", "don't"]),
        ("I don\u2019t", ["I", "don't"]),
        ("well-made, 3.5 stars", ["well-made", ",", "3.5", "stars"]),
        ("great!!! :-)", ["great", "!!!", ":-)"]),
        ("ok😀👍", ["ok", "😀", "👍"]),
        ("好！！!!", ["好", "！", "！", "!!"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("नमस्ते", ["नमस्ते"]),
        ("不好", ["不好"]),
        ("我没有iPhone 12。", ["我", "没有", "iPhone", "12", "。"]),
        ("no\u3000space", ["no", "space"]),
        ("end.Start", ["end.Start"]),
    ],
)
def test_segment(text, words):
    assert segment(text) == words


@given(st.text())
def test_segment_drops_nothing_but_white_space(text):
    tidied = segmentation.tidy(text)
    assert "".join(segment(text)) == "".join(tidied.split())


@pytest.mark.parametrize(
    ("word", "known", "parts"),
    [
        ("don't", {"don't", "do", "n't"}, ["don't"]),
        ("don't", {"do", "n't"}, ["do", "n't"]),
        ("isn't", {"is"}, ["is", "n't"]),
        ("it's", {"it", "'s"}, ["it", "'s"]),
        ("rock'n'roll", {"rock", "roll"}, ["rock", "n", "roll"]),
        ("well-made", {"well", "made"}, ["well", "made"]),
        ("didn't-like", {"did", "n't", "like"}, ["did", "n't", "like"]),
        ("end.start", {"end", "start"}, ["end", "start"]),
        ("_very_", {"very"}, ["very"]),
        ("!!!", {"!"}, ["!", "!", "!"]),
        ("!?:", {"!"}, ["!"]),
        ("不好", {"不", "好"}, ["不", "好"]),
        ("不好", {"不好", "好"}, ["不好"]),
        ("没有", {"没"}, ["没", "有"]),
        ("zzz-yyy", {"a"}, ["zzz-yyy"]),
        ("zzz", {"z"}, ["zzz"]),
        ("'''", {"a"}, ["'''"]),
    ],
)
def test_split_unknown(word, known, parts):
    assert split_unknown(word, known.__contains__) == parts


@given(st.text(min_size=1), st.sets(st.characters()))
def test_split_unknown_ends_with_any_word(word, known):
    assert split_unknown(word, NOTHING) == [word]
    assert split_unknown(word, known.__contains__)


def test_negations_stay():
    text = "not n't no never don't cannot 不 没 没有 无"
    assert segment(text) == text.split()


def test_chinese_without_the_extra_names_it(monkeypatch):
    segmentation._cut_han.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "rjieba", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"sktransfer\[chinese\]"):
        segment("酒店")
    assert segment("hotel") == ["hotel"]
