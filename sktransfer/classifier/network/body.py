"""An encoder as a strategy sees it: layers, a table of tokens, what has learnt."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.encoders.tokens import TokenRows

__all__ = ["Body", "Needs"]


class Needs(IntEnum):
    """What a strategy needs of an encoder; who needs more needs all that is less."""

    VECTORS = 0
    #: Weights that learn: a table of words, or layers.
    WEIGHTS = 1
    LAYERS = 2
    #: Layers with weights of their own, one above the other.
    SEPARATE_LAYERS = 3


class Body(nn.Module):
    """Tokens to features, with layers that a strategy can let learn.

    Attributes
    ----------
    tuned : set of str
        Names of the parameters that learn or have learnt; a pickle holds these and
        takes the others from the checkpoint.
    """

    tuned: set[str]

    #: Whether the table is all there is to learn.
    is_table: bool = False

    def pretrained(self) -> Body:
        """Return another body, as this one was before it learnt."""
        raise NotImplementedError

    def encode(
        self, rows: TokenRows, dtype: torch.dtype
    ) -> npt.NDArray[np.float32] | None:
        """Features (n, w) of rows of tokens by a quicker way than `forward`, if any.

        `dtype` is that of products of matrices. Threads can ask at the same time.
        """
        return None

    def twin(self) -> Self:
        """Return another body with these very parameters, in evaluation mode.

        Hooks can be put on its parts while others compute with this one's.
        """
        shared: dict[int, Any] = {
            id(tensor): tensor for tensor in [*self.parameters(), *self.buffers()]
        }
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._modules = {
            name: copy.deepcopy(part, shared) for name, part in self.named_children()
        }
        return twin.eval()

    def blocks(self) -> list[nn.Module]:
        """Layers from the bottom to the top, without what embeds the tokens."""
        raise NotImplementedError

    def depths(self) -> dict[int, int]:
        """How many layers lie above each parameter's own, by the parameter's ``id``.

        It is 0 in the highest layer. What lies below the layers counts as one more.
        """
        depths: dict[int, int] = {}
        blocks = self.blocks()
        for depth, block in enumerate(reversed(blocks)):
            depths.update({id(parameter): depth for parameter in block.parameters()})
        for parameter in self.parameters():
            depths.setdefault(id(parameter), len(blocks))
        return depths

    def token_table(self) -> nn.Parameter:
        """One row a token."""
        raise NotImplementedError

    def idle(self) -> list[nn.Parameter]:
        """Parameters that no feature depends on."""
        return []

    def let_learn(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make these parameters learn and all the others rest."""
        chosen = {id(parameter) for parameter in parameters}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(id(parameter) in chosen)
            if parameter.requires_grad:
                self.tuned.add(name)

    def learns(self) -> bool:
        """Whether a step of training changes any of the parameters."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def adapt(self, rank: int) -> None:
        """Put adapters of `rank` beside the linear layers, or take up those there are.

        Where there are adapters of another rank, they become part of the weights.
        """
        raise NotImplementedError

    def adapters(self) -> list[nn.Parameter]:
        """Parameters of the adapters."""
        return []

    def merge(self) -> None:
        """Make adapters part of the weights until they learn on."""

    def fold(self) -> None:
        """Make adapters part of the weights for good."""

    def tuned_tensors(self) -> dict[str, torch.Tensor]:
        """Parameters in which the body may differ from its checkpoint, by name."""
        return {
            name: parameter.data
            for name, parameter in self.named_parameters()
            if name in self.tuned
        }

    def take_tuned(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what another body of the same checkpoint has learnt."""
        own = dict(self.named_parameters())
        for name, tensor in tensors.items():
            own[name].data.copy_(tensor)
        self.tuned.update(tensors)

    def take_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over tensors of a ``state_dict``; what differs counts as learnt."""
        own = self.state_dict()
        named = dict(self.named_parameters())
        changed = {
            name: tensor
            for name, tensor in tensors.items()
            if name in own and not _same(own[name], tensor)
        }
        self.may_change(name for name in changed if name in named)
        self.load_state_dict(changed, strict=False)

    def may_change(self, names: Iterable[str]) -> None:
        """Count these parameters among those that a pickle holds."""
        self.tuned.update(names)

    def merged_tensors(self) -> dict[str, torch.Tensor]:
        """`tuned_tensors` for a body without adapters that is to give the same."""
        return self.tuned_tensors()


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other.to(one))
