"""Rows of token ids of different lengths, kept flat.

A list of lists costs Python work for every text; one array with offsets costs index
arithmetic for all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Ints", "TokenRows", "gather", "row_offsets", "send"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TokenRows:
    """Rows of token ids of different lengths, in one flat array.

    Attributes
    ----------
    ids : int32 array of shape (n_tokens,)
        All rows, one after another, special tokens included.
    offsets : int64 array of shape (n_rows + 1,)
        Row i is ``ids[offsets[i]:offsets[i + 1]]``.
    text_of_row : int64 array of shape (n_rows,)
        Position of the text that a row is part of, never falling.
    weights : float32 array of shape (n_rows,)
        Tokens of a row without special ones, at least 1: its share of its text.
    pad_id : int
        What `pad` fills with.
    n_cut : int
        Number of texts that lost tokens.
    """

    ids: NDArray[np.int32]
    offsets: Ints
    text_of_row: Ints
    weights: NDArray[np.float32]
    pad_id: int = 0
    n_cut: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each row, shape (n_rows,)."""
        return np.diff(self.offsets)

    def take(self, indices: Sequence[int] | Ints) -> TokenRows:
        """Return the rows at `indices`, in that order.

        Parameters
        ----------
        indices : int array of shape (n,)
            Positions of rows; they may repeat.

        Returns
        -------
        rows : TokenRows of length n
        """
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        return TokenRows(
            ids=gather(self.ids, self.offsets[indices], lengths),
            offsets=row_offsets(lengths),
            text_of_row=self.text_of_row[indices],
            weights=self.weights[indices],
            pad_id=self.pad_id,
            n_cut=self.n_cut,
        )

    def pad(self, indices: Sequence[int] | Ints) -> tuple[Tensor, Tensor]:
        """Return the rows at `indices` as a batch, padded at the end.

        Parameters
        ----------
        indices : int array of shape (b,)
            Positions of rows.

        Returns
        -------
        input_ids : int64 tensor of shape (b, t)
            t is the longest row's length.
        attention_mask : int64 tensor of shape (b, t)
            1 at tokens and 0 at padding.
        """
        indices = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[indices]
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        padded = np.full(mask.shape, self.pad_id, dtype=np.int64)
        padded[mask] = gather(self.ids, self.offsets[indices], lengths)
        return torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))


def gather(ids: NDArray[np.int32], starts: Ints, lengths: Ints) -> NDArray[np.int32]:
    """Return stretches of an array, one after another.

    Parameters
    ----------
    ids : int32 array of shape (n_tokens,)
        What they are stretches of.
    starts, lengths : int64 arrays of shape (n,)
        Where each begins, and how long it is.

    Returns
    -------
    gathered : int32 array of shape (sum of lengths,)
    """
    offsets = row_offsets(lengths)
    shifts = np.repeat(starts - offsets[:-1], lengths)
    gathered: NDArray[np.int32] = ids[np.arange(offsets[-1]) + shifts]
    return gathered


def row_offsets(lengths: Ints) -> Ints:
    """Return where rows of these lengths begin, and where the last one ends.

    Parameters
    ----------
    lengths : int64 array of shape (n,)
        Entries of each row.

    Returns
    -------
    offsets : int64 array of shape (n + 1,)
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, without waiting for a copy to a GPU to end.

    Parameters
    ----------
    tensor : tensor
        On the CPU.
    device : torch.device
        Where to.

    Returns
    -------
    sent : tensor
        `tensor` itself for the CPU. What the device does with it waits for the copy.
    """
    if device.type == "cuda":
        # Only pages that the system cannot move are copied while the CPU goes on.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
