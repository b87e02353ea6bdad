"""Body -> scaler -> head: one torch module for every strategy.

What the head decides becomes probabilities, by one temperature where they are
calibrated.

Shape letters of this folder: n texts in a batch, t tokens, w width of the features,
k outputs (1 for two classes, else one a class).
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from torch import nn

from sktransfer.classifier.network.body import Body

__all__ = [
    "ACTIVATIONS",
    "USUAL_HEAD",
    "FeatureScaler",
    "HeadLayout",
    "TransferNetwork",
    "apply_head",
    "average_by_text",
    "build_head",
    "choose_classes",
    "find_temperature",
    "log_odds",
    "measure_scale",
    "restored_on_failure",
    "set_resting_parts",
    "to_log_probabilities",
    "to_probabilities",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}

#: Hidden units above features that do not learn.
USUAL_HEAD = (64, 32)


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


def build_head(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.2,
    device: str = "cpu",
) -> nn.Sequential:
    """Fully connected layers from features (n, w) to logits (n, k).

    Each hidden layer is followed by the activation and by dropout; the one next to the
    features comes first. Without hidden layers the head is linear and starts at zero,
    as logistic regression does: its loss is convex, so a random start would only add
    noise. Parts are named, so that saved parameters are too.

    >>> from sktransfer.classifier.network.network import build_head
    >>> [name for name, _ in build_head(384, (64,), 1).named_children()]
    ['hidden_1', 'activation_1', 'dropout_1', 'output']
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = n_features
    # Said here, as torch's own format may be another for a while, in all threads.
    kind: dict[str, Any] = {"device": device, "dtype": torch.float32}
    for depth, size in enumerate(hidden_layer_sizes, start=1):
        layers[f"hidden_{depth}"] = nn.Linear(width, size, **kind)
        layers[f"activation_{depth}"] = ACTIVATIONS[activation]()
        layers[f"dropout_{depth}"] = nn.Dropout(dropout)
        width = size
    layers["output"] = nn.Linear(width, n_outputs, **kind)
    if not hidden_layer_sizes:
        nn.init.zeros_(layers["output"].weight)  # type: ignore[arg-type]
        nn.init.zeros_(layers["output"].bias)  # type: ignore[arg-type]
    return nn.Sequential(layers)


class FeatureScaler(nn.Module):
    """Subtract a mean vector and divide by one number, both kept with the network.

    One number for all features leaves their relative lengths alone, which carry signal.
    Both are measured on the first training data and never again: a target domain with
    other class shares would shift them and with them every decision. Until `mean` and
    `scale` are set, nothing is changed.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float32))
        self.register_buffer("scale", torch.ones((), dtype=torch.float32))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scaled features (n, w) of features (n, w)."""
        return (features - self.mean) / self.scale


def apply_head(
    tensors: Mapping[str, torch.Tensor],
    features: torch.Tensor,
    n_hidden: int,
    activation: str,
) -> torch.Tensor:
    """Logits (n, k) of a scaler and a head, as a function of nothing but their tensors.

    It is what both modules give in evaluation mode; but they belong to everyone who
    uses the model, and here nobody has to set a mode or another precision in them. The
    `tensors` have the names that they have in a `TransferNetwork`; number format and
    device of the features (n, w), to which gradients flow, become theirs.
    """
    own = {name: tensor.to(features) for name, tensor in tensors.items()}

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, own[f"head.{name}.weight"], own[f"head.{name}.bias"])

    activate = ACTIVATIONS[activation]()
    # In place: what a wide matrix costs most is new memory.
    x = (features - own["scaler.mean"]).div_(own["scaler.scale"])
    for depth in range(1, n_hidden + 1):
        x = activate(linear(f"hidden_{depth}", x))
    return linear("output", x)


def average_by_text(
    values: torch.Tensor, text_of_row: torch.Tensor | None
) -> torch.Tensor:
    """Mean (n, k) over the windows of each text, of logits or features (n_windows, k).

    `text_of_row` says which text each window belongs to, ascending from 0; None is one
    window each.
    """
    if text_of_row is None:
        return values
    n_texts = int(text_of_row[-1]) + 1
    total = values.new_zeros(n_texts, values.shape[1])
    total = total.index_add(0, text_of_row, values)
    return total / torch.bincount(text_of_row, minlength=n_texts)[:, None]


