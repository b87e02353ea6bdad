"""What a head is trained to make small."""

from __future__ import annotations

import torch
from torch import nn

from sktransfer.finetune.batches import Targets

__all__ = ["WeightedLoss"]


class WeightedLoss(nn.Module):
    """Cross-entropy, averaged with weights: sum(w * loss) / sum(w).

    One logit a row means two classes and the binary form.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        Share of each label that is spread over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Loss, a scalar, of logits (n, k)."""
        if logits.shape[1] == 1:
            smooth = self.label_smoothing
            wanted = targets.classes.to(logits.dtype) * (1 - smooth) + smooth / 2
            losses = nn.functional.binary_cross_entropy_with_logits(
                logits[:, 0], wanted, reduction="none"
            )
        else:
            losses = nn.functional.cross_entropy(
                logits,
                targets.classes,
                reduction="none",
                label_smoothing=self.label_smoothing,
            )
        return (losses * targets.weight).sum() / targets.weight.sum()
