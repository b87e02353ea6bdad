"""Explanation: what each word of a text adds to a decision, in numbers and colours."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.explanation.word_spans import Span
from sktransfer.packages import require_extra

__all__ = [
    "LINE_STYLE",
    "SIGN_STYLE",
    "Explanation",
    "Piece",
    "render_html",
    "render_plain",
    "split_marks",
    "tell_label",
]

# Blue and vermilion, which the colour-blind tell apart (Okabe and Ito 2008). They are
# laid over the page's own background, so that its letters stay readable.
_FOR, _AGAINST = "0,114,178", "213,94,0"
_STRONGEST = 0.45  # opacity

# Words that count less than this share of the strongest stay unmarked; from the second
# share on, a sign is written too.
_FAINT, _STRONG = 0.05, 0.3

LINE_STYLE = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9"
SIGN_STYLE = "font-size:.7em;line-height:0"


@dataclass(frozen=True)
class Piece:
    """A part of a text; one that is marked has a style, a title and perhaps a sign."""

    text: str
    style: str = ""
    title: str = ""
    sign: str = ""


def split_marks(
    text: str, spans: Sequence[Span], contributions: Sequence[float]
) -> list[Piece]:
    """Split a text into its words, marked as they count, and what is between them."""
    largest = _largest(contributions)
    pieces = []
    place = 0
    for (start, stop), value in zip(spans, contributions, strict=True):
        pieces.append(Piece(text[place:start]))
        pieces.append(_mark(text[start:stop], value, abs(value) / largest))
        place = stop
    return [*pieces, Piece(text[place:])]


def _mark(word: str, value: float, share: float) -> Piece:
    if share < _FAINT:
        return Piece(word)
    colour, line = (_FOR, "solid") if value > 0 else (_AGAINST, "wavy")
    style = (
        f"background:rgba({colour},{_STRONGEST * share:.2f});color:inherit;"
        f"text-decoration:underline {line} rgb({colour});"
        "text-underline-offset:.2em;border-radius:.2em;padding:0 .1em"
    )
    sign = ("+" if value > 0 else "\u2212") if share >= _STRONG else ""
    return Piece(word, style, f"{value:+.3f}", sign)


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
    >>> from sktransfer.explanation.contributions import render_html
    >>> "&lt;b&gt;" in render_html("<b>", [(0, 3)], [1.0], "pos", 0.9)
    True
    """
    written = [
        f'<span class="sktransfer-explanation" style="{LINE_STYLE}">'
        f"<b>{html.escape(tell_label(label, probability))}</b> "
    ]
    for piece in split_marks(text, spans, contributions):
        shown = html.escape(piece.text)
        if piece.sign:
            shown += f'<sup style="{SIGN_STYLE}">{piece.sign}</sup>'
        if piece.style:
            shown = f'<mark style="{piece.style}" title="{piece.title}">{shown}</mark>'
        written.append(shown)
    return "".join([*written, "</span>"])


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
    >>> from sktransfer.explanation.contributions import render_plain
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
    return f"{tell_label(label, probability)} {' '.join(line.split())}".rstrip()


def _largest(contributions: Sequence[float]) -> float:
    return max((abs(value) for value in contributions), default=0.0) or 1.0


def tell_label(label: str, probability: float) -> str:
    """What stands in front: the label, and its probability where it is known."""
    return (
        f"{label}:" if math.isnan(probability) else f"{label} (p = {probability:.2f}):"
    )


@dataclass(frozen=True, eq=False)
class Explanation:
    """Words of a text and what they add to the margin of a label.

    `explain` makes it. In a notebook it shows itself as a coloured line.

    Parameters
    ----------
    text : str
        As it was given.
    spans : list of (int, int), of length n_words
        Word i is ``text[start:stop]``.
    contributions : ndarray of shape (n_words,)
        What each word adds to the margin; negative where it speaks against the label.
    label : object
        The label that is explained.
    probability : float
        Of the label; NaN where the estimator has no probabilities.
    value : float
        Margin of the label: its logit, decision or log-odds.
    base_value : float
        The same of a text that says nothing.
    method : {"exact", "gradients", "occlusion"}
        How the contributions were found.

    Attributes
    ----------
    words : list of str
        The words, as they stand in the text.
    residual : float
        Part of the margin that no word has.

    See Also
    --------
    explain : Explains a fitted classifier's label of a text.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import Explanation
    >>> found = Explanation(
    ...     text="Not good",
    ...     spans=[(0, 3), (4, 8)],
    ...     contributions=np.array([1.5, -0.5]),
    ...     label="neg",
    ...     probability=0.75,
    ...     value=1.1,
    ...     base_value=0.1,
    ...     method="exact",
    ... )
    >>> print(found)
    neg (p = 0.75): Not[+1.50] good[-0.50]
    >>> round(found.residual, 3)
    0.0
    """

    text: str
    spans: list[Span] = field(repr=False)
    contributions: NDArray[np.float64] = field(repr=False)
    label: Any
    probability: float
    value: float
    base_value: float
    method: str

    @property
    def words(self) -> list[str]:
        """The words, as they stand in the text."""
        return [self.text[start:stop] for start, stop in self.spans]

    @property
    def residual(self) -> float:
        """Part of the margin that no word has.

        Rounding where the method is "exact", the error of an integral where it is
        "gradients", and what words do only together where it is "occlusion".
        """
        return self.value - self.base_value - float(self.contributions.sum())

    def to_frame(self) -> Any:
        """Return the words as a table.

        Returns
        -------
        frame : pandas.DataFrame
            With the columns word, start, stop and contribution, in the order of the
            text.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        require_extra("pandas", "cli", "Explanation.to_frame()")
        import pandas as pd

        return pd.DataFrame(
            {
                "word": pd.Series(self.words, dtype=object),
                "start": np.array([start for start, _ in self.spans], dtype=np.int64),
                "stop": np.array([stop for _, stop in self.spans], dtype=np.int64),
                "contribution": self.contributions,
            }
        )

    def to_html(self) -> str:
        """Return the text as one line of HTML that needs nothing else.

        Returns
        -------
        html : str
            Words that speak for the label are blue and underlined, words against it
            orange and underlined by a wave; both as strongly as they count, on light
            and dark pages. Texts and labels are escaped.
        """
        return render_html(
            self.text,
            self.spans,
            self.contributions.tolist(),
            str(self.label),
            self.probability,
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return render_plain(
            self.text,
            self.spans,
            self.contributions.tolist(),
            str(self.label),
            self.probability,
        )
