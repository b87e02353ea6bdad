"""Times as people write them."""

from __future__ import annotations

import re

import typer

__all__ = ["parse_duration"]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration(written: str | None) -> float | None:
    """Seconds of a time such as ``"90"``, ``"90s"``, ``"5m"`` or ``"1.5h"``.

    Parameters
    ----------
    written : str or None

    Returns
    -------
    seconds : float or None

    Raises
    ------
    typer.BadParameter
        If it is no time.

    Examples
    --------
    >>> from sktransfer.cli.durations import parse_duration
    >>> parse_duration("5m")
    300.0
    """
    if written is None:
        return None
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", written.strip().lower())
    if found is None or found[2] not in _SECONDS or not float(found[1]) > 0:
        raise typer.BadParameter(
            f"{written!r} is no time: write seconds, or 90s, 5m or 1.5h"
        )
    return float(found[1]) * _SECONDS[found[2]]
