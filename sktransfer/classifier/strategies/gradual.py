"""strategy="gradual": layers join the training one by one, from the top.

The head learns alone at first, since its random weights would only disturb what the
layers below know; each epoch one more layer learns with it (Howard and Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification", section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from skorch.callbacks import Callback
from torch.optim.lr_scheduler import LambdaLR

from sktransfer.classifier.network.network import set_resting_parts
from sktransfer.classifier.training.callbacks import WarmupDecay
from sktransfer.classifier.training.rates import layers_below_top

__all__ = ["GradualRates", "GradualUnfreezing", "n_stages"]


def n_stages(network: Any) -> int:
    """Epochs in which some layers still rest: one a layer, the head's own included.

    Parameters
    ----------
    network : TransferNetwork
        With a body.

    Returns
    -------
    n_stages : int
        From the epoch of this number on, counted from 0, everything learns.
    """
    return len(network.body.blocks())


class GradualUnfreezing(Callback):
    """Let the layers rest whose turn has not come, and record how many learn.

    All that is to learn some day has to be marked so when training begins. What embeds
    the tokens joins with the lowest layer.
    """

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Note the epoch in which each parameter joins."""
        network = net.module_
        last = n_stages(network)
        depths = layers_below_top(network.body)
        self.first_epoch_ = len(net.history)
        self.joins_ = [
            (parameter, min(depths[id(parameter)] + 1, last))
            for parameter in network.body.parameters()
            # Who stops before a layer's turn has not trained it.
            if parameter.requires_grad
        ]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Let those rest that join later."""
        stage = len(net.history) - 1 - self.first_epoch_
        for parameter, joins in self.joins_:
            parameter.requires_grad_(joins <= stage)
        set_resting_parts(net.module_)
        n_layers = min(stage, n_stages(net.module_))
        net.history.record("n_trainable_layers", n_layers)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Mark again what learns some day, so that the best epoch is kept whole."""
        self._mark(net.max_epochs)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave no layer resting for good whose turn there was."""
        self._mark(len(net.history) - self.first_epoch_)

    def _mark(self, n_epochs: int) -> None:
        for parameter, joins in self.joins_:
            parameter.requires_grad_(joins < n_epochs)


class GradualRates(LambdaLR):
    """Rates by step of groups that join one epoch after the other.

    Each group warms up from the step on which it joins. The rates fall from when all
    have joined, so that the layers that come last learn at full rate too.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its groups say by "joins" in which epoch they do.
    n_steps : int
        Steps of the whole training.
    steps_an_epoch : int
        Steps of one epoch.
    warmup_fraction : float in [0, 1)
        Share of the steps left that a group warms up in.
    last_epoch : int, default=-1
        Step to go on from, as skorch passes it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        n_steps: int,
        steps_an_epoch: int,
        warmup_fraction: float,
        last_epoch: int = -1,
    ) -> None:
        joins = [group["joins"] * steps_an_epoch for group in optimizer.param_groups]
        last = max((step for step in joins if step < n_steps), default=0)
        flat = last + math.ceil(warmup_fraction * (n_steps - last))
        factors: list[Callable[[int], float]] = [
            WarmupDecay(n_steps, warmup_fraction, joins=step, decays_from=flat)
            for step in joins
        ]
        super().__init__(optimizer, factors, last_epoch)
