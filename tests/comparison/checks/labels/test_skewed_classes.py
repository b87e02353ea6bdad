from __future__ import annotations

LABELS = ["good"] * 150 + ["bad"] * 50


def test_accuracy_that_decides_is_told_of(facts, say):
    (remark,) = say("labels.skewed_classes", facts(LABELS))
    assert remark.sentence.startswith("150 of 200 texts (75%) are 'good', so that")
    assert "0.750" in remark.sentence
    assert "scoring='balanced_accuracy'" in remark.remedy


def test_another_metric_is_named(facts, say):
    known = facts(LABELS, scoring="f1_macro")
    (remark,) = say("labels.skewed_classes", known)
    assert "f1 macro decides" in remark.sentence
    assert "scoring=" not in remark.remedy
    assert "--threshold balanced" in remark.remedy


def test_nobody_is_told_to_set_what_is_set(facts, say):
    known = facts(LABELS, scoring="f1_macro", is_balanced=True)
    (remark,) = say("labels.skewed_classes", known)
    assert remark.remedy == "Label more texts of the rarer classes."


def test_seven_in_ten_are_no_skew(facts, say):
    assert say("labels.skewed_classes", facts(["good"] * 70 + ["bad"] * 30)) == []


def test_of_several_classes_the_rare_one_is_told_of(facts, say):
    labels = ["good"] * 90 + ["fair"] * 90 + ["bad"] * 20
    (remark,) = say("labels.skewed_classes", facts(labels, scoring="balanced_accuracy"))
    assert remark.sentence.startswith("20 of 200 texts (10%) are 'bad', so that never")
    assert "0.100 of the accuracy" in remark.sentence
