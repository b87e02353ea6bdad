"""What is decided before a training: its rates and lengths, its callbacks, its net.

What "auto" stands for comes from trials with MiniLM and multilingual E5 on 32 to 500
texts, and with 50-wide GloVe on 300; beyond that the table extrapolates. A head on
narrow features learns at a rate raised in proportion, up to five times: each of its
weights has to grow more. With 50-wide features the usual rate stopped 6 points short of
a logistic regression.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from skorch.callbacks import GradientNormClipping, LRScheduler
from torch.optim.lr_scheduler import LambdaLR

from sktransfer.classifier.data.rows import LabelledRows
from sktransfer.classifier.network.build import Built
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.training.callbacks import (
    BestEpoch,
    DecayTowards,
    ProgressOfSteps,
)
from sktransfer.classifier.training.given_callbacks import (
    NamedCallback,
    names_set,
    usable,
    waits,
)
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.predicting import Reader
from sktransfer.encoders.compute.devices import resolve_dtype
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import show

__all__ = [
    "FROZEN",
    "MANY_A_CLASS",
    "PLENTY_A_CLASS",
    "TUNED",
    "TUNED_BY_FEW",
    "TUNED_BY_PLENTY",
    "WORDS",
    "Defaults",
    "RatesByStep",
    "Settings",
    "WarmupDecay",
    "initialize_net",
    "make_net",
    "make_schedule",
    "make_updates",
    "resolve_settings",
]


@dataclass(frozen=True)
class Defaults:
    """One column of the table.

    Attributes
    ----------
    encoder_learning_rate, head_learning_rate : float
        Peak rates of AdamW.
    min_steps, min_epochs : int
        Training lasts for the longer of the two.
    batch_size : int
        Rows a step.
    kept : float
        Share of their change that layers keep in the end, in (0, 1].
    strength : float
        Of a linear head that is solved for on layers that have learnt: what C is to
        scikit-learn's LogisticRegression on features of length 1 on average.
    """

    encoder_learning_rate: float
    head_learning_rate: float
    min_steps: int
    min_epochs: int
    batch_size: int
    kept: float = 1.0
    strength: float = 1.0

    def at_size(self, n_layers: int, width: int) -> Defaults:
        """Return the same with a rate for a transformer of another size.

        The deeper and the wider, the smaller the steps have to be. Of 12 layers of 384,
        which learn at half of the rate of 6, this was measured; beyond it extrapolates,
        to 2.5e-5 for BERT's base size, which is within what its authors advise. Larger
        ones keep three quarters of their change at most (benchmarks/recipes.md).
        """
        larger = max(1.0, n_layers / 6) * max(1.0, width / 384)
        rate = self.encoder_learning_rate / larger
        kept = self.kept if larger == 1 else min(0.75, self.kept)
        return replace(self, encoder_learning_rate=rate, kept=kept)


FROZEN = Defaults(0.0, 1e-3, min_steps=200, min_epochs=10, batch_size=32)
TUNED = Defaults(1e-4, 1e-3, min_steps=100, min_epochs=3, batch_size=16, kept=0.75)
# From `PLENTY_A_CLASS` rows a class on average.
TUNED_BY_PLENTY = replace(TUNED, strength=0.3)
PLENTY_A_CLASS = 100
# For less than `MANY_A_CLASS` rows a class on average.
TUNED_BY_FEW = Defaults(1e-4, 1e-3, 40, 3, batch_size=16, kept=0.5, strength=10.0)
MANY_A_CLASS = 32
WORDS = Defaults(5e-3, 1e-3, min_steps=200, min_epochs=10, batch_size=32)

# Rates of the head are those of features this wide, or wider.
_USUAL_WIDTH = 384
_MOST_FOR_NARROW = 5.0


@dataclass(frozen=True)
class Settings:
    """The numbers that one training uses, "auto" resolved.

    Attributes
    ----------
    encoder_learning_rate, head_learning_rate : float
        Peak rates.
    max_epochs : int
        Passes over the training rows.
    batch_size : int
        Rows a step.
    weight_decay : float
        Decoupled weight decay of AdamW, not on biases and norms.
    kept, strength : float
        As in `Defaults`.
    """

    encoder_learning_rate: float
    head_learning_rate: float
    max_epochs: int
    batch_size: int
    weight_decay: float
    kept: float = 1.0
    strength: float = 1.0

    @classmethod
    def resolve(
        cls,
        auto: Defaults,
        n_rows: int,
        width: int,
        *,
        n_stages: int = 0,
        encoder_learning_rate: float | str = "auto",
        head_learning_rate: float | str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        weight_decay: float | str = "auto",
    ) -> Settings:
        """Settings for `n_rows` rows of `width` features; what is no "auto" stays.

        `n_stages` are epochs in which layers still rest, where they join one by one;
        `min_epochs` come after them, so that the last to join have their share.

        >>> from sktransfer.classifier.training.settings import TUNED, Settings
        >>> Settings.resolve(TUNED, n_rows=300, width=384).max_epochs
        6
        """
        raised = min(max(1.0, _USUAL_WIDTH / width), _MOST_FOR_NARROW)
        size = auto.batch_size if batch_size == "auto" else int(batch_size)
        steps_an_epoch = math.ceil(n_rows / size)
        epochs = max(
            n_stages + auto.min_epochs, math.ceil(auto.min_steps / steps_an_epoch)
        )

        def number(value: float | str, automatic: float) -> float:
            return automatic if value == "auto" else float(value)

        return cls(
            number(encoder_learning_rate, auto.encoder_learning_rate),
            number(head_learning_rate, auto.head_learning_rate * raised),
            epochs if max_epochs == "auto" else int(max_epochs),
            size,
            number(weight_decay, 0.01),
            auto.kept,
            auto.strength,
        )


def resolve_settings(
    options: FitOptions,
    auto: Defaults,
    network: TransferNetwork,
    n_rows: int,
    *,
    n_stages: int = 0,
    instead: Mapping[str, float | str] | None = None,
) -> Settings:
    """Settings from the classifier's parameters, or from what is given `instead`."""
    given: dict[str, Any] = {
        "encoder_learning_rate": options.encoder_learning_rate,
        "head_learning_rate": options.head_learning_rate,
        "max_epochs": options.max_epochs,
        "batch_size": options.batch_size,
        "weight_decay": options.weight_decay,
    }
    width = network.layout.n_features
    given |= instead or {}
    return Settings.resolve(auto, n_rows, width, n_stages=n_stages, **given)


