"""CostDisplay: what each strategy's score costs in time, and which are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidInputError
from sktransfer.plotting.compared import (
    Compared,
    check_finished,
    check_names,
    check_numbers,
    is_number,
    name_scoring,
    rows_at,
    strategies_of,
)
from sktransfer.plotting.style import (
    MUTED,
    Fonts,
    Mark,
    legend_below,
    open_axes,
    wrap_name,
)
from sktransfer.validation import check_parameters, one_of

__all__ = ["CostDisplay", "pareto_front"]

_COSTS = {
    "fit_seconds": "time to train once",
    "predict_seconds": "time to predict once",
}
# Seconds that an axis may name, and how.
_DURATIONS = {
    **{
        number * 10.0**power: f"{number * 10.0**power:g} s"
        for power in range(-4, 2)
        for number in (1, 2, 5)
    },
    **{60.0 * number: f"{number} min" for number in (1, 2, 5, 10, 20)},
    **{3600.0 * number: f"{number} h" for number in (1, 2, 5, 10, 20, 50, 100)},
}
_DURATIONS.pop(50.0)  # a minute is near


def pareto_front(
    costs: Sequence[float] | NDArray[np.float64],
    scores: Sequence[float] | NDArray[np.float64],
) -> list[int]:
    """Rows that no other row beats in score without costing more, cheapest first.

    Examples
    --------
    >>> from sktransfer.plotting.cost import pareto_front
    >>> pareto_front([1.0, 5.0, 2.0, 9.0], [0.7, 0.6, 0.8, 0.9])
    [0, 2, 3]
    """
    front: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if not front or scores[i] > scores[front[-1]]:
            front.append(i)
    return front


class CostDisplay:
    """Scores of strategies against the time that they cost.

    Filled markers are on the Pareto front: nothing cheaper scores as much. Use
    `from_comparison` to make one.

    Parameters
    ----------
    names : sequence of str, of length n_strategies
        What the strategies are called.
    seconds : sequence of float, of length n_strategies
        What each costs.
    scores : sequence of float, of length n_strategies
        What each gains.
    low, high : sequence of float, of length n_strategies, default=None
        Ends of the intervals of the scores.
    positions : sequence of int, of length n_strategies, default=None
        Which colour and marker each strategy has; None numbers them.
    scoring : str, default="score"
        Name of the metric.
    cost : {"fit_seconds", "predict_seconds"}, default="fit_seconds"
        What `seconds` are.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    front_ : list of int
        Positions of the strategies on the Pareto front, cheapest first.

    See Also
    --------
    ScoreDisplay : Scores alone, with the single folds.

    Examples
    --------
    >>> from sktransfer import CostDisplay
    >>> display = CostDisplay(
    ...     ["TF-IDF", "fine_tune", "frozen"], [0.1, 40, 2], [0.78, 0.82, 0.83]
    ... )
    >>> display.plot().front_
    [0, 2]
    """

    def __init__(
        self,
        names: Sequence[str],
        seconds: Sequence[float],
        scores: Sequence[float],
        *,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        positions: Sequence[int] | None = None,
        scoring: str = "score",
        cost: str = "fit_seconds",
    ) -> None:
        self.names = names
        self.seconds = seconds
        self.scores = scores
        self.low = low
        self.high = high
        self.positions = positions
        self.scoring = scoring
        self.cost = cost

    @classmethod
    def from_comparison(
        cls,
        comparison: Compared,
        *,
        cost: str = "fit_seconds",
        train_size: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw score against cost for the strategies that have a score.

        Parameters
        ----------
        comparison : StrategyComparison
        cost : {"fit_seconds", "predict_seconds"}, default="fit_seconds"
            Column of the results.
        train_size : int, default=None
            Number of labelled texts, where the comparison went through several; None
            is the largest.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : CostDisplay
        """
        check_parameters({"cost": cost}, {"cost": one_of(*_COSTS)}, always=True)
        rows = rows_at(comparison, train_size)
        check_finished(rows)
        rows = [row for row in rows if is_number(row["score"]) and is_number(row[cost])]
        if not rows:
            raise InvalidInputError(
                f"No strategy of the comparison has a number in the column {cost!r}, "
                "so there is no cost to draw: tell what they took, as in "
                "compare_predictions(..., seconds={'mine': 12.5})."
            )
        order = strategies_of(comparison)
        names = [str(row["strategy"]) for row in rows]
        return cls(
            names,
            [row[cost] for row in rows],
            [row["score"] for row in rows],
            low=[row.get("score_low", np.nan) for row in rows],
            high=[row.get("score_high", np.nan) for row in rows],
            positions=[order.index(name) for name in names],
            scoring=name_scoring(comparison.scoring),
            cost=cost,
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw score against cost.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        self : CostDisplay
        """
        check_names("names", self.names)
        for name in ("seconds", "scores"):
            check_names(name, getattr(self, name))
            check_numbers(**{name: getattr(self, name)})
        check_numbers(len(self.names), low=self.low, high=self.high)
        if not len(self.names) == len(self.seconds) == len(self.scores) > 0:
            raise InvalidInputError(
                f"{len(self.names)} names, {len(self.seconds)} costs and "
                f"{len(self.scores)} scores were given, but one of each for at least 1 "
                "strategy is expected."
            )
        from matplotlib.lines import Line2D

        n_lines = (len(self.names) + 2) // 2
        figure, ax = open_axes(ax, type(self).__name__, (5.2, 3.6 + 0.3 * n_lines))
        # Less than a tenth of a millisecond is the clock's noise, and 0 has no log.
        seconds = np.maximum(np.asarray(self.seconds, float), 1e-4)
        scores = np.asarray(self.scores, float)
        fonts = Fonts.of([*self.names, self.scoring])
        self.front_ = pareto_front(seconds, scores)
        handles = []
        for i in np.argsort(-scores, kind="stable"):
            mark = Mark.number(self.positions[i] if self.positions else int(i))
            face = mark.color if i in self.front_ else ax.get_facecolor()
            reach = np.zeros((2, 1))
            if self.low is not None and self.high is not None:
                ends = [[scores[i] - self.low[i]], [self.high[i] - scores[i]]]
                reach = np.nan_to_num(np.maximum(np.array(ends, float), 0))
            ax.errorbar(
                seconds[i], scores[i], yerr=reach, color=mark.color, elinewidth=1.2,
                capsize=2.5, alpha=0.6, zorder=2,
            )  # fmt: skip
            look: dict[str, Any] = {
                "marker": mark.marker, "markersize": 9, "color": mark.color,
                "markerfacecolor": face, "markeredgewidth": 1.8, "linestyle": "none",
            }  # fmt: skip
            ax.plot(seconds[i], scores[i], zorder=3, **look)
            label = fonts.show(wrap_name(self.names[i], 24, 2))
            handles.append(Line2D([], [], label=label, **look))
        handles.append(self._draw_front(ax, seconds, scores))
        _name_durations(ax, seconds)
        ax.set_xlabel(_COSTS.get(self.cost, self.cost) + " (log scale)")
        ax.set_ylabel(fonts.show(self.scoring))
        ax.grid(color=MUTED, alpha=0.25, linewidth=0.8)
        ax.spines[["top", "right"]].set_visible(False)
        fonts.apply(ax, legend_below(figure, ax, handles))
        self.figure_, self.ax_ = figure, ax
        return self

    def _draw_front(
        self, ax: Any, seconds: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> Any:
        (line,) = ax.step(
            seconds[self.front_], scores[self.front_], where="post", color=MUTED,
            linestyle="--", linewidth=1.2, zorder=1,
            label="highest score for the time (filled)",
        )  # fmt: skip
        return line


def _name_durations(ax: Any, seconds: NDArray[np.float64]) -> None:
    """A log axis in seconds, minutes and hours, with at most seven names."""
    from matplotlib.ticker import NullLocator

    low, high = seconds.min() / 1.8, seconds.max() * 1.8
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ticks = [duration for duration in sorted(_DURATIONS) if low <= duration <= high]
    while len(ticks) > 7:
        ticks = ticks[::2]
    ax.set_xticks(ticks, [_DURATIONS[duration] for duration in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
