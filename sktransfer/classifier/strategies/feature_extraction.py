"""strategy="feature_extraction": the encoder stays as it is, and the head learns."""

from __future__ import annotations

from torch import nn

from sktransfer.classifier.network.body import Body, Needs
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
    # A head alone needs all of its rows: with one row in ten of the rarer class, the
    # loss of a validation part follows a few rows, and the head went back to epochs in
    # which it knew one class only.
    stops_early=False,
)
