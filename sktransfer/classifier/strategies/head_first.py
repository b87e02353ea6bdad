"""head_first=True: the head learns alone before layers of the encoder join it.

The gradients of a head at random change layers that were good as they were, most where
texts are few (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution": linear probing, then fine-tuning). What the body
gives before it learns is known by then, as the scale is measured on it, so that this
costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sktransfer.classifier.construction import Construction
from sktransfer.classifier.data.batches import FeatureRows, LabelledRows
from sktransfer.classifier.nets import make_net, make_schedule, settings_for
from sktransfer.classifier.network.network import set_resting_parts
from sktransfer.classifier.training.linear_head import fit_head, join_histories
from sktransfer.classifier.training.net import TransferNet

__all__ = ["train_after_head", "train_head_first"]


def train_head_first(
    model: Any,
    built: Construction,
    rows: LabelledRows,
    train: npt.NDArray[np.intp],
    device: torch.device,
    seed: int,
) -> TransferNet:
    """Train the head on `built.features`, which are let go of.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters.
    built : Construction
        With a strategy applied.
    rows : LabelledRows
        To learn from; only their classes and weights count.
    train : ndarray of shape (n,)
        Their places among all.
    device : torch.device
        Where the training runs.
    seed : int
        Decides the order of the rows.

    Returns
    -------
    net : TransferNet
        Trained, or interrupted.
    """
    network, body = built.network, built.network.body
    assert body is not None
    assert built.features is not None
    features = FeatureRows(built.features[train])
    built.features = None
    # What the head is drawn to is where it comes from, not where it is after this.
    built.references = {
        f"head.{name}": tensor.detach().clone()
        for name, tensor in network.head.named_parameters()
    } | built.references
    learn = [parameter for parameter in body.parameters() if parameter.requires_grad]
    body.let_learn([])
    given = LabelledRows(features, rows.classes.numpy(), rows.weight.numpy())
    settings = settings_for(model, network, len(given))
    callbacks = make_schedule(model, built, settings, len(given), None, is_last=False)
    net = make_net(model, network, settings, callbacks, device, seed)
    net.initialize()
    fit_head(net, given)
    for line in net.history:
        line["part"] = "head"
    body.let_learn(learn)
    set_resting_parts(network)
    return net


def train_after_head(net: TransferNet, rows: LabelledRows, head: TransferNet) -> None:
    """Train layers and head, unless the training of the head was interrupted.

    Parameters
    ----------
    net : TransferNet
        Initialised.
    rows : LabelledRows
        To learn from.
    head : TransferNet
        Has trained the head; the history of `net` begins with its.
    """
    net.interrupted_ = head.interrupted_
    if not head.interrupted_:
        net.partial_fit(rows, None)
    join_histories(net, "all", head)
