from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def texts(sentences):
    """Of 200 texts the last 20 are earlier ones with a word more."""
    texts = sentences(200)
    texts[180:] = [f"{text} really" for text in texts[:20]]
    return texts


def test_both_sides_of_a_pair_are_told_of(facts, say, texts):
    (remark,) = say("texts.near_copies", facts(texts=texts))
    assert set(remark.rows) <= {*range(20), *range(180, 200)}
    # One in five pairs falls into one fold by chance.
    assert 24 <= len(remark.rows) < 40
    assert f"{len(remark.rows)} of 200 texts" in remark.sentence
    assert "pass groups" in remark.remedy


def test_groups_that_hold_them_together_are_enough(facts, say, texts):
    groups = [*range(180), *range(20)]
    assert say("texts.near_copies", facts(texts=texts, groups=groups)) == []


def test_exact_copies_are_kept_together_anyway(facts, say, texts):
    texts[180:] = [text.upper() + "!" for text in texts[:20]]
    assert say("texts.near_copies", facts(texts=texts)) == []


def test_short_texts_are_what_many_people_say(facts, say, texts):
    texts = [f"Very good {number}" for number in range(200)]
    assert say("texts.near_copies", facts(texts=texts)) == []


def test_a_few_move_no_score(facts, say, texts, sentences):
    texts[182:] = sentences(18, seed=1)
    assert say("texts.near_copies", facts(texts=texts)) == []


def test_empty_texts_are_no_copies(facts, say):
    labels = np.tile(["neg", "pos"], 10)
    texts = [f"{number}" for number in range(20)]
    assert say("texts.near_copies", facts(labels, texts)) == []
