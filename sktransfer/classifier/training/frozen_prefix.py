"""What the frozen layers below the first learning one give: computed once and kept.

Frozen layers run in evaluation mode, so that the states which enter the first layer
that learns are the same in every epoch. With them kept, an epoch costs only what
learns: where two of the six layers of all-MiniLM-L6-v2 do, a step that runs all of them
takes 1.7 times as long (16 sentences, one core).

Private names are those of `cpu.skipping`; whether an architecture suits is tried out,
and where it does not, every epoch runs the whole body.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sktransfer.classifier.cpu.skipping import catching_input, skipping
from sktransfer.classifier.cpu.switch import tricks_on
from sktransfer.classifier.data.rows import (
    EvaluationBatches,
    LabelledRows,
    TokenTexts,
)
from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.ragged import positions, row_offsets

__all__ = ["KeptTexts", "keep_states"]

#: Bytes that kept states may take; beyond it they are computed in every epoch.
MEMORY_LIMIT = 2**30

_TEXTS_A_PASS = 64

# Kept states have to lead to the features of the whole body up to this share of the
# largest of them; the order of additions alone moves them by about 1e-6.
_TOLERANCE = 1e-3


class KeptTexts:
    """Tokenised texts as `Rows`, with the states that enter the first learning layer.

    `states` (n_tokens, w) are in the order of the tokens, without padding; `dtype` is
    the number format that the layer reads, which may be a larger one than theirs.
    """

    def __init__(
        self, texts: TokenTexts, states: torch.Tensor, dtype: torch.dtype
    ) -> None:
        self.texts = texts
        self.states = states
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, over all its windows."""
        return self.texts.lengths

    def take(self, indices: npt.NDArray[np.intp]) -> KeptTexts:
        """Return the texts at `indices`."""
        kept = self.states[self.places_of(indices)]
        return KeptTexts(self.texts.take(indices), kept, self.dtype)

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Inputs of the tokens, and their states (n_rows, t, w), 0 at the padding."""
        inputs = self.texts.batch(indices)
        present = inputs["attention_mask"].bool()
        states = torch.zeros(*present.shape, self.states.shape[1], dtype=self.dtype)
        states[present] = self.states[self.places_of(indices)].to(self.dtype)
        return inputs | {"states": states}

    def places_of(self, indices: npt.NDArray[np.intp]) -> torch.Tensor:
        """Rows of `states` that belong to the texts at `indices`."""
        rows, _ = self.texts.rows_of(indices)
        tokens = self.texts.tokens
        offsets = row_offsets(tokens.lengths[rows])
        return torch.from_numpy(positions(tokens.offsets[rows], offsets))


def keep_states(
    body: Body | None, data: LabelledRows, device: torch.device, dtype: torch.dtype
) -> LabelledRows:
    """Rows with what the frozen layers give for them, where that can be kept.

    It cannot where no layer is frozen below the first that learns, where the states of
    a frozen layer are read for themselves, where they would take more than
    `MEMORY_LIMIT`, or where an architecture hands more from layer to layer than states.
    Then the rows come back as they were, and every epoch runs the whole body, which has
    its strategy applied. `dtype` is the precision of the body's matrix products.
    """
    texts = data.rows
    if not isinstance(body, TransformerBody) or not isinstance(texts, TokenTexts):
        return data
    if not tricks_on():
        return data
    n_layers, exact = body.n_resting(), dtype == torch.float32
    n_numbers = len(texts.tokens.ids) * body.checkpoint.hidden_size
    if n_layers == 0 or n_numbers * (4 if exact else 2) > MEMORY_LIMIT:
        return data
    body.to(device).eval()
    with torch.no_grad():
        if not _can_resume(body, n_layers, texts, device):
            return data
        with torch.autocast(device.type, dtype=dtype, enabled=not exact):
            kept = _collect(body, n_layers, texts, device, exact)
    if kept is None:
        return data
    return LabelledRows(kept, data.classes.numpy(), data.weight.numpy())


def _can_resume(
    body: TransformerBody, n_layers: int, texts: TokenTexts, device: torch.device
) -> bool:
    """Whether the body gives the same features when it resumes at layer `n_layers`.

    Tried on the shortest and the longest text, so that there is padding.
    """
    by_length = np.argsort(texts.lengths, kind="stable")
    inputs = texts.batch(by_length[[0, -1]])
    tokens = {name: inputs[name].to(device) for name in ("input_ids", "attention_mask")}
    lowest, first = body.blocks()[0], body.blocks()[n_layers]
    given: list[Any] = []
    with (
        catching_input(first) as caught,
        lowest.register_forward_hook(lambda *passed: given.append(passed[-1])),
    ):
        expected = body(**tokens)
    if len(caught) != 1:
        return False
    states = caught[0]
    if states.shape[:2] != tokens["input_ids"].shape:
        return False
    body.n_extra = len(given[0]) - 1 if isinstance(given[0], tuple) else None
    states = states * tokens["attention_mask"][..., None]
    try:
        found = body(**tokens, states=states)
    # What an architecture makes of layers that are passed over is its own affair.
    except Exception:
        return False
    allowed = _TOLERANCE * float(expected.abs().max())
    return torch.allclose(found, expected, rtol=0, atol=allowed)


def _collect(
    body: TransformerBody,
    n_layers: int,
    texts: TokenTexts,
    device: torch.device,
    exact: bool,
) -> KeptTexts | None:
    """Run the layers below `n_layers` over all texts; None if float16 is too narrow."""
    kept: torch.Tensor | None = None
    places = KeptTexts(texts, torch.empty(len(texts.tokens.ids), 0), torch.float32)
    unlabelled = LabelledRows(texts, np.zeros(len(texts), np.int64))
    above = body.blocks()[n_layers:]
    with (
        skipping(above, n_extra=body.n_extra),
        catching_input(above[0]) as caught,
    ):
        for indices in EvaluationBatches(unlabelled, _TEXTS_A_PASS).indices():
            inputs = texts.batch(indices)
            mask = inputs["attention_mask"]
            body(inputs["input_ids"].to(device), mask.to(device))
            states = caught.pop()
            dtype = states.dtype
            packed = states[mask.bool().to(device)].cpu()
            # Wide enough for normalised states, and three digits finer than bfloat16.
            packed = packed if exact else packed.to(torch.float16)
            if not packed.isfinite().all():
                return None
            if kept is None:
                kept = packed.new_empty(len(texts.tokens.ids), packed.shape[1])
            kept[places.places_of(indices)] = packed
    assert kept is not None
    return KeptTexts(texts, kept, dtype)
