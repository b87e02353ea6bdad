"""Building a network for checked data: encoder, body, scale, source, strategy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sktransfer.classifier.data.batches import FeatureRows, LabelledRows, Rows
from sktransfer.classifier.data.checks import TrainingData
from sktransfer.classifier.data.inputs import Input, TokenTexts, WindowFeatures
from sktransfer.classifier.network.adapters import is_adapter
from sktransfer.classifier.network.heads import log_odds, measure_scale
from sktransfer.classifier.network.network import HeadLayout, TransferNetwork
from sktransfer.classifier.network.source import (
    carry_over,
    check_columns,
    open_body,
    open_encoder,
    open_source,
    source_parameters,
)
from sktransfer.classifier.strategies.base import apply_strategy, tunes_by_rows
from sktransfer.classifier.training.net import TransferNet
from sktransfer.encoders.compute.devices import resolve_device, resolve_dtype

__all__ = ["Construction", "construct", "label_rows", "reopen"]


@dataclass
class Construction:
    """A network with what feeds it.

    Attributes
    ----------
    network : TransferNetwork
        With the strategy applied.
    input : Input
        Turns checked X into rows of the network.
    encoder : transformer or None
        The fitted encoder.
    carried : set of str
        Names of the parameters that came from a source model.
    references : dict of str to torch.Tensor
        These parameters as the source has them, where the network's are others by now.
    rows : Rows or None
        The training data as the network reads it, where it is known already.
    features : ndarray of shape (n, w) or None
        What the body gives for the training data before it learns, where the head is to
        learn from that first.
    """

    network: TransferNetwork
    input: Input
    encoder: Any
    carried: set[str]
    rows: Rows | None = None
    references: dict[str, torch.Tensor] = field(default_factory=dict)
    features: npt.NDArray[np.float32] | None = None


def construct(
    model: Any,
    data: TrainingData,
    train: npt.NDArray[np.intp],
    seed: int,
    *,
    head_first: bool = False,
) -> Construction:
    """Build the network of a first fit, from the source's parameters if there is one.

    The scale of the features is measured on the rows `train`. With `head_first` they
    are kept, where layers are going to change them.
    """
    source = None if model.init_from is None else open_source(model.init_from)
    encoder, body, reader = open_encoder(
        model.encoder, model.strategy, data.texts, source, seed
    )
    rows = reader.rows(data.X)
    known = rows.matrix if isinstance(rows, FeatureRows) else None
    n_classes = len(data.classes)
    layout = HeadLayout(
        n_features=encoder.n_features_out_ if known is None else known.shape[1],
        hidden_layer_sizes=tuple(int(size) for size in model.hidden_layer_sizes),
        n_outputs=1 if n_classes == 2 else n_classes,
        activation=model.activation,
        dropout=float(model.dropout),
    )
    network = TransferNetwork(layout, body)
    carried: set[str] = set()
    if source is not None:
        check_columns(source, model)
        carried = carry_over(source, network, encoder, data.classes)
    if "head.output.bias" not in carried:
        biases = log_odds(
            data.numbers[train],
            None if data.weight is None else data.weight[train],
            layout.n_outputs,
            model.label_smoothing,
        )
        network.set_output_bias(biases)
    keeps = head_first and known is None and tunes_by_rows(model.strategy)
    scales = source is None and bool(model.scale_features)
    if known is None and model.strategy == "contrastive":
        scales = False  # The features that the head will read are not known yet.
    features = known
    if known is None and (scales or keeps):
        features = _first_features(model, network, rows)
    if scales:
        assert features is not None
        weight = None if data.weight is None else data.weight[train]
        mean, scale = measure_scale(features[train], weight)
        network.scaler.mean.copy_(torch.from_numpy(mean))
        network.scaler.scale.fill_(float(scale))
    apply_strategy(
        network,
        model.strategy,
        n_trainable_layers=model.n_trainable_layers,
        train_embeddings=model.train_embeddings,
        lora_rank=model.lora_rank,
    )
    if source is not None:
        # Adapters begin at nothing, so that towards where they began is to the source.
        carried |= {name for name, _ in network.named_parameters() if is_adapter(name)}
    kept = features if keeps else None
    return Construction(network, reader, encoder, carried, rows, features=kept)


def _first_features(
    model: Any, network: TransferNetwork, rows: Rows
) -> npt.NDArray[np.float32]:
    """Features (n, w) that the body gives before it learns.

    The encoder would give the same, for a second copy of its weights in memory.
    """
    device = resolve_device(model.device)
    dtype = resolve_dtype(model.dtype, device)
    net = TransferNet(network, autocast_dtype=dtype, device=str(device)).initialize()
    if not isinstance(rows, TokenTexts):
        features: npt.NDArray[np.float32] = net.encode(rows)
        return features
    shares, starts = rows.tokens.weights[:, None], rows.first_row[:-1]
    total = np.add.reduceat(net.encode(rows.windows()) * shares, starts)
    return np.asarray(total / np.add.reduceat(shares, starts), dtype=np.float32)


def reopen(model: Any, data: TrainingData, seed: int) -> Construction:
    """Take up the network of an earlier fit again.

    Where layers are to learn by now of an encoder that was only read from, they join
    the network; that of the earlier fit is left as it was.
    """
    network, reader = model.net_.module_, model._input
    if network.body is None and data.texts is not None:
        body, reader = open_body(model.encoder_, model.strategy, data.texts, None, seed)
        if body is not None:
            before = network.own_tensors()
            network = TransferNetwork(network.layout, body)
            network.load_state_dict(before, strict=False)
    apply_strategy(
        network,
        model.strategy,
        n_trainable_layers=model.n_trainable_layers,
        train_embeddings=model.train_embeddings,
        lora_rank=model.lora_rank,
    )
    references = {}
    if model.l2_sp:
        source = open_source(model.init_from)
        encoder, classes = model.encoder_, model.classes_
        references = source_parameters(source, network, encoder, classes)
    return Construction(
        network,
        reader,
        model.encoder_,
        carried=set(references),
        references=references,
    )


def label_rows(
    built: Construction,
    data: TrainingData,
    device: torch.device,
    dtype: torch.dtype,
) -> LabelledRows:
    """Rows as the training reads them; a frozen body is applied here, once a text."""
    # Only a construction for this very data knows its rows.
    rows: Rows = built.input.rows(data.X) if built.rows is None else built.rows
    built.rows = None
    body = built.network.body
    if body is not None and not body.learns():
        encoding = TransferNet(built.network, autocast_dtype=dtype, device=str(device))
        encode = encoding.initialize().encode
        if isinstance(rows, TokenTexts) and len(rows.tokens) > len(rows):
            # Logits are averaged over windows, which one vector a text cannot give.
            rows = WindowFeatures(encode(rows.windows()), rows)
        else:
            rows = FeatureRows(encode(rows))
    return LabelledRows(rows, data.numbers, data.weight)
