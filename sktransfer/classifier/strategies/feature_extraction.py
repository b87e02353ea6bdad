"""strategy="feature_extraction": the encoder stays as it is, and the head learns."""

from __future__ import annotations

from torch import nn

from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.network.network import USUAL_HEAD
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import Strategy, train_head

__all__ = ["STRATEGY"]


def _nothing(body: Body, options: FitOptions) -> list[nn.Parameter]:
    return []


STRATEGY = Strategy(
    name="feature_extraction",
    choose=_nothing,
    phases=(train_head,),
    needs=Needs.VECTORS,
    cost=0,
    head_can_go_first=False,
    hidden_layer_sizes=USUAL_HEAD,
)
