"""A skorch net that answers: for rows as a network reads them, and for raw X.

What skorch documents of ``predict`` and ``predict_proba`` holds for whatever X the
classifier takes, and for the data sets and batches that callbacks are given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch.dataset import Dataset
from skorch.utils import to_device, to_numpy
from torch.utils.data import Subset

from sktransfer.classifier.cpu.batch_halves import MIN_ROWS, in_halves
from sktransfer.classifier.cpu.switch import tricks_on
from sktransfer.classifier.data.checks import (
    Columns,
    check_labels,
    check_rows,
    number_labels,
)
from sktransfer.classifier.data.rows import (
    Batch,
    EvaluationBatches,
    FeatureRows,
    Input,
    LabelledRows,
    Rows,
    TokenTexts,
)
from sktransfer.classifier.network.network import (
    TransferNetwork,
    choose_classes,
    to_probabilities,
)
from sktransfer.classifier.network.packed_form import has_hooks
from sktransfer.classifier.training.skorch_rows import SkorchRows
from sktransfer.encoders.compute.devices import (
    count_cores,
    ensure_not_forked,
    on_one_core,
)

__all__ = ["SMALL_WIDTH", "PredictingNet", "Reader"]

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


@dataclass(frozen=True)
class Reader:
    """How a net reads what its classifier is given, and the labels that it answers.

    Attributes
    ----------
    labels : ndarray of shape (n_classes,)
        By class number.
    input : Input
        Turns checked X into rows of the network.
    columns : Columns or None
        Of numbers; None where X is texts.
    """

    labels: npt.NDArray[Any]
    input: Input
    columns: Columns | None


class PredictingNet(ClassifierMixin, NeuralNet):
    """What a net over `Rows` needs to know of them, whether it learns or not.

    `autocast_dtype` is the precision of the body's matrix products. Without a `reader`
    the net reads rows alone. What logits are divided by is the `temperature_`.
    """

    autocast_dtype: torch.dtype
    module_: TransferNetwork
    reader: Reader | None = None
    temperature_: float = 1.0

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """Labels by class number."""
        return self._know().labels

    # What scikit-learn checks numbers against.
    @property
    def n_features_in_(self) -> int:
        """Columns of X, where it is numbers."""
        return self._know_columns().n_features

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_] | None:
        """Names of the columns, where they have some."""
        return self._know_columns().names

    def _know(self) -> Reader:
        if self.reader is None:
            raise AttributeError(
                "this net was made without its classifier, so it knows no labels and "
                "reads neither texts nor numbers: ask the classifier."
            )
        return self.reader

    def _know_columns(self) -> Columns:
        columns = self._know().columns
        if columns is None:
            raise AttributeError("texts have no columns")
        return columns

    def get_dataset(self, X: Any, y: object = None) -> SkorchRows:
        """Return X with labels y, or X alone where it has them, as a data set.

        X is texts or numbers as the classifier takes them, or a data set or its part.
        """
        if isinstance(X, SkorchRows):
            return X
        if isinstance(X, Subset):
            return self.get_dataset(X.dataset).take(np.asarray(X.indices))
        if isinstance(X, Dataset):
            return self.get_dataset(X.X, X.y)
        if not isinstance(X, LabelledRows):
            rows = self._rows_of(X)
            labels = check_labels(y, len(rows))
            X = LabelledRows(rows, number_labels(labels, self.classes_))
        if self.reader is None:
            return SkorchRows(X, None)
        numbers = self.reader.columns is not None
        return SkorchRows(X, self.reader.labels, numbers=numbers)

    def _rows_of(self, X: Any) -> Rows:
        if isinstance(X, LabelledRows):
            return X.rows
        if isinstance(X, Subset):
            return self.get_dataset(X).rows
        if isinstance(X, Dataset):
            return self._rows_of(X.X)
        if hasattr(X, "lengths") and hasattr(X, "batch"):
            rows: Rows = X
            return rows
        reader = self._know()
        return reader.input.rows(check_rows(self, X, texts=reader.columns is None))

    def forward_iter(
        self, X: Any, training: bool = False, device: str = "cpu"
    ) -> Iterator[torch.Tensor]:
        """Logits (n, k) of X in the order of its rows, some rows at a time.

        X is anything that ``get_dataset`` takes, or a batch. While `training`, hidden
        units drop out.
        """
        if isinstance(X, Batch):
            found = self._of_batch(X, training)
        elif training:
            found = self._while_training(self._rows_of(X))
        else:
            found = torch.from_numpy(self.predict_logits(self._rows_of(X)))
        for part in torch.split(found, max(1, self.batch_size)):
            yield to_device(part, device)

    def _of_batch(self, batch: Batch, training: bool) -> torch.Tensor:
        self.module_.train(training)
        with torch.set_grad_enabled(training):
            return PredictingNet.infer(self, batch)

    def _while_training(self, rows: Rows) -> torch.Tensor:
        batches = self._evaluation(LabelledRows(rows, np.zeros(len(rows), np.int64)))
        found = [
            self._of_batch(Batch(rows.batch(indices), len(indices)), training=True)
            for indices in batches.indices()
        ]
        order = np.concatenate(batches.indices())
        return torch.cat(found)[torch.from_numpy(np.argsort(order))]

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Probability (n, n_classes) of each class, in the order of `classes_`.

        Parameters
        ----------
        X : texts, numbers, data set or batch
            As ``get_dataset`` takes it.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            As the classifier's; during training they are not calibrated.
        """
        if self.predict_nonlinearity != "auto":
            return np.asarray(super().predict_proba(X))
        return to_probabilities(self._logits(X), self.temperature_)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Most probable label of each row, as it was written in y.

        Parameters
        ----------
        X : texts, numbers, data set or batch
            As ``get_dataset`` takes it.

        Returns
        -------
        labels : ndarray of shape (n,)
            As the classifier's.
        """
        if self.predict_nonlinearity != "auto":
            numbers = self.predict_proba(X).argmax(axis=1)
        else:
            numbers = choose_classes(self._logits(X))
        labels: npt.NDArray[Any] = self.classes_[numbers]
        return labels

    def _logits(self, X: Any) -> npt.NDArray[np.floating]:
        # Scorers of skorch put what they have kept in the place of `forward_iter`.
        return np.concatenate([to_numpy(part) for part in self.forward_iter(X)])

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
