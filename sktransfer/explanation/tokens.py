"""A text as the tokens that a transformer reads, with their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.encoders.batching import tokenize
from sktransfer.encoders.checkpoints import load_tokenizer
from sktransfer.explanation.places import Span

__all__ = ["Tokens", "read_tokens"]


@dataclass(frozen=True)
class Tokens:
    """Tokens of one text.

    Attributes
    ----------
    ids : ndarray of int64, shape (t,)
    spans : list of (int, int), of length t
        Places in the text.
    own : ndarray of bool, shape (t,)
        Whether a token is the text's, not a special one or the prefix's.
    pad_id : int
    """

    ids: NDArray[np.int64]
    spans: list[Span]
    own: NDArray[np.bool_]
    pad_id: int

    def blank(self) -> NDArray[np.int64]:
        """Ids of a text of this length that says nothing, shape (t,)."""
        return np.where(self.own, self.pad_id, self.ids)


def read_tokens(featurizer: Any, text: str) -> Tokens | None:
    """Tokens of a text as the featurizer reads them.

    Parameters
    ----------
    featurizer : BertFeaturizer
        Fitted.
    text : str

    Returns
    -------
    tokens : Tokens or None
        None where the text is read in several windows.
    """
    checkpoint, prefix = featurizer.checkpoint_, featurizer.prefix_
    tokenizer = load_tokenizer(checkpoint)
    rows = tokenize(
        tokenizer,
        [text],
        prefix=prefix,
        max_length=featurizer.max_length_,
        long_text=featurizer.long_text,
        pad_id=checkpoint.pad_id,
    )
    if len(rows) != 1:
        return None
    try:
        encoding = tokenizer.encode(prefix + text)
    except TypeError:  # half of a surrogate pair is no Unicode text
        return None
    ids = np.array(encoding.ids or [checkpoint.pad_id], dtype=np.int64)
    kept = _find_kept(ids, rows.ids.astype(np.int64), encoding.special_tokens_mask)
    if kept is None:
        return None
    offsets = encoding.offsets or [(0, 0)]
    special = encoding.special_tokens_mask or [1]
    spans = [
        (max(start - len(prefix), 0), max(stop - len(prefix), 0))
        for start, stop in (offsets[place] for place in kept)
    ]
    own = [
        not special[place] and span[1] > 0
        for place, span in zip(kept, spans, strict=True)
    ]
    return Tokens(ids[kept], spans, np.array(own), checkpoint.pad_id)


def _find_kept(
    ids: NDArray[np.int64], read: NDArray[np.int64], special: list[int]
) -> list[int] | None:
    """Which tokens of the whole text were read: all, or a head and a tail."""
    if len(ids) == len(read):
        return list(range(len(ids)))
    for n_tail in range(len(read)):
        head = range(len(read) - n_tail)
        kept = [*head, *range(len(ids) - n_tail, len(ids))]
        if np.array_equal(ids[kept], read):
            return kept
    return None