class TransferNetwork(nn.Module):
    """An encoder's body, where one is trained or was, under a scaler and a head.

    Without a body the network reads features.

    Attributes
    ----------
    frozen_parts : list of torch.nn.Module
        Parts without a learning parameter; they stay in evaluation mode, so that their
        dropout does not blur what they pass on.
    """

    def __init__(
        self, layout: HeadLayout, body: Body | None = None, *, device: str = "cpu"
    ) -> None:
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
            device=device,
        )
        self.frozen_parts: list[nn.Module] = []

    def forward(
        self,
        features: torch.Tensor | None = None,
        text_of_row: torch.Tensor | None = None,
        **tokens: torch.Tensor,
    ) -> torch.Tensor:
        """Logits (n, k) in float32 of features (n, w), or of the body's inputs.

        Features are given where the body is absent, or frozen and already applied. The
        logits of a text's windows are averaged, see `average_by_text`.
        """
        if features is None:
            return average_by_text(self.encode_and_decide(**tokens)[1], text_of_row)
        return average_by_text(self._decide(features), text_of_row)

    def encode_and_decide(
        self, **tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, w) and logits (n, k) of the body's inputs, one row a window."""
        assert self.body is not None
        features = self.body(**tokens)
        return features, self._decide(features)

    def _decide(self, features: torch.Tensor) -> torch.Tensor:
        # Half precision is for the body: the head would gain nothing, and its logits
        # would keep three digits.
        with torch.autocast(features.device.type, enabled=False):
            logits: torch.Tensor = self.head(self.scaler(features))
        return logits

    def decision(self) -> Callable[..., torch.Tensor]:
        """Return what scaler and head do in evaluation mode, as a function.

        It goes from `features` and `text_of_row`, as in `forward`, to logits (n, k) in
        the features' number format and on their device; gradients flow to the features.
        It only reads tensors, in whatever mode and precision they are, so that threads
        can call it while others use the network.
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

    @property
    def output(self) -> nn.Linear:
        """The last layer of the head."""
        layer = self.head.get_submodule("output")
        assert isinstance(layer, nn.Linear)
        return layer

    def is_linear(self) -> bool:
        """Whether all that learns is one linear layer, which can be solved for."""
        rests = self.body is None or not self.body.learns()
        return rests and not self.layout.hidden_layer_sizes

    def set_dropout(self, share: float) -> None:
        """Silence this share of hidden units from the next training on."""
        self.layout = replace(self.layout, dropout=share)
        for part in self.head.modules():
            if isinstance(part, nn.Dropout):
                part.p = share

    def set_scale(
        self,
        features: npt.NDArray[np.float32] | sparse.csr_array,
        weight: npt.NDArray[np.float64] | None,
    ) -> None:
        """Measure the scale on features (n, w) of rows with weights (n,)."""
        mean, scale = measure_scale(features, weight)
        self.scaler.mean.copy_(torch.from_numpy(mean))
        self.scaler.scale.fill_(float(scale))

    def set_output_bias(self, biases: npt.NDArray[np.floating]) -> None:
        """Set the biases (k,) of the last layer."""
        with torch.no_grad():
            self.output.bias.copy_(torch.from_numpy(biases))

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

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load parameters, as torch does; the body takes those that differ.

        What is loaded has adapters beside the weights, as `state_dict` gives them.
        """
        part = {k: v for k, v in state_dict.items() if k.startswith("body.")}
        if self.body is None or not part:
            return super().load_state_dict(state_dict, strict, assign)
        if strict and (wrong := set(state_dict) ^ set(self.state_dict())):
            raise RuntimeError(
                f"the parameters to load are not this network's: {sorted(wrong)[:5]} "
                "are in one of both alone, so load what was saved from a network of "
                "the same structure."
            )
        self.body.take_state({k.removeprefix("body."): v for k, v in part.items()})
        rest = {k: v for k, v in state_dict.items() if k not in part}
        return super().load_state_dict(rest, strict=False, assign=assign)

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
        # Without memory no initial weights are drawn: torch's generator belongs to all
        # threads, and one of them may be training.
        layout = HeadLayout(**state["layout"])
        TransferNetwork.__init__(self, layout, state["body"], device="meta")
        tensors = {
            name: torch.from_numpy(np.array(array, dtype=np.float32))
            for name, array in state["tensors"].items()
        }
        self.load_state_dict(tensors, strict=False, assign=True)
        self.eval()


