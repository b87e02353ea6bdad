"""The layers above the encoder: features are scaled, then a small network decides.

What it decides becomes probabilities, by one temperature where they are calibrated.

Shape letters of this folder: n texts in a batch, t tokens, w width of the features,
k outputs (1 for two classes, else one a class).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp, softmax
from torch import nn

__all__ = [
    "ACTIVATIONS",
    "FeatureScaler",
    "apply_head",
    "build_head",
    "find_temperature",
    "log_odds",
    "measure_scale",
    "to_probabilities",
]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


def build_head(
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    *,
    activation: str = "relu",
    dropout: float = 0.2,
) -> nn.Sequential:
    """Fully connected layers from features to logits.

    Each hidden layer is followed by the activation and by dropout. Without hidden
    layers the head is linear and starts at zero, as logistic regression does: its loss
    is convex, so a random start would only add noise.

    Parameters
    ----------
    n_features : int
        Width w of the input.
    hidden_layer_sizes : sequence of int
        Units of each hidden layer, the one next to the features first.
    n_outputs : int
        Number k of logits.
    activation : {"relu", "gelu", "tanh", "identity"}, default="relu"
        What follows each hidden layer.
    dropout : float in [0, 1), default=0.2
        Share of hidden units that are silenced in a training step.

    Returns
    -------
    head : torch.nn.Sequential
        Maps (n, w) to (n, k); its parts are named, so that saved parameters are too.

    Examples
    --------
    >>> from sktransfer.classifier.network.heads import build_head
    >>> [name for name, _ in build_head(384, (64,), 1).named_children()]
    ['hidden_1', 'activation_1', 'dropout_1', 'output']
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = n_features
    for depth, size in enumerate(hidden_layer_sizes, start=1):
        layers[f"hidden_{depth}"] = nn.Linear(width, size)
        layers[f"activation_{depth}"] = ACTIVATIONS[activation]()
        layers[f"dropout_{depth}"] = nn.Dropout(dropout)
        width = size
    layers["output"] = nn.Linear(width, n_outputs)
    if not hidden_layer_sizes:
        nn.init.zeros_(layers["output"].weight)  # type: ignore[arg-type]
        nn.init.zeros_(layers["output"].bias)  # type: ignore[arg-type]
    return nn.Sequential(layers)


def log_odds(
    classes: npt.NDArray[np.integer],
    weight: npt.NDArray[np.floating] | None,
    n_outputs: int,
    label_smoothing: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Biases of the last layer under which a head without features does best.

    A bias that starts at zero takes longer than a training to get there, and until then
    the weights learn how rare a class is instead of what its texts have in common.

    Parameters
    ----------
    classes : ndarray of shape (n,)
        Class number of each row.
    weight : ndarray of shape (n,) or None
        Of the rows; None is 1 each.
    n_outputs : int
        Number k of logits: 1 for two classes, else one a class.
    label_smoothing : float in [0, 1), default=0.0
        Share of each label that is spread over all classes.

    Returns
    -------
    biases : ndarray of shape (k,)
        The log-odds of the second of two classes, or the log share of each class. A
        class without rows, as there may be in ``partial_fit``, counts as half a row.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.classifier.network.heads import log_odds
    >>> log_odds(np.array([0, 0, 0, 1]), None, n_outputs=1).round(4)
    array([-1.0986])
    """
    totals = np.bincount(classes, weights=weight, minlength=max(2, n_outputs))
    totals = np.where(totals > 0, totals, 0.5)
    shares = totals / totals.sum()
    logs = np.log((1 - label_smoothing) * shares + label_smoothing / len(shares))
    return np.asarray(logs[1:] - logs[:1] if n_outputs == 1 else logs)


class FeatureScaler(nn.Module):
    """Subtract a mean vector and divide by one number, both kept with the network.

    One number for all features leaves their relative lengths alone, which carry signal.
    Both are measured on the first training data and never again: a target domain with
    other class shares would shift them and with them every decision.

    Parameters
    ----------
    n_features : int
        Width w. Until `mean` and `scale` are set, nothing is changed.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scaled features (n, w) of features (n, w)."""
        return (features - self.mean) / self.scale


def apply_head(
    tensors: Mapping[str, torch.Tensor],
    features: torch.Tensor,
    n_hidden: int,
    activation: str,
) -> torch.Tensor:
    """Logits of a scaler and a head, as a function of nothing but their tensors.

    It is what both modules give in evaluation mode; but they belong to everyone who
    uses the model, and here nobody has to set a mode or another precision in them.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        Of scaler and head, under the names that they have in a `TransferNetwork`.
    features : torch.Tensor of shape (n, w)
        Number format and device of `tensors` become theirs.
    n_hidden : int
        Hidden layers.
    activation : {"relu", "gelu", "tanh", "identity"}
        What follows each of them.

    Returns
    -------
    logits : torch.Tensor of shape (n, k)
        Gradients flow to the features.
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


def measure_scale(
    features: npt.NDArray[np.float32] | sparse.csr_array,
    sample_weight: npt.NDArray[np.float64] | None = None,
) -> tuple[npt.NDArray[np.float32], np.float32]:
    """Mean vector and one scale of training features.

    Parameters
    ----------
    features : ndarray or sparse array of shape (n, w)
        Dense features are centred, and their scale is the root of the mean variance.
        Sparse ones are not centred, which would fill them; their scale is the root
        mean square of the entries that are not zero.
    sample_weight : ndarray of shape (n,) or None, default=None
        A row of weight 2 counts like two rows.

    Returns
    -------
    mean : ndarray of shape (w,)
        Zeros for sparse features.
    scale : float32
        1 where all features are constant.
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
    """Probabilities of the classes.

    Parameters
    ----------
    logits : ndarray of shape (n, k)
        One column stands for the second of two classes.
    temperature : float > 0, default=1.0
        The logits are divided by it.

    Returns
    -------
    probabilities : ndarray of shape (n, n_classes)
        Rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.classifier.network.heads import to_probabilities
    >>> to_probabilities(np.array([[0.0]]))
    array([[0.5, 0.5]])
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if scaled.shape[1] > 1:
        return np.asarray(softmax(scaled, axis=1))
    return np.column_stack([expit(-scaled[:, 0]), expit(scaled[:, 0])])


def find_temperature(
    logits: npt.NDArray[np.floating],
    classes: npt.NDArray[np.int64],
    weight: npt.NDArray[np.floating],
) -> float:
    """Temperature that minimises the loss on rows that were not learnt from.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. No
    decision changes, as dividing all logits by one number keeps their order.

    Parameters
    ----------
    logits : ndarray of shape (n, k)
        Of the validation rows.
    classes : ndarray of shape (n,)
        Class numbers of those rows.
    weight : ndarray of shape (n,)
        Sample weights of those rows.

    Returns
    -------
    temperature : float
        From 0.05 to 20.
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
