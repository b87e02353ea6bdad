"""A skorch net that predicts: batches, precision and threads, in both directions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skorch import NeuralNet
from torch.func import functional_call

from sktransfer.encoders.process import ensure_not_forked
from sktransfer.finetune.batches import Batch, EvaluationBatches, LabelledRows, Rows
from sktransfer.finetune.halves import in_halves
from sktransfer.finetune.inputs import TokenTexts

__all__ = ["PredictingNet"]

# Rows of one forward pass in prediction: enough to keep the cores busy, few enough
# that the states of long texts stay small.
PREDICTION_ROWS = {"tokens": 64, "features": 4096}

# Up to this many features a head is trained on one thread.
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
        if rows.lengths is not None:
            return self._predict(rows, self.module_)
        # In float64 a row's logits do not depend on the company it comes in. Not all
        # devices have it.
        own = self.module_.own_tensors()
        exact = {name: tensor.cpu().double() for name, tensor in own.items()}

        def head(features: torch.Tensor, **windows: torch.Tensor) -> torch.Tensor:
            inputs = {"features": features.cpu().double()}
            inputs |= {name: tensor.cpu() for name, tensor in windows.items()}
            result: torch.Tensor = functional_call(self.module_, exact, (), inputs)
            return result

        with self._threads_for(rows):
            return self._predict(rows, head)

    def encode(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Features (n, w) that the module's body gives for rows of tokens."""
        return self._predict(rows, self.module_.body)

    def _predict(
        self, rows: Rows, module: Callable[..., torch.Tensor]
    ) -> npt.NDArray[np.float32]:
        self._ensure_threads(rows)
        self.module_.eval()
        unlabelled = LabelledRows(rows, np.zeros(len(rows), np.int64))
        batches = self._evaluation(unlabelled)
        results = []
        with torch.inference_mode(), self._in_halves(rows):
            for indices in batches.indices():
                batch = Batch(rows.batch(indices), len(indices))
                with self._precision(batch):
                    result = module(**batch.to(self.device).inputs)
                results.append(result.float().cpu().numpy())
        order = np.concatenate(batches.indices())
        ordered = np.empty((len(rows), results[0].shape[1]), np.float32)
        ordered[order] = np.concatenate(results)
        return ordered

    @contextlib.contextmanager
    def _precision(self, batch: Batch) -> Iterator[None]:
        # The head alone is too small to gain from half precision, and loses digits.
        wanted = self.autocast_dtype != torch.float32 and "features" not in batch.inputs
        device = torch.device(self.device).type
        with torch.autocast(device, dtype=self.autocast_dtype, enabled=wanted):
            yield

    @contextlib.contextmanager
    def _threads_for(self, rows: Rows) -> Iterator[None]:
        n_threads = torch.get_num_threads()
        if self._divides(rows):
            # Threads that an operation leaves behind go on turning for a while, and
            # would take the cores from the halves of the next batch.
            torch.set_num_threads(max(1, n_threads // 2))
        elif rows.lengths is None and self.module_.layout.n_features <= SMALL_WIDTH:
            # A head's products take microseconds; threads that wait for one another
            # cost more than they bring, ten times more where other processes want the
            # cores.
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(n_threads)

    def _in_halves(self, rows: Rows) -> contextlib.AbstractContextManager[None]:
        if self._divides(rows):
            return in_halves(torch.device(self.device))
        return contextlib.nullcontext()

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
