"""What the pictures read of a comparison, so that they need not know its class.

The pictures lie below the comparison: they take whatever has these attributes, and read
its tables as lists of dicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.validation import explained, show

__all__ = [
    "Compared",
    "check_compared",
    "check_finished",
    "check_names",
    "check_numbers",
    "is_number",
    "name_scoring",
    "rows_at",
    "strategies_of",
    "train_sizes_of",
]

Row = dict[str, Any]


class Compared(Protocol):
    """The part of StrategyComparison that pictures and the page read."""

    results: Any  # DataFrame, a row for each strategy and train size
    folds: Any  # DataFrame, a row for each of their folds
    predictions: Any  # dict of strategy to DataFrame
    classes: Any  # ndarray of shape (n_classes,)
    baseline: str | None
    scoring: Any
    texts: Any  # list of str
    labels: Any  # ndarray of shape (n_texts,)
    source: Any  # (texts, labels) or None
    encoder: Any  # BertFeaturizer or None

    @property
    def best_strategy(self) -> str:
        """Name of the strategy with the best score."""
        ...


def check_compared(comparison: object) -> None:
    """Refuse what is no comparison."""
    if not all(hasattr(comparison, name) for name in ("results", "predictions")):
        raise InvalidInputError(
            f"comparison={show(comparison)}, but what compare_strategies or "
            "compare_predictions returned is expected."
        )


def check_names(name: str, values: object) -> None:
    """Refuse what is no collection of names or labels."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise InvalidInputError(f"{name}={show(values)}, but a list is expected.")


def check_numbers(n: int | None = None, **columns: object) -> None:
    """See that columns, by the names of their parameters, hold numbers, `n` each.

    None is a column that is not there, and in one a number that is not known.
    """
    for name, values in columns.items():
        if values is None:
            continue
        remedy = "pass a list with one number for each name"
        with explained(f"{name}={show(values)} cannot be drawn", remedy):
            numbers = np.asarray(values, dtype=float)
        if numbers.ndim != 1 or (n is not None and len(numbers) != n):
            raise InvalidInputError(
                f"{name}={show(values)} of shape {numbers.shape}, but one number for "
                "each name is expected."
            )


def is_number(value: Any) -> bool:
    """Whether a cell of a table holds a finite number.

    Examples
    --------
    >>> from sktransfer.plotting.compared import is_number
    >>> is_number(0.5), is_number(None), is_number(float("nan")), is_number("0.5")
    (True, False, False, False)
    """
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def train_sizes_of(comparison: Compared) -> list[int]:
    """Numbers of labelled texts that a comparison went through, ascending.

    One where it was run without ``train_sizes``. The 0 of strategies that learn from
    the source alone is not among them.
    """
    check_compared(comparison)
    sizes = comparison.results["train_size"]
    return sorted({int(n) for n in sizes if is_number(n) and n > 0})


def rows_at(comparison: Compared, train_size: int | None = None) -> list[Row]:
    """Rows of the results at one number of labelled texts, None the largest, in order.

    Those of strategies that learn from the source alone are always among them.
    """
    check_compared(comparison)
    rows: list[Row] = comparison.results.to_dict("records")
    sizes = train_sizes_of(comparison)
    is_size = isinstance(train_size, Real) and train_size in sizes
    if train_size is not None and not is_size:
        raise InvalidParameterError(
            f"train_size={show(train_size)}, but the comparison has the sizes {sizes}: "
            "pass one of them, or None for the largest."
        )
    wanted = train_size if train_size is not None else max(sizes, default=0)
    held = [row for row in rows if is_number(row["train_size"])]
    learnt = {row["strategy"] for row in held if row["train_size"] > 0}
    return [
        row
        for row in rows
        if not is_number(row["train_size"])
        or row["train_size"] == wanted
        or (row["train_size"] == 0 and row["strategy"] not in learnt)
    ]


def strategies_of(comparison: Compared) -> list[str]:
    """Distinct names in the order of the results, so that each keeps its colour."""
    return list(dict.fromkeys(map(str, comparison.results["strategy"])))


def check_finished(rows: Sequence[Row]) -> None:
    """Refuse a table in which no strategy has a score.

    The error names a strategy and why it has none.
    """
    if any(is_number(row["score"]) for row in rows):
        return
    why = (
        f"for example {rows[0]['strategy']!r}: {rows[0].get('error')}"
        if rows
        else "its table is empty"
    )
    raise InvalidInputError(
        f"No strategy of the comparison has a score ({why}), so there is nothing to "
        "draw: mend the error and run the comparison again."
    )


def name_scoring(scoring: Any) -> str:
    """The name of a metric for an axis.

    Examples
    --------
    >>> from sktransfer.plotting.compared import name_scoring
    >>> name_scoring("balanced_accuracy"), name_scoring(None)
    ('balanced accuracy', 'score')
    """
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", None)
    return (name or "score").replace("_", " ").strip()
