from __future__ import annotations

import numpy as np
import pytest

TOPICS = ["kettle", "blender", "lantern", "saddle", "trumpet", "anchor"]


@pytest.fixture
def reviews(sentences):
    """240 sentences in reviews of six, each of which says a word of its own."""
    texts = sentences(240)
    random = np.random.default_rng(0)
    for row in range(240):
        review = row // 6
        named = TOPICS[review % 6] + "bcdfghjklmnp"[review // 6 % 12] * 3
        if random.random() < 0.8:
            texts[row] += f" {named}"
    return texts, np.repeat([0, 1] * 20, 6)


def test_reviews_that_stand_together_are_told_of(facts, say, reviews):
    texts, labels = reviews
    (remark,) = say("texts.missing_groups", facts(labels, texts))
    assert "of neighbouring rows are as alike as 5%" in remark.sentence


def test_with_groups_there_is_nothing_to_say(facts, say, reviews):
    texts, labels = reviews
    groups = np.arange(240) // 6
    assert say("texts.missing_groups", facts(labels, texts, groups)) == []


def test_in_another_order_they_are_single_texts(facts, say, reviews):
    order = np.random.default_rng(1).permutation(240)
    texts, labels = [reviews[0][row] for row in order], reviews[1][order]
    assert say("texts.missing_groups", facts(labels, texts)) == []


def test_files_sorted_by_text_are_passed_over(facts, say, reviews):
    texts = sorted(reviews[0])
    labels = np.repeat([0, 1], 120)
    assert say("texts.missing_groups", facts(labels, texts)) == []


def test_texts_without_order_are_not(facts, say, sentences):
    labels = np.repeat([0, 1], 200)
    assert say("texts.missing_groups", facts(labels, sentences(400))) == []
