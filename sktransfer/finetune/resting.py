"""The head trained alone, on features of a body that rests."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.finetune.batches import LabelledRows, Targets
from sktransfer.finetune.callbacks import diverged
from sktransfer.finetune.inputs import WindowFeatures
from sktransfer.finetune.network import TransferNetwork
from sktransfer.finetune.solving import solve_linear_head
from sktransfer.finetune.training import TransferNet

__all__ = ["fit_head", "join_histories", "text_features"]


def fit_head(net: TransferNet, rows: LabelledRows) -> None:
    """Train the head of a net; a linear one is solved for, any other goes in steps.

    Parameters
    ----------
    net : TransferNet
        Initialised; an interrupt is remembered in its `interrupted_`.
    rows : LabelledRows
        Of features.
    """
    net.interrupted_ = False
    if net.module_.layout.hidden_layer_sizes:
        net.partial_fit(rows, None)
    else:
        _solve(net, rows)


def _solve(net: TransferNet, rows: LabelledRows) -> None:
    began = time.perf_counter()
    network: TransferNetwork = net.module_
    mean, scale = network.scaler.mean.cpu().numpy(), network.scaler.scale.item()
    features = (text_features(rows.rows) - mean) / scale
    targets = Targets(rows.classes, rows.weight)
    output = network.head.get_submodule("output")
    assert isinstance(output, nn.Linear)
    loss = solve_linear_head(output, features, targets, net.criterion_)
    if not math.isfinite(loss):
        raise diverged(f"the loss of the head became {loss}")
    losses = {"train_loss": loss}
    validation = net.get_split_datasets(rows)[1]
    if validation is not None:
        logits = torch.from_numpy(net.predict_logits(validation.rows))
        targets = Targets(validation.classes, validation.weight)
        losses["valid_loss"] = net.criterion_(logits, targets).item()
    net.history.new_epoch()
    net.history.record("epoch", len(net.history))
    for name, value in losses.items():
        net.history.record(name, value)
    net.history.record("dur", time.perf_counter() - began)


def join_histories(net: TransferNet, part: str, earlier: TransferNet) -> None:
    """Put the epochs of an earlier training before those of this one.

    Parameters
    ----------
    net : TransferNet
        Trained; a schedule that found earlier epochs would take itself to go on.
    part : str
        What has learnt in it.
    earlier : TransferNet
        Its epochs say themselves what has learnt in them.
    """
    for line in net.history:
        line |= {"part": part, "epoch": line["epoch"] + len(earlier.history)}
    net.history[:0] = earlier.history


def text_features(rows: Any) -> npt.NDArray[np.float32]:
    """Features of texts; a long one has the mean of those of its windows.

    Parameters
    ----------
    rows : FeatureRows or WindowFeatures
        n texts.

    Returns
    -------
    features : ndarray of shape (n, w)
    """
    if not isinstance(rows, WindowFeatures):
        return np.asarray(rows.matrix)
    return rows.texts.average(rows.matrix)
