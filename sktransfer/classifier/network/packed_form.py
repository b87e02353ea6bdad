"""A tuned transformer as the encoder that computes nothing for padding.

BERT and its relatives predict through `PackedEncoder`, as if their weights had never
learnt. It is made of a body's weights at the first prediction and let go of as soon as
they learn again. In float32 it reads the same tensors, but for one copy of the weights
of queries, keys and values side by side, a quarter of the layers' (10 MiB for
all-MiniLM-L6-v2, 20 for multilingual-e5-small); in bfloat16 it holds a copy of the
layers in that format.

Private names: ``torch.Tensor._version``, and the hooks of ``torch.nn.Module``.
"""

from __future__ import annotations

import threading

import torch
from torch import nn

from sktransfer.classifier.network.adapters import is_adapter, plain_name
from sktransfer.encoders.checkpoints.checkpoint import Architecture
from sktransfer.encoders.checkpoints.weights import BertWeights, name_weights
from sktransfer.encoders.compute.packed import PackedEncoder

__all__ = ["PackedForm", "has_hooks"]

# Which tensors an encoder was made of, and as what.
_Key = tuple[object, ...]

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class PackedForm:
    """Makes the packed encoder of a module, and keeps it while the weights rest.

    Threads can ask at the same time; one of them makes it. `architecture` says what the
    module computes.
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self._making = threading.Lock()
        self._made: tuple[_Key, PackedEncoder | None] | None = None

    def drop(self) -> None:
        """Let go of it: the weights have changed, or are about to.

        An optimiser's fused step and a copy into ``parameter.data`` leave no trace in a
        tensor, so that who does either has to say it here.
        """
        with self._making:
            self._made = None

    def encoder(self, module: nn.Module, dtype: torch.dtype) -> PackedEncoder | None:
        """Return the encoder of the module's weights as they are now.

        None where `PackedEncoder` does not compute what the module does.
        """
        key = _key_of(module, dtype)
        made = self._made
        if made is None or made[0] != key:
            with self._making:
                made = self._made
                if made is None or made[0] != key:
                    self._made = None  # not two at a time
                    made = self._made = key, self._make(module, dtype)
        return made[1]

    def weights(self, module: nn.Module) -> BertWeights | None:
        """The module's tensors under BERT's names, if it computes what BERT does."""
        tensors = {
            plain_name(name): tensor
            for name, tensor in module.state_dict().items()
            if not is_adapter(name)
        }
        return name_weights(tensors, self.architecture)

    def _make(self, module: nn.Module, dtype: torch.dtype) -> PackedEncoder | None:
        weights = self.weights(module)
        if weights is None:
            return None
        return PackedEncoder(weights, device=torch.device("cpu"), dtype=dtype)


def has_hooks(module: nn.Module) -> bool:
    """Whether anything is called, or replaced, when parts of a module compute.

    Those do not count by which transformers hands out the states of its layers.
    """
    return any(
        "forward" in part.__dict__ or any(map(_is_foreign, _hooks_of(part)))
        for part in module.modules()
    )


def _hooks_of(part: nn.Module) -> list[object]:
    return [hook for kind in _HOOKS for hook in part.__dict__[kind].values()]


def _is_foreign(hook: object) -> bool:
    return not str(getattr(hook, "__module__", "")).startswith("transformers.")


def _key_of(module: nn.Module, dtype: torch.dtype) -> _Key:
    """Differs where tensors were set, moved, or changed in a way that they count."""
    tensors = ((p.data_ptr(), p._version) for p in module.parameters())
    return (dtype, *tensors)
