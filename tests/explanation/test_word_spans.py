from __future__ import annotations

import pytest

from sktransfer.explanation.word_spans import (
    locate_words,
    spread_over_words,
    word_spans,
)


def words_of(text):
    return [text[start:stop] for start, stop in word_spans(text)]


class TestWordSpans:
    def test_words_and_punctuation_have_places(self):
        text = "I don't like it!!!  3.5 stars"
        assert words_of(text) == ["I", "don't", "like", "it", "!!!", "3.5", "stars"]

    def test_chinese_is_cut_into_words(self):
        assert words_of("这个酒店不好。") == ["这个", "酒店", "不好", "。"]

    def test_letters_of_several_characters_stay_whole(self):
        # é as two characters, and an apostrophe that is made straight.
        assert words_of("cafe\u0301 isn\u2019t") == ["cafe\u0301", "isn\u2019t"]

    def test_the_empty_text_has_none(self):
        assert word_spans("") == word_spans(" \n ") == []

    def test_letters_that_compose_across_borders_are_told_by_spaces(self):
        text = "\u1112\u1161\u11ab good"  # one Korean syllable in three parts
        assert words_of(text) == ["\u1112\u1161\u11ab", "good"]


class TestLocateWords:
    def test_repeated_words_are_found_in_their_order(self):
        assert locate_words(["a", "b", "a"], "a b a") == [(0, 1), (2, 3), (4, 5)]

    def test_lower_case_may_be_longer(self):
        # Lowercasing a dotted capital I makes two characters of it.
        assert locate_words(["i\u0307x", "a"], "\u0130X A", lowercase=True) == [
            (0, 2),
            (3, 4),
        ]

    def test_what_is_not_there_is_not_found(self):
        assert locate_words(["goods"], "good") is None
        assert locate_words(["good", "a"], "a good") is None


class TestSpreadOverWords:
    WORDS = ((0, 4), (5, 8))

    def test_pieces_of_a_word_are_added_up(self):
        found = spread_over_words([(0, 2), (2, 4), (5, 8)], [1.0, 2.0, 4.0], self.WORDS)
        assert found.tolist() == [3, 4]

    def test_a_piece_over_two_words_is_divided_by_characters(self):
        found = spread_over_words([(3, 8)], [4.0], self.WORDS)
        assert found.tolist() == [1, 3]

    @pytest.mark.parametrize(("span", "nearest"), [((4, 5), 0), ((8, 9), 1)])
    def test_white_space_goes_to_a_neighbour(self, span, nearest):
        found = spread_over_words([span], [4.0], self.WORDS)
        assert found[nearest] == found.sum() == 4

    def test_without_words_nothing_is_spread(self):
        assert spread_over_words([(0, 1)], [1.0], []).tolist() == []
