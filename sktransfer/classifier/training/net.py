"""The skorch net that trains a network and predicts: batches, rates, interrupts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PrintLog
from torch import nn

from sktransfer.classifier.cpu.batch_halves import MIN_ROWS, in_halves
from sktransfer.classifier.cpu.sparse_gradient import dense_gradients, sparse_gradient
from sktransfer.classifier.cpu.switch import tricks_on
from sktransfer.classifier.data.rows import (
    Batch,
    EvaluationBatches,
    FeatureRows,
    LabelledRows,
    Rows,
    Targets,
    TokenTexts,
    TrainingBatches,
    WindowFeatures,
)
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.network.packed_form import has_hooks
from sktransfer.classifier.training.callbacks import (
    Net,
    StopTraining,
    diverged,
    was_early_stopping,
)
from sktransfer.encoders.compute.devices import (
    count_cores,
    ensure_not_forked,
    limited_cores,
    on_one_core,
)
from sktransfer.load_times import loading

__all__ = [
    "SMALL_WIDTH",
    "PredictingNet",
    "TransferNet",
    "WeightedLoss",
    "WeightedLosses",
    "features_of",
    "parameter_groups",
]

# Rows of one forward pass in prediction: enough to keep the cores busy, few enough
# that the states of long texts stay small.
PREDICTION_ROWS = {"tokens": 64, "features": 4096}

# Rows of features of one pass: few, so that they stay in a processor's cache, and that
# a request of one row does not wait long for a core.
HEAD_ROWS = 512

# Up to this many features a head computes on one core. Its products take microseconds;
# threads that wait for one another cost more than they bring, ten times more where
# other processes want the cores.
SMALL_WIDTH = 4096


class WeightedLoss(nn.Module):
    """Cross-entropy of a batch of n rows: sum(w * loss) / n.

    Weights have a mean of 1 over all rows that are learnt from, so that a row of weight
    2 counts like two rows. Divided by the weights of the batch instead, a heavy row
    would count the less the fewer heavy ones there are beside it.

    One logit a row means two classes and the binary form. A share of each label is
    spread over all classes.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        """Loss, a scalar, of logits (n, k)."""
        if logits.shape[1] == 1:
            smooth = self.label_smoothing
            wanted = targets.classes.to(logits.dtype) * (1 - smooth) + smooth / 2
            losses = nn.functional.binary_cross_entropy_with_logits(
                logits[:, 0], wanted, reduction="none"
            )
        else:
            losses = nn.functional.cross_entropy(
                logits,
                targets.classes,
                reduction="none",
                label_smoothing=self.label_smoothing,
            )
        return (losses * targets.weight).mean()


