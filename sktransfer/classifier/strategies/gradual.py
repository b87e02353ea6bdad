"""strategy="gradual": layers join the training one by one, from the top.

The head learns alone at first, since its random weights would only disturb what the
layers below know; each epoch one more layer learns with it (Howard and Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification", section 3.3).
"""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback
from torch import nn

from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.network.network import set_resting_parts
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import (
    Strategy,
    all_layers,
    separate_layers,
    train_layers,
)
from sktransfer.classifier.strategies.head_last import solve_head_last
from sktransfer.classifier.training.callbacks import Net

__all__ = ["STRATEGY", "GradualUnfreezing"]


class GradualUnfreezing(Callback):
    """Let the layers rest whose turn has not come, and record how many learn.

    All that is to learn some day has to be marked so when training begins. What embeds
    the tokens joins with the lowest layer.
    """

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Note the epoch in which each parameter joins."""
        body = net.module_.body
        assert body is not None
        # From the epoch of this number on, counted from 0, everything learns.
        self.n_stages_ = len(body.blocks())
        depths = body.depths()
        self.first_epoch_: int | None = None
        self.joins_ = [
            (parameter, min(depths[id(parameter)] + 1, self.n_stages_))
            for parameter in body.parameters()
            # Who stops before a layer's turn has not trained it.
            if parameter.requires_grad
        ]

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Let those rest that join later."""
        if self.first_epoch_ is None:
            # Now, as a callback may have loaded earlier epochs when training began.
            self.first_epoch_ = len(net.history) - 1
        stage = len(net.history) - 1 - self.first_epoch_
        for parameter, joins in self.joins_:
            parameter.requires_grad_(joins <= stage)
        set_resting_parts(net.module_)
        net.history.record("n_trainable_layers", min(stage, self.n_stages_))

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Mark again what learns some day, so that the best epoch is kept whole."""
        self._mark(net.max_epochs)

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Leave no layer resting for good whose turn there was."""
        if self.first_epoch_ is not None:
            self._mark(len(net.history) - self.first_epoch_)

    def _mark(self, n_epochs: int) -> None:
        for parameter, joins in self.joins_:
            parameter.requires_grad_(joins < n_epochs)


def _layer_by_layer(body: Body, options: FitOptions) -> list[nn.Parameter]:
    separate_layers(body, "gradual")
    return all_layers(body, options)


STRATEGY = Strategy(
    name="gradual",
    choose=_layer_by_layer,
    phases=(train_layers, solve_head_last),
    needs=Needs.SEPARATE_LAYERS,
    cost=5,
    one_by_one=True,
    callbacks=(("unfreezing", GradualUnfreezing),),
)
