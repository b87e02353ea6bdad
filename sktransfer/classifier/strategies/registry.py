"""The strategies by name; each stands in the file of that name, as STRATEGY."""

from __future__ import annotations

from importlib import import_module

from sktransfer.classifier.strategies.base import Strategy

__all__ = ["STRATEGIES"]

_NAMES = (
    "feature_extraction",
    "partial",
    "gradual",
    "lora",
    "bias",
    "fine_tune",
    "contrastive",
)

STRATEGIES: dict[str, Strategy] = {
    name: import_module(f"sktransfer.classifier.strategies.{name}").STRATEGY
    for name in _NAMES
}
