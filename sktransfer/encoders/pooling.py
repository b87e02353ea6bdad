"""Token states to one vector a text: pure functions of tensors.

Shapes: b texts, t tokens, w the width of a state.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["POOLINGS", "pool"]


def pool(states: Tensor, mask: Tensor | None, pooling: tuple[str, ...]) -> Tensor:
    """Pool token states into vectors, one pooling beside the other.

    Parameters
    ----------
    states : tensor of shape (b, t, w)
        Of any floating-point format.
    mask : tensor of shape (b, t) or None
        1 at tokens and 0 at padding, which stands at the end of a row; None where all
        are tokens, and their states are read without a copy.
    pooling : tuple of {"mean", "cls", "max"}
        What to put side by side.

    Returns
    -------
    vectors : tensor of shape (b, len(pooling) * w)
        In float32. A row without tokens is zeros.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.pooling import pool
    >>> states = torch.tensor([[[1.0, 5.0], [3.0, 1.0], [9.0, 9.0]]])
    >>> pool(states, torch.tensor([[1, 1, 0]]), ("mean", "max"))
    tensor([[2., 3., 3., 5.]])
    """
    parts = [POOLINGS[name](states, mask) for name in pooling]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _mean(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.mean(dim=1, dtype=torch.float32)
    # A product per text adds up the tokens in float32 without a masked copy.
    weights = mask.to(torch.float32).unsqueeze(1)
    sums = torch.bmm(weights, states.to(torch.float32)).squeeze(1)
    return sums / weights.sum(dim=2).clamp(min=1)


def _cls(states: Tensor, mask: Tensor | None) -> Tensor:
    first = states[:, 0].to(torch.float32)
    return first if mask is None else first * mask[:, :1]


def _max(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.amax(dim=1).to(torch.float32)
    hidden = (mask == 0).unsqueeze(2)
    highest = states.masked_fill(hidden, float("-inf")).amax(dim=1).to(torch.float32)
    return highest.masked_fill(hidden.all(dim=1), 0.0)


POOLINGS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "max": _max,
}
