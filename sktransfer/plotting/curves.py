"""TransferCurveDisplay: how many labelled texts each strategy needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from sktransfer.exceptions import InvalidInputError
from sktransfer.plotting.compared import (
    Compared,
    check_finished,
    is_number,
    name_scoring,
    strategies_of,
    train_sizes_of,
)
from sktransfer.plotting.style import (
    MUTED,
    Fonts,
    Mark,
    legend_below,
    open_axes,
    wrap_name,
)
from sktransfer.validation import explained, show

__all__ = ["TransferCurveDisplay"]

Point = tuple[float, float, float, float]


class TransferCurveDisplay:
    """Scores of strategies against the number of labelled texts.

    Where two curves cross, another strategy becomes the better one. Use
    `from_comparison` to make one.

    Parameters
    ----------
    curves : dict of str to sequence of (train_size, score, low, high)
        The points of each strategy; low and high are the ends of the interval, NaN
        where there is none. A point at 0 texts, of a strategy that learns from the
        source alone, becomes a level line.
    scoring : str, default="score"
        Name of the metric.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib ErrorbarContainer

    See Also
    --------
    ScoreDisplay : Scores at one number of texts.
    sklearn.model_selection.LearningCurveDisplay : The curve of one estimator.

    Examples
    --------
    >>> from sktransfer import TransferCurveDisplay
    >>> curves = {
    ...     "frozen": [(16, 0.70, 0.66, 0.74), (64, 0.79, 0.77, 0.81)],
    ...     "fine_tune": [(16, 0.62, 0.55, 0.69), (64, 0.81, 0.79, 0.83)],
    ... }
    >>> display = TransferCurveDisplay(curves, scoring="accuracy").plot()
    >>> sorted(display.lines_)
    ['fine_tune', 'frozen']
    """

    def __init__(
        self, curves: Mapping[str, Sequence[Point]], *, scoring: str = "score"
    ) -> None:
        self.curves = curves
        self.scoring = scoring

    @classmethod
    def from_comparison(cls, comparison: Compared, *, ax: Any = None) -> Self:
        """Draw the curves of a comparison that was run with ``train_sizes``.

        Parameters
        ----------
        comparison : StrategyComparison
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : TransferCurveDisplay

        Raises
        ------
        InvalidInputError
            If the comparison has one number of labelled texts only.
        """
        if len(train_sizes_of(comparison)) < 2:
            raise InvalidInputError(
                "The comparison has one number of labelled texts, and a curve needs "
                "at least 2: call "
                "compare_strategies(..., train_sizes=[16, 64, 256])."
            )
        rows = comparison.results.to_dict("records")
        check_finished(rows)
        curves: dict[str, list[Point]] = {
            name: [] for name in strategies_of(comparison)
        }
        for row in rows:
            if is_number(row["score"]) and is_number(row["train_size"]):
                ends = (row.get("score_low", np.nan), row.get("score_high", np.nan))
                point = (float(row["train_size"]), float(row["score"]), *ends)
                curves[str(row["strategy"])].append(point)
        return cls(curves, scoring=name_scoring(comparison.scoring)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        self : TransferCurveDisplay
        """
        from matplotlib.ticker import NullLocator

        remedy = "pass a dict of names to lists of (n_texts, score, low, high)"
        with explained(f"curves={show(self.curves)} cannot be drawn", remedy):
            drawn = {
                name: np.array(sorted(points), float)
                for name, points in self.curves.items()
                if len(points)
            }
        if not drawn:
            raise InvalidInputError(
                "curves is empty, or no curve in it has a point: at least 1 strategy "
                "with 1 score is expected."
            )
        n_lines = (len(drawn) + 1) // 2
        figure, ax = open_axes(ax, type(self).__name__, (5.2, 3.6 + 0.3 * n_lines))
        fonts = Fonts.of([*drawn, self.scoring])
        positions = {name: i for i, name in enumerate(self.curves)}
        self.lines_ = {}
        sizes = np.unique(np.concatenate([points[:, 0] for points in drawn.values()]))
        sizes = sizes[sizes > 0]
        for rank, (name, points) in enumerate(drawn.items()):
            mark = Mark.number(positions[name])
            if not points[:, 0].any() and len(sizes):  # the same whatever is labelled
                points = np.repeat(points[:1], len(sizes), axis=0)
                points[:, 0] = sizes
            places, scores, low, high = points[points[:, 0] > 0].T
            reach = np.nan_to_num(np.maximum([scores - low, high - scores], 0))
            # Neighbours move apart a little, as intervals at one place hide each other.
            aside = 1.025 ** (rank - (len(drawn) - 1) / 2)
            self.lines_[name] = ax.errorbar(
                places * aside, scores, yerr=reach, label=fonts.show(
                    wrap_name(name, 24, 2)
                ),
                color=mark.color, marker=mark.marker, linestyle=mark.line,
                markersize=6.5, linewidth=1.8, elinewidth=1, capsize=2.5,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks(sizes, [f"{int(size):,}" for size in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlabel("labelled texts (log scale)")
        ax.set_ylabel(fonts.show(self.scoring))
        ax.grid(color=MUTED, alpha=0.25, linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
        # The legend has the order in which the curves end.
        last_first = sorted(drawn, key=lambda name: -drawn[name][-1, 1])
        handles = [self.lines_[name] for name in last_first]
        fonts.apply(ax, legend_below(figure, ax, handles))
        self.figure_, self.ax_ = figure, ax
        return self
