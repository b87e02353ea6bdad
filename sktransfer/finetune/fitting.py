"""From checked data to a trained net: the steps of one fit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch.callbacks import GradientNormClipping, LRScheduler
from skorch.helper import predefined_split

from sktransfer.encoders.devices import resolve_device, resolve_dtype
from sktransfer.exceptions import InvalidParameterError
from sktransfer.finetune.batches import FeatureRows, LabelledRows, Rows
from sktransfer.finetune.calibration import find_temperature
from sktransfer.finetune.callbacks import (
    BestEpoch,
    DecayTowards,
    ProgressOfSteps,
    WarmupDecay,
)
from sktransfer.finetune.heads import measure_scale
from sktransfer.finetune.inputs import FeatureInput, Input
from sktransfer.finetune.network import HeadLayout, TransferNetwork
from sktransfer.finetune.opening import open_encoder
from sktransfer.finetune.preparation import (
    TrainingData,
    check_data,
    check_parameters,
    check_validation,
)
from sktransfer.finetune.randomness import draw_seed, private_randomness
from sktransfer.finetune.settings import Settings
from sktransfer.finetune.sources import carry_over, open_source
from sktransfer.finetune.strategies import apply_strategy
from sktransfer.finetune.targets import split_rows
from sktransfer.finetune.training import TransferNet

__all__ = ["fit_classifier", "update_classifier"]


@dataclass
class _Construction:
    """A network with what feeds it.

    Attributes
    ----------
    network : TransferNetwork
        With the strategy applied.
    input : Input
        Turns checked X into rows of the network.
    encoder : transformer or None
        The fitted encoder.
    carried : dict of str to torch.Tensor
        Parameters that came from a source model, by name.
    """

    network: TransferNetwork
    input: Input
    encoder: Any
    carried: dict[str, torch.Tensor]


def fit_classifier(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    y_val: Any,
    random_state: np.random.RandomState,
) -> None:
    """Set the fitted attributes of `model`.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Its parameters are valid each for itself.
    X, y, sample_weight, X_val, y_val
        As in its ``fit``.
    random_state : numpy.random.RandomState
        Source of the seeds.
    """
    goes_on = model.warm_start and hasattr(model, "net_")
    check_parameters(model)
    known = model.classes_ if goes_on else None
    data = check_data(model, X, y, sample_weight, known, reset=not goes_on)
    given = check_validation(model, data, X_val, y_val)
    split_seed, seed = draw_seed(random_state), draw_seed(random_state)
    train, held_out = np.arange(len(data.numbers)), None
    if given is None:
        train, held_out = split_rows(
            data.numbers,
            data.texts,
            early_stopping=model.early_stopping,
            validation_fraction=model.validation_fraction,
            seed=split_seed,
        )
    device = resolve_device(model.device)
    with private_randomness(seed, device):
        built = _reopen(model) if goes_on else _construct(model, data, train, seed)
        dtype = _autocast_dtype(model, device)
        rows = _labelled(built, data, device, dtype)
        learning, validation = rows, None
        if given is not None:
            validation = _labelled(built, given, device, dtype)
        elif held_out is not None:
            learning, validation = rows.take(train), rows.take(held_out)
        if model.calibrate and validation is None:
            raise InvalidParameterError(
                "calibrate=True needs rows to validate on, and there are none: pass "
                "X_val and y_val to fit, or set early_stopping=True."
            )
        settings = _settings(model, len(learning))
        callbacks = _schedule(model, built, settings, len(learning), validation)
        net = _make_net(model, built.network, settings, callbacks, device, seed)
        if validation is not None:
            net.set_params(train_split=predefined_split(validation))
        _train(model, built, net, data.classes, learning)
        if model.calibrate and validation is not None:
            model.temperature_ = find_temperature(
                net.predict_logits(validation.rows),
                validation.classes.numpy(),
                validation.weight.numpy(),
            )


def update_classifier(
    model: Any,
    X: Any,
    y: Any,
    classes: Any,
    sample_weight: Any,
    random_state: np.random.RandomState,
) -> None:
    """One more pass of `model` over the rows.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Fitted or not; the first call builds its network.
    X, y, classes, sample_weight
        As in its ``partial_fit``.
    random_state : numpy.random.RandomState
        Source of the seeds.
    """
    first = not hasattr(model, "net_")
    check_parameters(model)
    if first and classes is None:
        raise InvalidParameterError(
            "classes must be passed on the first call to partial_fit: name all labels "
            "that will ever come, as in partial_fit(X, y, classes=['neg', 'pos'])."
        )
    known = model.classes_ if classes is None else np.unique(classes)
    if not first and not np.array_equal(known, model.classes_):
        raise InvalidParameterError(
            f"classes={known.tolist()} is not the same as on last call to partial_fit, "
            f"{model.classes_.tolist()}: pass the same ones, or None."
        )
    data = check_data(model, X, y, sample_weight, known, reset=first)
    seed, device = draw_seed(random_state), resolve_device(model.device)
    with private_randomness(seed, device):
        everything = np.arange(len(data.numbers))
        built = _construct(model, data, everything, seed) if first else _reopen(model)
        rows = _labelled(built, data, device, _autocast_dtype(model, device))
        # The optimiser's moments live on from call to call. A full fit leaves none:
        # its rates have fallen to 0.
        net = None if first else model.net_
        if net is None or not getattr(net, "updates_", False):
            settings = _settings(model, len(rows))
            net = _make_net(model, built.network, settings, [], device, seed)
        _train(model, built, net, known, rows, update=True)


def _construct(
    model: Any, data: TrainingData, train: npt.NDArray[np.intp], seed: int
) -> _Construction:
    """Build the network of a first fit, from the source's parameters if there is one.

    The scale of the features is measured on the rows `train`.
    """
    source = None if model.init_from is None else open_source(model.init_from)
    encoder, body, reader = open_encoder(
        model.encoder, model.strategy, data.texts, source, seed
    )
    features = None
    if body is None or (source is None and model.scale_features):
        features = (reader if body is None else FeatureInput(encoder)).rows(data.X)
    width = features.matrix.shape[1] if features else encoder.n_features_out_
    n_classes = len(data.classes)
    layout = HeadLayout(
        n_features=width,
        hidden_layer_sizes=tuple(int(size) for size in model.hidden_layer_sizes),
        n_outputs=1 if n_classes == 2 else n_classes,
        activation=model.activation,
        dropout=float(model.dropout),
    )
    network = TransferNetwork(layout, body)
    carried = {}
    if source is not None:
        carried = carry_over(source, network, encoder, data.classes)
    elif model.scale_features and features is not None:
        weight = None if data.weight is None else data.weight[train]
        mean, scale = measure_scale(features.matrix[train], weight)
        network.scaler.mean.copy_(torch.from_numpy(mean))
        network.scaler.scale.fill_(float(scale))
    apply_strategy(
        network,
        model.strategy,
        n_trainable_layers=model.n_trainable_layers,
        train_embeddings=model.train_embeddings,
    )
    return _Construction(network, reader, encoder, carried)


def _reopen(model: Any) -> _Construction:
    """Take up the network of an earlier fit again."""
    network = model.net_.module_
    apply_strategy(
        network,
        model.strategy,
        n_trainable_layers=model.n_trainable_layers,
        train_embeddings=model.train_embeddings,
    )
    return _Construction(network, model._input, model.encoder_, {})


def _labelled(
    built: _Construction,
    data: TrainingData,
    device: torch.device,
    dtype: torch.dtype,
) -> LabelledRows:
    """Rows as the training reads them; a frozen body is applied here, once a text."""
    rows: Rows = built.input.rows(data.X)
    body = built.network.body
    if body is not None and not any(p.requires_grad for p in body.parameters()):
        encoding = TransferNet(built.network, autocast_dtype=dtype, device=device.type)
        rows = FeatureRows(encoding.initialize().encode(rows))
    return LabelledRows(rows, data.numbers, data.weight)


def _settings(model: Any, n_rows: int) -> Settings:
    return Settings.resolve(
        model.strategy,
        n_rows,
        encoder_learning_rate=model.encoder_learning_rate,
        head_learning_rate=model.head_learning_rate,
        max_epochs=model.max_epochs,
        batch_size=model.batch_size,
        weight_decay=model.weight_decay,
    )


def _schedule(
    model: Any,
    built: _Construction,
    settings: Settings,
    n_rows: int,
    validation: LabelledRows | None,
) -> list[tuple[str, Any]]:
    """Callbacks of a full fit: rates by step, progress, early stopping, decay."""
    n_steps = settings.max_epochs * math.ceil(n_rows / settings.batch_size)
    factor = WarmupDecay(n_steps, model.warmup_fraction)
    policy = torch.optim.lr_scheduler.LambdaLR
    callbacks: list[tuple[str, Any]] = []
    # The schedule has to come after whatever changes the optimiser's groups.
    if model.l2_sp:
        callbacks.append(("l2_sp", DecayTowards(built.carried, model.l2_sp)))
    rates = LRScheduler(policy, lr_lambda=factor, step_every="batch", event_name=None)
    callbacks.append(("rates", rates))
    if validation is not None and model.early_stopping:
        callbacks.append(("best_epoch", BestEpoch(model.n_iter_no_change)))
    if model.verbose == 1:
        callbacks.append(("progress", ProgressOfSteps(n_steps, model.strategy)))
    return callbacks


def _make_net(
    model: Any,
    network: TransferNetwork,
    settings: Settings,
    callbacks: list[tuple[str, Any]],
    device: torch.device,
    seed: int,
) -> TransferNet:
    clipping = []
    if model.max_grad_norm is not None:
        clipping = [("clipping", GradientNormClipping(model.max_grad_norm))]
    options = {
        "rates": {
            "encoder_learning_rate": settings.encoder_learning_rate,
            "head_learning_rate": settings.head_learning_rate,
            "weight_decay": settings.weight_decay,
            "layer_decay": model.layer_decay,
        },
        "criterion__label_smoothing": model.label_smoothing,
        "autocast_dtype": _autocast_dtype(model, device),
        "shuffle_seed": seed,
        "max_epochs": settings.max_epochs,
        "batch_size": settings.batch_size,
        "callbacks": [*clipping, *callbacks, *(model.callbacks or [])],
        "train_split": None,
        "device": str(device),
        # skorch's table has a line an epoch; 1 is our progress bar.
        "verbose": max(0, int(model.verbose) - 1),
    }
    return TransferNet(network, **(options | (model.net_params or {})))


def _train(
    model: Any,
    built: _Construction,
    net: TransferNet,
    classes: npt.NDArray[Any],
    rows: LabelledRows,
    *,
    update: bool = False,
) -> None:
    """Run the net; an interrupt leaves the best so far on `model` and goes on up."""
    if not getattr(net, "initialized_", False):
        net.initialize()
    net.updates_ = update
    if update:
        net.max_epochs = 1
    net.partial_fit(rows, None)
    model.net_ = net
    model.classes_ = classes
    model.encoder_ = built.encoder
    model._input = built.input
    model.history_ = net.history
    parameters = list(built.network.parameters())
    model.n_parameters_ = sum(p.numel() for p in parameters)
    model.n_trainable_parameters_ = sum(
        p.numel() for p in parameters if p.requires_grad
    )
    if not update or not hasattr(model, "temperature_"):
        model.temperature_ = 1.0
    if net.interrupted_:
        raise KeyboardInterrupt


def _autocast_dtype(model: Any, device: torch.device) -> torch.dtype:
    return resolve_dtype(model.dtype, device)
