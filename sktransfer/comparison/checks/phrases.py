"""Counts and names as sentences of checks have them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["count_of", "listed"]

_MOST_NAMES = 4


def count_of(n: int, total: int, what: str = "texts") -> str:
    """How many of how many, with the share.

    Examples
    --------
    >>> from sktransfer.comparison.checks.phrases import count_of
    >>> count_of(15, 1200)
    '15 of 1,200 texts (1.2%)'
    """
    share = n / total
    digits = 1 if share < 0.02 else 0
    return f"{n:,} of {total:,} {what} ({share:.{digits}%})"


def listed(names: Sequence[str]) -> str:
    """Names in a row, of which many are not all told.

    Examples
    --------
    >>> from sktransfer.comparison.checks.phrases import listed
    >>> listed(["tfidf", "frozen", "lora"])
    'tfidf, frozen and lora'
    """
    names = list(names)
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
