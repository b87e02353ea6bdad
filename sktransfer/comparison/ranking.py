"""Which rows of the results stand for their strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["best_row", "comparable_rows"]


def comparable_rows(results: pd.DataFrame) -> pd.DataFrame:
    """Rows that were run to their end with the most labelled texts.

    Parameters
    ----------
    results : DataFrame
        As in `StrategyComparison`.

    Returns
    -------
    rows : DataFrame
        Of one train size, and of strategies that learn from the source alone.
    """
    done = results[results["status"] == "done"]
    return done[done["train_size"].isin([0, done["train_size"].max()])]


def best_row(rows: pd.DataFrame) -> pd.Series:
    """Row with the best score.

    Parameters
    ----------
    rows : DataFrame
        From `comparable_rows`, at least one.

    Returns
    -------
    row : Series
        The first of equals, which is the cheapest: strategies run from cheap to dear.
    """
    return rows.iloc[int(rows["score"].argmax())]
