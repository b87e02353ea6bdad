"""Labels that look wrong: texts ranked by what all good strategies lost on them.

Each strategy's probabilities, out of fold, get a temperature first, since some are too
sure and others not sure enough. Their logarithms are then added with weights that make
the labels most likely if a share of them, which is estimated too, is wrong. The weights
are drawn to the squares of what each strategy alone tells of the labels, in nats,
beyond the shares of the classes; what tells nothing is left out. On development sets
that found more planted errors than unweighted means and than the best strategy alone;
to put the loss in relation to what is usual in the class found far fewer where one is
rare.

Shapes: n texts, c classes, s strategies, m predictions of one (n times its repeats).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
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
# How strongly weights are drawn to what each strategy tells alone, and where they end.
_PULL, _MOST_WEIGHT = 3.0, 5.0
# A strategy of a smaller share of the weights is not said to have taken part.
_LEAST_SHARE = 0.01
# Of labels that are wrong: with more, nobody could tell right from wrong.
_MOST_WRONG = 0.45


@dataclass(frozen=True)
class Doubts:
    """What good strategies together say of labels.

    Attributes
    ----------
    logs : ndarray of shape (n, c)
        Logarithms of probabilities; NaN for a text that was never tested.
    weights : dict of str to float
        By strategy that has taken part; the largest first.
    """

    logs: Floats
    weights: dict[str, float]


def weigh_doubts(said: Mapping[str, tuple[Rows, Floats]], labels: Rows) -> Doubts:
    """Log probabilities of all classes, of all strategies together.

    `said` has rows of texts (m,) and probabilities (m, c) by strategy, and `labels`
    (n,) are numbers of classes. Strategies without probabilities are left out.
    """
    found, gains = {}, {}
    for name, (rows, given) in said.items():
        if not len(rows) or not np.isfinite(given).all():
            continue
        truth = labels[rows]
        logs = _temper(np.log(np.clip(given, _LEAST, None)), truth)
        shares = np.bincount(truth, minlength=given.shape[1]) / len(truth)
        uncertain = -np.log(shares[truth]).mean()
        gain = uncertain + logs[np.arange(len(truth)), truth].mean()
        if gain <= 0:
            continue
        gains[name] = gain
        sums = np.zeros((len(labels), given.shape[1]))
        np.add.at(sums, rows, logs)
        with np.errstate(invalid="ignore"):
            found[name] = sums / np.bincount(rows, minlength=len(labels))[:, None]
    if not gains:
        raise InvalidParameterError(
            "no strategy gave probabilities that tell more of the labels than the "
            "classes' shares do, so none can say which labels look wrong: compare "
            "others."
        )
    squares = np.array([gain**2 for gain in gains.values()])
    logs = np.array([*found.values()])
    tested = np.isfinite(logs).all(axis=(0, 2))
    weights = _weigh(logs[:, tested], labels[tested], squares / squares.sum())
    together: Floats = log_softmax(np.tensordot(weights, logs, axes=1), axis=1)
    by_name = dict(zip(gains, weights.tolist(), strict=True))
    names = sorted(by_name, key=lambda name: -by_name[name])
    least = _LEAST_SHARE * weights.sum()
    return Doubts(
        together, {name: by_name[name] for name in names if by_name[name] >= least}
    )


def _weigh(logs: Floats, labels: Rows, alone: Floats) -> Floats:
    """Weights (s,) of log probabilities (s, n, c), drawn to those `alone`.

    They maximise the likelihood of labels of which an unknown share was moved to
    another class.
    """
    places, n_others = np.arange(len(labels)), logs.shape[2] - 1

    def loss(parameters: Floats) -> float:
        weights, wrong = parameters[:-1], parameters[-1]
        logits = np.tensordot(weights, logs, axes=1)
        right = np.exp(log_softmax(logits, axis=1)[places, labels])
        seen = (1 - wrong) * right + wrong * (1 - right) / n_others
        pull = _PULL * np.square(weights - alone).sum()
        return float(pull - np.log(np.maximum(seen, np.finfo(float).tiny)).sum())

    bounds = [(0.0, _MOST_WEIGHT)] * len(alone) + [(0.0, _MOST_WRONG)]
    weights: Floats = minimize(loss, [*alone, 0.1], bounds=bounds, method="L-BFGS-B").x[
        :-1
    ]
    return weights if weights.any() else alone


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
    given = np.exp(doubts.logs)
    other = np.where(np.isnan(given), -1.0, given).argmax(axis=1)
    loss = -doubts.logs[np.arange(len(numbers)), numbers]
    rows = np.flatnonzero((other != numbers) & np.isfinite(loss))
    rows = rows[np.argsort(-loss[rows], kind="stable")][:n]
    votes = {
        name: _most_frequent(predictions[name], place, len(numbers), len(classes))[rows]
        for name in doubts.weights
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
