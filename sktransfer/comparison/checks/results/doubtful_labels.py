"""SKT014: labels that all good strategies are sure are others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CHECK"]

# Of seven sets of 600 texts, as they are, at most 2.5 % are doubted so.
_SURE = 0.8
_MANY = 0.03
_FEWEST = 5


def _look(facts: Facts) -> Iterator[Remark]:
    assert facts.predictions is not None
    classes, labels = np.unique(facts.labels, return_inverse=True)
    good = _good_probabilities(facts.predictions, classes, labels)
    if len(good) < 2:
        return
    doubtful = doubtful_rows(np.array(list(good.values())), labels)
    if len(doubtful) >= max(_FEWEST, _MANY * len(labels)):
        yield Remark(
            f"{count_of(len(doubtful), len(labels))} have a label that none of the "
            f"{len(good)} good strategies gives them, and they are sure of another "
            f"one (mean probability above {_SURE}): some of these labels may be wrong.",
            "Read the most doubtful ones, which comparison.suspects(), --suspects FILE "
            "and a report list, and correct labels that are wrong.",
            tuple(doubtful.tolist()),
            tuple(good),
        )


def _good_probabilities(
    predictions: Mapping[str, pd.DataFrame],
    classes: npt.NDArray[Any],
    labels: npt.NDArray[np.intp],
) -> dict[str, npt.NDArray[np.float64]]:
    """Mean probabilities (n, classes) of strategies that are far better than guessing.

    Better means half-way from guessing to the best.
    """
    found, accuracies = {}, {}
    columns = [f"probability_{label}" for label in classes.tolist()]
    for name, table in predictions.items():
        if not set(columns) <= set(table):
            continue
        means = table.groupby("row")[columns].mean()
        if len(means) < len(labels) or means.isna().any(axis=None):
            continue
        values = means.sort_index().to_numpy(dtype=float)
        found[name] = values
        accuracies[name] = float(np.mean(values.argmax(axis=1) == labels))
    guess = np.bincount(labels).max() / len(labels)
    least = (guess + max(accuracies.values(), default=guess)) / 2
    return {n: v for n, v in found.items() if accuracies[n] > max(least, guess)}


def doubtful_rows(
    probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Rows for which all strategies say another label, the same one, and are sure.

    The probabilities have the shape (strategies, n, classes).
    """
    said = probabilities.argmax(axis=2)
    agree = (said == said[0]).all(axis=0) & (said[0] != labels)
    sure = probabilities.mean(axis=0).max(axis=1) > _SURE
    return np.flatnonzero(agree & sure)


CHECK = Check(
    "SKT014",
    "doubtful_labels",
    "Good strategies are sure of other labels",
    _look,
    needs=("predictions",),
)
