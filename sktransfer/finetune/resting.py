"""The head trained alone, on features of a body that rests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from threadpoolctl import threadpool_limits
from torch import nn

from sktransfer.finetune.batches import LabelledRows
from sktransfer.finetune.callbacks import diverged, was_early_stopping
from sktransfer.finetune.inputs import WindowFeatures
from sktransfer.finetune.network import TransferNetwork
from sktransfer.finetune.penalty import choose_decay
from sktransfer.finetune.solving import STRENGTH, LinearProblem
from sktransfer.finetune.training import TransferNet

__all__ = ["fit_head", "join_histories", "text_features"]


def fit_head(
    net: TransferNet, rows: LabelledRows, decay: float | str | None = None
) -> None:
    """Train the head of a net; a linear one is solved for, any other goes in steps.

    Parameters
    ----------
    net : TransferNet
        Initialised; an interrupt is remembered in its `interrupted_`.
    rows : LabelledRows
        Of features.
    decay : float >= 0, "auto" or None, default=None
        Penalty of a linear head, half of it on each squared difference of a weight
        from where it began; "auto" chooses it by cross-validation, and None is that of
        logistic regression with ``C=10``.
    """
    if not net.module_.is_linear():
        net.partial_fit(rows, None)
        return
    net.interrupted_ = False
    try:
        _solve(net, rows, decay)
    except KeyboardInterrupt as error:
        net.interrupted_ = not was_early_stopping(error)


def _solve(net: TransferNet, rows: LabelledRows, decay: float | str | None) -> None:
    """One epoch for skorch and its callbacks, in which the head finds its optimum."""
    validation = net.get_split_datasets(rows)[1]
    net.notify("on_train_begin", X=rows, y=None)
    net.notify("on_epoch_begin", dataset_train=rows, dataset_valid=validation)
    net.history.record("train_loss", _set_to_optimum(net, rows, decay))
    if validation is not None:
        batches = net.get_iterator(validation, training=False)
        net.run_single_epoch(
            batches, False, prefix="valid", step_fn=net.validation_step
        )
    net.notify("on_epoch_end", dataset_train=rows, dataset_valid=validation)
    net.notify("on_train_end", X=rows, y=None)


def _set_to_optimum(
    net: TransferNet, rows: LabelledRows, decay: float | str | None
) -> float:
    """Loss of the rows, without the penalty, under the best weights of the head."""
    network: TransferNetwork = net.module_
    output = network.head.get_submodule("output")
    assert isinstance(output, nn.Linear)
    problem = LinearProblem.of(
        _scaled(network, text_features(rows.rows)),
        rows.classes.numpy(),
        rows.weight.numpy(),
        network.layout.n_outputs,
        net.criterion_.label_smoothing,
    )
    start = output.weight.detach().cpu().double().numpy()
    bias = output.bias.detach().cpu().double().numpy()
    # The products take microseconds; threads that wait for one another cost more.
    with threadpool_limits(1, "blas"):
        if decay is None:
            decay = problem.decay(STRENGTH)
        elif decay == "auto":
            decay = choose_decay(problem, start, bias)
        weight, bias = problem.solve(start, bias, float(decay))
    loss = problem.loss(problem.logits(weight, bias))
    if not math.isfinite(loss):
        raise diverged(f"the loss of the head became {loss}")
    with torch.no_grad():
        output.weight.copy_(torch.from_numpy(weight))
        output.bias.copy_(torch.from_numpy(bias))
    return loss


def _scaled(network: TransferNetwork, features: Any) -> Any:
    scale = network.scaler.scale.item()
    if sparse.issparse(features):
        return features / scale  # which are not centred
    return (features - network.scaler.mean.cpu().numpy()) / scale


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


def text_features(rows: Any) -> npt.NDArray[np.float32] | sparse.csr_array:
    """Features of texts; a long one has the mean of those of its windows.

    Parameters
    ----------
    rows : FeatureRows or WindowFeatures
        n texts.

    Returns
    -------
    features : ndarray or sparse array of shape (n, w)
    """
    if not isinstance(rows, WindowFeatures):
        return rows.matrix
    return rows.texts.average(rows.matrix)
