"""A skorch net that predicts: batches, precision and threads, in both directions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNet

from sktransfer.encoders.cores import count_cores, on_one_core
from sktransfer.encoders.process import ensure_not_forked
from sktransfer.finetune.batches import Batch, EvaluationBatches, LabelledRows, Rows
from sktransfer.finetune.halves import MIN_ROWS, in_halves
from sktransfer.finetune.inputs import TokenTexts

__all__ = ["SMALL_WIDTH", "PredictingNet"]

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


class PredictingNet(NeuralNet):
    """What a net over `Rows` needs to know of them, whether it learns or not.

    Attributes
    ----------
    autocast_dtype : torch.dtype
        Precision of the body's matrix products.
    """

    autocast_dtype: torch.dtype

    def infer(self, x: Batch, **fit_params: Any) -> torch.Tensor:
        """Logits (n, k) of a batch."""
        with self._precision(x):
            logits: torch.Tensor = self.module_(**x.to(self.device).inputs)
        return logits

    def predict_logits(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Logits of rows in their order.

        Threads can ask at the same time: the module is only read.

        Parameters
        ----------
        rows : Rows
            n rows that the module reads.

        Returns
        -------
        logits : ndarray of shape (n, k)
        """
        if isinstance(rows, TokenTexts):
            # One by one: all windows of a book would not fit into one pass.
            return rows.average(self._predict(rows.windows(), self.module_))
        if rows.lengths is None:
            return self._decide(rows)
        return self._predict(rows, self.module_)

    def encode(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Features (n, w) that the module's body gives for rows of tokens."""
        return self._predict(rows, self.module_.body)

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
        """Whether batches of these rows go through layers."""
        return rows.lengths is not None and not self.module_.body.is_table

    @staticmethod
    def _ensure_threads(rows: Rows) -> None:
        # A head alone runs on one thread, which a fork does not take away.
        if rows.lengths is not None:
            ensure_not_forked()

    @staticmethod
    def _evaluation(data: LabelledRows) -> EvaluationBatches:
        kind = "features" if data.rows.lengths is None else "tokens"
        return EvaluationBatches(data, PREDICTION_ROWS[kind])
