"""Which parameters learn, and at which rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from sktransfer.exceptions import InvalidParameterError
from sktransfer.finetune.body import Body
from sktransfer.finetune.network import TransferNetwork

__all__ = [
    "STRATEGIES",
    "apply_strategy",
    "layers_below_top",
    "parameter_groups",
    "set_resting_parts",
    "tunes_by_rows",
]


def _nothing(body: Body, n_layers: int, train_embeddings: bool) -> list[nn.Parameter]:
    return []


def _top_layers(
    body: Body, n_layers: int, train_embeddings: bool
) -> list[nn.Parameter]:
    blocks = _separate_layers(body, "partial")
    if not 1 <= n_layers <= len(blocks):
        raise InvalidParameterError(
            f"n_trainable_layers={n_layers}, but the encoder has {len(blocks)} layers: "
            f"choose 1 to {len(blocks)}, or strategy='fine_tune' for all of them."
        )
    return [p for block in blocks[-n_layers:] for p in block.parameters()]


def _everything(
    body: Body, n_layers: int, train_embeddings: bool
) -> list[nn.Parameter]:
    # Word vectors are nothing but their table; a transformer's is four fifths of its
    # weights, and a few hundred texts touch a sliver of it.
    resting = {id(parameter) for parameter in body.idle()}
    if not (train_embeddings or body.is_table):
        resting.add(id(body.token_table()))
    return [p for p in body.parameters() if id(p) not in resting]


def _layer_by_layer(
    body: Body, n_layers: int, train_embeddings: bool
) -> list[nn.Parameter]:
    _separate_layers(body, "gradual")
    return _everything(body, n_layers, train_embeddings)


def _adapters(body: Body, n_layers: int, train_embeddings: bool) -> list[nn.Parameter]:
    return body.adapters()


def _separate_layers(body: Body, strategy: str) -> list[nn.Module]:
    blocks = body.blocks()
    if not blocks:
        raise InvalidParameterError(
            f"strategy={strategy!r} chooses among layers, but this encoder has one set "
            "of weights for all of them: use strategy='fine_tune' or "
            "'feature_extraction'."
        )
    return blocks


STRATEGIES: dict[str, Callable[[Body, int, bool], list[nn.Parameter]]] = {
    "feature_extraction": _nothing,
    "partial": _top_layers,
    "gradual": _layer_by_layer,
    "lora": _adapters,
    "fine_tune": _everything,
    "contrastive": _everything,
}


def tunes_by_rows(strategy: str) -> bool:
    """Whether layers of an encoder learn under `strategy`, from rows one by one."""
    return strategy not in ("feature_extraction", "contrastive")


def apply_strategy(
    network: TransferNetwork,
    strategy: str,
    *,
    n_trainable_layers: int = 2,
    train_embeddings: bool = False,
    lora_rank: int = 8,
) -> None:
    """Let the parameters of `strategy` learn and freeze the others.

    The head always learns.

    Parameters
    ----------
    network : TransferNetwork
        Changed in place.
    strategy : str
        A key of `STRATEGIES`.
    n_trainable_layers : int, default=2
        Layers from the top that learn under "partial".
    train_embeddings : bool, default=False
        Whether a transformer's token table learns under "fine_tune" and "gradual".
    lora_rank : int, default=8
        Rank of the adapters under "lora".
    """
    network.requires_grad_(True)
    network.frozen_parts = []
    body = network.body
    if body is None:
        return
    if strategy == "lora":
        body.adapt(lora_rank)
    else:
        body.fold()
    choose = STRATEGIES[strategy]
    body.let_learn(choose(body, n_trainable_layers, train_embeddings))
    set_resting_parts(network)


def set_resting_parts(network: TransferNetwork) -> None:
    """Keep the parts of the body in evaluation mode in which nothing learns.

    Parameters
    ----------
    network : TransferNetwork
        Its `frozen_parts` are set anew.
    """
    assert network.body is not None
    network.frozen_parts = [
        module
        for module in network.body.modules()
        if any(True for _ in module.parameters())
        and not any(parameter.requires_grad for parameter in module.parameters())
    ]


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
