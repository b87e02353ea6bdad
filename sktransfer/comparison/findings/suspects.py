"""Labels that look wrong: texts ranked by what all good strategies lost on them.

The loss is -log of the probability of the label, out of fold. Each strategy's
probabilities get a temperature first, since some are too sure and others not sure
enough. Its weight is the square of what it then tells of the labels, in nats, beyond
the shares of the classes; what tells nothing has none. On development sets that found
more planted errors than an unweighted mean and than the best strategy alone; to put the
loss in relation to what is usual in the class found far fewer where one is rare.

Shapes: n texts, c classes, m predictions of a strategy (n times its repeats).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sktransfer.exceptions import InvalidParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Doubts", "find_suspects", "weigh_doubts"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

# No label costs more than this: strategies round to 0.
_LEAST = 1e-4
# Powers of probabilities; beyond these ends they say nothing, or only which is largest.
_POWERS = (0.05, 20.0)


@dataclass(frozen=True)
class Doubts:
    """What good strategies say of labels.

    Attributes
    ----------
    logs : ndarray of shape (n, c)
        Weighted mean of the logarithms of probabilities; NaN for a text that was never
        tested.
    weights : dict of str to float
        By strategy, those that tell something alone; their sum is 1.
    """

    logs: Floats
    weights: dict[str, float]


def weigh_doubts(said: Mapping[str, tuple[Rows, Floats]], labels: Rows) -> Doubts:
    """Mean over strategies of log probabilities of all classes.

    `said` has rows of texts (m,) and probabilities (m, c) by strategy, and `labels`
    (n,) are numbers of classes. Strategies without probabilities are left out.
    """
    found, gains = {}, {}
    for name, (rows, given) in said.items():
        if not len(rows) or not np.isfinite(given).all():
            continue
        truth = labels[rows]
        logs = _temper(np.log(np.clip(given, _LEAST, None)), truth)
        n_times = np.bincount(rows, minlength=len(labels))[:, None]
        sums = np.zeros((len(labels), given.shape[1]))
        np.add.at(sums, rows, logs)
        with np.errstate(invalid="ignore"):
            found[name] = sums / n_times
        shares = np.bincount(truth, minlength=given.shape[1]) / len(truth)
        uncertain = -np.log(shares[truth]).mean()
        gains[name] = max(0.0, uncertain + logs[np.arange(len(truth)), truth].mean())
    squares = {name: gain**2 for name, gain in gains.items() if gain > 0}
    total = sum(squares.values())
    if not total:
        raise InvalidParameterError(
            "no strategy gave probabilities that tell more of the labels than the "
            "classes' shares do, so none can say which labels look wrong: compare "
            "others."
        )
    weights = {name: square / total for name, square in squares.items()}
    logs = sum(weight * found[name] for name, weight in weights.items())
    return Doubts(np.asarray(logs), weights)


def _temper(logs: Floats, truth: Rows) -> Floats:
    """Log probabilities to the power that suits the labels best."""
    places = np.arange(len(truth))

    def loss(log_power: float) -> float:
        tempered = log_softmax(np.exp(log_power) * logs, axis=1)
        return float(-tempered[places, truth].mean())

    ends = np.log(_POWERS)
    found = minimize_scalar(loss, bounds=ends.tolist(), method="bounded")
    tempered: Floats = log_softmax(np.exp(found.x) * logs, axis=1)
    return tempered


def find_suspects(
    predictions: Mapping[str, pd.DataFrame],
    texts: Sequence[str],
    labels: npt.NDArray[Any],
    classes: Sequence[object],
    n: int | None,
) -> pd.DataFrame:
    """At most n texts whose labels look wrong, the most doubtful first.

    They are those of which the strategies together hold another label for more
    probable. `predictions` are tables as in `StrategyComparison.predictions`; `classes`
    are in the order of their columns of probabilities. None stands for all of them.
    """
    import pandas as pd

    if n is not None and n < 1:
        raise InvalidParameterError(f"n={n}, but at least 1 is expected.")
    place = {label: number for number, label in enumerate(classes)}
    numbers = np.array([place[label] for label in labels.tolist()], dtype=np.intp)
    columns = [f"probability_{label}" for label in classes]
    said = {
        name: (table["row"].to_numpy(np.intp), table[columns].to_numpy(float))
        for name, table in predictions.items()
    }
    doubts = weigh_doubts(said, numbers)
    given = np.exp(log_softmax(doubts.logs, axis=1))
    other = np.where(np.isnan(given), -1.0, given).argmax(axis=1)
    loss = -doubts.logs[np.arange(len(numbers)), numbers]
    rows = np.flatnonzero((other != numbers) & np.isfinite(loss))
    rows = rows[np.argsort(-loss[rows], kind="stable")][:n]
    votes = {
        name: _most_frequent(predictions[name], place, len(numbers), len(classes))[rows]
        for name in sorted(doubts.weights, key=lambda name: -doubts.weights[name])
    }
    against = np.sum([vote != numbers[rows] for vote in votes.values()], axis=0)
    named = np.array([*classes], dtype=object)
    quoted = np.array([texts[row] for row in rows.tolist()], dtype=object)
    table: dict[str, Any] = {
        "row": rows,
        # As objects: half a character cannot stand in a column of str.
        "text": pd.Series(quoted, dtype=object),
        "label": labels[rows],
        "suggested": named[other[rows]].astype(labels.dtype),
        "probability": given[rows, numbers[rows]],
        "n_against": against.astype(np.intp),
        "n_strategies": len(votes),
    }
    return pd.DataFrame(
        table
        | {
            f"said_by_{name}": named[vote].astype(labels.dtype)
            for name, vote in votes.items()
        }
    )


def _most_frequent(
    table: pd.DataFrame, place: Mapping[object, int], n: int, n_classes: int
) -> Rows:
    """Number of the class (n,) that a strategy said most often of each text."""
    counts = np.zeros((n, n_classes), dtype=np.intp)
    said = np.array([place[label] for label in table["predicted"].tolist()], np.intp)
    np.add.at(counts, (table["row"].to_numpy(np.intp), said), 1)
    found: Rows = counts.argmax(axis=1)
    return found
