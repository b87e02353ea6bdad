"""Which parameters learn, and at which rate."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.network import TransferNetwork, set_resting_parts
from sktransfer.exceptions import InvalidParameterError

__all__ = ["STRATEGIES", "apply_strategy", "learns_by_pairs", "tunes_by_rows"]


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


def learns_by_pairs(strategy: str, network: TransferNetwork) -> bool:
    """Whether `strategy` tunes the encoder of `network` by comparing texts."""
    return strategy == "contrastive" and network.body is not None
