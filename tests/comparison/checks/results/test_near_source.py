from __future__ import annotations


def test_a_source_like_the_target_is_told_of(facts, say):
    (remark,) = say("results.near_source", facts(distance=0.12))
    assert "(proxy A-distance 0.12," in remark.sentence


def test_another_domain_is_not(facts, say):
    assert say("results.near_source", facts(distance=0.4)) == []


def test_without_a_source_there_is_nothing_to_compare(facts, say):
    assert say("results.near_source", facts()) == []
