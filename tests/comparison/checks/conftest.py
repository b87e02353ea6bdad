"""Facts made up by hand, and what a check says of it."""

from __future__ import annotations

import numpy as np
import pytest

from sktransfer.comparison.checks.facts import Facts, number_values
from sktransfer.comparison.checks.registry import find_check
from sktransfer.comparison.setup.folds import bind_rows, make_folds

WORDS = """
    the a film plot actor camera battery phone screen was is very quite not good bad
    dull bright slow fast loud cheap works breaks charges arrives bends shines rings in
    after before every two weeks days hours often never again once more
"""


@pytest.fixture
def sentences():
    """So many sentences of random words, all different."""

    def sentences(n, n_words=12, seed=0):
        random = np.random.default_rng(seed)
        return [" ".join(random.choice(WORDS.split(), n_words)) for _ in range(n)]

    return sentences


@pytest.fixture
def facts(sentences):
    """Facts with folds as a comparison makes them."""

    def facts(labels=None, texts=None, groups=None, *, cv=5, n_repeats=1, **known):
        if labels is None:
            n = 200 if texts is None else len(texts)
            labels = np.tile(["neg", "pos"], n)[:n]
        labels = np.asarray(labels)
        if texts is None:
            texts = sentences(len(labels))
        bound = bind_rows(texts, groups)
        if "folds" not in known:
            options = {"cv": cv, "n_repeats": n_repeats, "groups": groups}
            known["folds"] = make_folds(labels, bound, **options)
        numbers = None if groups is None else number_values(groups)
        return Facts(labels, texts=texts, groups=numbers, **known)

    return facts


@pytest.fixture
def say():
    """What a check, named as in the registry, says of facts."""

    def say(name, facts):
        return [finding.remark for finding in find_check(name).run(facts)]

    return say
