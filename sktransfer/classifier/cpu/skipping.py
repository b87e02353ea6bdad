"""Layers of a transformer that are passed over, so that others run without them.

A model of transformers prepares masks, positions and what else its layers read, and
calls its layers one after another. Layers that pass on what they are given let all of
that stay as it is, whatever the architecture. That is how `frozen_prefix` runs the
layers below and above a cut; what it brings is told there.

Private names: layers take their states first or as ``hidden_states``, and give them
first. Where they do not, `frozen_prefix` finds out and has every layer run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["catching_input", "replacing_input", "skipping"]


@contextlib.contextmanager
def skipping(
    blocks: Sequence[nn.Module], *, n_extra: int | None = None
) -> Iterator[None]:
    """Have layers pass on the states that they are given.

    `n_extra` is what they give beside their states, in a tuple; None is no tuple.
    """

    def pass_on(hidden_states: torch.Tensor, *_: object, **__: object) -> Any:
        if n_extra is None:
            return hidden_states
        return hidden_states, *[None] * n_extra

    for block in blocks:
        block.forward = pass_on
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


@contextlib.contextmanager
def replacing_input(block: nn.Module) -> Iterator[threading.local]:
    """Have a layer read other states than those that it is given.

    The `states` (n, t, w) of what is yielded are those that it reads in this thread.
    """
    replacement = threading.local()

    def replace(
        module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (replacement.states, *args[1:]), kwargs
        return args, kwargs | {"hidden_states": replacement.states}

    with block.register_forward_pre_hook(replace, with_kwargs=True):
        yield replacement


@contextlib.contextmanager
def catching_input(block: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the states that a layer is given, one entry for each pass.

    A pass whose states cannot be told from other arguments leaves no entry.
    """
    caught: list[torch.Tensor] = []

    def catch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = args[0] if args else kwargs.get("hidden_states")
        if isinstance(states, torch.Tensor):
            caught.append(states)

    with block.register_forward_pre_hook(catch, with_kwargs=True):
        yield caught
