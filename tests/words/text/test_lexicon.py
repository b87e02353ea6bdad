from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.exceptions import InvalidInputError
from sktransfer.ragged import Ragged
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.text.segmentation import segment, split_unknown
from sktransfer.words.text.spans import KeyTable

TEXTS = ["A good film!", "", "a bad, bad film", "🙂 不好 don't"]


def spell(lexicon: Lexicon, ragged: Ragged) -> list[list[str]]:
    rows = np.split(ragged.values, ragged.offsets[1:-1])
    return [[lexicon.words[number] for number in row] for row in rows]


@pytest.mark.slow
@given(st.lists(st.text(), min_size=1, max_size=5))
def test_words_are_those_of_segment(texts):
    lexicon = Lexicon(lowercase=False)
    expected = [segment(text) for text in texts]
    for _ in range(2):  # the second time from what is remembered
        assert spell(lexicon, lexicon.read(texts)) == expected


# The edges of what counts as Han, unassigned code points among them, and what may stand
# between or break runs.
MIXED = st.text(
    st.sampled_from(
        "这个酒店不好很很不错没有房间的了人民大会堂研究生命起源"
        "\u3005\u3007\u3400\ufa6e\U00020000\U000323af，。！?!'.a1"
        " \t\n\r\u3000\ud800🙂\u0301"
    )
)


@pytest.mark.slow
@given(st.lists(MIXED, min_size=1, max_size=5), st.sets(st.sampled_from("不好这个很a")))
def test_a_batch_of_chinese_gives_what_each_text_gives_alone(texts, letters):
    known = (letters | {"酒店", "没有"}).__contains__
    lexicon = Lexicon(lowercase=False, known=known)
    expected = [
        [part for word in segment(text) for part in split_unknown(word, known)]
        for text in texts
    ]
    for _ in range(2):
        assert spell(lexicon, lexicon.read(texts)) == expected
    one_by_one = Lexicon(lowercase=False, known=known)
    assert [spell(one_by_one, one_by_one.read([text]))[0] for text in texts] == expected


def test_threads_cut_what_one_cuts(monkeypatch):
    texts = [f"这个酒店不好{number}，房间很干净" for number in range(50)]
    expected = [segment(text) for text in texts]
    monkeypatch.setattr("sktransfer.words.text.segmentation._RUNS_A_THREAD", 7)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    lexicon = Lexicon()
    assert spell(lexicon, lexicon.read(texts)) == expected


def test_a_segmenter_that_keeps_white_space_together_does_no_harm(monkeypatch):
    from sktransfer.words.text import segmentation

    usual = segmentation._cut_han()

    def cut(text):
        return usual(text) if text.strip() == text else [text]

    monkeypatch.setattr(segmentation, "_cut_han", lambda: cut)
    texts = ["这个酒店!", "不好", "很好?很好"]
    assert [part.split() for part in segmentation.separate_han(texts)] == [
        ["这个", "酒店", "!"],
        ["不好"],
        ["很", "好", "?", "很", "好"],
    ]


def test_a_failure_leaves_nothing_half_remembered(monkeypatch):
    from sktransfer.words.text import segmentation

    def fail():
        raise ImportError("no segmenter")

    lexicon = Lexicon()
    text = "这个酒店不好，房间很干净，服务没有人"
    with monkeypatch.context() as patch:
        patch.setattr(segmentation, "_cut_han", fail)
        with pytest.raises(ImportError, match="no segmenter"):
            lexicon.read([text])
    assert spell(lexicon, lexicon.read(["a", text])) == [["a"], segment(text)]


def test_unknown_words_are_cut_finer():
    lexicon = Lexicon(known={"do", "n't"}.__contains__)
    assert spell(lexicon, lexicon.read(["Don't go"])) == [["do", "n't", "go"]]


def test_a_tokenizer_of_ones_own_gets_lowercased_texts():
    lexicon = Lexicon(tokenizer=str.split, known=lambda word: False)
    assert spell(lexicon, lexicon.read(TEXTS))[0] == ["a", "good", "film!"]


@pytest.mark.parametrize("answer", ["a b", [1], None, [["a"]]])
def test_a_tokenizer_that_returns_no_words_is_named(answer):
    with pytest.raises(InvalidInputError, match="text at position 0, but a list of"):
        Lexicon(tokenizer=lambda text: answer).read(["a b"])


def test_cut_keeps_the_first_words():
    lexicon = Lexicon()
    ragged = lexicon.read(TEXTS)
    assert spell(lexicon, ragged.cut(2)) == [
        ["a", "good"],
        [],
        ["a", "bad"],
        ["🙂", "不好"],
    ]
    assert ragged.cut(None) is ragged
    assert ragged.cut(99) is ragged


def test_spans_longer_than_a_key_are_told_apart():
    stem = "x" * 40
    lexicon = Lexicon()
    texts = [f"{stem}a {stem}b", f"{stem}b {stem}a"]
    assert spell(lexicon, lexicon.read(texts)) == [text.split() for text in texts]
    assert lexicon.read(texts).values.tolist() == [0, 1, 1, 0]


def test_threads_share_a_lexicon():
    lexicon = Lexicon()
    texts = [[f"w{n + shift} w{n}" for n in range(300)] for shift in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lexicon.read, texts))
    for ragged, some in zip(found, texts, strict=True):
        assert spell(lexicon, ragged) == [text.split() for text in some]


def test_it_says_when_it_is_full(monkeypatch):
    monkeypatch.setattr("sktransfer.words.text.lexicon._MOST_WORDS", 4)
    lexicon = Lexicon()
    lexicon.read(["a"])
    assert not lexicon.is_full()
    lexicon.read(["b c d"])
    assert lexicon.is_full()


@pytest.mark.parametrize("n_before", [0, 1])
def test_an_interrupt_leaves_no_spans_with_the_words_of_others(monkeypatch, n_before):
    lexicon = Lexicon(lowercase=False)
    lexicon.read(TEXTS[:1])
    place, n_calls = KeyTable._place, 0

    def place_half(table, keys, numbers):
        nonlocal n_calls
        n_calls += 1
        if n_calls == n_before + 1:
            place(table, keys, np.zeros_like(numbers))
            raise KeyboardInterrupt
        place(table, keys, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(KeyTable, "_place", place_half)
        with pytest.raises(KeyboardInterrupt):
            lexicon.read(TEXTS)
    expected = [segment(text) for text in TEXTS]
    for _ in range(2):
        assert spell(lexicon, lexicon.read(TEXTS)) == expected


def test_a_word_whose_number_was_not_written_down_gets_another():
    class Interrupting(dict):
        def __setitem__(self, word, number):
            if word == "bad" and not self.get("told"):
                super().__setitem__("told", -1)
                raise KeyboardInterrupt
            super().__setitem__(word, number)

        def setdefault(self, word, number):
            if word in self:
                return self[word]
            super().__setitem__(word, number)
            if word == "bad":
                raise KeyboardInterrupt
            return number

    lexicon = Lexicon()
    lexicon._numbers = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        lexicon.read(["bad"])
    assert spell(lexicon, lexicon.read(["good bad", "bad"])) == [
        ["good", "bad"],
        ["bad"],
    ]
