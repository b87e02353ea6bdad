"""How baselines go into a folder."""

from __future__ import annotations

from sktransfer.baselines.registry import NAMES, find_baseline
from sktransfer.bundles.kinds import estimator_kind

__all__ = ["KINDS"]

KINDS = {
    cls: estimator_kind(cls) for name in NAMES for cls in find_baseline(name).classes
}
