"""Explanation: what each word of a text adds to the decision, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.explanation.places import Span
from sktransfer.explanation.rendering import render_html, render_plain
from sktransfer.packages import require_extra

__all__ = ["Explanation"]


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
