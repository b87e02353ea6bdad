"""Integrated gradients of a network's decision (Sundararajan et al. 2017).

The gradient of the margin is averaged on the straight way from an input that says
nothing to the text. The contributions then add up to the difference of the two margins.

Letters in shapes: b inputs on the way, t tokens, S words, w features.

References
----------
Sundararajan, Taly and Yan (2017). "Axiomatic Attribution for Deep Networks". ICML.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sktransfer.classifier.data.rows import FeatureRows
from sktransfer.encoders.loaded_models import load_tokenizer
from sktransfer.encoders.tokens import tokenize
from sktransfer.explanation.opened_model import Attribution
from sktransfer.explanation.word_spans import Span
from sktransfer.packages import require_extra

if TYPE_CHECKING:
    from sktransfer.classifier.classifier import TransferSentimentClassifier
    from sktransfer.classifier.network.transformer import TransformerBody
    from sktransfer.encoders.featurizer import BertFeaturizer

__all__ = [
    "NetworkHead",
    "Tokens",
    "integrate_parts",
    "integrate_tokens",
    "linear_head",
    "read_tokens",
    "torch_head",
    "with_gradients",
]

Decide = Callable[[torch.Tensor], torch.Tensor]

# Points on the way: doubled until the sum is right to a hundredth.
_FIRST_STEPS, _MOST_STEPS = 32, 512
_TOLERANCE = 0.01
# Tokens of one pass forward and back.
_TOKENS_A_PASS = 4096


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


def read_tokens(featurizer: BertFeaturizer, text: str) -> Tokens | None:
    """Tokens of a text as a fitted featurizer reads them; None for several windows."""
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


class NetworkHead:
    """What stands above the encoder of a fitted TransferSentimentClassifier."""

    def __init__(self, model: TransferSentimentClassifier) -> None:
        self.model = model
        self.classes_ = model.classes_

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logits of features (n, w), as the model's own ``decision_function``."""
        rows = FeatureRows(np.asarray(X, dtype=np.float32))
        logits = np.asarray(self.model.net_.predict_logits(rows), dtype=np.float64)
        return logits[:, 0] if len(self.classes_) == 2 else logits


def torch_head(model: TransferSentimentClassifier, number: int) -> Decide:
    """Features (b, w) -> margins (b,) of a class, through which gradients flow."""
    logits_of = model.net_.module_.decision()

    def decide(features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = logits_of(features)
        if len(model.classes_) == 2:
            return logits[:, 0] if number == 1 else -logits[:, 0]
        return logits[:, number]

    return decide


def linear_head(coefficients: NDArray[np.float64], base: float) -> Decide:
    """Features (b, w) -> margins (b,), by coefficients (w,) and an intercept."""
    weight = torch.tensor(coefficients, dtype=torch.float32)

    def decide(features: torch.Tensor) -> torch.Tensor:
        return features @ weight.to(features.device) + base

    return decide


def integrate_parts(
    decide: Decide, spans: list[Span], parts: NDArray[np.float64]
) -> Attribution:
    """Contributions of words whose vectors, parts (S, w), add up to the features.

    The base is the margin of a text without words.
    """
    require_extra("captum", "explain", "explain() through a network")
    from captum.attr import IntegratedGradients

    with with_gradients():
        given = torch.tensor(parts[None], dtype=torch.float32)  # (1, S, w)

        def forward(words: torch.Tensor) -> torch.Tensor:
            return decide(words.sum(dim=1))

        with torch.no_grad():
            value = float(forward(given))
            base = float(forward(torch.zeros_like(given)))
        if not spans:
            return Attribution("gradients", [], [], value, base)
        method = IntegratedGradients(forward)
        values = _refine(
            lambda n_steps: method.attribute(given, n_steps=n_steps), value - base
        )
    return Attribution("gradients", spans, values, value, base)


def integrate_tokens(
    body: TransformerBody, decide: Decide, tokens: Tokens
) -> Attribution:
    """Contributions of the tokens of one text that a transformer in float32 reads.

    The base is the margin where padding stands for each token of the text.
    """
    require_extra("captum", "explain", "explain() through a network")
    from captum.attr import LayerIntegratedGradients

    with with_gradients():
        # The token table alone: positions are the same on the whole way.
        layer = body.transformer.get_input_embeddings()
        device = layer.weight.device
        ids = torch.tensor(tokens.ids[None], device=device)
        blank = torch.tensor(tokens.blank()[None], device=device)

        def forward(input_ids: torch.Tensor) -> torch.Tensor:
            mask = torch.ones_like(input_ids)
            return decide(body(input_ids=input_ids, attention_mask=mask))

        with torch.no_grad():
            value = float(forward(ids))
            # Some architectures count positions from the padding they find in the ids,
            # so the ids stay and their vectors change.
            nothing = layer(blank)
            with _replacing(layer, nothing):
                base = float(forward(ids))
        if not tokens.own.any():
            return Attribution("gradients", [], [], value, base)
        method = LayerIntegratedGradients(forward, layer)
        rows = max(1, _TOKENS_A_PASS // ids.shape[1])
        values = _refine(
            lambda n_steps: method.attribute(
                ids, baselines=blank, n_steps=n_steps, internal_batch_size=rows
            ),
            value - base,
        )
    own = tokens.own
    return Attribution(
        "gradients",
        [span for span, is_own in zip(tokens.spans, own, strict=True) if is_own],
        [found for found, is_own in zip(values, own, strict=True) if is_own],
        value,
        base,
    )


def _refine(attribute: Callable[[int], torch.Tensor], expected: float) -> list[float]:
    """Values of the pieces, with as many steps as their sum needs."""
    n_steps = _FIRST_STEPS
    while True:
        values = attribute(n_steps).detach().sum(dim=-1)[0].double().cpu()
        error = abs(float(values.sum()) - expected)
        if error <= _TOLERANCE * max(abs(expected), 0.1) or n_steps >= _MOST_STEPS:
            found: list[float] = values.tolist()
            return found
        n_steps *= 2


@contextlib.contextmanager
def _replacing(layer: torch.nn.Module, output: torch.Tensor) -> Iterator[None]:
    """Have `layer` give this output."""
    handle = layer.register_forward_hook(lambda module, inputs, given: output)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def with_gradients() -> Iterator[None]:
    """Have gradients on, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
