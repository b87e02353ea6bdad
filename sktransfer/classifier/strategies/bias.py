"""strategy="bias": the biases of all layers learn, a thousandth of the weights.

Ben Zaken, Ravfogel and Goldberg (2022), "BitFit: Simple Parameter-efficient Fine-tuning
for Transformer-based Masked Language-models". Those of normalisation count, too.
"""

from __future__ import annotations

from torch import nn

from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import Strategy, train_layers
from sktransfer.classifier.strategies.head_last import solve_head_last
from sktransfer.classifier.training.settings import Defaults
from sktransfer.exceptions import InvalidParameterError

__all__ = ["STRATEGY"]

# The rate of adapters: the authors, too, take up to ten times that of whole layers. On
# 80 short reviews with MiniLM less had a higher loss, and so had three times as much.
_BIAS = Defaults(1e-3, 1e-3, min_steps=100, min_epochs=3, batch_size=16)


def _biases(body: Body, options: FitOptions) -> list[nn.Parameter]:
    resting = {id(parameter) for parameter in body.idle()}
    found = [
        parameter
        for name, parameter in body.named_parameters()
        if name.endswith("bias") and id(parameter) not in resting
    ]
    if not found:
        raise InvalidParameterError(
            "strategy='bias' tunes the biases of the layers, but this encoder has "
            "none: use strategy='lora' or 'fine_tune'."
        )
    return found


STRATEGY = Strategy(
    name="bias",
    choose=_biases,
    phases=(train_layers, solve_head_last),
    needs=Needs.LAYERS,
    cost=5,
    defaults=lambda body, n_rows, n_classes: _BIAS,
    rates_by_size=False,
)
