"""ScoreDisplay: the strategies of a comparison, best on top, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sktransfer.exceptions import InvalidInputError
from sktransfer.plotting.compared import (
    Compared,
    check_finished,
    check_names,
    check_numbers,
    is_number,
    name_scoring,
    rows_at,
    train_sizes_of,
)
from sktransfer.plotting.style import (
    MUTED,
    PALETTE,
    Fonts,
    legend_below,
    open_axes,
    wrap_name,
)
from sktransfer.validation import FLAG, check_parameters

__all__ = ["ScoreDisplay"]

# kind of row -> what the legend calls it, colour, marker, whether it is filled
_KINDS = {
    "strategy": ("transfer strategy", PALETTE[0], "o", True),
    "baseline": ("without transfer", PALETTE[3], "s", False),
    "given": ("given by you", PALETTE[2], "D", True),
}


class ScoreDisplay:
    """Scores of strategies with intervals, folds and the baseline's line.

    Use `from_comparison` to make one.

    Parameters
    ----------
    names : sequence of str, of length n_strategies
        What the strategies are called.
    scores : sequence of float, of length n_strategies
        Mean scores; NaN where a strategy has none.
    low, high : sequence of float, of length n_strategies, default=None
        Ends of the intervals.
    fold_scores : sequence of sequences of float, of length n_strategies, default=None
        Scores of the single folds.
    kinds : sequence of {"strategy", "baseline", "given"}, default=None
        What each row is; None makes all "strategy".
    status : sequence of str, of length n_strategies, default=None
        What is written where a strategy has no score, for example "failed".
    baseline : str, default=None
        Name of the strategy through whose score a line is drawn.
    scoring : str, default="score"
        Name of the metric.
    train_size : int, default=None
        Labelled texts that the strategies learnt from, for the axis.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : list of matplotlib ErrorbarContainer
        A mean with its interval each, best first.

    See Also
    --------
    CostDisplay : Scores against the time that they cost.
    TransferCurveDisplay : Scores against the number of labelled texts.

    Examples
    --------
    >>> from sktransfer import ScoreDisplay
    >>> display = ScoreDisplay(
    ...     ["TF-IDF", "frozen"], [0.78, 0.83], low=[0.75, 0.81], high=[0.81, 0.85],
    ...     kinds=["baseline", "strategy"], baseline="TF-IDF", scoring="accuracy",
    ... )
    >>> display.plot().ax_.get_xlabel()
    'accuracy'
    """

    def __init__(
        self,
        names: Sequence[str],
        scores: Sequence[float],
        *,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        fold_scores: Sequence[Sequence[float]] | None = None,
        kinds: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        baseline: str | None = None,
        scoring: str = "score",
        train_size: int | None = None,
    ) -> None:
        self.names = names
        self.scores = scores
        self.low = low
        self.high = high
        self.fold_scores = fold_scores
        self.kinds = kinds
        self.status = status
        self.baseline = baseline
        self.scoring = scoring
        self.train_size = train_size

    @classmethod
    def from_comparison(
        cls,
        comparison: Compared,
        *,
        train_size: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores of a comparison.

        Parameters
        ----------
        comparison : StrategyComparison
        train_size : int, default=None
            Number of labelled texts, where the comparison went through several; None
            is the largest.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs : dict
            Further arguments of `plot`.

        Returns
        -------
        display : ScoreDisplay
        """
        rows = rows_at(comparison, train_size)
        check_finished(rows)
        size = train_size or max(train_sizes_of(comparison), default=0)
        by_strategy: dict[str, list[float]] = {str(row["strategy"]): [] for row in rows}
        for fold in comparison.folds.to_dict("records"):
            if fold["train_size"] in (size, 0) and str(fold["strategy"]) in by_strategy:
                by_strategy[str(fold["strategy"])].append(fold["score"])
        names = [str(row["strategy"]) for row in rows]
        display = cls(
            names,
            [_as_float(row["score"]) for row in rows],
            low=[_as_float(row.get("score_low")) for row in rows],
            high=[_as_float(row.get("score_high")) for row in rows],
            fold_scores=[
                [score for score in by_strategy[name] if is_number(score)]
                for name in names
            ],
            kinds=[str(row.get("kind", "strategy")) for row in rows],
            status=[str(row.get("status", "done")) for row in rows],
            baseline=comparison.baseline,
            scoring=name_scoring(comparison.scoring),
            train_size=size or None,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, show_folds: bool = True) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        show_folds : bool, default=True
            Whether each fold is a faint dot.

        Returns
        -------
        self : ScoreDisplay
        """
        check_parameters({"show_folds": show_folds}, {"show_folds": FLAG})
        check_names("names", self.names)
        check_names("scores", self.scores)
        check_numbers(scores=self.scores)
        check_numbers(len(self.names), low=self.low, high=self.high)
        if not len(self.names) == len(self.scores):
            raise InvalidInputError(
                f"{len(self.names)} names and {len(self.scores)} scores were given, "
                "but one score for each name is expected."
            )
        names = [wrap_name(name, 24) for name in self.names]
        n_lines = max((name.count("\n") + 1 for name in names), default=1)
        height = 1.7 + max(0.46, 0.18 * n_lines + 0.06) * len(names)
        figure, ax = open_axes(ax, type(self).__name__, (5.2, height))
        scores = np.asarray(self.scores, float)
        best_first = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
        fonts = Fonts.of([*self.names, self.scoring])
        self.lines_: list[Any] = []
        for place, i in enumerate(best_first):
            if np.isnan(scores[i]):
                why = self.status[i] if self.status else "no score"
                ax.text(
                    0.02, place, why, transform=ax.get_yaxis_transform(),
                    color=MUTED, va="center", style="italic",
                    bbox={"facecolor": ax.get_facecolor(), "linewidth": 0, "pad": 1},
                )  # fmt: skip
                continue
            self._draw_row(ax, place, i, show_folds)
        labels = [fonts.show(names[i]) for i in best_first]
        ax.set_yticks(range(len(labels)), labels)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        if np.isnan(scores).all():
            ax.set_xlim(0, 1)
        texts = f", {self.train_size:,} labelled texts" if self.train_size else ""
        ax.set_xlabel(fonts.show(self.scoring) + texts)
        ax.grid(axis="x", color=MUTED, alpha=0.25, linewidth=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)
        handles = self._draw_baseline(ax, fonts) + self._legend_of_kinds(ax, show_folds)
        fonts.apply(ax, legend_below(figure, ax, handles))
        self.figure_, self.ax_ = figure, ax
        return self

    def _draw_row(self, ax: Any, place: int, i: int, show_folds: bool) -> None:
        _, color, marker, filled = self._kind(i)
        score = float(self.scores[i])
        reach = np.zeros((2, 1))
        if self.low is not None and self.high is not None:
            ends = np.array([[score - self.low[i]], [self.high[i] - score]], float)
            reach = np.nan_to_num(np.maximum(ends, 0))
        folds = list(self.fold_scores[i]) if show_folds and self.fold_scores else []
        # Folds lie just below their row, where they hide neither mean nor interval.
        ax.plot(
            folds, np.full(len(folds), place + 0.24), linestyle="none", marker="o",
            markersize=3.5, markeredgewidth=0, color=color, alpha=0.45,
        )  # fmt: skip
        self.lines_.append(
            ax.errorbar(
                score, place, xerr=reach, color=color, marker=marker, markersize=8,
                markerfacecolor=color if filled else ax.get_facecolor(),
                markeredgewidth=1.8,
                elinewidth=2.2, capsize=4, capthick=1.5,
            )
        )  # fmt: skip
        ax.text(
            1.02, place, f"{score:.3f}", transform=ax.get_yaxis_transform(),
            va="center", fontweight="bold" if place == 0 else "normal",
        )  # fmt: skip

    def _draw_baseline(self, ax: Any, fonts: Fonts) -> list[Any]:
        names = list(self.names)
        if self.baseline not in names:
            return []
        score = self.scores[names.index(self.baseline)]
        if not is_number(score):
            return []
        label = fonts.show(wrap_name(f"baseline: {self.baseline}", 24))
        return [ax.axvline(score, color=MUTED, linestyle="--", zorder=0.9, label=label)]

    def _legend_of_kinds(self, ax: Any, show_folds: bool) -> list[Any]:
        from matplotlib.lines import Line2D

        handles = []
        shown = {self._kind(i) for i, score in enumerate(self.scores) if score == score}
        for label, color, marker, filled in filter(shown.__contains__, _KINDS.values()):
            face = color if filled else ax.get_facecolor()
            handles.append(
                Line2D(
                    [], [], color=color, marker=marker, markerfacecolor=face,
                    markeredgewidth=1.8, label=label,
                )
            )  # fmt: skip
        if show_folds and self.fold_scores and any(map(len, self.fold_scores)):
            handles.append(
                Line2D(
                    [], [], linestyle="none", color=MUTED, marker="o", markersize=3.5,
                    label="one fold",
                )
            )  # fmt: skip
        return handles

    def _kind(self, i: int) -> tuple[str, str, str, bool]:
        kind = self.kinds[i] if self.kinds else "strategy"
        return _KINDS.get(kind, _KINDS["strategy"])


def _as_float(value: Any) -> float:
    return float(value) if is_number(value) else float("nan")
