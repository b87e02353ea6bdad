from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sktransfer.baselines.language import language_of
from sktransfer.baselines.registry import GUESSING, NAMES, REFERENCE, find_baseline
from sktransfer.baselines.saving import KINDS

ENGLISH = ["a good film", "good fun", "good and great", "bad", "a bad film", "bad fun"]
LABELS = ["pos"] * 3 + ["neg"] * 3

# A baseline's own file, and its name in NAMES, are all that there is to it.
NEW_FILE = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sktransfer.baselines.registry import Baseline

class Longest(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = ["neg", "pos"]
        return self
    def predict(self, X):
        return ["pos" if len(text) > 9 else "neg" for text in X]

BASELINE = Baseline("longest", lambda texts: Longest(), ("en",), classes=(Longest,))
"""
USED = """
import json, sys
from types import ModuleType
from sktransfer.baselines import registry

new = ModuleType("sktransfer.baselines.longest")
exec(sys.argv[1], new.__dict__)
sys.modules[new.__name__] = new
registry.NAMES += ("longest",)

from sktransfer.baselines.saving import KINDS
from sktransfer.cli.compare import EXAMPLES
from sktransfer.comparison.setup import named_strategies

texts = ["a good film", "bad"]
setting = named_strategies.Setting(texts, "auto")
(made,) = named_strategies.make_candidates("longest", setting)
print(json.dumps({
    "row": [made.name, made.kind, made.estimator.fit(texts, [1, 0]).predict(texts)],
    "default": "longest" in named_strategies.default_names(setting),
    "saved": new.Longest in KINDS,
    "help": "longest" in EXAMPLES,
}))
"""


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
        "TunedLogisticRegression",
        "VaderClassifier",
    }


def test_a_new_one_is_a_file_and_a_name():
    told = subprocess.run(
        [sys.executable, "-c", USED, NEW_FILE],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == {
        "row": ["longest", "baseline", ["pos", "neg"]],
        "default": True,
        "saved": True,
        "help": True,
    }
