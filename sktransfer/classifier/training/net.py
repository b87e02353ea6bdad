"""The skorch net that trains a network: losses, batches, rates, interrupts."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from skorch.callbacks import Callback, EpochTimer, PrintLog
from skorch.exceptions import SkorchException
from skorch.utils import to_numpy
from torch import nn

from sktransfer.classifier.cpu.sparse_gradient import dense_gradients, sparse_gradient
from sktransfer.classifier.data.checks import check_labels, number_labels
from sktransfer.classifier.data.rows import (
    FeatureRows,
    LabelledRows,
    Rows,
    Targets,
    TokenTexts,
    TrainingBatches,
    WindowFeatures,
)
from sktransfer.classifier.network.network import TransferNetwork, choose_classes
from sktransfer.classifier.training.callbacks import (
    Net,
    StopTraining,
    diverged,
    was_early_stopping,
)
from sktransfer.classifier.training.given_callbacks import missing_score
from sktransfer.classifier.training.predicting import (
    SMALL_WIDTH,
    PredictingNet,
    Reader,
)
from sktransfer.classifier.training.skorch_rows import LabelledBatch, SkorchRows
from sktransfer.encoders.compute.devices import count_cores, limited_cores
from sktransfer.load_times import loading

__all__ = [
    "TransferNet",
    "WeightedLoss",
    "WeightedLosses",
    "features_of",
    "parameter_groups",
]


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

    The sums are over all rows, whatever the mean of their weights is. So are those of
    valid_acc, the accuracy on the rows that are validated on. Names ending in "_best"
    say whether an epoch was the best so far, as skorch has them.
    """

    def initialize(self) -> Self:
        """Forget earlier epochs."""
        self.best_: dict[str, float] = {}
        return self

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        """Start the sums anew."""
        self.right_ = 0.0
        self.sums_ = {True: 0.0, False: 0.0}
        self.weights_ = {True: 0.0, False: 0.0}

    def on_batch_end(
        self,
        net: Net,
        batch: tuple[LabelledBatch | SkorchRows, Any] | None = None,
        training: bool = False,
        loss: torch.Tensor | None = None,
        y_pred: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a batch; stop where its loss is not a number."""
        assert batch is not None
        assert loss is not None
        value = loss.item()
        if not math.isfinite(value):
            raise diverged(f"the loss became {value} in epoch {len(net.history)}")
        targets = batch[0].targets
        weight = targets.weight
        self.sums_[training] += value * len(weight)
        self.weights_[training] += float(weight.sum())
        if not training:
            assert y_pred is not None
            right = choose_classes(to_numpy(y_pred)) == targets.classes.numpy()
            self.right_ += float(weight.numpy()[right].sum())

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        """Write the means to the history, and whether they are the best so far."""
        found = {}
        for training, name in ((True, "train_loss"), (False, "valid_loss")):
            if self.weights_[training]:
                found[name] = self.sums_[training] / self.weights_[training]
        if self.weights_[False]:
            found["valid_acc"] = self.right_ / self.weights_[False]
        for name, value in found.items():
            net.history.record(name, value)
            # A loss is the better the lower, and this tells it in one way for both.
            merit = value if name == "valid_acc" else -value
            best = merit > self.best_.get(name, -math.inf)
            net.history.record(f"{name}_best", best)
            if best:
                self.best_[name] = merit


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
        reader: Reader | None = None,
        **kwargs: Any,
    ) -> None:
        self.reader = reader
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
        dataset = self.get_dataset(dataset)
        if training:
            return TrainingBatches(dataset, self.batch_size, self.shuffles_)
        return self._evaluation(dataset)

    def get_split_datasets(
        self, X: Any, y: object = None, **fit_params: Any
    ) -> tuple[SkorchRows, SkorchRows | None]:
        """Rows to learn from, and rows to validate on, as skorch's data sets."""
        learning, validation = super().get_split_datasets(X, y, **fit_params)
        if validation is not None:
            validation = self.get_dataset(validation)
        return self.get_dataset(learning), validation

    def partial_fit(
        self, X: Any, y: object = None, classes: object = None, **fit_params: Any
    ) -> Self:
        """Train on, as skorch does; callbacks are given a data set and its labels.

        What a pickle leaves out is made anew.
        """
        if self.initialized_ and self.rates and not hasattr(self, "optimizer_"):
            self.initialize_callbacks()
            self.initialize_optimizer()
        data = self.get_dataset(X, y)
        super().partial_fit(data, data.y, classes, **fit_params)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of all callbacks; explain a score that they miss."""
        try:
            super().notify(method_name, **cb_kwargs)
        except (KeyError, ValueError, SkorchException) as error:
            validates = cb_kwargs.get("dataset_valid") is not None
            missing = missing_score(error, self, validates)
            if method_name != "on_epoch_end" or missing is None:
                raise
            raise missing from error

    def fit_loop(
        self,
        X: Any,
        y: object = None,
        epochs: int | None = None,
        **params: Any,
    ) -> Any:
        """Train; early stopping ends it, an interrupt is remembered in `interrupted_`.

        skorch ends quietly on KeyboardInterrupt, which would let a search that runs
        around this fit go on to the next candidate.
        """
        self.interrupted_ = False
        data = self.get_dataset(X, y)
        self._ensure_threads(data.rows)
        table = self._table()
        try:
            with (
                self._in_halves(data.rows),
                self._cores_for(data.rows),
                nullcontext() if table is None else sparse_gradient(table),
            ):
                super().fit_loop(data, y, epochs, **params)
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

    def train_step_single(
        self, batch: tuple[LabelledBatch, Any], **fit_params: Any
    ) -> Any:
        """Loss and gradients of a batch, as skorch's; all gradients are dense."""
        step = super().train_step_single(batch, **fit_params)
        if self.module_.body is not None:
            dense_gradients(self.module_.parameters())
        return step

    def get_loss(
        self,
        y_pred: torch.Tensor,
        y_true: object,
        X: LabelledBatch | None = None,
        training: bool = False,
    ) -> torch.Tensor:
        """Weighted loss of logits (n, k); labels alone weigh the same."""
        targets = self._targets(y_true, X, y_pred.device)
        loss: torch.Tensor = self.criterion_(y_pred, targets)
        return loss

    def _targets(
        self, y_true: object, X: LabelledBatch | None, device: torch.device
    ) -> Targets:
        if isinstance(y_true, Targets):
            targets = y_true
        elif X is None:
            labels = check_labels(y_true, len(y_true))  # type: ignore[arg-type]
            numbers = torch.from_numpy(number_labels(labels, self.classes_))
            targets = Targets(numbers, torch.ones(len(numbers)))
        else:
            targets = X.targets
        return Targets(targets.classes.to(device), targets.weight.to(device))

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
        if isinstance(self.train_split, partial):
            state["train_split"] = None  # it holds the rows to validate on
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
