"""How the estimators that a comparison makes go into a folder."""

from __future__ import annotations

from sktransfer.bundles.kinds import estimator_kind
from sktransfer.comparison.setup.candidates import PooledClassifier

__all__ = ["KINDS"]

KINDS = {PooledClassifier: estimator_kind(PooledClassifier)}
