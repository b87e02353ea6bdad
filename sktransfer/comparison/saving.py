"""How the estimators that a comparison makes go into a folder."""

from __future__ import annotations

from sktransfer.bundles.kinds import estimator_kind
from sktransfer.comparison.setup.candidates import PooledClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier

__all__ = ["KINDS"]

KINDS = {
    cls: estimator_kind(cls) for cls in (BalancedThresholdClassifier, PooledClassifier)
}
