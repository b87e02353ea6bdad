"""strategy="lora": small matrices learn beside the linear layers, which rest.

They are put there by `network.adapters`.
"""

from __future__ import annotations

from torch import nn

from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import Strategy, train_layers
from sktransfer.classifier.strategies.head_last import solve_head_last
from sktransfer.classifier.training.settings import Defaults

__all__ = ["LORA", "STRATEGY"]

LORA = Defaults(1e-3, 1e-3, min_steps=100, min_epochs=3, batch_size=16)


def _adapters(body: Body, options: FitOptions) -> list[nn.Parameter]:
    body.adapt(options.lora_rank)
    return body.adapters()


STRATEGY = Strategy(
    name="lora",
    choose=_adapters,
    phases=(train_layers, solve_head_last),
    needs=Needs.LAYERS,
    cost=5,
    defaults=lambda body, n_rows, n_classes: LORA,
    # What is added begins at nothing, however large what it is added to is.
    rates_by_size=False,
    keeps_adapters=True,
)
