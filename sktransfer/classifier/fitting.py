"""From checked data to a trained net: the steps of one fit."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from skorch.helper import predefined_split

from sktransfer.classifier.construction import (
    Construction,
    construct,
    label_rows,
    reopen,
)
from sktransfer.classifier.data.batches import LabelledRows
from sktransfer.classifier.data.checks import (
    TrainingData,
    check_data,
    check_validation,
    split_rows,
)
from sktransfer.classifier.nets import (
    make_net,
    make_schedule,
    make_updates,
    settings_for,
)
from sktransfer.classifier.network.heads import find_temperature
from sktransfer.classifier.network.network import restored_on_failure
from sktransfer.classifier.parameters import check_parameters
from sktransfer.classifier.strategies.base import learns_by_pairs
from sktransfer.classifier.strategies.contrastive import (
    refuse_updates,
    scale_adapted,
    train_head,
    tune_by_pairs,
)
from sktransfer.classifier.strategies.head_first import (
    train_after_head,
    train_head_first,
)
from sktransfer.classifier.training.callbacks import diverged
from sktransfer.classifier.training.frozen_prefix import keep_states
from sktransfer.classifier.training.linear_head import fit_head
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.randomness import draw_seed, private_randomness
from sktransfer.encoders.compute.devices import resolve_device, resolve_dtype
from sktransfer.encoders.compute.threads import count_cores
from sktransfer.exceptions import InvalidParameterError

__all__ = ["fit_classifier", "update_classifier"]

# Parameters that a call of partial_fit reads when it makes its net.
_OF_UPDATES = (
    "strategy",
    "batch_size",
    "encoder_learning_rate",
    "head_learning_rate",
    "weight_decay",
    "layer_decay",
    "l2_sp",
    "init_from",
    "max_grad_norm",
    "label_smoothing",
    "device",
    "dtype",
    "verbose",
)


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
    count_cores()  # before the first operation
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
            early_stopping=_stops_early(model, data),
            validation_fraction=model.validation_fraction,
            seed=split_seed,
        )
    if model.calibrate and given is None and held_out is None:
        raise InvalidParameterError(
            "calibrate=True needs rows to validate on, and there are none: pass X_val "
            "and y_val to fit, or set early_stopping=True."
        )
    device = resolve_device(model.device)
    with private_randomness(seed, device), contextlib.ExitStack() as stack:
        if goes_on:
            built = reopen(model, data, seed)
            stack.enter_context(restored_on_failure(built.network))
        else:
            head_first = model.head_first
            built = construct(model, data, train, seed, head_first=head_first)
        dtype = resolve_dtype(model.dtype, device)
        rows = label_rows(built, data, device, dtype)
        tuning = None
        if learns_by_pairs(model.strategy, built.network):
            tuning = tune_by_pairs(model, built, rows.take(train), device, seed)
            # The body rests now, and what it gives is what the head learns from.
            built.rows = rows.rows
            rows = label_rows(built, data, device, dtype)
            if model.scale_features and not goes_on:
                scale_adapted(built.network, rows.take(train), built.carried)
        learning, validation = rows, None
        if given is not None:
            validation = label_rows(built, given, device, dtype)
        elif held_out is not None:
            learning, validation = rows.take(train), rows.take(held_out)
        body = built.network.body
        train_net = _train_all
        if body is None or not body.learns():
            train_net = functools.partial(fit_head, decay=_decay(model))
        if tuning is not None:
            train_net = functools.partial(train_head, tuning=tuning)
        if built.features is not None:
            head = train_head_first(model, built, learning, train, device, seed)
            train_net = functools.partial(train_after_head, head=head)
        settings = settings_for(
            model, built.network, len(learning), after_head=model.head_first
        )
        if settings.max_epochs > 1:
            learning = keep_states(body, learning, device, dtype)
            if validation is not None:
                validation = keep_states(body, validation, device, dtype)
        callbacks = make_schedule(model, built, settings, len(learning), validation)
        net = make_net(model, built.network, settings, callbacks, device, seed)
        if validation is not None:
            net.set_params(train_split=predefined_split(validation))
        _train(model, built, net, data.classes, learning, train_net)
        if model.calibrate and validation is not None:
            model.temperature_ = find_temperature(
                net.predict_logits(validation.rows),
                validation.classes.numpy(),
                validation.weight.numpy(),
            )


def _stops_early(model: Any, data: TrainingData) -> bool | str:
    """What `early_stopping` means: "auto" leaves a head alone all of its rows.

    With one row in ten of the rarer class, the loss of a validation part follows a few
    rows, and the head went back to epochs in which it knew one class only.
    """
    alone = model.strategy == "feature_extraction" or data.texts is None
    if model.early_stopping == "auto" and alone and not model.calibrate:
        return False
    value: bool | str = model.early_stopping
    return value


def _decay(model: Any) -> float | str:
    """Penalty of a linear head that is solved for."""
    value: float | str = model.l2_sp or model.weight_decay
    return value


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
    count_cores()  # before the first operation
    first = not hasattr(model, "net_")
    check_parameters(model)
    if first and classes is None:
        raise InvalidParameterError(
            "classes must be passed on the first call to partial_fit: name all labels "
            "that will ever come, as in partial_fit(X, y, classes=['neg', 'pos'])."
        )
    known = model.classes_ if classes is None else np.unique(classes)
    if len(known) < 2:
        raise InvalidParameterError(
            f"classes={known.tolist()} names 1 class or none, but 2 or more are needed "
            "to learn a difference: name all labels that will ever come."
        )
    if not first and not np.array_equal(known, model.classes_):
        raise InvalidParameterError(
            f"classes={known.tolist()} is not the same as on last call to partial_fit, "
            f"{model.classes_.tolist()}: pass the same ones, or None."
        )
    data = check_data(model, X, y, sample_weight, known, reset=first)
    refuse_updates(model.strategy, data.texts)
    seed, device = draw_seed(random_state), resolve_device(model.device)
    with private_randomness(seed, device), contextlib.ExitStack() as stack:
        everything = np.arange(len(data.numbers))
        if first:
            built = construct(model, data, everything, seed)
        else:
            built = reopen(model, data, seed)
            stack.enter_context(restored_on_failure(built.network))
        rows = label_rows(built, data, device, resolve_dtype(model.dtype, device))
        # The optimiser's moments live on from call to call, while its parameters stay
        # the same. A full fit leaves none: its rates have fallen to 0.
        options = {name: getattr(model, name) for name in _OF_UPDATES}
        # What somebody adds to either later is new.
        options["callbacks"] = list(model.callbacks or [])
        options["net_params"] = dict(model.net_params or {})
        net = None if first else model.net_
        if net is None or not net.can_go_on(built.network, options):
            settings = settings_for(model, built.network, len(rows))
            callbacks = make_updates(model, built)
            net = make_net(model, built.network, settings, callbacks, device, seed)
        _train(model, built, net, known, rows, _train_all, update=options)


def _train_all(net: TransferNet, rows: LabelledRows) -> None:
    net.partial_fit(rows, None)


def _train(
    model: Any,
    built: Construction,
    net: TransferNet,
    classes: npt.NDArray[Any],
    rows: LabelledRows,
    train: Callable[[TransferNet, LabelledRows], None],
    *,
    update: dict[str, Any] | None = None,
) -> None:
    """Run the net; an interrupt leaves the best so far on `model` and goes on up."""
    if not getattr(net, "initialized_", False):
        net.initialize()
    net.updates_ = update
    if update is not None:
        net.max_epochs = 1
    try:
        train(net, rows)
    finally:
        net.train_split = None  # A fitted model keeps no texts to validate on.
    learnt = built.network.learning_tensors().values()
    if not net.interrupted_ and not all(bool(t.isfinite().all()) for t in learnt):
        # No loss was measured after the last step.
        raise diverged("the last step left parameters that are no numbers")
    if built.network.body is not None:
        built.network.body.merge()
    # Set here, and not by whoever predicts first: others may be about to do the same.
    built.network.eval()
    model.net_ = net
    counts = np.bincount(rows.classes.numpy(), minlength=len(classes))
    before = getattr(model, "class_count_", 0) if update is not None else 0
    model.class_count_ = counts + before
    model.classes_ = classes
    model.encoder_ = built.encoder
    model._input = built.input
    model.history_ = net.history
    parameters = list(built.network.parameters())
    model.n_parameters_ = sum(p.numel() for p in parameters)
    model.n_trainable_parameters_ = sum(
        p.numel() for p in parameters if p.requires_grad
    )
    if update is None or not hasattr(model, "temperature_"):
        model.temperature_ = 1.0
    if net.interrupted_:
        raise KeyboardInterrupt
