"""strategy="fine_tune": all layers of the encoder learn, or a table of words."""

from __future__ import annotations

from sktransfer.classifier.network.body import Needs
from sktransfer.classifier.strategies.base import Strategy, all_layers, train_layers
from sktransfer.classifier.strategies.head_last import solve_head_last

__all__ = ["STRATEGY"]

STRATEGY = Strategy(
    name="fine_tune",
    choose=all_layers,
    phases=(train_layers, solve_head_last),
    needs=Needs.WEIGHTS,
    cost=6,
)
