"""Rows of training data and the batches made of them.

A batch of a transformer costs what its longest text costs, so texts of like length
travel together; which ones is drawn anew each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch.utils.data import Dataset

__all__ = [
    "Batch",
    "EvaluationBatches",
    "FeatureRows",
    "LabelledRows",
    "Rows",
    "Targets",
    "TrainingBatches",
]

# Batches whose texts are sorted together. More means less padding, fewer means that a
# text meets more different company from epoch to epoch.
BATCHES_SORTED_TOGETHER = 16

# Tokens of a batch that is not learnt from: 64 texts of 512.
MOST_TOKENS = 2**15


@dataclass(frozen=True)
class Batch:
    """What the network reads in one step.

    Attributes
    ----------
    inputs : dict of str to torch.Tensor
        Keyword arguments of the network's forward.
    n_rows : int
        Texts (or rows of numbers) in the batch.
    """

    inputs: dict[str, torch.Tensor]
    n_rows: int

    def __len__(self) -> int:
        return self.n_rows

    def to(self, device: torch.device | str) -> Batch:
        """Return the same batch on another device."""
        moved = {
            key: value.to(device, non_blocking=True)
            for key, value in self.inputs.items()
        }
        return Batch(moved, self.n_rows)


@dataclass(frozen=True)
class Targets:
    """Labels and weights of a batch.

    Attributes
    ----------
    classes : torch.Tensor of shape (n,)
        Class numbers, int64.
    weight : torch.Tensor of shape (n,)
        Sample weights, float32.
    """

    classes: torch.Tensor
    weight: torch.Tensor


class Rows(Protocol):
    """Data that a network reads, one row a text."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> npt.NDArray[np.int64] | None:
        """Cost of each row in tokens, or None where all rows cost the same."""

    def take(self, indices: npt.NDArray[np.intp]) -> Rows:
        """Return the rows at `indices`."""

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Inputs of the network for the rows at `indices`."""


class FeatureRows:
    """Rows of numbers: vectors of an encoder, TF-IDF, or any matrix.

    Parameters
    ----------
    matrix : ndarray or sparse array of shape (n, w)
        Sparse rows are made dense a batch at a time.
    """

    lengths = None

    def __init__(self, matrix: npt.NDArray[np.float32] | sparse.csr_array) -> None:
        self.matrix = matrix

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def take(self, indices: npt.NDArray[np.intp]) -> FeatureRows:
        """Return the rows at `indices`."""
        return FeatureRows(self.matrix[indices])

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Features (n, w) of the rows at `indices`."""
        rows: Any = self.matrix[indices]
        dense = rows.toarray() if sparse.issparse(rows) else rows
        return {"features": torch.from_numpy(np.asarray(dense, dtype=np.float32))}


class LabelledRows(Dataset[Any]):
    """Rows with their classes and weights, in the form that skorch passes around.

    Parameters
    ----------
    rows : Rows
        What the network reads.
    classes : ndarray of shape (n,)
        Class numbers.
    weight : ndarray of shape (n,) or None
        Sample weights; None is 1 each.
    """

    def __init__(
        self,
        rows: Rows,
        classes: npt.NDArray[np.int64],
        weight: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.rows = rows
        self.classes = torch.from_numpy(np.asarray(classes, dtype=np.int64))
        self.weight = torch.ones(len(rows))
        if weight is not None:
            self.weight = torch.from_numpy(np.asarray(weight, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: npt.NDArray[np.intp]) -> LabelledRows:
        """Return the labelled rows at `indices`."""
        return LabelledRows(
            self.rows.take(indices),
            self.classes.numpy()[indices],
            self.weight.numpy()[indices],
        )

    def batch(self, indices: npt.NDArray[np.intp]) -> tuple[Batch, Targets]:
        """Inputs and targets of the rows at `indices`."""
        where = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        targets = Targets(self.classes[where], self.weight[where])
        return Batch(self.rows.batch(indices), len(indices)), targets


class TrainingBatches:
    """Shuffled batches of like length, drawn anew on every pass.

    Parameters
    ----------
    data : LabelledRows
        What to draw from.
    batch_size : int
        Rows a batch; the last one may be smaller.
    generator : numpy.random.Generator
        Source of the shuffles.
    """

    def __init__(
        self, data: LabelledRows, batch_size: int, generator: np.random.Generator
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.generator = generator

    def __iter__(self) -> Iterator[tuple[Batch, Targets]]:
        order = self.generator.permutation(len(self.data))
        lengths = self.data.rows.lengths
        if lengths is not None:
            pool = self.batch_size * BATCHES_SORTED_TOGETHER
            order = np.concatenate(
                [
                    part[np.argsort(lengths[part], kind="stable")]
                    for part in _cut(order, pool)
                ]
            )
        batches = _cut(order, self.batch_size)
        for number in self.generator.permutation(len(batches)):
            yield self.data.batch(batches[number])


class EvaluationBatches:
    """All rows in batches of like length, in the same order every time.

    Of texts in many windows a batch takes fewer.

    Parameters
    ----------
    data : LabelledRows
        What to evaluate on.
    batch_size : int
        Rows a batch.
    """

    def __init__(self, data: LabelledRows, batch_size: int) -> None:
        self.data = data
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[Batch, Targets]]:
        for indices in self.indices():
            yield self.data.batch(indices)

    def indices(self) -> list[npt.NDArray[np.intp]]:
        """Row numbers of each batch."""
        lengths = self.data.rows.lengths
        if lengths is None:
            return _cut(np.arange(len(self.data)), self.batch_size)
        batches = _cut(np.argsort(lengths, kind="stable"), self.batch_size)
        return [part for batch in batches for part in _cut_heavy(batch, lengths[batch])]


def _cut_heavy(
    batch: npt.NDArray[np.intp], lengths: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.intp]]:
    """A batch in pieces of `MOST_TOKENS`, and at most one text more."""
    pieces = (np.cumsum(lengths) - lengths) // MOST_TOKENS
    return np.split(batch, np.flatnonzero(np.diff(pieces)) + 1)


def _cut(order: npt.NDArray[np.intp], size: int) -> list[npt.NDArray[np.intp]]:
    return [order[start : start + size] for start in range(0, len(order), size)]
