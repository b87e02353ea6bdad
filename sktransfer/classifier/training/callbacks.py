"""What happens between the batches: the best epoch, decay to a source, progress."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping
from skorch.history import History
from tqdm.auto import tqdm

from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.exceptions import TrainingError

__all__ = [
    "BestEpoch",
    "DecayTowards",
    "Net",
    "ProgressOfSteps",
    "StopTraining",
    "diverged",
    "was_early_stopping",
]


class Net(Protocol):
    """What callbacks read and change of skorch's net."""

    module_: TransferNetwork
    optimizer_: torch.optim.Optimizer
    history: History
    max_epochs: int


class StopTraining(Exception):
    """Early stopping has decided that this epoch was the last."""


def was_early_stopping(error: BaseException) -> bool:
    """Whether it is skorch's ``EarlyStopping`` that has raised a KeyboardInterrupt."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].f_code is EarlyStopping.on_epoch_end.__code__


def diverged(what: str) -> TrainingError:
    """Error of a training in which a number has become NaN or infinity."""
    return TrainingError(
        f"{what}, so training cannot go on: lower encoder_learning_rate and "
        "head_learning_rate, use dtype='float32', or look for extreme values in X."
    )


class BestEpoch(Callback):
    """Stop when valid_loss no longer falls, and return to the epoch of its minimum.

    It stops after `patience` epochs without a better one; None never stops. Only what
    learns is kept aside, not the frozen weights.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Forget earlier trainings."""
        self.best_loss_ = np.inf
        self.best_epoch_ = 0
        # Callbacks may freeze some of it and let it learn again.
        self.names_ = set(net.module_.learning_tensors())
        self.best_tensors_: dict[str, torch.Tensor] = {}

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Keep this epoch's parameters if they are the best so far."""
        loss = net.history[-1].get("valid_loss")
        if loss is None:  # who trains the net on has nothing to validate on
            return
        epoch = len(net.history)
        better = loss < self.best_loss_
        net.history.record("valid_loss_best", bool(better))
        if better:
            self.best_loss_, self.best_epoch_ = loss, epoch
            self.best_tensors_ = {
                name: parameter.data.clone()
                for name, parameter in net.module_.named_parameters()
                if name in self.names_
            }
        elif self.patience is not None and epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Go back to the best epoch's parameters."""
        own = dict(net.module_.named_parameters())
        for name, tensor in self.best_tensors_.items():
            own[name].data.copy_(tensor)
        self.best_tensors_ = {}


class DecayTowards(Callback):
    """Decay parameters towards where they started, in place of towards zero.

    Each step moves a parameter by ``-rate * strength * (parameter - reference)`` before
    the gradient does, as AdamW's decoupled decay does with a reference of zero (Li,
    Grandvalet and Davoine 2018, "Explicit Inductive Bias for Transfer Learning with
    Convolutional Networks", the L2-SP penalty).

    `names` are those of the parameters that start as the source's; others decay as
    usual. `references` are the source's where training starts elsewhere.
    """

    def __init__(
        self,
        names: Iterable[str],
        strength: float,
        references: dict[str, torch.Tensor] | None = None,
    ) -> None:
        self.names = set(names)
        self.strength = strength
        self.references = references or {}

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Pair parameters with their references and spare them the usual decay."""
        names = {id(p): name for name, p in net.module_.named_parameters()}
        self.pairs_ = []
        for group in list(net.optimizer_.param_groups):
            pulled = [p for p in group["params"] if names[id(p)] in self.names]
            if not pulled:
                continue
            held = {id(p) for p in pulled}
            rest = [p for p in group["params"] if id(p) not in held]
            group["params"] = pulled
            if rest:
                others = {k: v for k, v in group.items() if k != "params"}
                net.optimizer_.add_param_group({"params": rest, **others})
            group["weight_decay"] = 0.0
            starts = [
                self.references.get(names[id(p)], p)
                .detach()
                .to(p.device, p.dtype, copy=True)
                for p in pulled
            ]
            self.pairs_.append((group, pulled, starts))

    def on_grad_computed(self, net: Net, *args: Any, **kwargs: Any) -> None:
        """Pull before the optimiser's step."""
        with torch.no_grad():
            for group, parameters, references in self.pairs_:
                # A pull beyond the reference would swing to and fro, ever wider.
                pull = min(1.0, group["lr"] * self.strength)
                torch._foreach_lerp_(parameters, references, pull)

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Let go of the references."""
        self.pairs_ = []


class ProgressOfSteps(Callback):
    """A bar over the steps of the whole training, with a label before it."""

    def __init__(self, n_steps: int, label: str) -> None:
        self.n_steps = n_steps
        self.label = label

    def on_train_begin(self, net: Net, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=self.n_steps, desc=self.label, unit="step")

    def on_batch_end(self, net: Net, training: bool = False, **kwargs: Any) -> None:
        """Move on by one training step."""
        if training:
            self.bar_.update()

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Show the losses beside the bar."""
        shown = {k: net.history[-1].get(k) for k in ("train_loss", "valid_loss")}
        self.bar_.set_postfix(
            {k: f"{v:.3f}" for k, v in shown.items() if v is not None}
        )

    def on_train_end(self, net: Net, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()
