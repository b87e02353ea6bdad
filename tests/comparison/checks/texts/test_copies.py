from __future__ import annotations


def test_a_tenth_is_told_of(facts, say, sentences):
    texts = sentences(200)
    texts[180:] = [f"{text}!" for text in texts[:20]]
    (remark,) = say("texts.copies", facts(texts=texts))
    assert remark.sentence.startswith("20 of 200 texts (10%) are copies")
    assert remark.rows == tuple(range(180, 200))


def test_a_few_are_not(facts, say, sentences):
    texts = sentences(200)
    texts[195:] = texts[:5]
    assert say("texts.copies", facts(texts=texts)) == []
