"""The skorch net that trains a network: rates, batches, interrupts."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EpochTimer, PrintLog
from torch import nn

from sktransfer.encoders.cores import count_cores, limited_cores
from sktransfer.finetune.batches import (
    Batch,
    LabelledRows,
    Rows,
    Targets,
    TrainingBatches,
)
from sktransfer.finetune.callbacks import (
    StopTraining,
    WeightedLosses,
    was_early_stopping,
)
from sktransfer.finetune.losses import WeightedLoss
from sktransfer.finetune.prediction import SMALL_WIDTH, PredictingNet
from sktransfer.finetune.strategies import parameter_groups
from sktransfer.finetune.tables import dense_gradients, sparse_gradient

__all__ = ["TransferNet"]


class TransferNet(PredictingNet):
    """A skorch net over `LabelledRows`, with rates by layer and our own batches.

    Parameters
    ----------
    module : TransferNetwork
        Already built, with a strategy applied; it is trained in place.
    rates : dict or None, default=None
        Keyword arguments of `parameter_groups`; None where nothing is trained.
    autocast_dtype : torch.dtype, default=torch.float32
        Precision of the body's matrix products in training and prediction.
    shuffle_seed : int, default=0
        Decides the order of the rows.
    **kwargs
        Further parameters of ``skorch.NeuralNet``.

    Attributes
    ----------
    interrupted_ : bool
        Whether the last training was broken off.
    updates_ : dict or None
        What the updates in which this net learns depend on; None where it has had all
        its epochs.
    """

    interrupted_: bool
    updates_: dict[str, Any] | None

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
        self.optimizer_ = self.optimizer(groups, **options)
        return self

    def can_go_on(self, module: nn.Module, options: dict[str, Any]) -> bool:
        """Whether its optimiser is one of updates that learns just this in this way.

        Parameters
        ----------
        module : TransferNetwork
            With a strategy applied.
        options : dict
            What the updates depend on, as in `updates_`.

        Returns
        -------
        same : bool
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

    def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **params: Any) -> Any:
        """Train; early stopping ends it, an interrupt is remembered in `interrupted_`.

        skorch ends quietly on KeyboardInterrupt, which would let a search that runs
        around this fit go on to the next candidate.
        """
        self.interrupted_ = False
        self._ensure_threads(X.rows)
        try:
            with (
                self._in_halves(X.rows),
                self._cores_for(X.rows),
                sparse_gradient(self._table()),
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

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        """Loss and gradients of a batch, as skorch's; all gradients are dense."""
        step = super().train_step_single(batch, **fit_params)
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
