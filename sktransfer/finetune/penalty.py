"""How strongly the penalty draws a linear head: chosen by cross-validation.

No single strength will do: where one class in ten is rare, a head under the usual
penalty answers with the other class only, and where classes are balanced, one under a
tenth of it follows noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.metrics import accuracy_score, f1_score

from sktransfer.finetune.solving import STRENGTH, Floats, LinearProblem

__all__ = ["choose_decay"]

_N_FOLDS = 5
# In the unit of C. The smaller ones hold a head where a source's was.
_STRENGTHS = np.logspace(-0.5, 3, 8)
_TOWARDS_SOURCE = np.array([0.01, 0.03, 0.1])
# More rows would not change the choice.
_MOST_ROWS = 4000
# To choose, three digits of the weights are enough.
_TOLERANCE = 1e-4


def choose_decay(problem: LinearProblem, start: Floats, bias: Floats) -> float:
    """Penalty under which a head does best on rows that it has not learnt from.

    Best is the greatest sum of accuracy, half the macro-averaged F1, and minus half the
    log loss. Accuracy alone has many ties, the log loss alone leaves rare classes to
    the penalty; on four sets at shares from 5 to 50 % the sum cost neither.

    The folds depend on what the rows hold and not on their order. Equal rows are in one
    fold, and count once in the penalty: weights do then what repeated rows would.

    Parameters
    ----------
    problem : LinearProblem
        n rows of w features.
    start : ndarray of shape (k, w)
        What the weights are drawn to.
    bias : ndarray of shape (k,)
        Where the search for the biases begins.

    Returns
    -------
    decay : float > 0
        For `LinearProblem.solve`. Where no class has two different rows, it is that of
        ``C=10``.
    """
    keys = _contents(problem)
    n_distinct = len(set(keys))
    folds = _assign_folds(keys, problem.classes)
    known = np.flatnonzero(folds >= 0)
    if not known.size:
        return problem.decay(STRENGTH, n_distinct)
    strengths = np.append(_TOWARDS_SOURCE, _STRENGTHS) if start.any() else _STRENGTHS
    if len(known) > _MOST_ROWS:
        step = len(known) / _MOST_ROWS
        order = known[np.lexsort((folds[known], problem.classes[known]))]
        known = order[np.floor(np.arange(_MOST_ROWS) * step).astype(int)]
    sample, folds = problem.take(known), folds[known]
    scale = sample.decay(1.0, len({keys[row] for row in known}))
    logits = np.empty((len(strengths), *sample.wanted.shape))
    for fold in np.unique(folds):
        rest, part = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        learning, tested = sample.take(rest), sample.take(part)
        guess, biases = start, bias
        for number, strength in enumerate(strengths):
            guess, biases = learning.solve(
                start, biases, scale / strength, guess=guess, tolerance=_TOLERANCE
            )
            logits[number, part] = tested.logits(guess, biases)
    found = [_rate(sample, one) for one in logits]
    return problem.decay(float(strengths[int(np.argmax(found))]), n_distinct)


def _rate(problem: LinearProblem, logits: Floats) -> float:
    one = logits.shape[1] == 1
    found = (logits[:, 0] > 0).astype(int) if one else logits.argmax(axis=1)
    weight, classes = problem.weight, problem.classes
    accuracy = accuracy_score(classes, found, sample_weight=weight)
    f1 = f1_score(
        classes, found, average="macro", sample_weight=weight, zero_division=0
    )
    return float(accuracy + f1 / 2 - problem.loss(logits) / 2)


def _contents(problem: LinearProblem) -> list[bytes]:
    """What tells rows apart: their features and their class."""
    rows: Any = problem.features
    if sparse.issparse(rows):
        parts = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        features = [
            rows.indices[a:b].astype(np.int64).tobytes() + rows.data[a:b].tobytes()
            for a, b in parts
        ]
    else:
        features = [row.tobytes() for row in rows]
    return [
        bytes(str(number), "ascii") + b":" + content
        for number, content in zip(problem.classes, features, strict=True)
    ]


def _assign_folds(
    keys: list[bytes], classes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Fold (n,) of each row, each class spread evenly; -1 where a class has one row.

    Such a row is of no use here: whoever has not learnt from it cannot know its class.
    """
    folds = np.full(len(keys), -1)
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        distinct = sorted({keys[row] for row in rows})
        if len(distinct) > 1:
            fold_of = {key: place % _N_FOLDS for place, key in enumerate(distinct)}
            folds[rows] = [fold_of[keys[row]] for row in rows]
    return folds
