"""What happens to the decision when a word is not there: for any classifier."""

from __future__ import annotations

from sktransfer.explanation.anatomy import Anatomy
from sktransfer.explanation.attribution import Attribution
from sktransfer.explanation.places import Span

__all__ = ["occlude"]


def occlude(anatomy: Anatomy, text: str, words: list[Span]) -> Attribution:
    """Leave out each word in turn.

    Parameters
    ----------
    anatomy : Anatomy
    text : str
    words : list of (int, int)
        Places of the words.

    Returns
    -------
    attribution : Attribution
        One prediction a word and two more. The values need not add up: what two words
        do only together is in both or in neither.
    """
    without = [text[:start] + text[stop:] for start, stop in words]
    value, base, *others = anatomy.margins([text, "", *without]).tolist()
    return Attribution(
        "occlusion", list(words), [value - other for other in others], value, base
    )
