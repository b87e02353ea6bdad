from __future__ import annotations

import numpy as np


def test_copies_with_other_labels_bound_the_accuracy(facts, say, sentences):
    texts = sentences(100)
    texts[97:] = [f"{texts[1]}{end}" for end in ("!", "?", "...")]
    labels = np.tile(["neg", "pos"], 50)
    labels[98:] = "neg"
    (remark,) = say("labels.contradictions", facts(labels, texts))
    # Four copies, two of which are "pos".
    assert remark.rows == (1, 97, 98, 99)
    assert remark.sentence.startswith("4 of 100 texts")
    assert "2 are wrong: no accuracy can be above 0.980" in remark.sentence


def test_one_contradiction_is_too_little(facts, say, sentences):
    texts = sentences(100)
    texts[99] = texts[0]
    assert say("labels.contradictions", facts(texts=texts)) == []


def test_copies_that_agree_are_none(facts, say, sentences):
    texts = sentences(100)
    texts[90:] = texts[:10]
    assert say("labels.contradictions", facts(texts=texts)) == []
