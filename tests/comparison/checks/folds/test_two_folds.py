from __future__ import annotations

from dataclasses import replace


def test_two_are_told_of_in_repeats_too(facts, say):
    (remark,) = say("folds.two_folds", facts(cv=2, n_repeats=3))
    assert remark.sentence.startswith("There are two folds a repeat")


def test_one_is_called_one(facts, say):
    known = facts()
    (remark,) = say("folds.two_folds", replace(known, folds=known.folds[:1]))
    assert "one fold" in remark.sentence


def test_three_are_enough(facts, say):
    assert say("folds.two_folds", facts(cv=3)) == []
