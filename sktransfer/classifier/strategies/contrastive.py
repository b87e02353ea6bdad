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
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.classifier.data.rows import (
    Batch,
    LabelledRows,
    Targets,
    text_features,
)
from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.network.network import average_by_text, set_resting_parts
from sktransfer.classifier.strategies.base import (
    FitState,
    Strategy,
    all_layers,
    fit_head,
    join_histories,
    layer_settings,
    learn_and_keep,
    make_trainer,
)
from sktransfer.classifier.strategies.head_last import settle_head
from sktransfer.classifier.training.callbacks import Net
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.pairs import PairLoss
from sktransfer.classifier.training.settings import (
    FROZEN,
    MANY_A_CLASS,
    Defaults,
    resolve_settings,
)
from sktransfer.classifier.training.skorch_rows import LabelledBatch
from sktransfer.exceptions import InvalidInputError, InvalidParameterError

__all__ = ["STRATEGY", "BalancedBatches", "PairNet"]

# Two rows of each of two classes.
_MIN_BATCH = 4


class BalancedBatches:
    """Batches with as many rows of one class as of the other, drawn anew on every pass.

    A pass has as many batches as the rows would fill. A class gives what it has, where
    that is less than its share, and no row twice to one batch. Where the classes are
    more than half of `batch_size`, they take turns, so that there are two rows of each.
    There are at least two classes, and two rows a batch.
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

    `learnt_` are the parameters that it tunes.
    """

    learnt_: list[nn.Parameter]

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
        dataset = self.get_dataset(dataset)
        return BalancedBatches(dataset, self.batch_size, self.shuffles_)

    def infer(self, x: Batch, **fit_params: Any) -> torch.Tensor:
        """Features (n, w) of a batch; of a text in windows, the mean over these."""
        tokens = dict(x.to(self.device).inputs)
        text_of_row = tokens.pop("text_of_row", None)
        body = self.module_.body
        assert body is not None
        with self._precision(x):
            features = body(**tokens).float()
        return average_by_text(features, text_of_row)

    def train_step_single(
        self, batch: tuple[LabelledBatch, Any], **fit_params: Any
    ) -> Any:
        """Loss and gradients of a batch; callbacks are given the head's logits."""
        step = super().train_step_single(batch, **fit_params)
        with torch.no_grad():
            step["y_pred"] = self.module_.decision()(step["y_pred"].detach())
        return step

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Tell the encoder's epochs from those of the head."""
        super().on_epoch_begin(net, **kwargs)
        self.history.record("part", "encoder")


def tune_by_pairs(state: FitState) -> FitState:
    """Phase: the body learns from pairs of rows, and rests after that."""
    rows = state.learning()
    if len(rows) < 2:
        raise InvalidInputError(
            "strategy='contrastive' compares texts with one another, but only 1 has a "
            "weight above 0: give more of them one, or choose another strategy."
        )
    network, body = state.network, state.network.body
    assert body is not None
    settings = layer_settings(state, len(rows))
    if settings.batch_size < _MIN_BATCH:
        raise InvalidParameterError(
            f"batch_size={settings.batch_size}, but strategy='contrastive' compares "
            f"the rows of a batch, two of each class: pass {_MIN_BATCH} or more, or "
            "'auto'."
        )
    network.head.requires_grad_(False)
    net = make_trainer(state, settings, len(rows), is_last=False, kind=PairNet)
    net.learnt_ = [p for p in body.parameters() if p.requires_grad]
    steps_back = [] if state.goes_on else body.parameters()
    learn_and_keep(net, _within_classes(rows), steps_back, settings.kept)
    network.head.requires_grad_(True)
    body.let_learn([])
    set_resting_parts(network)
    return replace(state, net=net, strength=settings.strength)


def train_head_on_tuned(state: FitState) -> FitState:
    """Phase: the head learns from what the tuned body gives.

    The scale is measured on that, unless it is a source's or an earlier fit's.
    """
    network, body, tuning = state.network, state.network.body, state.net
    assert body is not None
    assert isinstance(tuning, PairNet)
    state = state.encoded()
    learning, validation = state.learning(), state.to_validate()
    if state.measures_scale():
        weight = learning.weight.numpy().astype(np.float64)
        network.set_scale(text_features(learning.rows), weight)
    # Lengths that users name are of the encoder, which has learnt already.
    own = {"max_epochs": "auto", "batch_size": "auto"}
    n_rows = len(learning)
    settings = resolve_settings(state.options, FROZEN, network, n_rows, instead=own)
    net = make_trainer(state, settings, n_rows, validation)
    fit_head(net, learning, state.penalty_on_tuned())
    join_histories(net, "head", tuning)
    # It counts as learning: in this fit it has.
    body.let_learn(tuning.learnt_)
    set_resting_parts(network)
    net.interrupted_ |= tuning.interrupted_
    state = replace(state, net=net, validation=validation)
    return settle_head(state, learning) if network.layout.hidden_layer_sizes else state


def _within_classes(rows: LabelledRows) -> LabelledRows:
    """Rows with weights relative to the mean of their class.

    Batches balance the classes already. What a class weighs as a whole is the head's.
    """
    classes, weight = rows.classes.numpy(), rows.weight.numpy().astype(np.float64)
    totals = np.bincount(classes, weights=weight)
    means = totals / np.maximum(1, np.bincount(classes))
    return LabelledRows(rows.rows, classes, weight / means[classes])


# All pairs of a batch teach more in a step than its rows alone. With 8 tweets a class,
# half and twice this rate came out 4 points lower.
_FEW_PAIRS = Defaults(1e-4, 1e-3, 20, 1, batch_size=32, kept=0.5, strength=10.0)
_PAIRS = Defaults(1e-4, 1e-3, min_steps=40, min_epochs=1, batch_size=32)
_FEW_WORD_PAIRS = Defaults(5e-3, 1e-3, min_steps=20, min_epochs=1, batch_size=32)
_WORD_PAIRS = Defaults(5e-3, 1e-3, min_steps=60, min_epochs=1, batch_size=32)


def _defaults(body: Body, n_rows: int, n_classes: int) -> Defaults:
    if n_rows < MANY_A_CLASS * n_classes:
        return _FEW_WORD_PAIRS if body.is_table else _FEW_PAIRS
    return _WORD_PAIRS if body.is_table else _PAIRS


STRATEGY = Strategy(
    name="contrastive",
    choose=all_layers,
    phases=(tune_by_pairs, train_head_on_tuned),
    needs=Needs.WEIGHTS,
    cost=6,
    defaults=_defaults,
    head_can_go_first=False,
    scales_first=False,
    no_updates=(
        "strategy='contrastive' compares all rows with one another and fits the head "
        "to all of them, so partial_fit cannot add a few: call fit on all rows, with "
        "warm_start=True to go on from this model, or set_params(strategy='fine_tune') "
        "and then partial_fit."
    ),
)
