"""strategy="contrastive": the encoder is tuned by pairs, then the head is trained.

A batch is encoded once and all pairs in it are compared, 496 of 32 texts. SetFit
(Tunstall et al. 2022) draws pairs and encodes both texts of each.

SetFit's idea (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts"):
with few labels there are still many pairs, so that the encoder learns to put texts of
one class close and others apart, and a head is trained on what it gives then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.classifier.construction import Construction
from sktransfer.classifier.data.batches import Batch, LabelledRows, Targets
from sktransfer.classifier.nets import make_net, make_schedule, settings_for
from sktransfer.classifier.network.heads import measure_scale
from sktransfer.classifier.network.network import (
    TransferNetwork,
    average_by_text,
    set_resting_parts,
)
from sktransfer.classifier.training.linear_head import (
    fit_head,
    join_histories,
    text_features,
)
from sktransfer.classifier.training.net import TransferNet
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

__all__ = [
    "BalancedBatches",
    "PairLoss",
    "PairNet",
    "refuse_updates",
    "scale_adapted",
    "train_head",
    "tune_by_pairs",
]

# Two rows of each of two classes.
_MIN_BATCH = 4


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


def refuse_updates(strategy: str, texts: list[str] | None) -> None:
    """Raise if ``partial_fit`` is asked for what is learnt from all rows at once.

    Parameters
    ----------
    strategy : str
        Of the classifier.
    texts : list of str or None
        Rows; where X is numbers there is no encoder, and the strategy does not matter.

    Raises
    ------
    InvalidParameterError
        Under "contrastive".
    """
    if strategy == "contrastive" and texts is not None:
        raise InvalidParameterError(
            "strategy='contrastive' compares all rows with one another and fits the "
            "head to all of them, so partial_fit cannot add a few: call fit on all "
            "rows, with warm_start=True to go on from this model, or set_params("
            "strategy='fine_tune') and then partial_fit."
        )


def tune_by_pairs(
    model: Any, built: Construction, rows: LabelledRows, device: torch.device, seed: int
) -> TransferNet:
    """Train the body on pairs of rows; it rests after that, and the head learns.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    built : Construction
        Whose network has a body.
    rows : LabelledRows
        Of tokens, to learn from.
    device : torch.device
        Where the training runs.
    seed : int
        Decides the batches.

    Returns
    -------
    net : PairNet
        Trained, or interrupted.

    Raises
    ------
    InvalidParameterError
        If batches are too small for two rows of two classes.
    InvalidInputError
        If only one row has a weight.
    """
    if len(rows) < 2:
        raise InvalidInputError(
            "strategy='contrastive' compares texts with one another, but only 1 has a "
            "weight above 0: give more of them one, or choose another strategy."
        )
    network = built.network
    body = network.body
    assert body is not None
    settings = settings_for(model, network, len(rows))
    if settings.batch_size < _MIN_BATCH:
        raise InvalidParameterError(
            f"batch_size={settings.batch_size}, but strategy='contrastive' compares "
            f"the rows of a batch, two of each class: pass {_MIN_BATCH} or more, or "
            "'auto'."
        )
    callbacks = make_schedule(model, built, settings, len(rows), None, is_last=False)
    network.head.requires_grad_(False)
    net = make_net(model, network, settings, callbacks, device, seed, PairNet)
    net.learnt_ = [p for p in body.parameters() if p.requires_grad]
    net.initialize().partial_fit(_within_classes(rows), None)
    network.head.requires_grad_(True)
    body.let_learn([])
    set_resting_parts(network)
    return net


def _within_classes(rows: LabelledRows) -> LabelledRows:
    """Rows with weights relative to the mean of their class.

    Batches balance the classes already. What a class weighs as a whole is the head's.
    """
    classes, weight = rows.classes.numpy(), rows.weight.numpy().astype(np.float64)
    totals = np.bincount(classes, weights=weight)
    means = totals / np.maximum(1, np.bincount(classes))
    return LabelledRows(rows.rows, classes, weight / means[classes])


def scale_adapted(
    network: TransferNetwork, rows: LabelledRows, carried: set[str]
) -> None:
    """Set the scaler to the features that the tuned body gives, unless a source has.

    Parameters
    ----------
    network : TransferNetwork
        Changed in place.
    rows : LabelledRows
        Of features, to learn from.
    carried : set of str
        Names of the tensors that came from a source.
    """
    if "scaler.mean" not in carried:
        weight = rows.weight.numpy().astype(np.float64)
        mean, scale = measure_scale(text_features(rows.rows), weight)
        network.scaler.mean.copy_(torch.from_numpy(mean))
        network.scaler.scale.fill_(float(scale))


def train_head(net: TransferNet, rows: LabelledRows, tuning: TransferNet) -> None:
    """Train the head on the features of a body that was tuned before.

    The history of `net` begins with that of `tuning`.

    Parameters
    ----------
    net : TransferNet
        Initialised.
    rows : LabelledRows
        Of features.
    tuning : PairNet
        Has tuned the body.
    """
    network: TransferNetwork = net.module_
    body = network.body
    assert body is not None
    fit_head(net, rows)
    join_histories(net, "head", tuning)
    # It counts as learning: in this fit it has.
    body.let_learn(tuning.learnt_)
    set_resting_parts(network)
    net.interrupted_ |= tuning.interrupted_
