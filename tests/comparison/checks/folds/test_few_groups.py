from __future__ import annotations

import numpy as np


def test_29_groups_are_few(facts, say):
    (remark,) = say("folds.few_groups", facts(groups=np.arange(200) % 29))
    assert "The 200 texts are of 29 groups" in remark.sentence


def test_30_are_not(facts, say):
    assert say("folds.few_groups", facts(groups=np.arange(200) % 30)) == []


def test_without_groups_there_is_nothing_to_count(facts, say):
    assert say("folds.few_groups", facts()) == []