@contextlib.contextmanager
def restored_on_failure(network: TransferNetwork) -> Iterator[None]:
    """Give a network back what it had learnt before if its training fails in any way.

    What learns has to be marked already.
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
    """Keep the parts of the body in evaluation mode in which nothing learns."""
    assert network.body is not None
    network.frozen_parts = [
        module
        for module in network.body.modules()
        if any(True for _ in module.parameters())
        and not any(parameter.requires_grad for parameter in module.parameters())
    ]


def log_odds(
    classes: npt.NDArray[np.integer],
    weight: npt.NDArray[np.floating] | None,
    n_outputs: int,
    label_smoothing: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Biases of the last layer under which a head without features does best.

    A bias that starts at zero takes longer than a training to get there, and until then
    the weights learn how rare a class is instead of what its texts have in common.

    They are the log-odds of the second of two classes, or the log share of each class,
    of rows with class numbers (n,) and weights (n,). A class without rows, as there may
    be in ``partial_fit``, counts as half a row.

    >>> import numpy as np
    >>> from sktransfer.classifier.network.network import log_odds
    >>> log_odds(np.array([0, 0, 0, 1]), None, n_outputs=1).round(4)
    array([-1.0986])
    """
    totals = np.bincount(classes, weights=weight, minlength=max(2, n_outputs))
    totals = np.where(totals > 0, totals, 0.5)
    shares = totals / totals.sum()
    logs = np.log((1 - label_smoothing) * shares + label_smoothing / len(shares))
    return np.asarray(logs[1:] - logs[:1] if n_outputs == 1 else logs)


def measure_scale(
    features: npt.NDArray[np.float32] | sparse.csr_array,
    sample_weight: npt.NDArray[np.float64] | None = None,
) -> tuple[npt.NDArray[np.float32], np.float32]:
    """Mean vector (w,) and one scale of training features (n, w).

    Dense features are centred, and their scale is the root of the mean variance. Sparse
    ones are not centred, which would fill them: their mean is zeros, their scale the
    root mean square of the entries that are not zero. The scale is 1 where all features
    are constant. A row of weight 2 counts like two rows.
    """
    weight = np.ones(features.shape[0]) if sample_weight is None else sample_weight
    if sparse.issparse(features):
        rows = sparse.csr_array(features)
        entry_weight = np.repeat(weight, np.diff(rows.indptr)) * (rows.data != 0)
        squares = entry_weight @ rows.data.astype(np.float64) ** 2
        mean = np.zeros(rows.shape[1], np.float32)
        variance = squares / max(entry_weight.sum(), np.finfo(float).tiny)
    else:
        exact = np.average(features, axis=0, weights=weight)
        mean = exact.astype(np.float32)
        deviations = np.mean(np.square(features - exact), axis=1)
        variance = np.average(deviations, weights=weight)
    scale = np.sqrt(variance).astype(np.float32)
    tiny = np.finfo(np.float32).tiny
    return mean, scale if scale > tiny else np.float32(1.0)


def to_probabilities(
    logits: npt.NDArray[np.floating], temperature: float = 1.0
) -> npt.NDArray[np.float64]:
    """Probabilities (n, n_classes) of logits (n, k), divided by a temperature first.

    One column of logits stands for the second of two classes.

    >>> import numpy as np
    >>> from sktransfer.classifier.network.network import to_probabilities
    >>> to_probabilities(np.array([[0.0]]))
    array([[0.5, 0.5]])
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] > 1:
        return np.asarray(softmax(scaled, axis=1))
    return np.column_stack([expit(-scaled[:, 0]), expit(scaled[:, 0])])


def to_log_probabilities(
    logits: npt.NDArray[np.floating], temperature: float = 1.0
) -> npt.NDArray[np.float64]:
    """Logarithms of `to_probabilities`, also where these are too small for a float."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] > 1:
        return np.asarray(log_softmax(scaled, axis=1))
    return np.column_stack([log_expit(-scaled[:, 0]), log_expit(scaled[:, 0])])


def choose_classes(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Number (n,) of the class that logits (n, k) are highest for.

    >>> import numpy as np
    >>> from sktransfer.classifier.network.network import choose_classes
    >>> choose_classes(np.array([[0.3], [-0.2]]))
    array([1, 0])
    """
    one = logits.shape[1] == 1
    chosen = logits[:, 0] > 0 if one else logits.argmax(axis=1)
    return np.asarray(chosen, dtype=np.int64)


def find_temperature(
    logits: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    weight: npt.NDArray[np.floating],
) -> float:
    """Temperature from 0.05 to 20 that minimises the loss on rows not learnt from.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. No
    decision changes, as dividing all logits (n, k) by one number keeps their order.
    `classes` (n,) are numbers, `weight` (n,) is that of the rows.
    """
    both = np.asarray(logits, dtype=np.float64)
    if both.shape[1] == 1:
        both = np.column_stack([np.zeros(len(both)), both])

    def loss(log_temperature: float) -> float:
        scaled = both / np.exp(log_temperature)
        chosen = scaled[np.arange(len(scaled)), classes]
        return float(np.average(logsumexp(scaled, axis=1) - chosen, weights=weight))

    bounds = (np.log(0.05), np.log(20.0))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
