"""All that changes the vector of a text, and its fingerprint."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass

import torch

from sktransfer.encoders.checkpoints import Checkpoint
from sktransfer.exceptions import TruncationWarning

__all__ = ["Recipe", "warn_of_cuts"]

# Part of every fingerprint: raise it when the same recipe would give other vectors.
# (Which attention a model uses follows from its configuration, which the digest holds.)
_FORMAT = 2


@dataclass(frozen=True)
class Recipe:
    """All that changes the vector of a text.

    Scaling to length 1 is not part of it: it costs next to nothing and is done last.

    Attributes
    ----------
    checkpoint : Checkpoint
        Weights and tokenizer.
    layers : tuple of int
        Hidden states that are averaged.
    pooling : tuple of {"mean", "cls", "max"}
        Put side by side.
    prefix : str
        Put before each text.
    max_length : int
        Tokens of a row, special ones included.
    long_text : {"truncate", "head_tail", "window"}
        What becomes of longer texts.
    device : torch.device
        Where it is computed.
    dtype : torch.dtype
        In which number format.
    """

    checkpoint: Checkpoint
    layers: tuple[int, ...]
    pooling: tuple[str, ...]
    prefix: str
    max_length: int
    long_text: str
    device: torch.device
    dtype: torch.dtype

    @property
    def width(self) -> int:
        """Length of a vector."""
        return len(self.pooling) * self.checkpoint.hidden_size

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that tells two vectors of one text apart.

        The folder and the number of a card are no part of it.
        """
        return self._hash(self.device.type, str(self.dtype))

    def digest(self, *choices: object) -> str:
        """SHA-256 of what a user chose, whatever the machine made of it.

        Parameters
        ----------
        *choices : object
            Further choices, with a ``repr`` that is the same everywhere.

        Returns
        -------
        digest : str of 64 characters
            Of checkpoint, layers, pooling, prefix, lengths, and `choices`.
        """
        return self._hash(*choices)

    def _hash(self, *others: object) -> str:
        parts = (
            _FORMAT,
            self.checkpoint.digest,
            self.layers,
            self.pooling,
            self.prefix,
            self.max_length,
            self.long_text,
            *others,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def warn_of_cuts(n_cut: int, n_texts: int, max_length: int) -> None:
    """Warn that texts lost their ends to a length that nobody asked for.

    Parameters
    ----------
    n_cut, n_texts : int
        Texts that lost tokens, and texts in all.
    max_length : int
        Tokens that were kept.
    """
    warnings.warn(
        f"{n_cut} of {n_texts} texts ({n_cut / n_texts:.0%}) were longer than the "
        f"{max_length} tokens that the checkpoint declares, and their ends were cut: "
        "pass long_text='window' or 'head_tail' to read more, or max_length to say "
        "that it is meant.",
        TruncationWarning,
        stacklevel=4,
    )
