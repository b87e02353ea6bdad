"""SKT012: texts of the source that nearly repeat texts of the target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark
from sktransfer.comparison.checks.similar_texts import like_pairs, sketch_texts
from sktransfer.comparison.checks.texts.near_copies import LEAST_ALIKE, LEAST_BYTES
from sktransfer.comparison.setup.folds import text_keys

__all__ = ["CHECK"]

_MANY = 0.02
_FEWEST = 3


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.source is not None
    n_source = len(facts.source)
    keys = np.array([*text_keys(facts.source), *facts.keys], dtype=object)
    sizes = np.array([len(key.encode("utf-8", "replace")) for key in keys])
    rows = np.flatnonzero(sizes >= LEAST_BYTES)
    sketches = sketch_texts(keys[rows].tolist())
    theirs = np.flatnonzero(rows < n_source)
    ours = np.flatnonzero(rows >= n_source)
    if not len(theirs) or not len(ours):
        return
    found = like_pairs(sketches[ours], sketches[theirs], LEAST_ALIKE)
    repeated = np.unique(np.concatenate([rows[ours[pair[0]]] for pair in found]))
    repeated -= n_source
    n_texts = len(facts.keys)
    if len(repeated) >= max(_FEWEST, _MANY * n_texts):
        yield Remark(
            f"{count_of(len(repeated), n_texts)} are nearly repeated by texts of the "
            "source, so that strategies which learn from it are tested on what they "
            "have seen. Exact copies were left out.",
            "Leave texts out of the source that nearly repeat these rows.",
            tuple(repeated.tolist()),
        )


CHECK = Check(
    "SKT012",
    "source_copies",
    "The source nearly repeats texts of the target",
    _look,
    needs=("texts", "source"),
)
