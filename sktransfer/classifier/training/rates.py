"""Which parameters learn at which rate: groups of them for the optimiser."""

from __future__ import annotations

from typing import Any

from torch import nn

from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.network import TransferNetwork

__all__ = ["layers_below_top", "parameter_groups"]


def layers_below_top(body: Body) -> dict[int, int]:
    """How many layers lie above each parameter's own.

    Parameters
    ----------
    body : Body
        What lies below its layers counts as one more.

    Returns
    -------
    depths : dict of int to int
        From a parameter's ``id``; 0 in the highest layer.
    """
    depths: dict[int, int] = {}
    blocks = body.blocks()
    for depth, block in enumerate(reversed(blocks)):
        depths.update({id(parameter): depth for parameter in block.parameters()})
    for parameter in body.parameters():
        depths.setdefault(id(parameter), len(blocks))
    return depths


def parameter_groups(
    network: TransferNetwork,
    *,
    encoder_learning_rate: float,
    head_learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    one_by_one: bool = False,
) -> list[dict[str, Any]]:
    """Groups of learning parameters for the optimiser.

    The layer `i` steps below the top learns at ``encoder_learning_rate * layer_decay **
    i``, what embeds the tokens one step below the lowest layer (Howard and Ruder 2018,
    "Universal Language Model Fine-tuning for Text Classification", section 3.2). Biases
    and the gains of normalisation are not decayed: they have one dimension.

    Parameters
    ----------
    network : TransferNetwork
        With a strategy applied.
    encoder_learning_rate, head_learning_rate : float
        Peak rates.
    weight_decay : float
        For parameters of two dimensions or more.
    layer_decay : float in (0, 1], default=1.0
        Factor from one layer to the one below it.
    one_by_one : bool, default=False
        Whether layers join the training one an epoch.

    Returns
    -------
    groups : list of dict
        With keys "params", "lr", "weight_decay", and "joins", the epoch in which they
        begin to learn, counted from 0.
    """
    body = network.body
    below_top = {} if body is None else layers_below_top(body)
    lowest = 0 if body is None else len(body.blocks())
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        depth = below_top.get(id(parameter), -1)
        rate = head_learning_rate
        if depth >= 0:
            rate = encoder_learning_rate * layer_decay**depth
        decay = weight_decay if parameter.ndim > 1 else 0.0
        joins = min(depth + 1, lowest) if one_by_one else 0
        groups.setdefault((rate, decay, joins), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay, "joins": joins}
        for (rate, decay, joins), parameters in groups.items()
    ]
