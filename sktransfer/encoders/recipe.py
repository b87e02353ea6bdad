"""All that changes the vector of a text, and texts encoded accordingly.

`Recipe` names it, `encode_texts` follows it, and `encode_distinct` does so for what a
cache lacks.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sktransfer.encoders.batching import merge_windows, tokenize
from sktransfer.encoders.checkpoints import Checkpoint, load_encoder, load_tokenizer
from sktransfer.encoders.encoding import choose_batch_tokens, encode_rows
from sktransfer.encoders.lookup import hash_texts, look_up
from sktransfer.encoders.process import count_texts, ensure_not_forked
from sktransfer.encoders.store import Store
from sktransfer.exceptions import TruncationWarning

__all__ = ["Recipe", "encode_distinct", "encode_texts", "warn_of_cuts"]

# Part of every fingerprint: raise it when the same recipe would give other vectors.
# (Which attention a model uses follows from its configuration, which the digest holds.)
_FORMAT = 2

# Texts that are tokenised, encoded and kept together: many enough to sort by length,
# few enough that an interruption loses little.
_BLOCK = 8192


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


def encode_texts(
    texts: Sequence[str],
    recipe: Recipe,
    *,
    batch_tokens: int | None = None,
    on_progress: Callable[[float], object] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Encode texts by a recipe, without any cache.

    Parameters
    ----------
    texts : sequence of str, of length n_texts
        Each is encoded, duplicates too.
    recipe : Recipe
        What to do.
    batch_tokens : int or None, default=None
        Most padded tokens of one forward pass; None chooses by the device.
    on_progress : callable or None, default=None
        Called with the number of texts done after each forward pass; the window of a
        text counts as a part of it.

    Returns
    -------
    vectors : float32 array of shape (n_texts, width)
    n_cut : int
        Number of texts that were longer than ``recipe.max_length`` and lost tokens.

    Raises
    ------
    ForkedProcessError
        If this process was forked from one in which a model had run.
    """
    ensure_not_forked()
    checkpoint = recipe.checkpoint
    rows = tokenize(
        load_tokenizer(checkpoint),
        texts,
        prefix=recipe.prefix,
        max_length=recipe.max_length,
        long_text=recipe.long_text,
        pad_id=checkpoint.pad_id,
    )

    def advance(n_rows: int) -> None:
        if on_progress is not None:
            whole = len(rows) == len(texts)
            on_progress(n_rows if whole else n_rows * len(texts) / len(rows))

    vectors = encode_rows(
        load_encoder(checkpoint, device=recipe.device, dtype=recipe.dtype),
        rows,
        layers=recipe.layers,
        pooling=recipe.pooling,
        batch_tokens=batch_tokens
        or choose_batch_tokens(recipe.device, checkpoint.hidden_size),
        on_progress=advance,
    )
    count_texts(len(texts))
    return merge_windows(vectors, rows), rows.n_cut


def encode_distinct(
    texts: Sequence[str],
    recipe: Recipe,
    *,
    store: Store | None,
    batch_tokens: int | None = None,
    verbose: bool = False,
) -> tuple[NDArray[np.float32], int, int]:
    """Return vectors of texts, computing those that the store lacks.

    Parameters
    ----------
    texts : sequence of str, of length n_texts
        Without duplicates.
    recipe : Recipe
        What to do.
    store : Store or None
        Where to look and what to add to; None computes all.
    batch_tokens : int or None, default=None
        Most padded tokens of one forward pass; None chooses by the device.
    verbose : bool, default=False
        Show a progress bar of the texts that are computed.

    Returns
    -------
    vectors : float32 array of shape (n_texts, width)
    n_computed : int
        Number of texts that the store lacked.
    n_cut : int
        Number of texts among them that lost tokens.
    """
    n_computed = n_cut = 0

    def compute(indices: list[int]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        nonlocal n_computed, n_cut
        with _progress(len(indices), verbose) as advance:
            for start in range(0, len(indices), _BLOCK):
                block = indices[start : start + _BLOCK]
                vectors, cut = encode_texts(
                    [texts[index] for index in block],
                    recipe,
                    batch_tokens=batch_tokens,
                    on_progress=advance,
                )
                n_computed += len(block)
                n_cut += cut
                yield block, vectors

    if store is not None:
        keys = hash_texts(texts, recipe.fingerprint)
        return look_up(store, keys, recipe.width, compute), n_computed, n_cut
    result = np.empty((len(texts), recipe.width), dtype=np.float32)
    for block, vectors in compute(list(range(len(texts)))):
        result[block] = vectors
    return result, n_computed, n_cut


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


@contextlib.contextmanager
def _progress(n_texts: int, shown: bool) -> Iterator[Callable[[float], object]]:
    """A function to call with the number of texts done; it draws a bar."""
    from tqdm.auto import tqdm

    with tqdm(total=n_texts, unit=" texts", disable=not shown) as bar:
        yield bar.update
