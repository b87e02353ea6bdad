"""Colours, markers, lines and hatches that tell strategies apart, and their axes.

References
----------
Okabe, Ito (2008). "Color Universal Design: how to make figures and presentations that
are friendly to colorblind people".
"""

from __future__ import annotations

import textwrap
import unicodedata
from dataclasses import dataclass
from typing import Any

from sktransfer.packages import require_extra

__all__ = ["MUTED", "PALETTE", "Mark", "legend_below", "open_axes", "wrap_name"]

# Okabe and Ito's colours without black, which is left to the text, and without yellow,
# which is lost on white. Neighbours differ in lightness too.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"]
# Legible on white and on nearly black.
MUTED = "#7A7F87"
_MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "*", "h"]
_LINES = ["-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5))]
_HATCHES = ["", "//", "..", "\\\\", "xx", "++", "oo"]


@dataclass(frozen=True)
class Mark:
    """How one strategy looks; any two of the first 60 differ without colour too.

    Attributes
    ----------
    color : str
    marker : str
    line : str or tuple
        A line style of matplotlib.
    hatch : str

    Examples
    --------
    >>> from sktransfer.plotting.style import Mark
    >>> Mark.number(0)
    Mark(color='#0072B2', marker='o', line='-', hatch='')
    """

    color: str
    marker: str
    line: Any
    hatch: str

    @classmethod
    def number(cls, position: int) -> Mark:
        """The mark of the strategy at `position` in the comparison's order."""
        return cls(
            PALETTE[position % len(PALETTE)],
            _MARKERS[position % len(_MARKERS)],
            _LINES[position % len(_LINES)],
            _HATCHES[position % len(_HATCHES)],
        )


def open_axes(ax: Any, purpose: str, size: tuple[float, float]) -> tuple[Any, Any]:
    """The figure and axes to draw on: those given, or new ones as pyplot makes them.

    Parameters
    ----------
    ax : matplotlib Axes or None
    purpose : str
        Who needs matplotlib, for the error where it is not installed.
    size : (float, float)
        Width and height of a new figure in inches.

    Returns
    -------
    figure : matplotlib Figure
    ax : matplotlib Axes

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require_extra("matplotlib", "plot", purpose)
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=size, layout="constrained")
    return figure, axes


def wrap_name(name: str, width: int = 26, n_lines: int = 3) -> str:
    """Break a long name into lines, and cut what does not fit.

    Parameters
    ----------
    name : str
    width : int, default=26
        Latin letters of a line; Chinese characters take two each.
    n_lines : int, default=3
        Most lines.

    Returns
    -------
    wrapped : str

    Examples
    --------
    >>> from sktransfer.plotting.style import wrap_name
    >>> print(wrap_name("TF-IDF + logistic regression", width=16))
    TF-IDF +
    logistic
    regression
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    if wide > len(name) / 2:
        width //= 2
    lines = textwrap.wrap(
        name, width, max_lines=n_lines, placeholder=" …", break_on_hyphens=False
    )
    return "\n".join(lines) or name


def legend_below(figure: Any, ax: Any, handles: list[Any], n_columns: int = 2) -> Any:
    """A legend under the axes, where it hides nothing and costs no width.

    Parameters
    ----------
    figure : matplotlib Figure
    ax : matplotlib Axes
    handles : list of matplotlib artists
    n_columns : int, default=2

    Returns
    -------
    legend : matplotlib Legend
    """
    own = figure.get_layout_engine() is not None and len(figure.axes) == 1
    options = {"handles": handles, "frameon": False, "fontsize": 9}
    options |= {"ncols": min(n_columns, len(handles)), "handlelength": 2.6}
    if own:  # the layout makes room for it
        return figure.legend(loc="outside lower center", **options)
    return ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), **options)
