"""From X to rows that the network reads: numbers, features of texts, or tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from sktransfer.classifier.data.batches import FeatureRows, Rows
from sktransfer.encoders.encoding import warn_of_cuts
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.registry import load_tokenizer
from sktransfer.encoders.tokens import TokenRows, tokenize
from sktransfer.exceptions import InvalidInputError

__all__ = [
    "FeatureInput",
    "Input",
    "NumberInput",
    "TokenInput",
    "TokenTexts",
    "WindowFeatures",
]


class Input(Protocol):
    """How checked X becomes rows of the network."""

    def rows(self, X: Any) -> Rows:
        """Rows of checked texts or numbers."""


class NumberInput:
    """A matrix is its own features."""

    def rows(self, X: npt.NDArray[np.float32] | sparse.csr_array) -> FeatureRows:
        """Rows of a checked matrix (n, w)."""
        return FeatureRows(X)


class FeatureInput:
    """Texts go through a frozen encoder, once each.

    Parameters
    ----------
    encoder : transformer
        Fitted; maps texts to a matrix (n, w).
    """

    def __init__(self, encoder: Any) -> None:
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
    """Tokenised texts as `Rows`; a text in windows has several rows of tokens.

    Parameters
    ----------
    tokens : TokenRows
        What the tokenizer made of n texts.
    """

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
        starts = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + (firsts - starts)[text_of_row], text_of_row


class WindowFeatures:
    """Features of windows as `Rows`, several for a long text.

    Parameters
    ----------
    matrix : ndarray of shape (n_windows, w)
        What a frozen body gave.
    texts : TokenTexts
        Whose windows they are.
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
    """Texts are cut into the transformer's tokens, once a fit.

    Parameters
    ----------
    encoder : BertFeaturizer
        Fitted; its prefix, length and treatment of long texts apply.
    """

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
