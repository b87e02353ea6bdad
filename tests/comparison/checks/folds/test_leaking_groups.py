from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold

from sktransfer.comparison.setup.folds import Fold

GROUPS = np.repeat(np.arange(40), 5)


def folds_of(splitter):
    pairs = splitter.split(np.zeros(200))
    return [Fold(0, number, *pair) for number, pair in enumerate(pairs)]


def test_a_splitter_that_heeds_no_groups_is_told_of(facts, say):
    folds = folds_of(KFold(5, shuffle=True, random_state=0))
    (remark,) = say("folds.leaking_groups", facts(groups=GROUPS, folds=folds))
    assert remark.sentence.startswith("40 of 40 groups (100%) have texts on both sides")
    assert len(remark.rows) == 200


def test_folds_along_the_groups_are_not(facts, say):
    folds = folds_of(KFold(5))
    assert say("folds.leaking_groups", facts(groups=GROUPS, folds=folds)) == []


def test_neither_are_ours(facts, say):
    assert say("folds.leaking_groups", facts(groups=GROUPS)) == []
