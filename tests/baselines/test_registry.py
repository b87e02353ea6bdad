from __future__ import annotations

import pytest

from sktransfer.baselines.language import language_of
from sktransfer.baselines.registry import GUESSING, NAMES, REFERENCE, find_baseline
from sktransfer.baselines.saving import KINDS

ENGLISH = ["a good film", "good fun", "good and great", "bad", "a bad film", "bad fun"]
LABELS = ["pos"] * 3 + ["neg"] * 3


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_that_of_its_file(name):
    assert find_baseline(name).name == name


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "en" in find_baseline(n).languages]
)
def test_a_default_row_classifies(name):
    estimator = find_baseline(name).estimator(ENGLISH)
    predicted = estimator.fit(ENGLISH, LABELS).predict(ENGLISH)
    assert set(predicted) <= {"pos", "neg"}


def test_languages_are_those_that_are_told_apart():
    found = {language for name in NAMES for language in find_baseline(name).languages}
    assert found == {language_of(texts) for texts in (["ok"], ["好"], ["ok", "好"])}


def test_what_others_are_compared_with_is_there_in_every_language():
    for name in (GUESSING, REFERENCE):
        assert find_baseline(name).languages == ("en", "zh", "mixed")


def test_classes_of_baselines_are_saved():
    assert {cls.__name__ for cls in KINDS} == {
        "NBSVMClassifier",
        "SnowNLPClassifier",
        "VaderClassifier",
    }
