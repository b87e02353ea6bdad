"""Always the commonest class, with the shares of the classes as probabilities."""

from __future__ import annotations

from sklearn.dummy import DummyClassifier

from sktransfer.baselines.registry import EVERY_LANGUAGE, Baseline

__all__ = ["BASELINE"]

BASELINE = Baseline(
    "majority", lambda texts: DummyClassifier(strategy="prior"), EVERY_LANGUAGE
)
