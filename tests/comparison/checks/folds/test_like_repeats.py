from __future__ import annotations

import numpy as np


def test_a_few_groups_of_different_sizes_fall_alike(facts, say):
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(12))
    groups = np.concatenate([np.arange(12), random.choice(12, 188, p=shares)])
    (remark,) = say("folds.like_repeats", facts(groups=groups, n_repeats=3))
    assert "The 3 repeats draw much the same folds" in remark.sentence


def test_texts_do_not(facts, say):
    assert say("folds.like_repeats", facts(n_repeats=3)) == []


def test_one_repeat_is_compared_with_none(facts, say):
    groups = np.arange(200) % 7
    assert say("folds.like_repeats", facts(groups=groups)) == []
