"""strategy="lora": small matrices beside the frozen ones, by peft.

Beside the weight W of a linear layer learn two thin matrices A and B; the layer then
multiplies by ``W + alpha / rank * B A`` (Hu et al. 2022, "LoRA: Low-Rank Adaptation of
Large Language Models"). B starts at zero, so that training starts from W. For
prediction the product is added to W, and the layer costs what it cost before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

import torch
from torch import nn

from sktransfer.exceptions import InvalidParameterError
from sktransfer.packages import require_extra

__all__ = [
    "Adaptation",
    "add_adapters",
    "choose_layers",
    "is_adapter",
    "layers_with_adapters",
    "merge",
    "plain_name",
    "remove_adapters",
    "unmerge",
]

_NAME = "default"

# What the learnt product counts, in units of 1 / rank. Twice the rank is usual.
_ALPHA_PER_RANK = 2


class Adaptation(TypedDict):
    """What it takes to build the same adapters again.

    Attributes
    ----------
    rank : int
        Rows of A and columns of B.
    alpha : float
        The product of both counts ``alpha / rank``.
    targets : list of str
        Names of the linear layers that have adapters.
    """

    rank: int
    alpha: float
    targets: list[str]


def choose_layers(
    transformer: nn.Module, blocks: Iterable[nn.Module], rank: int
) -> Adaptation:
    """Adapters of `rank` for all linear layers within `blocks`.

    Those of the feed-forward part are among them: adapters there matter more than those
    on the attention, and all layers together match full fine-tuning where attention
    alone does not (Dettmers et al. 2023, "QLoRA", section 4; Biderman et al. 2024,
    "LoRA Learns Less and Forgets Less", section 4.6). Where all layers share one set of
    weights, `blocks` is the whole transformer.
    """
    within = {id(module) for block in blocks for module in block.modules()}
    targets = [
        name
        for name, module in transformer.named_modules()
        if id(module) in within and isinstance(module, nn.Linear)
    ]
    if not targets:
        raise InvalidParameterError(
            "strategy='lora' puts adapters on linear layers, but "
            f"{type(transformer).__name__} has none: use strategy='fine_tune'."
        )
    return {"rank": rank, "alpha": float(_ALPHA_PER_RANK * rank), "targets": targets}


def add_adapters(
    transformer: nn.Module, adaptation: Adaptation, *, drawn: bool = True
) -> None:
    """Put new adapters beside linear layers, in place; A is drawn, B is zero.

    Where A is to be replaced anyway it need not be `drawn`, and is zero too: torch's
    generator belongs to all threads, and one of them may be training.
    """
    require_extra("peft", "lora", "strategy='lora'")
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=adaptation["rank"],
        lora_alpha=adaptation["alpha"],
        target_modules=list(adaptation["targets"]),
    )
    training = transformer.training
    # Not by peft's own way, which changes torch.nn.Module for all threads.
    with contextlib.nullcontext() if drawn else torch.device("meta"):
        inject_adapter_in_model(config, transformer, adapter_name=_NAME)
    for _, layer in layers_with_adapters(transformer) if not drawn else ():
        for part in (layer.lora_A[_NAME], layer.lora_B[_NAME]):
            part.to_empty(device=layer.base_layer.weight.device)
            nn.init.zeros_(part.weight)
    transformer.train(training)


def remove_adapters(transformer: nn.Module) -> None:
    """Take adapters out; the linear layers stay as they are at the moment."""
    for name, layer in list(layers_with_adapters(transformer)):
        transformer.set_submodule(name, layer.base_layer)
    del transformer.peft_config


def layers_with_adapters(transformer: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names and modules of the linear layers that have adapters."""
    for name, module in transformer.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            yield name, module


def merge(transformer: nn.Module) -> dict[str, torch.Tensor]:
    """Add what the adapters have learnt to the weights of their layers.

    Returns the weights as they were, by the plain names of the parameters. Subtracting
    what was added would not give them back to the last digit.
    """
    bases = {}
    for name, layer in layers_with_adapters(transformer):
        weight = layer.base_layer.weight
        bases[f"{name}.weight"] = weight.data
        weight.data = weight.data.clone()
        layer.merge()
    return bases


def unmerge(transformer: nn.Module, bases: dict[str, torch.Tensor]) -> None:
    """Give merged layers their own weights back, which `merge` returned."""
    for name, layer in layers_with_adapters(transformer):
        weight = layer.base_layer.weight
        weight.data = bases[f"{name}.weight"].to(weight.device)
        layer.merged_adapters.clear()


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return ".lora_A." in name or ".lora_B." in name


def plain_name(name: str) -> str:
    """Name that a parameter has where there are no adapters."""
    return name.replace(".base_layer.", ".")
