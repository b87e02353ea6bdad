"""How baselines go into a folder."""

from __future__ import annotations

from sktransfer.baselines.lexicons import SnowNLPClassifier, VaderClassifier
from sktransfer.baselines.nbsvm import NBSVMClassifier
from sktransfer.bundles.kinds import estimator_kind

__all__ = ["KINDS"]

KINDS = {
    cls: estimator_kind(cls)
    for cls in (NBSVMClassifier, SnowNLPClassifier, VaderClassifier)
}
