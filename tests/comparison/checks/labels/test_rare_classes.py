from __future__ import annotations


def test_49_of_a_class_are_told_of(facts, say):
    (remark,) = say("labels.rare_classes", facts(["a"] * 100 + ["b"] * 49))
    assert remark.sentence.startswith("There are 49 texts of the class 'b'. Intervals")
    assert len(remark.rows) == 49


def test_so_are_folds_with_fewer_than_five(facts, say):
    labels = ["a"] * 100 + ["b"] * 40 + ["c"] * 9
    (remark,) = say("labels.rare_classes", facts(labels))
    assert "9 texts of the class 'c', and 2 classes have fewer than 50" in (
        remark.sentence
    )
    assert "one fold is tested on 1 of 'c'" in remark.sentence


def test_50_of_each_are_enough(facts, say):
    assert say("labels.rare_classes", facts(["a"] * 100 + ["b"] * 50)) == []


def test_of_two_classes_none_is_merged(facts, say):
    (remark,) = say("labels.rare_classes", facts(["a"] * 100 + ["b"] * 49))
    assert "merge" not in remark.remedy
    (remark,) = say("labels.rare_classes", facts(["a"] * 99 + ["b"] * 51 + ["c"] * 20))
    assert ", or merge them with others; until then" in remark.remedy
