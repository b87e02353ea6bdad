from __future__ import annotations


def test_a_source_like_the_target_is_told_of(evidence, say):
    (remark,) = say("results.near_source", evidence(distance=0.12))
    assert "(proxy A-distance 0.12," in remark.sentence


def test_another_domain_is_not(evidence, say):
    assert say("results.near_source", evidence(distance=0.4)) == []


def test_without_a_source_there_is_nothing_to_compare(evidence, say):
    assert say("results.near_source", evidence()) == []
