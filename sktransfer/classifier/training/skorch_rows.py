"""Rows, batches and labels as skorch's callbacks read them.

A scorer of skorch is given a batch or a data set, and labels. Here these are the labels
that users wrote; their numbers and weights, which a loss needs, travel with the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skorch.dataset import Dataset

from sktransfer.classifier.data.rows import Batch, FeatureRows, LabelledRows, Targets

__all__ = ["LabelledBatch", "SkorchRows"]


@dataclass(frozen=True)
class LabelledBatch(Batch):
    """A batch that knows the class numbers and the weights of its rows."""

    targets: Targets


class SkorchRows(LabelledRows, Dataset):
    """Labelled rows as a data set of skorch, with `X` and `y`.

    `labels` are those of the classes, by number; None are the numbers themselves. With
    `numbers` X is the matrix (n, w) that was passed, else it is what the network reads.
    """

    def __init__(
        self,
        data: LabelledRows,
        labels: npt.NDArray[Any] | None,
        *,
        numbers: bool = False,
    ) -> None:
        self.rows, self.classes, self.weight = data.rows, data.classes, data.weight
        self.labels = labels
        self.numbers = numbers

    @property
    def X(self) -> Any:
        """What a net predicts from."""
        if self.numbers and isinstance(self.rows, FeatureRows):
            return self.rows.matrix
        return self.rows

    @property
    def y(self) -> npt.NDArray[Any]:
        """Labels (n,)."""
        classes = self.classes.numpy()
        return classes if self.labels is None else self.labels[classes]

    @property
    def targets(self) -> Targets:
        """Class numbers and weights of all rows."""
        return Targets(self.classes, self.weight)

    def take(self, indices: npt.NDArray[np.intp]) -> SkorchRows:
        """Return the rows at `indices`."""
        taken = super().take(indices)
        return SkorchRows(taken, self.labels, numbers=self.numbers)

    def batch(self, indices: npt.NDArray[np.intp]) -> tuple[LabelledBatch, Any]:
        """Inputs and labels of the rows at `indices`."""
        batch, targets = super().batch(indices)
        classes = targets.classes.numpy()
        labels = classes if self.labels is None else self.labels[classes]
        return LabelledBatch(batch.inputs, batch.n_rows, targets), labels

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        chosen = np.arange(len(self))[index]  # it knows where to end
        X = self.X
        if X is self.rows:
            return self.rows.take(np.atleast_1d(chosen)), self.y[chosen]
        return X[chosen], self.y[chosen]
