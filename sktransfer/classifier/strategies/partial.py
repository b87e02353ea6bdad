"""strategy="partial": the top layers of the encoder learn."""

from __future__ import annotations

from torch import nn

from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import (
    Strategy,
    separate_layers,
    train_layers,
)
from sktransfer.classifier.strategies.head_last import solve_head_last
from sktransfer.exceptions import InvalidParameterError

__all__ = ["STRATEGY"]


def _top_layers(body: Body, options: FitOptions) -> list[nn.Parameter]:
    blocks, n_layers = separate_layers(body, "partial"), options.n_trainable_layers
    if not 1 <= n_layers <= len(blocks):
        raise InvalidParameterError(
            f"n_trainable_layers={n_layers}, but the encoder has {len(blocks)} layers: "
            f"choose 1 to {len(blocks)}, or strategy='fine_tune' for all of them."
        )
    return [p for block in blocks[-n_layers:] for p in block.parameters()]


STRATEGY = Strategy(
    name="partial",
    choose=_top_layers,
    phases=(train_layers, solve_head_last),
    needs=Needs.SEPARATE_LAYERS,
    cost=4,
)
