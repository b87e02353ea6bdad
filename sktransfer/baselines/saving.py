"""How baselines go into a folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.baselines.lexicon_classifier import LexiconClassifier
from sktransfer.baselines.registry import NAMES, find_baseline
from sktransfer.bundles.kinds import estimator_kind
from sktransfer.bundles.proving.classifiers import LINEAR
from sktransfer.bundles.proving.fields import LABELS, REAL, Labels, Numbers, Sizes
from sktransfer.bundles.proving.rules import Rule

__all__ = ["KINDS"]


def _cuts_fault(model: Any, sizes: Sizes) -> str | None:
    if len(model.cuts_) != sizes["K"] - 1:
        return f"it has {len(model.cuts_)} cuts between {sizes['K']} classes"
    ordered = np.sort(model.order_).tolist()
    return None if ordered == model.classes_.tolist() else "it orders other classes"


_LEXICON = Rule(
    {
        "classes_": LABELS,
        "order_": Labels("K"),
        "slope_": REAL,
        "cuts_": Numbers("?", finite=True),
    },
    together=_cuts_fault,
)

KINDS = {
    cls: estimator_kind(cls, _LEXICON if issubclass(cls, LexiconClassifier) else LINEAR)
    for name in NAMES
    for cls in find_baseline(name).classes
}