class WeightedLosses(Callback):
    """Record train_loss and valid_loss of each epoch: sum(w * loss) / sum(w).

    The sums are over all rows, whatever the mean of their weights is.
    """

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Start the sums anew."""
        self.sums_ = {True: 0.0, False: 0.0}
        self.weights_ = {True: 0.0, False: 0.0}

    def on_batch_end(
        self,
        net: Net,
        batch: tuple[Batch, Targets] | None = None,
        training: bool = False,
        loss: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a batch; stop where its loss is not a number."""
        assert batch is not None
        assert loss is not None
        value = loss.item()
        if not math.isfinite(value):
            raise diverged(f"the loss became {value} in epoch {len(net.history)}")
        weight = batch[1].weight
        self.sums_[training] += value * len(weight)
        self.weights_[training] += float(weight.sum())

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Write the means to the history."""
        for training, name in ((True, "train_loss"), (False, "valid_loss")):
            if self.weights_[training]:
                net.history.record(name, self.sums_[training] / self.weights_[training])


def parameter_groups(
    network: TransferNetwork,
    *,
    encoder_learning_rate: float,
    head_learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    one_by_one: bool = False,
) -> list[dict[str, Any]]:
    """Groups of learning parameters for the optimiser, by rate and decay.

    The layer `i` steps below the top learns at ``encoder_learning_rate * layer_decay **
    i``, what embeds the tokens one step below the lowest layer (Howard and Ruder 2018,
    "Universal Language Model Fine-tuning for Text Classification", section 3.2). Biases
    and the gains of normalisation are not decayed: they have one dimension. "joins" is
    the epoch in which a group begins to learn, counted from 0, where layers join one by
    one.
    """
    body = network.body
    below_top = {} if body is None else body.depths()
    lowest = 0 if body is None else len(body.blocks())
    groups: dict[tuple[float, float, int], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        depth = below_top.get(id(parameter), -1)
        rate = head_learning_rate
        if depth >= 0:
            rate = encoder_learning_rate * layer_decay**depth
        decay = weight_decay if parameter.ndim > 1 else 0.0
        joins = min(depth + 1, lowest) if one_by_one else 0
        groups.setdefault((rate, decay, joins), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay, "joins": joins}
        for (rate, decay, joins), parameters in groups.items()
    ]


class PredictingNet(NeuralNet):
    """What a net over `Rows` needs to know of them, whether it learns or not.

    `autocast_dtype` is the precision of the body's matrix products.
    """

    autocast_dtype: torch.dtype
    module_: TransferNetwork

    def infer(self, x: Batch, **fit_params: Any) -> torch.Tensor:
        """Logits (n, k) of a batch."""
        with self._precision(x):
            logits: torch.Tensor = self.module_(**x.to(self.device).inputs)
        return logits

    def predict_logits(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Logits (n, k) of rows in their order.

        Threads can ask at the same time: the module is only read.
        """
        if isinstance(rows, TokenTexts):
            # One by one: all windows of a book would not fit into one pass.
            windows = rows.windows()
            # Hooks are the network's to call.
            hooked = has_hooks(self.module_)
            features = None if hooked else self._encode_packed(windows)
            if features is not None:
                return rows.average(self._decide(FeatureRows(features)))
            return rows.average(self._predict(windows, self.module_))
        if rows.lengths is None:
            return self._decide(rows)
        return self._predict(rows, self.module_)

    def encode(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Features (n, w) that the module's body gives for rows of tokens."""
        assert self.module_.body is not None
        found = self._encode_packed(rows)
        return self._predict(rows, self.module_.body) if found is None else found

    def _encode_packed(self, rows: Rows) -> npt.NDArray[np.float32] | None:
        """`encode` of rows of one window each without padding, where that can be."""
        body = self.module_.body
        if body is None or not isinstance(rows, TokenTexts):
            return None
        count_cores()  # before the first operation
        self._ensure_threads(rows)
        if self.module_.training:
            self.module_.eval()
        return body.encode(rows.tokens, self.autocast_dtype)

    def _decide(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Logits of features.

        In float64 a row's do not depend on the company it comes in. Not all devices
        have it.
        """
        decide = self.module_.decision()

        def decide_exactly(
            features: torch.Tensor, **windows: torch.Tensor
        ) -> torch.Tensor:
            with torch.inference_mode():
                logits: torch.Tensor = decide(features.double(), **windows)
                return logits.float()

        small = self.module_.layout.n_features <= SMALL_WIDTH
        parts = []
        for start in range(0, len(rows), HEAD_ROWS):
            inputs = rows.batch(np.arange(start, min(start + HEAD_ROWS, len(rows))))
            call = functools.partial(decide_exactly, **inputs)
            parts.append((on_one_core(call) if small else call()).numpy())
        return np.concatenate(parts)

    def _predict(
        self, rows: Rows, module: Callable[..., torch.Tensor]
    ) -> npt.NDArray[np.float32]:
        count_cores()  # before the first operation
        self._ensure_threads(rows)
        if self.module_.training:
            self.module_.eval()
        unlabelled = LabelledRows(rows, np.zeros(len(rows), np.int64))
        batches = self._evaluation(unlabelled)
        results = []
        # Where no batch will be divided, no threads are made to wait for it.
        halves = self._in_halves(rows) if len(rows) >= MIN_ROWS else nullcontext()
        with torch.inference_mode(), halves:
            for indices in batches.indices():
                batch = Batch(rows.batch(indices), len(indices))
                with self._precision(batch):
                    result = module(**batch.to(self.device).inputs)
                results.append(result.float().cpu().numpy())
        order = np.concatenate(batches.indices())
        ordered = np.empty((len(rows), results[0].shape[1]), np.float32)
        ordered[order] = np.concatenate(results)
        return ordered

    @contextmanager
    def _precision(self, batch: Batch) -> Iterator[None]:
        # The head alone is too small to gain from half precision, and loses digits.
        wanted = self.autocast_dtype != torch.float32 and "features" not in batch.inputs
        device = torch.device(self.device).type
        # The cache of casts is everybody's. A thread that learns could not use what one
        # that infers has left there.
        with torch.autocast(
            device,
            dtype=self.autocast_dtype,
            enabled=wanted,
            cache_enabled=torch.is_grad_enabled(),
        ):
            yield

    def _in_halves(self, rows: Rows) -> AbstractContextManager[None]:
        if self._divides(rows):
            return in_halves(torch.device(self.device))
        return nullcontext()

    def _divides(self, rows: Rows) -> bool:
        """Whether batches of these rows go through layers, in halves."""
        body = self.module_.body
        layers = rows.lengths is not None and body is not None and not body.is_table
        return layers and tricks_on()

    @staticmethod
    def _ensure_threads(rows: Rows) -> None:
        # A head alone runs on one thread, which a fork does not take away.
        if rows.lengths is not None:
            ensure_not_forked()

    @staticmethod
    def _evaluation(data: LabelledRows) -> EvaluationBatches:
        kind = "features" if data.rows.lengths is None else "tokens"
        return EvaluationBatches(data, PREDICTION_ROWS[kind])


class TransferNet(PredictingNet):
    """A skorch net over `LabelledRows`, with rates by layer and our own batches.

    `module` is a TransferNetwork whose strategy has been applied; it is trained in
    place. `rates` are keyword arguments of `parameter_groups`, None where nothing is
    trained. `shuffle_seed` decides the order of the rows.

    Attributes
    ----------
    interrupted_ : bool
        Whether the last training was broken off.
    updates_ : dict or None
        What the updates in which this net learns depend on; None where it has had all
        its epochs.
    """

    interrupted_: bool
    updates_: dict[str, object] | None

    def __init__(
        self,
        module: nn.Module,
        *,
        criterion: type[nn.Module] = WeightedLoss,
        optimizer: type[torch.optim.Optimizer] = torch.optim.AdamW,
        rates: dict[str, Any] | None = None,
        autocast_dtype: torch.dtype = torch.float32,
        shuffle_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self.rates = rates
        self.autocast_dtype = autocast_dtype
        self.shuffle_seed = shuffle_seed
        super().__init__(module, criterion, optimizer=optimizer, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [
            ("epoch_timer", EpochTimer()),
            ("losses", WeightedLosses()),
            ("print_log", PrintLog()),
        ]

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Any:
        """Make groups for each rate and decay; without rates there is none."""
        self.shuffles_ = np.random.default_rng(self.shuffle_seed)
        if self.rates is None:
            return self
        options = self.get_params_for("optimizer")
        if self.optimizer is torch.optim.AdamW:
            # One pass over all parameters in place of a Python loop over them.
            options = {"fused": True} | options
        groups = parameter_groups(self.module_, **self.rates)
        with loading("torch.optim"):  # the first one imports hundreds of modules
            self.optimizer_ = self.optimizer(groups, **options)
        return self

    def can_go_on(self, module: nn.Module, options: dict[str, object]) -> bool:
        """Whether its optimiser is one of updates that learns just this in this way.

        `options` are what the updates depend on, as in `updates_`.
        """
        if getattr(self, "updates_", None) != options:
            return False
        groups = self.optimizer_.param_groups
        known = {id(parameter) for group in groups for parameter in group["params"]}
        learning = (p for p in module.parameters() if p.requires_grad)
        return all(id(parameter) in known for parameter in learning)

    def get_iterator(self, dataset: LabelledRows, training: bool = False) -> Any:
        """Shuffled batches of like length for training, all rows in order else."""
        if training:
            return TrainingBatches(dataset, self.batch_size, self.shuffles_)
        return self._evaluation(dataset)

    def fit_loop(
        self,
        X: LabelledRows,
        y: None = None,
        epochs: int | None = None,
        **params: Any,
    ) -> Any:
        """Train; early stopping ends it, an interrupt is remembered in `interrupted_`.

        skorch ends quietly on KeyboardInterrupt, which would let a search that runs
        around this fit go on to the next candidate.
        """
        self.interrupted_ = False
        self._ensure_threads(X.rows)
        table = self._table()
        try:
            with (
                self._in_halves(X.rows),
                self._cores_for(X.rows),
                nullcontext() if table is None else sparse_gradient(table),
            ):
                super().fit_loop(X, y, epochs, **params)
        except StopTraining:
            pass
        except KeyboardInterrupt as error:
            # skorch's own early stopping ends a training by the same exception.
            self.interrupted_ = not was_early_stopping(error)
            raise
        except Exception:
            self.updates_ = None  # the optimiser's moments are of no use any more
            raise
        return self

    def train_step_single(self, batch: tuple[Batch, Targets], **fit_params: Any) -> Any:
        """Loss and gradients of a batch, as skorch's; all gradients are dense."""
        step = super().train_step_single(batch, **fit_params)
        if self.module_.body is not None:
            dense_gradients(self.module_.parameters())
        return step

    def get_loss(
        self,
        y_pred: torch.Tensor,
        y_true: Targets,
        X: Batch | None = None,
        training: bool = False,
    ) -> torch.Tensor:
        """Weighted loss of logits (n, k)."""
        device = y_pred.device
        targets = Targets(y_true.classes.to(device), y_true.weight.to(device))
        loss: torch.Tensor = self.criterion_(y_pred, targets)
        return loss

    def _cores_for(self, rows: Rows) -> AbstractContextManager[None]:
        if self._divides(rows):
            # Threads that an operation leaves behind go on turning for a while, and
            # would take the cores from the halves of the next batch.
            return limited_cores(max(1, count_cores() // 2))
        if rows.lengths is None and self.module_.layout.n_features <= SMALL_WIDTH:
            return limited_cores(1)
        return nullcontext()

    def _table(self) -> nn.Module | None:
        body = self.module_.body
        if body is None:
            return None
        table = body.token_table()
        holders = (m for m in body.modules() if getattr(m, "weight", None) is table)
        return next(holders, None)

    # Optimiser state is several times the size of what was learnt and of no use to
    # whoever predicts; callbacks may hold anything. Both are made anew when training
    # goes on.
    def __getstate__(self) -> dict[str, Any]:
        left_out = ("optimizer_", "callbacks_", "callbacks", "module", "updates_")
        state = {k: v for k, v in self.__dict__.items() if k not in left_out}
        return state | {"callbacks_": [], "callbacks": None, "device": "cpu"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.module = self.module_


def features_of(
    network: TransferNetwork, rows: Rows, device: torch.device, dtype: torch.dtype
) -> FeatureRows | WindowFeatures:
    """What the body gives for rows of tokens: of a long text, for each window."""
    net = TransferNet(network, autocast_dtype=dtype, device=str(device)).initialize()
    if isinstance(rows, TokenTexts) and len(rows.tokens) > len(rows):
        return WindowFeatures(net.encode(rows.windows()), rows)
    return FeatureRows(net.encode(rows))
