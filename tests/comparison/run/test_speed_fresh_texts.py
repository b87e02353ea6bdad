from itertools import islice

import pytest

from sktransfer.comparison.run import speed
from sktransfer.comparison.run.speed import fresh_texts


def take(texts, n=300, seed=0):
    return list(islice(fresh_texts(texts, seed), n))


class TestFreshTexts:
    def test_none_is_known_and_none_comes_twice(self, sentiment_texts):
        texts, _ = sentiment_texts
        made = take(texts, 2000)
        assert len(set(made)) == 2000
        assert not set(made) & set(texts)

    def test_words_are_those_of_the_texts_and_as_long(self):
        letters = "abcdefghijklm"
        texts = [f"{one} so{other}, {one}" for one in letters for other in letters]
        made = take(texts, 20)
        words = {word for text in texts for word in text.split()}
        assert {word for text in made for word in text.split()} <= words
        assert {tuple(map(len, text.split())) for text in made} == {(1, 4, 1)}

    @pytest.mark.parametrize("text", ["酒店很好，房间干净", "とても良い", "ดีมาก"])
    def test_characters_are_units_where_there_are_no_blanks(self, text):
        made = take([text, "很"], 40)
        assert {len(new) for new in made[::2]} | {len(new) for new in made[1::2]} >= {
            len(text)
        }
        assert any(len(new) == len(text) and new != text for new in made)

    def test_the_same_seed_gives_the_same(self, sentiment_texts):
        texts, _ = sentiment_texts
        assert take(texts) == take(texts)
        assert not set(take(texts, 20)) <= set(take(texts, 20, seed=1))

    @pytest.mark.parametrize("texts", [["good", "bad"], [""], ["  \n"], ["\ud800"]])
    def test_texts_of_which_little_can_be_made_get_numbers(self, texts):
        made = take(texts, 50)
        assert len(set(made)) == 50
        assert max(map(len, made)) < 12

    def test_of_texts_without_end_a_part_will_do(self, monkeypatch):
        monkeypatch.setattr(speed, "_MAX_CHARACTERS", 100)
        texts = [letter * 60 for letter in "abcdef"]
        assert len({text[:60] for text in take(texts, 50)}) == 1
