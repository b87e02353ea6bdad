"""A text with marked words, for a browser and for a terminal: pure functions."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from sktransfer.explanation.places import Span

__all__ = ["render_html", "render_plain"]

# Blue and vermilion, which the colour-blind tell apart (Okabe and Ito 2008). They are
# laid over the page's own background, so that its letters stay readable.
_FOR, _AGAINST = "0,114,178", "213,94,0"
_STRONGEST = 0.45  # opacity

# Words that count less than this share of the strongest stay unmarked; from the second
# share on, a sign is written too.
_FAINT, _STRONG = 0.05, 0.3


def render_html(
    text: str,
    spans: Sequence[Span],
    contributions: Sequence[float],
    label: str,
    probability: float,
) -> str:
    """One line of HTML, everything in it escaped.

    Parameters
    ----------
    text : str
    spans : sequence of (int, int), of length n_words
        In order, without overlap.
    contributions : sequence of float, of length n_words
    label : str
    probability : float
        NaN where nobody knows.

    Returns
    -------
    html : str

    Examples
    --------
    >>> from sktransfer.explanation.rendering import render_html
    >>> "&lt;b&gt;" in render_html("<b>", [(0, 3)], [1.0], "pos", 0.9)
    True
    """
    largest = _largest(contributions)
    pieces = [
        '<span class="sktransfer-explanation" style="white-space:pre-wrap;'
        'overflow-wrap:anywhere;line-height:1.9">'
        f"<b>{html.escape(_headline(label, probability))}</b> "
    ]
    place = 0
    for (start, stop), value in zip(spans, contributions, strict=True):
        pieces.append(html.escape(text[place:start]))
        pieces.append(_mark(text[start:stop], value, largest))
        place = stop
    pieces.append(html.escape(text[place:]) + "</span>")
    return "".join(pieces)


def _mark(word: str, value: float, largest: float) -> str:
    share = abs(value) / largest
    shown = html.escape(word)
    if share < _FAINT:
        return shown
    colour, line = (_FOR, "solid") if value > 0 else (_AGAINST, "wavy")
    style = (
        f"background:rgba({colour},{_STRONGEST * share:.2f});color:inherit;"
        f"text-decoration:underline {line} rgb({colour});"
        "text-underline-offset:.2em;border-radius:.2em;padding:0 .1em"
    )
    sign = ("+" if value > 0 else "\u2212") if share >= _STRONG else ""
    sign = f'<sup style="font-size:.7em;line-height:0">{sign}</sup>' if sign else ""
    return f'<mark style="{style}" title="{value:+.3f}">{shown}{sign}</mark>'


def render_plain(
    text: str,
    spans: Sequence[Span],
    contributions: Sequence[float],
    label: str,
    probability: float,
) -> str:
    """One line for a terminal, with the number behind each word that counts.

    Parameters
    ----------
    text : str
    spans : sequence of (int, int), of length n_words
        In order, without overlap.
    contributions : sequence of float, of length n_words
    label : str
    probability : float
        NaN where nobody knows.

    Returns
    -------
    line : str
        White space and control characters of the text are single spaces.

    Examples
    --------
    >>> from sktransfer.explanation.rendering import render_plain
    >>> render_plain("not bad", [(0, 3), (4, 7)], [2.0, 0.01], "pos", 0.9)
    'pos (p = 0.90): not[+2.00] bad'
    """
    largest = _largest(contributions)
    pieces = []
    place = 0
    for (_, stop), value in zip(spans, contributions, strict=True):
        counts = abs(value) / largest >= _FAINT
        number = f"[{value:+.2f}]" if counts else ""
        pieces.append(text[place:stop] + number)
        place = stop
    line = "".join([*pieces, text[place:]])
    # A text may hold codes that steer a terminal.
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    return f"{_headline(label, probability)} {' '.join(line.split())}".rstrip()


def _largest(contributions: Sequence[float]) -> float:
    return max((abs(value) for value in contributions), default=0.0) or 1.0


def _headline(label: str, probability: float) -> str:
    return (
        f"{label}:" if math.isnan(probability) else f"{label} (p = {probability:.2f}):"
    )
