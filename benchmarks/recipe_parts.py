"""What a recipe of tuning may have beside the classifier's parameters.

Each is a callback of skorch that works where layers learn, and rests where the head
learns alone. None of them is part of the package.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import nn

from sktransfer.classifier.strategies.contrastive import PairLoss


class InLayers(Callback):
    """A callback that is active in trainings in which layers learn."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin, if layers learn."""
        body = net.module_.body
        self.active = body is not None and body.learns()
        if self.active:
            self.begin(net)

    def begin(self, net: Any) -> None:
        """What is to happen before the first step."""


class Snapshots(InLayers):
    """Keep the start, and the mean of the weights over the last half of the steps."""

    def __init__(self, last: float = 0.5) -> None:
        self.last = last

    def begin(self, net: Any) -> None:
        """Keep the start."""
        self.start = self._now(net)
        self.mean = {name: torch.zeros_like(t) for name, t in self.start.items()}
        self.n_steps, self.n_kept, self.n_all = 0, 0, None

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, **kwargs: Any
    ) -> None:
        """Find the number of steps."""
        if self.active and self.n_all is None:
            an_epoch = math.ceil(len(dataset_train) / net.batch_size)
            self.n_all = net.max_epochs * an_epoch

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Add the weights of a step."""
        if not (self.active and training):
            return
        self.n_steps += 1
        if self.n_steps > (1 - self.last) * self.n_all:
            self.n_kept += 1
            for name, tensor in net.module_.learning_tensors().items():
                self.mean[name].lerp_(tensor, 1 / self.n_kept)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the end."""
        if self.active:
            self.end = self._now(net)

    @staticmethod
    def _now(net: Any) -> dict[str, torch.Tensor]:
        return {n: t.clone() for n, t in net.module_.learning_tensors().items()}


class BodyDropout(InLayers):
    """Another share of dropout in the layers."""

    def __init__(self, p: float) -> None:
        self.p = p

    def begin(self, net: Any) -> None:
        """Set it wherever layers hold one."""
        for module in net.module_.body.modules():
            if isinstance(module, nn.Dropout) or "Dropout" in type(module).__name__:
                module.p = self.p
            for name in ("dropout_prob", "attention_dropout"):
                if isinstance(getattr(module, name, None), float):
                    setattr(module, name, self.p)


class NewTop(InLayers):
    """The highest layer begins anew (Zhang et al. 2021)."""

    def begin(self, net: Any) -> None:
        """Draw its weights as BERT does."""
        for module in net.module_.body.blocks()[-1].modules():
            if isinstance(module, nn.Linear) or hasattr(module, "in_features"):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)


class PairsToo(InLayers):
    """A term of all pairs of the batch beside cross-entropy."""

    def __init__(self, strength: float = 1.0, kind: str = "cosine") -> None:
        self.strength = strength
        self.kind = kind

    def begin(self, net: Any) -> None:
        """Add it to the loss, on the features that the scaler reads."""
        seen: list[torch.Tensor] = []
        scaler = net.module_.scaler

        def keep(module: nn.Module, inputs: Any) -> None:
            seen[:] = [inputs[0]]

        self.hook = scaler.register_forward_pre_hook(keep)
        usual = net.get_loss
        pairs = PairLoss() if self.kind == "cosine" else _supervised_contrast

        def loss(
            y_pred: Any, y_true: Any, X: Any = None, training: bool = False
        ) -> Any:
            found = usual(y_pred, y_true, X, training=training)
            if training and len(y_true.classes) > 1 and seen:
                found = found + self.strength * pairs(seen[0], y_true)
            return found

        net.get_loss = loss

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the network as it was."""
        if self.active:
            self.hook.remove()
            del net.get_loss


def _supervised_contrast(features: torch.Tensor, targets: Any) -> torch.Tensor:
    """Gunel et al. (2021), equation 3, temperature 0.3."""
    directions = nn.functional.normalize(features.float(), dim=1, eps=1e-8)
    scores = directions @ directions.T / 0.3
    alone = torch.eye(len(scores), dtype=torch.bool)
    same = (targets.classes[:, None] == targets.classes) & ~alone
    logs = scores - scores.masked_fill(alone, -math.inf).logsumexp(1, keepdim=True)
    counts = same.sum(1)
    found = -(logs * same).sum(1)[counts > 0] / counts[counts > 0]
    return found.mean() if len(found) else scores.sum() * 0


class TwoPasses(InLayers):
    """R-Drop: two passes under two masks are to agree (Liang et al. 2021)."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def begin(self, net: Any) -> None:
        """Add the second pass and the divergence to the loss."""
        usual = net.get_loss

        def loss(
            y_pred: Any, y_true: Any, X: Any = None, training: bool = False
        ) -> Any:
            found = usual(y_pred, y_true, X, training=training)
            if not training:
                return found
            again = net.infer(X)
            first, second = (_log_shares(logits) for logits in (y_pred, again))
            there = (first.exp() * (first - second)).sum(1)
            back = (second.exp() * (second - first)).sum(1)
            found = (found + usual(again, y_true, X, training=True)) / 2
            return found + self.strength * (there + back).mean() / 2

        net.get_loss = loss

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Leave the net as it was."""
        if self.active:
            del net.get_loss


def _log_shares(logits: torch.Tensor) -> torch.Tensor:
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits.log_softmax(1)
