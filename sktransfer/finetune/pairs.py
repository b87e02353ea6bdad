"""The encoder learns which texts belong together: batches, loss and net.

A batch is encoded once and all pairs in it are compared, 496 of 32 texts. SetFit
(Tunstall et al. 2022) draws pairs and encodes both texts of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.finetune.batches import Batch, LabelledRows, Targets
from sktransfer.finetune.network import TransferNetwork, average_by_text
from sktransfer.finetune.training import TransferNet

__all__ = ["BalancedBatches", "PairLoss", "PairNet", "learns_by_pairs"]


def learns_by_pairs(strategy: str, network: TransferNetwork) -> bool:
    """Whether `strategy` tunes the encoder of `network` by comparing texts."""
    return strategy == "contrastive" and network.body is not None


class PairLoss(nn.Module):
    """Squared error of the cosines of all pairs in a batch: 1 in a class, else 0.

    The means over the pairs of one class and over the pairs of two count half each, as
    SetFit draws as many of one kind as of the other; else, with many classes, the few
    pairs within one would not be heard. A pair weighs the product of its rows' weights.
    """

    def forward(self, features: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Loss, a scalar, of features (n, w)."""
        directions = nn.functional.normalize(features.float(), dim=1, eps=1e-8)
        classes, weight = targets.classes, targets.weight
        same = (classes[:, None] == classes).float()
        errors = (directions @ directions.T - same).square()
        # Each pair once, and no text with itself.
        pairs = torch.triu(weight[:, None] * weight, diagonal=1)
        means = []
        for of_kind in (pairs * same, pairs * (1 - same)):
            total = of_kind.sum()
            if total > 0:
                means.append((of_kind * errors).sum() / total)
        return torch.stack(means).mean()


class BalancedBatches:
    """Batches with as many rows of one class as of the other, drawn anew on every pass.

    A pass has as many batches as the rows would fill. A class gives what it has, where
    that is less than its share, and no row twice to one batch. Where the classes are
    more than half of `batch_size`, they take turns, so that there are two rows of each.

    Parameters
    ----------
    data : LabelledRows
        What to draw from; at least two classes.
    batch_size : int
        Rows a batch, at least 2.
    generator : numpy.random.Generator
        Source of the draws.
    """

    def __init__(
        self, data: LabelledRows, batch_size: int, generator: np.random.Generator
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.generator = generator

    def __iter__(self) -> Iterator[tuple[Batch, Targets]]:
        numbers = self.data.classes.numpy()
        by_class = np.split(
            np.argsort(numbers, kind="stable"),
            np.flatnonzero(np.diff(np.sort(numbers))) + 1,
        )
        rows = [_Deck(members, self.generator) for members in by_class]
        classes = _Deck(np.arange(len(rows)), self.generator)
        n_classes = min(len(rows), max(2, self.batch_size // 2))
        share, rest = divmod(self.batch_size, n_classes)
        for _ in range(math.ceil(len(self.data) / self.batch_size)):
            chosen = classes.draw(n_classes)
            shares = share + (np.arange(n_classes) < rest)
            drawn = [rows[c].draw(n) for c, n in zip(chosen, shares, strict=True)]
            yield self.data.batch(np.concatenate(drawn))


class _Deck:
    """Cards that are dealt in random order; shuffled again when they have run out."""

    def __init__(
        self, cards: npt.NDArray[np.intp], generator: np.random.Generator
    ) -> None:
        self.cards = cards
        self.generator = generator
        self.left = generator.permutation(cards)

    def draw(self, n: int) -> npt.NDArray[np.intp]:
        """Return n cards, or all where there are fewer, none of them twice."""
        drawn, self.left = self.left[:n], self.left[n:]
        missing = min(n, len(self.cards)) - len(drawn)
        if missing > 0:
            others = np.setdiff1d(self.cards, drawn)
            others = self.generator.permutation(others)
            drawn = np.concatenate([drawn, others[:missing]])
            self.left = others[missing:]
        return drawn


class PairNet(TransferNet):
    """A skorch net that tunes the body of a network by pairs and leaves its head alone.

    Parameters
    ----------
    module : TransferNetwork
        With the strategy applied; its body is trained in place.
    **kwargs
        Parameters of `TransferNet`.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        criterion: type[nn.Module] = PairLoss,
        **kwargs: Any,
    ) -> None:
        # Cosines have no labels to smooth.
        kwargs.pop("criterion__label_smoothing", None)
        super().__init__(module, criterion=criterion, **kwargs)

    def get_iterator(self, dataset: LabelledRows, training: bool = False) -> Any:
        """Batches balanced by class."""
        return BalancedBatches(dataset, self.batch_size, self.shuffles_)

    def infer(self, x: Batch, **fit_params: Any) -> torch.Tensor:
        """Features (n, w) of a batch; of a text in windows, the mean over these."""
        tokens = dict(x.to(self.device).inputs)
        text_of_row = tokens.pop("text_of_row", None)
        with self._precision(x):
            features = self.module_.body(**tokens).float()
        return average_by_text(features, text_of_row)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Tell the encoder's epochs from those of the head."""
        super().on_epoch_begin(net, **kwargs)
        self.history.record("part", "encoder")
