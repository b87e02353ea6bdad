"""Parts of a transformer in forms that learn on a CPU in less time and memory."""

from __future__ import annotations

from typing import Any

from sktransfer.classifier.cpu.attention import use_quick_attention
from sktransfer.classifier.cpu.dropout import replace_dropout
from sktransfer.classifier.cpu.products import replace_linear

__all__ = ["quicken"]


def quicken(transformer: Any) -> None:
    """Put our dropout, products and attention in the place of torch's.

    Parameters
    ----------
    transformer : transformers.PreTrainedModel
        Changed; its parameters and their names stay as they are.
    """
    replace_dropout(transformer)
    replace_linear(transformer)
    use_quick_attention(transformer)
