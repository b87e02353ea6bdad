"""Integrated gradients: contributions through networks, by captum.

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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sktransfer.explanation.attribution import Attribution
from sktransfer.explanation.places import Span
from sktransfer.explanation.tokens import Tokens
from sktransfer.packages import require_extra

__all__ = ["integrate_parts", "integrate_tokens", "with_gradients"]

Decide = Callable[[torch.Tensor], torch.Tensor]

# Points on the way: doubled until the sum is right to a hundredth.
_FIRST_STEPS, _MOST_STEPS = 32, 512
_TOLERANCE = 0.01

# Tokens of one pass forward and back.
_TOKENS_A_PASS = 4096


def integrate_parts(
    decide: Decide, spans: list[Span], parts: NDArray[np.float64]
) -> Attribution:
    """Contributions of words whose vectors add up to the features.

    Parameters
    ----------
    decide : callable
        From features (b, w) to margins (b,).
    spans : list of (int, int), of length S
    parts : ndarray of shape (S, w)

    Returns
    -------
    attribution : Attribution
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


def integrate_tokens(body: Any, decide: Decide, tokens: Tokens) -> Attribution:
    """Contributions of the tokens that a transformer reads.

    Parameters
    ----------
    body : TransformerBody
        In float32.
    decide : callable
        From features (b, w) to margins (b,).
    tokens : Tokens
        Of one text.

    Returns
    -------
    attribution : Attribution
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
    """Have gradients on, whatever the caller has switched off.

    Yields
    ------
    None
        While they are.
    """
    with torch.inference_mode(False), torch.enable_grad():
        yield
