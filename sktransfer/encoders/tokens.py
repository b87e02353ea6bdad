"""Texts to rows of token ids, and rows to batches of like length.

Texts are tokenised once, without padding, into one flat array; cutting and windows are
index arithmetic on it. Batches are filled to a budget of padded tokens after sorting by
length, so that little is computed for padding.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from sktransfer.encoders.checkpoints.script_tokenizer import ScriptTokenizer
from sktransfer.exceptions import (
    CheckpointError,
    InvalidParameterError,
    SktransferError,
)
from sktransfer.ragged import gather, row_offsets

__all__ = [
    "LONG_TEXTS",
    "Ints",
    "TokenRows",
    "batches_by_length",
    "check_ids",
    "is_panic",
    "merge_windows",
    "send",
    "tokenize",
]

Ints = NDArray[np.int64]

LONG_TEXTS = ("truncate", "head_tail", "window")

# Encodings are ten times the size of the ids taken from them, so few are held at once.
_CHUNK = 4096
# Batches a worker from which on it does not matter how the last ones fall.
_MANY = 16


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
    cut : bool array of shape (n_texts,) or None
        Which texts lost tokens; None is none of them.
    """

    ids: NDArray[np.int32]
    offsets: Ints
    text_of_row: Ints
    weights: NDArray[np.float32]
    pad_id: int = 0
    cut: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_cut(self) -> int:
        """Number of texts that lost tokens."""
        return 0 if self.cut is None else int(self.cut.sum())

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
            cut=self.cut,
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


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for a copy to a GPU to end.

    What the device does with it waits for the copy.
    """
    if device.type == "cuda":
        # Only pages that the system cannot move are copied while the CPU goes on.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def is_panic(error: BaseException) -> bool:
    """Whether it is what Rust raises for a fault of its own; Python has no name of it.

    It is none of Python's exceptions, and yet comes of files that are damaged.
    """
    return type(error).__name__ == "PanicException"


def check_ids(ids: NDArray[np.int32], n_words: int) -> None:
    """Raise CheckpointError for a token that the table of embeddings has no row for."""
    if len(ids) and not 0 <= (worst := int(ids.max())) < n_words:
        raise CheckpointError(
            f"The tokenizer gives the token {worst}, but the weights have embeddings "
            f"of {n_words} tokens: the two do not belong together, or a file is "
            "damaged; download or save the checkpoint again."
        )


def tokenize(
    tokenizer: Tokenizer | ScriptTokenizer,
    texts: Sequence[str],
    *,
    prefix: str = "",
    max_length: int,
    long_text: str = "truncate",
    pad_id: int = 0,
) -> TokenRows:
    """Turn texts into rows of token ids, none longer than `max_length`.

    Of a longer text a row holds the beginning ("truncate"), or its first and its last
    half of the tokens side by side ("head_tail"); "window" makes several rows that
    overlap by a quarter, the first of which has the prefix. Special tokens are kept in
    each row and count. Some architectures count positions from `pad_id`.
    """
    with _explained():
        leading, trailing = _count_special_tokens(tokenizer)
    room = max_length - leading - trailing
    if room < 1:
        raise InvalidParameterError(
            f"max_length is {max_length} tokens, but the tokenizer's special tokens "
            f"alone are {leading + trailing}: pass at least {leading + trailing + 1}."
        )
    with _explained():
        ids, lengths = _encode(tokenizer, texts, prefix, pad_id)
    starts = row_offsets(lengths)[:-1]
    inner = lengths - leading - trailing
    too_long = inner > room
    text_of_row = np.arange(len(lengths))
    if not too_long.any():
        pieces = []
    elif long_text == "window":
        text_of_row, first, last = _windows(inner, room)
        begin = starts[text_of_row]
        pieces = [
            (begin, np.full_like(begin, leading)),
            (begin + leading + first, last - first),
            (begin + leading + inner[text_of_row], np.full_like(begin, trailing)),
        ]
    else:
        tail = trailing + (room // 2 if long_text == "head_tail" else 0)
        tails = np.where(too_long, tail, 0)
        heads = np.minimum(lengths, max_length) - tails
        pieces = [(starts, heads), (starts + lengths - tails, tails)]
    if pieces:
        ids, lengths = _splice(ids, pieces)
    return TokenRows(
        ids=ids,
        offsets=row_offsets(lengths),
        text_of_row=text_of_row,
        weights=np.maximum(lengths - leading - trailing, 1).astype(np.float32),
        pad_id=pad_id,
        cut=None if long_text == "window" else too_long,
    )


def merge_windows(vectors: NDArray[np.float32], rows: TokenRows) -> NDArray[np.float32]:
    """Average the vectors (n_rows, width) of each text's rows by their tokens.

    Every text has at least one row. `vectors` itself where each text is one row.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.encoders.tokens import TokenRows, merge_windows
    >>> text_of_row, weights = np.array([0, 0]), np.array([3, 1], dtype=np.float32)
    >>> rows = TokenRows(np.arange(4), np.array([0, 3, 4]), text_of_row, weights)
    >>> merge_windows(np.array([[1.0], [5.0]], dtype=np.float32), rows)
    array([[2.]], dtype=float32)
    """
    if not len(rows) or rows.text_of_row[-1] == len(rows) - 1:
        return vectors
    firsts = np.flatnonzero(np.diff(rows.text_of_row, prepend=-1))
    sums = np.add.reduceat(vectors * rows.weights[:, None], firsts)
    totals = np.add.reduceat(rows.weights, firsts)
    return (sums / totals[:, None]).astype(np.float32, copy=False)


def batches_by_length(
    lengths: Ints, batch_tokens: int, n_workers: int = 1
) -> list[Ints]:
    """Split rows into batches of like length within a budget of padded tokens.

    A longer row is a batch of its own. With several workers the batches are as equal as
    rows can be divided, and as many that each worker has as many: none waits for the
    last one. The longest come first, so that memory that does not suffice shows at
    once.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.encoders.tokens import batches_by_length
    >>> [batch.tolist() for batch in batches_by_length(np.array([2, 9, 3, 2]), 6)]
    [[1], [2, 0], [3]]
    """
    order = np.argsort(-lengths, kind="stable")
    if n_workers > 1:
        batches = _divide_evenly(order, lengths, batch_tokens, n_workers)
        if batches:
            return batches
    batches = []
    start = 0
    while start < len(order):
        n_rows = max(1, batch_tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + n_rows])
        start += n_rows
    return batches


def _divide_evenly(
    order: Ints, lengths: Ints, batch_tokens: int, n_workers: int
) -> list[Ints]:
    """Batches of about the same number of tokens; none where that cannot be."""
    ends = np.cumsum(lengths[order])
    total = int(ends[-1]) if len(ends) else 0
    fewest = -(-total // (batch_tokens * n_workers))
    # Of so many the last one hardly counts.
    if fewest > _MANY:
        return []
    # Padding may need more batches than tokens do.
    for factor in range(fewest, 2 * fewest + 2):
        shares = total * np.arange(1, factor * n_workers) / (factor * n_workers)
        batches = np.split(order, np.searchsorted(ends, shares, side="left") + 1)
        batches = [batch for batch in batches if len(batch)]
        if all(
            len(batch) == 1 or len(batch) * lengths[batch[0]] <= batch_tokens
            for batch in batches
        ):
            return batches
    return []


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Make a CheckpointError of what a tokenizer raises that cannot do its work."""
    try:
        yield
    except (SktransferError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise CheckpointError(
            f"The tokenizer cannot encode texts ({error}): its files are damaged or "
            "of another version; download or save the checkpoint again."
        ) from error


def _count_special_tokens(
    tokenizer: Tokenizer | ScriptTokenizer,
) -> tuple[int, int]:
    """Tokens that the tokenizer puts before and after every text."""
    added = tokenizer.encode("a").special_tokens_mask
    leading = next((i for i, special in enumerate(added) if not special), len(added))
    trailing = next((i for i, special in enumerate(added[::-1]) if not special), 0)
    return leading, trailing


def _encode(
    tokenizer: Tokenizer | ScriptTokenizer,
    texts: Sequence[str],
    prefix: str,
    pad_id: int,
) -> tuple[NDArray[np.int32], Ints]:
    """Flat ids and each text's number of tokens, nothing cut."""
    parts: list[NDArray[np.int32]] = []
    counts: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = list(texts[start : start + _CHUNK])
        if prefix:
            chunk = [prefix + text for text in chunk]
        try:
            encodings = tokenizer.encode_batch_fast(chunk)
        except TypeError:
            # Half of a surrogate pair is a str in Python, but no Unicode text.
            chunk = [
                text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                for text in chunk
            ]
            encodings = tokenizer.encode_batch_fast(chunk)
        # Without special tokens the empty text has no token, and no model reads that.
        lists = [encoding.ids or [pad_id] for encoding in encodings]
        counts += map(len, lists)
        flat = itertools.chain.from_iterable(lists)
        parts.append(np.fromiter(flat, dtype=np.int32))
    ids = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
    return ids, np.array(counts, dtype=np.int64)


def _windows(inner: Ints, room: int) -> tuple[Ints, Ints, Ints]:
    """Text, first token and end of each window of `room` of a text's `inner` tokens."""
    step = room - room // 4
    counts = 1 + np.maximum(-(-(inner - room) // step), 0)
    text_of_row = np.repeat(np.arange(len(inner)), counts)
    first = (np.arange(counts.sum()) - row_offsets(counts)[text_of_row]) * step
    return text_of_row, first, np.minimum(first + room, inner[text_of_row])


def _splice(
    ids: NDArray[np.int32], pieces: list[tuple[Ints, Ints]]
) -> tuple[NDArray[np.int32], Ints]:
    """Rows made of one piece after another, each (where it starts, its length)."""
    starts = np.stack([start for start, _ in pieces], axis=1)
    lengths = np.stack([length for _, length in pieces], axis=1)
    return gather(ids, starts.ravel(), lengths.ravel()), lengths.sum(axis=1)
