"""SKT010: texts that are longer than what an encoder reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import listed
from sktransfer.comparison.checks.registry import Check, Remark
from sktransfer.comparison.setup.folds import Rows
from sktransfer.comparison.setup.named_encoders import short_name
from sktransfer.exceptions import SktransferError

__all__ = ["CHECK"]

_MANY = 0.1
_FEWEST = 3
# Texts that are cut into tokens, drawn where there are more: the share is then known to
# three percent.
_SAMPLE = 400


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.texts is not None
    assert facts.readings is not None
    for reading in facts.readings:
        encoder: Any = reading.encoder
        if encoder.long_text != "truncate" or encoder.max_length is not None:
            continue  # who names a length or a way to cut has made the choice
        try:
            encoder = clone(encoder).fit(list(facts.texts[:1]))
            share, rows = _find_cut(encoder, facts.texts, facts.seed)
        except SktransferError:
            continue  # its rows will say why
        if len(rows) < _FEWEST or share < _MANY:
            continue
        name = short_name(encoder.model)
        longest = encoder.checkpoint_.n_positions
        more = longest is not None and longest > encoder.max_length_
        longer = f"max_length={longest}, or " if more else ""
        yield Remark(
            f"About {share:.0%} of the texts are longer than the {encoder.max_length_} "
            f"tokens that {name} reads, and their ends are cut, for "
            f"{listed(reading.strategies)}.",
            f"See whether scores rise with {longer}long_text='window', or 'head_tail': "
            f"encoder=BertFeaturizer({encoder.model!r}, ...).",
            tuple(rows.tolist()),
            reading.strategies,
        )


def _find_cut(encoder: Any, texts: Sequence[str], seed: int) -> tuple[float, Rows]:
    """Share of the texts that are cut, and their rows among those looked at."""
    # Here, where they are loaded anyway: who only predicts needs no torch.
    from sktransfer.encoders.loaded_models import load_tokenizer
    from sktransfer.encoders.tokens import tokenize

    # A token takes one byte at least.
    sizes = np.array([len(text.encode("utf-8", "replace")) for text in texts])
    long = np.flatnonzero(sizes > encoder.max_length_ - 2 - len(encoder.prefix_))
    if not len(long):
        return 0.0, long
    rows = long
    if len(long) > _SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(long, _SAMPLE, replace=False))
    tokens = tokenize(
        load_tokenizer(encoder.checkpoint_),
        [texts[row] for row in rows.tolist()],
        prefix=encoder.prefix_,
        max_length=encoder.max_length_,
        # So that what is cut has several rows.
        long_text="window",
        pad_id=encoder.checkpoint_.pad_id,
    )
    cut = rows[np.bincount(tokens.text_of_row, minlength=len(rows)) > 1]
    return len(cut) / len(rows) * len(long) / len(texts), cut


CHECK = Check(
    "SKT010",
    "cut_texts",
    "Encoders do not read texts to their ends",
    _look,
    needs=("texts", "readings"),
)
