"""strategy="contrastive": the encoder is tuned by pairs, then the head is trained.

SetFit's idea (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts"):
with few labels there are still many pairs, so that the encoder learns to put texts of
one class close and others apart, and a head is trained on what it gives then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.finetune.batches import LabelledRows
from sktransfer.finetune.construction import Construction
from sktransfer.finetune.heads import measure_scale
from sktransfer.finetune.nets import make_net, make_schedule, settings_for
from sktransfer.finetune.network import TransferNetwork
from sktransfer.finetune.pairs import PairNet
from sktransfer.finetune.resting import fit_head, join_histories, text_features
from sktransfer.finetune.strategies import set_resting_parts
from sktransfer.finetune.training import TransferNet

__all__ = [
    "refuse_updates",
    "scale_adapted",
    "train_head",
    "tune_by_pairs",
]

# Two rows of each of two classes.
_MIN_BATCH = 4


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
