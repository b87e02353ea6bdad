"""Rows that a network reads: how texts and numbers become them, and their batches.

A batch of a transformer costs what its longest text costs, so texts of like length
travel together; which ones is drawn anew each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch.utils.data import Dataset

from sktransfer.encoders.encoding import warn_of_cuts
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.loaded_models import load_tokenizer
from sktransfer.encoders.tokens import TokenRows, tokenize
from sktransfer.exceptions import InvalidInputError
from sktransfer.ragged import positions, row_offsets

__all__ = [
    "Batch",
    "Encoder",
    "EvaluationBatches",
    "FeatureInput",
    "FeatureRows",
    "Input",
    "LabelledRows",
    "Matrix",
    "NumberInput",
    "Rows",
    "Targets",
    "TokenInput",
    "TokenTexts",
    "TrainingBatches",
    "WindowFeatures",
    "text_features",
]

#: Checked numbers, one row a text.
Matrix: TypeAlias = npt.NDArray[np.float32] | sparse.csr_array

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
    """Rows of numbers (n, w): vectors of an encoder, TF-IDF, or any matrix.

    Sparse rows are made dense a batch at a time.
    """

    lengths = None

    def __init__(self, matrix: Matrix) -> None:
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
    """Rows with their class numbers (n,) and weights (n,), as skorch passes them on.

    Without weights each row has 1.
    """

    def __init__(
        self,
        rows: Rows,
        classes: npt.NDArray[np.int64],
        weight: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.rows = rows
        self.classes = torch.from_numpy(np.asarray(classes, dtype=np.int64))
        self.weight = torch.ones(len(rows), dtype=torch.float32)
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

    The last one may be smaller than `batch_size` rows.
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

    Of texts in many windows a batch takes fewer than `batch_size`.
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


class Encoder(Protocol):
    """Maps texts to features, in the manner of scikit-learn's transformers."""

    #: Width of the features, of those whose layers can learn.
    n_features_out_: int

    def fit(self, X: list[str], y: None) -> object:
        """Learn from texts what it needs."""

    def transform(self, X: list[str]) -> Matrix:
        """Features (n, w) of n texts."""


class Input(Protocol):
    """How checked X becomes rows of the network."""

    # Texts or numbers, whichever the model was fitted on.
    def rows(self, X: Any) -> Rows:
        """Rows of checked texts or numbers."""


class NumberInput:
    """A matrix is its own features."""

    def rows(self, X: Matrix) -> FeatureRows:
        """Rows of a checked matrix (n, w)."""
        return FeatureRows(X)


class FeatureInput:
    """Texts go through a fitted encoder that stays as it is, once each."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def rows(self, X: list[str]) -> FeatureRows:
        """Rows of checked texts."""
        found = self.encoder.transform(X)
        if sparse.issparse(found):
            found = sparse.csr_array(found, dtype=np.float32)
            self._refuse_no_numbers(found.data, found.tocoo().row)
            return FeatureRows(found)
        matrix = np.asarray(found, dtype=np.float32)
        self._refuse_no_numbers(matrix, np.arange(len(matrix)))
        return FeatureRows(matrix)

    def _refuse_no_numbers(
        self, values: npt.NDArray[np.float32], texts: npt.NDArray[np.intp]
    ) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            first = texts[np.flatnonzero(bad.reshape(len(texts), -1).any(axis=1))[0]]
            raise InvalidInputError(
                f"the encoder, a {type(self.encoder).__name__}, gives NaN or infinity "
                f"for the text at position {first}: correct the encoder, or drop the "
                "text."
            )


class TokenTexts:
    """Tokenised texts as `Rows`; a text in windows has several rows of tokens."""

    def __init__(self, tokens: TokenRows) -> None:
        self.tokens = tokens
        firsts = np.flatnonzero(np.diff(tokens.text_of_row, prepend=-1))
        self.first_row = np.append(firsts, len(tokens))

    def __len__(self) -> int:
        return len(self.first_row) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, over all its windows."""
        lengths: npt.NDArray[np.int64] = np.diff(self.tokens.offsets[self.first_row])
        return lengths

    def take(self, indices: npt.NDArray[np.intp]) -> TokenTexts:
        """Return the texts at `indices`."""
        rows, text_of_row = self.rows_of(indices)
        return TokenTexts(replace(self.tokens.take(rows), text_of_row=text_of_row))

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Token ids and mask (n_rows, t); with windows also the text of each row."""
        rows, text_of_row = self.rows_of(indices)
        ids, mask = self.tokens.pad(rows)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if len(rows) > len(indices):
            inputs["text_of_row"] = torch.from_numpy(text_of_row)
        return inputs

    def windows(self) -> TokenTexts:
        """Return each window as a text of its own."""
        alone = np.arange(len(self.tokens))
        return TokenTexts(replace(self.tokens, text_of_row=alone))

    def average(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Mean (n, k) over each text's windows of values (n_windows, k)."""
        if len(self) == len(self.tokens):
            return values
        sums = np.add.reduceat(values, self.first_row[:-1])
        return np.asarray(sums / np.diff(self.first_row)[:, None], dtype=np.float32)

    def rows_of(
        self, indices: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of tokens of the texts at `indices`, and which text each belongs to."""
        firsts, counts = self.first_row[indices], np.diff(self.first_row)[indices]
        text_of_row = np.repeat(np.arange(len(counts)), counts)
        return positions(firsts, row_offsets(counts)), text_of_row


class WindowFeatures:
    """Features (n_windows, w) as `Rows`: of a long text there are several.

    `texts` say whose windows they are. The network averages its logits over them, with
    equal weights, here as where it reads tokens.
    """

    lengths = None

    def __init__(self, matrix: npt.NDArray[np.float32], texts: TokenTexts) -> None:
        self.matrix = matrix
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: npt.NDArray[np.intp]) -> WindowFeatures:
        """Return the texts at `indices`."""
        rows, _ = self.texts.rows_of(indices)
        return WindowFeatures(self.matrix[rows], self.texts.take(indices))

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Features (n_windows, w) and the text that each belongs to."""
        rows, text_of_row = self.texts.rows_of(indices)
        return {
            "features": torch.from_numpy(self.matrix[rows]),
            "text_of_row": torch.from_numpy(text_of_row),
        }


class TokenInput:
    """Texts are cut into tokens, with a fitted encoder's prefix, length and windows."""

    def __init__(self, encoder: BertFeaturizer) -> None:
        self.encoder = encoder

    def rows(self, X: list[str]) -> TokenTexts:
        """Rows of checked texts."""
        encoder = self.encoder
        tokens = tokenize(
            load_tokenizer(encoder.checkpoint_),
            X,
            prefix=encoder.prefix_,
            max_length=encoder.max_length_,
            long_text=encoder.long_text,
            pad_id=encoder.checkpoint_.pad_id,
        )
        # As the featurizer does: who names a length has made the choice.
        unasked = encoder.long_text == "truncate" and encoder.max_length is None
        if tokens.n_cut and unasked:
            warn_of_cuts(tokens.n_cut, len(X), encoder.max_length_)
        return TokenTexts(tokens)


def text_features(rows: Rows) -> Matrix:
    """Features (n, w) of texts; a long one has the mean of those of its windows."""
    if isinstance(rows, WindowFeatures):
        return rows.texts.average(rows.matrix)
    assert isinstance(rows, FeatureRows)
    return rows.matrix
