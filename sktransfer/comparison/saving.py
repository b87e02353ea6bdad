"""How the estimators that a comparison makes go into a folder."""

from __future__ import annotations

from typing import Any

from sktransfer.bundles.kinds import estimator_kind
from sktransfer.bundles.proving.fields import LABELS, MODEL, Numbers, Sizes
from sktransfer.bundles.proving.rules import Rule
from sktransfer.bundles.proving.widths import n_classes
from sktransfer.comparison.setup.candidates import PooledClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier

__all__ = ["KINDS"]


def _classes_fault(model: Any, sizes: Sizes) -> str | None:
    found = n_classes(model.estimator_)
    if found in (None, sizes["K"]):
        return None
    return f"its estimator tells {found} classes, and the whole {sizes['K']}"


_RULES = {
    BalancedThresholdClassifier: Rule(
        {
            "estimator_": MODEL,
            "classes_": LABELS,
            "shares_": Numbers("K", finite=True, low=0.0, high=1.0),
        },
        together=_classes_fault,
    ),
    PooledClassifier: Rule(
        {"estimator_": MODEL, "classes_": LABELS}, together=_classes_fault
    ),
}

KINDS = {cls: estimator_kind(cls, rule) for cls, rule in _RULES.items()}
