from __future__ import annotations


def test_texts_that_the_source_nearly_has_are_told_of(facts, say, sentences):
    texts = sentences(200)
    source = [*sentences(50, seed=1), *(f"so {text}" for text in texts[10:20])]
    (remark,) = say("texts.source_copies", facts(texts=texts, source=source))
    assert remark.sentence.startswith("10 of 200 texts (5%) are nearly repeated")
    assert remark.rows == tuple(range(10, 20))


def test_another_domain_is_not(facts, say, sentences):
    known = facts(source=sentences(100, seed=1))
    assert say("texts.source_copies", known) == []


def test_short_texts_say_nothing(facts, say):
    known = facts(texts=[f"good {n}" for n in range(50)], source=["good 12", "bad"])
    assert say("texts.source_copies", known) == []
