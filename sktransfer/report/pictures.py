"""The pictures of a page: drawn once, in colours that follow the page's.

An SVG that a page embeds as an image sees the reader's colour scheme, as pages do. So
letters and lines are drawn in two colours that nothing else has, and the embedded copy
names variables in their place.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sktransfer.comparison.result import StrategyComparison
from sktransfer.exceptions import CheckpointError, MissingExtraError
from sktransfer.packages import require_extra
from sktransfer.plotting.compared import (
    is_number,
    name_scoring,
    rows_at,
    train_sizes_of,
)
from sktransfer.plotting.confusion import ConfusionDisplay
from sktransfer.plotting.cost import CostDisplay
from sktransfer.plotting.curves import TransferCurveDisplay
from sktransfer.plotting.domains import DomainMapDisplay
from sktransfer.plotting.scores import ScoreDisplay

__all__ = ["Picture", "draw_pictures"]

_INK, _PAPER = "#1c2127", "#fefefe"
_SCHEMES = (
    "<style>svg{--ink:#1c2127;--paper:#ffffff}"
    "@media(prefers-color-scheme:dark){svg{--ink:#dfe3e8;--paper:#191d23}}</style>"
)
_LOOK = {
    "svg.fonttype": "path",  # letters as outlines: no font is needed to read them
    "svg.hashsalt": "sktransfer",  # the same results give the same file
    "figure.facecolor": _PAPER,
    "axes.facecolor": _PAPER,
    "savefig.facecolor": _PAPER,
    **dict.fromkeys(
        (
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
        ),
        _INK,
    ),
}


@dataclass(frozen=True)
class Picture:
    """A drawn picture."""

    name: str  # of its files, without an ending
    title: str
    alt: str  # what it shows, for those who cannot see it
    svg: str
    png: bytes  # 150 dots an inch

    def embed(self) -> str:
        """The address of an image that holds the picture itself."""
        themed = self.svg.replace(_INK, "var(--ink)").replace(_PAPER, "var(--paper)")
        themed = re.sub(r"(<svg\b[^>]*>)", rf"\1{_SCHEMES}", themed, count=1)
        coded = base64.b64encode(themed.encode()).decode("ascii")
        return f"data:image/svg+xml;base64,{coded}"

    def size(self) -> tuple[int, int]:
        """Width and height in pixels of a page."""
        found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', self.svg)
        if found is None:  # matplotlib has always written them so
            return 600, 400
        width, height = (round(float(points) * 4 / 3) for points in found.groups())
        return width, height


def draw_pictures(comparison: StrategyComparison) -> list[Picture]:
    """Draw what a comparison has to show, which is nothing where none has a score.

    The cost needs seconds, and curves several train sizes; the map needs a source, and
    the weights of `BertFeaturizer`.
    """
    require_extra("matplotlib", "plot", "write_report")
    rows = [row for row in rows_at(comparison) if is_number(row["score"])]
    if not rows:
        return []
    metric = name_scoring(comparison.scoring)
    ranked = sorted(rows, key=lambda row: -row["score"])
    listed = "; ".join(f"{row['strategy']} {row['score']:.3f}" for row in ranked)
    pictures = [
        _draw(
            "scores",
            "Scores",
            f"The {metric} of each strategy with its 95 % interval, best first: "
            f"{listed}.",
            lambda: ScoreDisplay.from_comparison(comparison),
        )
    ]
    # Predictions from elsewhere may come without seconds.
    timed = [row for row in ranked if is_number(row["fit_seconds"])]
    if timed:
        pictures.append(
            _draw(
                "cost",
                "Score against time",
                f"The {metric} of each strategy against the seconds to train it: "
                + "; ".join(
                    f"{row['strategy']} {row['fit_seconds']:.2g} s" for row in timed
                )
                + ".",
                lambda: CostDisplay.from_comparison(comparison),
            )
        )
    sizes = train_sizes_of(comparison)
    if len(sizes) > 1:
        pictures.append(
            _draw(
                "curves",
                "Score against labelled texts",
                f"The {metric} of each strategy with {sizes[0]} to {sizes[-1]} "
                "labelled texts, a curve each; the numbers are in the table.",
                lambda: TransferCurveDisplay.from_comparison(comparison),
            )
        )
    pictures.append(
        _draw(
            "confusion",
            "What is taken for what",
            "Confusion matrices of the best strategy and of the baseline: a row for "
            "each true label, a column for each predicted one.",
            lambda: ConfusionDisplay.from_comparison(comparison),
        )
    )
    if comparison.source is not None:
        # A page without its map is better than no page.
        with contextlib.suppress(CheckpointError, MissingExtraError):
            pictures.append(
                _draw(
                    "domains",
                    "Source and target",
                    "A map of source texts (rings) and target texts (triangles) in the "
                    "space of frozen BERT features, coloured by label.",
                    lambda: DomainMapDisplay.from_comparison(comparison),
                )
            )
    return pictures


def _draw(name: str, title: str, alt: str, display: Callable[[], Any]) -> Picture:
    import matplotlib.pyplot as plt

    with plt.rc_context(_LOOK):
        figure = display().figure_
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=150)
        plt.close(figure)
    return Picture(name, title, alt, svg.getvalue(), png.getvalue())
