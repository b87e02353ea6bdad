"""The net of one training: numbers for "auto", the callbacks, the skorch net."""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch.callbacks import GradientNormClipping, LRScheduler

from sktransfer.classifier.construction import Construction
from sktransfer.classifier.data.batches import LabelledRows
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import EmbeddingBody
from sktransfer.classifier.strategies.base import learns_by_pairs
from sktransfer.classifier.strategies.gradual import (
    GradualRates,
    GradualUnfreezing,
    n_stages,
)
from sktransfer.classifier.training.callbacks import (
    BestEpoch,
    DecayTowards,
    ProgressOfSteps,
)
from sktransfer.classifier.training.defaults import (
    FROZEN,
    LORA,
    TUNED,
    WORDS,
    Settings,
    defaults_for_pairs,
)
from sktransfer.classifier.training.net import TransferNet
from sktransfer.encoders.compute.devices import resolve_dtype

__all__ = ["make_net", "make_schedule", "make_updates", "settings_for"]


def settings_for(
    model: Any, network: TransferNetwork, n_rows: int, *, after_head: bool = False
) -> Settings:
    """Numbers of the training that comes next, by what of `network` learns in it.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    network : TransferNetwork
        With a strategy applied.
    n_rows : int
        Rows to learn from.
    after_head : bool, default=False
        Whether the head has learnt already, and goes on at the pace of the layers.

    Returns
    -------
    settings : Settings
    """
    column, lengths = FROZEN, (model.max_epochs, model.batch_size)
    head_rate = model.head_learning_rate
    by_pairs = learns_by_pairs(model.strategy, network)
    if network.body is not None and network.body.learns():
        words = isinstance(network.body, EmbeddingBody)
        column = LORA if model.strategy == "lora" else WORDS if words else TUNED
        if by_pairs:
            n_classes = max(2, network.layout.n_outputs)
            column = defaults_for_pairs(n_rows, n_classes, words=words)
        if isinstance(network.body, TransformerBody) and model.strategy != "lora":
            found = network.body.checkpoint
            column = column.at_size(found.n_layers, found.hidden_size)
        if not by_pairs and after_head and head_rate == "auto":
            rate = model.encoder_learning_rate
            if rate == "auto":
                rate = column.encoder_learning_rate
            head_rate = min(column.head_learning_rate, rate)
    elif network.body is not None and model.strategy != "feature_extraction":
        # They are those of the encoder, which learns at another time.
        lengths = ("auto", "auto")
        head_rate = head_rate if by_pairs else "auto"
    return Settings.resolve(
        column,
        n_rows,
        network.layout.n_features,
        n_stages=n_stages(network) if _is_gradual(model, network) else 0,
        encoder_learning_rate=model.encoder_learning_rate,
        head_learning_rate=head_rate,
        max_epochs=lengths[0],
        batch_size=lengths[1],
        weight_decay=model.weight_decay,
    )


def _is_gradual(model: Any, network: TransferNetwork) -> bool:
    body = network.body
    return model.strategy == "gradual" and body is not None and body.learns()


def make_schedule(
    model: Any,
    built: Construction,
    settings: Settings,
    n_rows: int,
    validation: LabelledRows | None,
    *,
    is_last: bool = True,
) -> list[Any]:
    """Callbacks of a full fit: rates by step, progress, early stopping, the user's.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    built : Construction
        What is trained.
    settings : Settings
        How long.
    n_rows : int
        Rows to learn from.
    validation : LabelledRows or None
        Rows to stop early on.
    is_last : bool, default=True
        Whether no other training of this fit follows, in which rows are validated on.

    Returns
    -------
    callbacks : list of skorch callbacks, or (str, skorch callback)
    """
    theirs = model.callbacks or []
    theirs = [one for one in theirs if is_last or not _validates(one)]
    if built.network.is_linear():
        return theirs  # There are no steps, as the head is solved for.
    steps_an_epoch = math.ceil(n_rows / settings.batch_size)
    n_steps = settings.max_epochs * steps_an_epoch
    callbacks: list[Any] = []
    # The schedule has to come after whatever changes the optimiser's groups.
    if model.l2_sp:
        pull = DecayTowards(built.carried, model.l2_sp, built.references)
        callbacks.append(("l2_sp", pull))
    if _is_gradual(model, built.network):
        callbacks.append(("unfreezing", GradualUnfreezing()))
    rates = LRScheduler(
        GradualRates,
        n_steps=n_steps,
        steps_an_epoch=steps_an_epoch,
        warmup_fraction=model.warmup_fraction,
        step_every="batch",
        event_name=None,
    )
    callbacks.append(("rates", rates))
    if validation is not None and model.early_stopping:
        callbacks.append(("best_epoch", BestEpoch(model.n_iter_no_change)))
    if model.verbose == 1:
        callbacks.append(("progress", ProgressOfSteps(n_steps, model.strategy)))
    return callbacks + theirs


def make_updates(model: Any, built: Construction) -> list[Any]:
    """Callbacks of a net for ``partial_fit``, which trains as often as it is called.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    built : Construction
        What is trained.

    Returns
    -------
    callbacks : list of skorch callbacks, or (str, skorch callback)
    """
    callbacks: list[Any] = []
    if model.l2_sp:
        tensors = built.network.learning_tensors()
        # A later call must not take where it begins for where the source was.
        held = {n: t.clone() for n, t in tensors.items() if n in built.carried}
        pull = DecayTowards(built.carried, model.l2_sp, held | built.references)
        callbacks.append(("l2_sp", pull))
    return callbacks + list(model.callbacks or [])


def _validates(callback: Any) -> bool:
    """Whether a callback of skorch follows a score of validation rows."""
    if isinstance(callback, tuple):
        callback = callback[1]
    return str(getattr(callback, "monitor", "")).startswith("valid")


def make_net(
    model: Any,
    network: TransferNetwork,
    settings: Settings,
    callbacks: list[Any],
    device: torch.device,
    seed: int,
    kind: type[TransferNet] = TransferNet,
) -> TransferNet:
    """Net that trains `network`.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    network : TransferNetwork
        With a strategy applied.
    settings : Settings
        Rates and lengths.
    callbacks : list of skorch callbacks, or (str, skorch callback)
        Beside those of every net.
    device : torch.device
        Where it runs.
    seed : int
        Decides the order of the rows.
    kind : type, default=TransferNet
        Class of the net.

    Returns
    -------
    net : TransferNet
        Not initialised.
    """
    clipping = []
    if model.max_grad_norm is not None:
        clipping = [("clipping", GradientNormClipping(model.max_grad_norm))]
    options = {
        "rates": {
            "encoder_learning_rate": settings.encoder_learning_rate,
            "head_learning_rate": settings.head_learning_rate,
            "weight_decay": settings.weight_decay,
            "layer_decay": model.layer_decay,
            "one_by_one": _is_gradual(model, network),
        },
        "criterion__label_smoothing": model.label_smoothing,
        "autocast_dtype": resolve_dtype(model.dtype, device),
        "shuffle_seed": seed,
        "max_epochs": settings.max_epochs,
        "batch_size": settings.batch_size,
        "callbacks": [*clipping, *callbacks],
        "train_split": None,
        "device": str(device),
        # skorch's table has a line an epoch; 1 is our progress bar.
        "verbose": max(0, int(model.verbose) - 1),
    }
    return kind(network, **(options | (model.net_params or {})))