class WarmupDecay:
    """Factor on the learning rates: up from 0 over a warm-up, then linearly to 0.

    It is 0 before step `joins` of the `n_steps` of the whole training.
    `warmup_fraction` is a share of those from there on. Once it is warm, the factor
    stays 1 up to step `decays_from`.
    """

    def __init__(
        self,
        n_steps: int,
        warmup_fraction: float,
        *,
        joins: int = 0,
        decays_from: int = 0,
    ) -> None:
        self.n_steps = n_steps
        self.joins = joins
        self.n_warmup = math.ceil(warmup_fraction * max(0, n_steps - joins))
        self.n_flat = max(decays_from, joins + self.n_warmup)

    def __call__(self, step: int) -> float:
        """Factor in [0, 1] of step number `step`, counted from 0."""
        if step < self.joins:
            return 0.0
        if step < self.joins + self.n_warmup:
            return (step - self.joins + 1) / self.n_warmup
        if step < self.n_flat:
            return 1.0
        return max(0.0, (self.n_steps - step) / max(1, self.n_steps - self.n_flat))


class RatesByStep(LambdaLR):
    """Rates by step of groups that join one epoch after the other.

    Each group warms up from the step on which it joins. The rates fall from when all
    have joined, so that the layers that come last learn at full rate too. The
    optimiser's groups say by "joins" in which epoch they do; mostly all in the first.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        n_steps: int,
        steps_an_epoch: int,
        warmup_fraction: float,
        last_epoch: int = -1,
    ) -> None:
        joins = [group["joins"] * steps_an_epoch for group in optimizer.param_groups]
        last = max((step for step in joins if step < n_steps), default=0)
        flat = last + math.ceil(warmup_fraction * (n_steps - last))
        factors: list[Callable[[int], float]] = [
            WarmupDecay(n_steps, warmup_fraction, joins=step, decays_from=flat)
            for step in joins
        ]
        super().__init__(optimizer, factors, last_epoch)


def make_schedule(
    options: FitOptions,
    built: Built,
    settings: Settings,
    n_rows: int,
    validation: LabelledRows | None,
    *,
    more: Iterable[NamedCallback] = (),
    is_last: bool = True,
) -> list[NamedCallback]:
    """Callbacks of a full fit: rates by step, progress, early stopping, the user's.

    `more` are those of a strategy. Unless `is_last`, another training of this fit
    follows, in which rows are validated on.
    """
    theirs = usable(options.callbacks)
    theirs = [one for one in theirs if is_last or not waits(one)]
    if built.network.is_linear():
        return theirs  # There are no steps, as the head is solved for.
    steps_an_epoch = math.ceil(n_rows / settings.batch_size)
    n_steps = settings.max_epochs * steps_an_epoch
    callbacks: list[NamedCallback] = []
    # The schedule has to come after whatever changes the optimiser's groups.
    if options.l2_sp:
        pull = DecayTowards(built.carried, options.l2_sp, built.references)
        callbacks.append(("l2_sp", pull))
    callbacks += more
    rates = LRScheduler(
        RatesByStep,
        n_steps=n_steps,
        steps_an_epoch=steps_an_epoch,
        warmup_fraction=options.warmup_fraction,
        step_every="batch",
        event_name=None,
    )
    callbacks.append(("rates", rates))
    if validation is not None and options.early_stopping:
        callbacks.append(("best_epoch", BestEpoch(options.n_iter_no_change)))
    if options.verbose == 1:
        callbacks.append(("progress", ProgressOfSteps(n_steps, options.strategy)))
    return callbacks + theirs


def make_updates(options: FitOptions, built: Built) -> list[NamedCallback]:
    """Callbacks of a net for ``partial_fit``, which trains as often as it is called."""
    callbacks: list[NamedCallback] = []
    if options.l2_sp:
        tensors = built.network.learning_tensors()
        # A later call must not take where it begins for where the source was.
        held = {n: t.clone() for n, t in tensors.items() if n in built.carried}
        pull = DecayTowards(built.carried, options.l2_sp, held | built.references)
        callbacks.append(("l2_sp", pull))
    return callbacks + usable(options.callbacks)


def make_net(
    options: FitOptions,
    network: TransferNetwork,
    settings: Settings,
    callbacks: list[NamedCallback],
    seed: int,
    device: torch.device,
    *,
    one_by_one: bool = False,
    kind: type[TransferNet] = TransferNet,
    reader: Reader | None = None,
) -> TransferNet:
    """Net that trains `network`, not initialised; `seed` orders the rows.

    `callbacks` join those of every net. `one_by_one` has layers join an epoch each.
    With a `reader` the net answers for raw X.
    """
    clipping = []
    if options.max_grad_norm is not None:
        clipping = [("clipping", GradientNormClipping(options.max_grad_norm))]
    parameters: dict[str, Any] = {
        "rates": {
            "encoder_learning_rate": settings.encoder_learning_rate,
            "head_learning_rate": settings.head_learning_rate,
            "weight_decay": settings.weight_decay,
            "layer_decay": options.layer_decay,
            "one_by_one": one_by_one,
        },
        "criterion__label_smoothing": options.label_smoothing,
        "autocast_dtype": resolve_dtype(options.dtype, device),
        "shuffle_seed": seed,
        "max_epochs": settings.max_epochs,
        "batch_size": settings.batch_size,
        "callbacks": [*clipping, *callbacks],
        "train_split": None,
        "reader": reader,
        "device": str(device),
        # skorch's table has a line an epoch; 1 is our progress bar.
        "verbose": max(0, int(options.verbose) - 1),
    }
    with _blaming(options.net_params):
        return kind(network, **(parameters | (options.net_params or {})))


def initialize_net(net: TransferNet, options: FitOptions) -> None:
    """Make a net's optimizer and callbacks, by names that the user may have given."""
    with _blaming(options.net_params):
        net.initialize()
    body = net.module_.body
    if body is not None:
        body.may_change(names_set(net))


@contextlib.contextmanager
def _blaming(given: dict[str, Any] | None) -> Iterator[None]:
    """Say that what skorch refuses is in net_params, where there are some."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not given:
            raise
        raise InvalidParameterError(
            f"net_params={show(given)} cannot be used ({error}): names of parameters "
            "of skorch.NeuralNet are expected."
        ) from error
