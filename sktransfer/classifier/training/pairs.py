"""All pairs of a batch: their loss, and a net that learns from rows and pairs at once.

Few rows have many pairs. Which of two texts share a class tells layers where all of
them belong, also those that the head is sure of already, whose own loss says nothing
any more (Gunel et al. 2021, "Supervised Contrastive Learning for Pre-trained Language
Model Fine-tuning").
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sktransfer.classifier.data.rows import Batch, Targets
from sktransfer.classifier.network.network import average_by_text
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.skorch_rows import LabelledBatch

__all__ = ["PairLoss", "RowsAndPairsNet"]


class PairLoss(nn.Module):
    """Squared error of the cosines of all pairs in a batch: 1 in a class, else 0.

    The means over the pairs of one class and over the pairs of two count half each, as
    SetFit draws as many of one kind as of the other; else, with many classes, the few
    pairs within one would not be heard. A pair weighs the product of its rows' weights,
    whose mean is 1: the sums are divided by the numbers of pairs, as `WeightedLoss`
    divides by the number of rows. With `itself` a row is one of its pairs, and the sums
    are divided by the weights of pairs: in a batch of all rows, weights do then what
    repeated rows would.
    """

    def __init__(self, *, itself: bool = False) -> None:
        super().__init__()
        self.itself = itself

    def forward(self, features: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Loss, a scalar, of features (n, w)."""
        directions = nn.functional.normalize(features.float(), dim=1, eps=1e-8)
        classes, weight = targets.classes, targets.weight
        same = (classes[:, None] == classes).float()
        errors = (directions @ directions.T - same).square()
        weights = weight[:, None] * weight
        # Each pair once.
        pairs = torch.ones_like(same)
        pairs = weights if self.itself else torch.triu(pairs, diagonal=1)
        errors = errors if self.itself else errors * weights
        means = []
        for of_kind in (pairs * same, pairs * (1 - same)):
            number = of_kind.sum()
            if number > 0:
                means.append((of_kind * errors).sum() / number)
        return torch.stack(means).mean()


_OF_PAIRS = PairLoss(itself=True)


class RowsAndPairsNet(TransferNet):
    """A net whose training loss is that of the rows and that of their pairs."""

    def infer(self, x: Batch, **fit_params: Any) -> Any:
        """Logits (n, k) of a batch; while it learns, its features (n, w), too."""
        if not self.module_.training:
            return super().infer(x, **fit_params)
        inputs = dict(x.to(self.device).inputs)
        text_of_row = inputs.pop("text_of_row", None)
        with self._precision(x):
            features, logits = self.module_.encode_and_decide(**inputs)
        return tuple(average_by_text(v, text_of_row) for v in (features, logits))

    def train_step_single(
        self, batch: tuple[LabelledBatch, Any], **fit_params: Any
    ) -> Any:
        """Loss and gradients of a batch; callbacks are given the logits alone."""
        step = super().train_step_single(batch, **fit_params)
        if isinstance(step["y_pred"], tuple):
            step["y_pred"] = step["y_pred"][1]
        return step

    def get_loss(
        self,
        y_pred: Any,
        y_true: object,
        X: LabelledBatch | None = None,
        training: bool = False,
    ) -> torch.Tensor:
        """Loss of features and logits, or of logits alone."""
        if not isinstance(y_pred, tuple):
            return super().get_loss(y_pred, y_true, X, training)
        features, logits = y_pred
        loss = super().get_loss(logits, y_true, X, training)
        targets = self._targets(y_true, X, features.device)
        if len(targets.classes) < 2:
            return loss
        of_pairs: torch.Tensor = _OF_PAIRS(features, targets)
        return loss + of_pairs
