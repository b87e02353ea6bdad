"""Body -> scaler -> head: one torch module for every strategy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.heads import FeatureScaler, apply_head, build_head

__all__ = [
    "HeadLayout",
    "TransferNetwork",
    "average_by_text",
    "restored_on_failure",
    "set_resting_parts",
]


@dataclass(frozen=True)
class HeadLayout:
    """What has to agree between two heads for one to take the other's parameters.

    Attributes
    ----------
    n_features : int
        Width of the features that the head reads.
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    n_outputs : int
        Logits: 1 for two classes, else one a class.
    activation : str
        What follows each hidden layer.
    dropout : float
        Share of silenced units in training.
    """

    n_features: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    activation: str
    dropout: float


def average_by_text(
    values: torch.Tensor, text_of_row: torch.Tensor | None
) -> torch.Tensor:
    """Mean over the windows of each text.

    Parameters
    ----------
    values : torch.Tensor of shape (n_windows, k)
        Logits or features.
    text_of_row : torch.Tensor of shape (n_windows,) or None
        Which text each window belongs to, ascending from 0; None is one window each.

    Returns
    -------
    means : torch.Tensor of shape (n, k)
    """
    if text_of_row is None:
        return values
    n_texts = int(text_of_row[-1]) + 1
    total = values.new_zeros(n_texts, values.shape[1])
    total = total.index_add(0, text_of_row, values)
    return total / torch.bincount(text_of_row, minlength=n_texts)[:, None]


class TransferNetwork(nn.Module):
    """An encoder's body, where one is trained or was, under a scaler and a head.

    Parameters
    ----------
    layout : HeadLayout
        Shape of the head.
    body : Body or None, default=None
        Maps tokens to features; without one the network reads features.

    Attributes
    ----------
    frozen_parts : list of torch.nn.Module
        Parts without a learning parameter; they stay in evaluation mode, so that their
        dropout does not blur what they pass on.
    """

    def __init__(self, layout: HeadLayout, body: Body | None = None) -> None:
        super().__init__()
        self.layout = layout
        self.body = body
        self.scaler = FeatureScaler(layout.n_features)
        self.head = build_head(
            layout.n_features,
            layout.hidden_layer_sizes,
            layout.n_outputs,
            activation=layout.activation,
            dropout=layout.dropout,
        )
        self.frozen_parts: list[nn.Module] = []

    def forward(
        self,
        features: torch.Tensor | None = None,
        text_of_row: torch.Tensor | None = None,
        **tokens: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (n, k) of features (n, w), or of the body's inputs.

        Parameters
        ----------
        features : torch.Tensor of shape (n, w) or None
            Given where the body is absent, or frozen and already applied.
        text_of_row : torch.Tensor of shape (n_windows,) or None
            Which text each window belongs to, numbered from 0; the logits of a text's
            windows are averaged.
        **tokens : torch.Tensor
            What the body reads.

        Returns
        -------
        logits : torch.Tensor of shape (n, k), float32
        """
        if features is None:
            assert self.body is not None
            features = self.body(**tokens)
        # Half precision is for the body: the head would gain nothing, and its logits
        # would keep three digits.
        with torch.autocast(features.device.type, enabled=False):
            logits: torch.Tensor = self.head(self.scaler(features))
        return average_by_text(logits, text_of_row)

    def decision(self) -> Callable[..., torch.Tensor]:
        """Return what scaler and head do in evaluation mode, as a function.

        It only reads their tensors, in whatever mode and precision they are, so that
        threads can call it while others use the network.

        Returns
        -------
        decide : callable
            From `features` and `text_of_row`, as in `forward`, to logits (n, k) in the
            features' number format and on their device. Gradients flow to the features.
        """
        tensors, layout = self.own_tensors(), self.layout

        def decide(
            features: torch.Tensor, text_of_row: torch.Tensor | None = None
        ) -> torch.Tensor:
            n_hidden = len(layout.hidden_layer_sizes)
            logits = apply_head(tensors, features, n_hidden, layout.activation)
            return average_by_text(logits, text_of_row)

        return decide

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for the frozen parts."""
        super().train(mode)
        for part in self.frozen_parts:
            part.eval()
        return self

    def is_linear(self) -> bool:
        """Whether all that learns is one linear layer, which can be solved for."""
        rests = self.body is None or not self.body.learns()
        return rests and not self.layout.hidden_layer_sizes

    def set_output_bias(self, biases: npt.NDArray[np.floating]) -> None:
        """Set the biases (k,) of the last layer."""
        output = self.head.get_submodule("output")
        with torch.no_grad():
            output.bias.copy_(torch.from_numpy(biases))  # type: ignore[operator]

    def own_tensors(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of scaler and head, by name."""
        parts = {"scaler": self.scaler, "head": self.head}
        return {
            f"{part}.{name}": tensor
            for part, module in parts.items()
            for name, tensor in module.state_dict().items()
        }

    def learning_tensors(self) -> dict[str, torch.Tensor]:
        """Parameters that a step of training changes, by name."""
        return {
            name: parameter.data
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        }

    # A pickle holds the head, and of the body what differs from its checkpoint; as
    # numpy arrays, so that a network that learnt on a GPU opens on any machine.
    def __getstate__(self) -> dict[str, Any]:
        return {
            "layout": asdict(self.layout),
            "body": self.body,
            "tensors": {
                name: tensor.detach().cpu().numpy()
                for name, tensor in self.own_tensors().items()
            },
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Building draws initial weights, only to be overwritten; the caller's stream
        # of random numbers must not notice.
        with torch.random.fork_rng(devices=[]):
            TransferNetwork.__init__(self, HeadLayout(**state["layout"]), state["body"])
        tensors = {
            name: torch.from_numpy(np.array(array))
            for name, array in state["tensors"].items()
        }
        self.load_state_dict(tensors, strict=False)
        self.eval()


@contextlib.contextmanager
def restored_on_failure(network: TransferNetwork) -> Iterator[None]:
    """Give a network back what it had learnt before if training fails in any way.

    Parameters
    ----------
    network : TransferNetwork
        With a strategy applied.

    Yields
    ------
    None
        While it is trained in place.
    """
    kept = {name: tensor.clone() for name, tensor in network.learning_tensors().items()}
    try:
        yield
    except Exception:
        own = dict(network.named_parameters())
        for name, tensor in kept.items():
            own[name].data.copy_(tensor)
        if network.body is not None:
            network.body.merge()
        raise


def set_resting_parts(network: TransferNetwork) -> None:
    """Keep the parts of the body in evaluation mode in which nothing learns.

    Parameters
    ----------
    network : TransferNetwork
        Its `frozen_parts` are set anew.
    """
    assert network.body is not None
    network.frozen_parts = [
        module
        for module in network.body.modules()
        if any(True for _ in module.parameters())
        and not any(parameter.requires_grad for parameter in module.parameters())
    ]
