"""What a method finds: values of pieces of the text, before they are words."""

from __future__ import annotations

from dataclasses import dataclass, field

from sktransfer.explanation.places import Span

__all__ = ["Attribution"]


@dataclass(frozen=True)
class Attribution:
    """Values of pieces of a text.

    Attributes
    ----------
    method : {"exact", "gradients", "occlusion"}
    spans : list of (int, int), of length n_pieces
    values : list of float, of length n_pieces
        What each piece adds to the margin.
    value : float
        Margin of the text.
    base : float
        Margin of a text that says nothing.
    """

    method: str
    spans: list[Span] = field(repr=False)
    values: list[float] = field(repr=False)
    value: float
    base: float
