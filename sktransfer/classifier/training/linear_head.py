"""The head trained alone, on features that no longer change.

Without hidden layers the loss is convex, so that nothing is gained by wandering towards
its minimum in small random steps.

Letters in shapes: n rows, w features, k logits (1 for two classes, else one a class).

No single strength will do: where one class in ten is rare, a head under the usual
penalty answers with the other class only, and where classes are balanced, one under a
tenth of it follows noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, sparse, special
from sklearn.metrics import accuracy_score, f1_score
from skorch.callbacks import LRScheduler
from threadpoolctl import threadpool_limits

from sktransfer.classifier.data.rows import LabelledRows, Matrix, text_features
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.training.callbacks import diverged, was_early_stopping
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.skorch_rows import SkorchRows

__all__ = [
    "STRENGTH",
    "LinearProblem",
    "Penalty",
    "choose_decay",
    "set_to_optimum",
    "solve_head",
]

Floats = npt.NDArray[np.float64]

# What C is to scikit-learn's LogisticRegression on features of length 1 on average.
STRENGTH = 10.0
_MOST_ITERATIONS = 1000

_N_FOLDS = 5
# In the unit of C. The smaller ones hold a head where a source's was.
_STRENGTHS = np.logspace(-0.5, 3, 8)
_TOWARDS_SOURCE = np.array([0.01, 0.03, 0.1])
# More rows would not change the choice.
_MOST_ROWS = 4000
# To choose, three digits of the weights are enough.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class LinearProblem:
    """Weighted rows from which a linear head learns to tell classes apart.

    Attributes
    ----------
    features : ndarray or sparse array of shape (n, w), float64
        Scaled as the head reads them.
    classes : ndarray of shape (n,)
        Class number of each row.
    wanted : ndarray of shape (n, k)
        Probability that each logit is to give: of the second class where k is 1, else
        of each class.
    weight : ndarray of shape (n,)
        Of the rows.
    """

    features: Floats | sparse.csr_array
    classes: npt.NDArray[np.int64]
    wanted: Floats
    weight: Floats

    @classmethod
    def of(
        cls,
        features: npt.NDArray[np.floating] | sparse.csr_array,
        classes: npt.NDArray[np.integer],
        weight: npt.NDArray[np.floating],
        n_outputs: int,
        label_smoothing: float = 0.0,
    ) -> LinearProblem:
        """Rows with class numbers; a share of each label is spread over all classes."""
        n_classes = max(2, n_outputs)
        wanted = np.full((len(classes), n_classes), label_smoothing / n_classes)
        wanted[np.arange(len(classes)), classes] += 1 - label_smoothing
        if sparse.issparse(features):
            features = sparse.csr_array(features, dtype=np.float64)
        else:
            features = np.asarray(features, dtype=np.float64)
        return cls(
            features,
            np.asarray(classes),
            wanted[:, 1:] if n_outputs == 1 else wanted,
            np.asarray(weight, dtype=np.float64),
        )

    def take(self, rows: npt.NDArray[np.intp]) -> LinearProblem:
        """Return the problem of some rows."""
        return replace(
            self,
            features=self.features[rows],
            classes=self.classes[rows],
            wanted=self.wanted[rows],
            weight=self.weight[rows],
        )

    def decay(self, strength: float, n_rows: int | None = None) -> float:
        """Penalty of logistic regression with ``C=strength`` on features of length 1.

        For `solve` that is ``length ** 2 / (strength * n_rows)``, n rows unless the
        problem counts as others.
        """
        # Sparse or dense, a product of this kind stays what it was.
        lengths = np.ravel((self.features * self.features).sum(axis=1))
        squared = float(np.average(lengths, weights=self.weight))
        return squared / (strength * (len(self.weight) if n_rows is None else n_rows))

    def losses(self, logits: Floats) -> Floats:
        """Cross-entropy of each row of logits (n, k)."""
        if logits.shape[1] == 1:
            found = np.logaddexp(0, logits) - self.wanted * logits
            return np.asarray(found[:, 0])
        return self._softmax(logits)[0]

    def _softmax(self, logits: Floats) -> tuple[Floats, Floats]:
        """Losses (n,) and probabilities (n, k) of logits, by one exponential.

        Scipy's own two functions, which are for complex numbers as well, take three
        times as long.
        """
        logits = logits - logits.max(axis=1, keepdims=True)
        # Each row of what is wanted sums to 1.
        losses = -(self.wanted * logits).sum(axis=1)
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        logits /= total
        return losses + np.log(total[:, 0]), logits

    def loss(self, logits: Floats) -> float:
        """Weighted mean of the losses of logits (n, k)."""
        return float(np.average(self.losses(logits), weights=self.weight))

    def logits(self, weight: Floats, bias: Floats) -> Floats:
        """Logits (n, k) of a head with weights (k, w) and biases (k,)."""
        return np.asarray(self.features @ weight.T + bias)

    def solve(
        self,
        start: Floats,
        bias: Floats,
        decay: float,
        *,
        guess: Floats | None = None,
        tolerance: float = 1e-9,
    ) -> tuple[Floats, Floats]:
        """Minimum of the mean loss and a penalty, by L-BFGS.

        The penalty is ``decay / 2 * sum((weight - start) ** 2)``: weights (k, w) are
        drawn to `start`, zeros in a new layer, else those of a source or of an earlier
        fit. Biases (k,) are free. The search for them begins at `bias`, that for the
        weights at `guess` or `start`. It ends where no entry of the gradient is larger
        than `tolerance`.
        """
        shares = self.weight / self.weight.sum()
        k = len(bias)

        def measure(packed: Floats) -> tuple[float, Floats]:
            weight, biases = packed[:-k].reshape(start.shape), packed[-k:]
            logits, away = self.logits(weight, biases), weight - start
            if k == 1:
                losses, given = self.losses(logits), special.expit(logits)
            else:
                losses, given = self._softmax(logits)
            total = shares @ losses + decay / 2 * np.vdot(away, away)
            slopes = (given - self.wanted) * shares[:, None]
            slope = (self.features.T @ slopes).T + decay * away
            return float(total), np.concatenate([slope.ravel(), slopes.sum(axis=0)])

        found = optimize.minimize(
            measure,
            np.concatenate([(start if guess is None else guess).ravel(), bias]),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxcor": 20,
                "maxiter": _MOST_ITERATIONS,
                "gtol": tolerance,
                "ftol": 1e-3 * tolerance,
            },
        )
        return found.x[:-k].reshape(start.shape), found.x[-k:]


#: A number, "auto", or what gives the number for a problem.
Penalty: TypeAlias = float | str | Callable[[LinearProblem], float]


def choose_decay(problem: LinearProblem, start: Floats, bias: Floats) -> float:
    """Penalty under which a head does best on rows that it has not learnt from.

    Best is the greatest sum of accuracy, half the macro-averaged F1, and minus half the
    log loss. Accuracy alone has many ties, the log loss alone leaves rare classes to
    the penalty; on four sets at shares from 5 to 50 % the sum cost neither. A strength
    is rated by the mean of its sum and those of its two neighbours: of few rows one sum
    follows chance, and its peaks are often narrow ones.

    The folds depend on what the rows hold and not on their order. Equal rows are in one
    fold, and count once in the penalty: weights do then what repeated rows would. Where
    no class has two different rows, it is the penalty of ``C=10``. `start` and `bias`
    are as in `LinearProblem.solve`.
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
    found = np.pad([_rate(sample, one) for one in logits], 1, mode="edge")
    best = int(np.argmax(found[:-2] + found[1:-1] + found[2:]))
    return problem.decay(float(strengths[best]), n_distinct)


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
    """What tells rows apart: their class, and their features that are not zero.

    Sparse and dense rows of the same numbers have the same.
    """
    rows: Any = problem.features
    if sparse.issparse(rows):
        rows = rows.sorted_indices()
        parts = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        entries = ((rows.indices[a:b], rows.data[a:b]) for a, b in parts)
    else:
        entries = ((np.arange(rows.shape[1]), row) for row in rows)
    keys = []
    for number, (columns, values) in zip(problem.classes, entries, strict=True):
        kept = values != 0
        content = columns[kept].astype(np.int64).tobytes() + values[kept].tobytes()
        keys.append(bytes(str(number), "ascii") + b":" + content)
    return keys


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


def solve_head(net: TransferNet, rows: LabelledRows, penalty: Penalty = "auto") -> None:
    """Give the linear head of an initialised net its best weights on features.

    Half of `penalty` weighs each squared difference of a weight from where it began;
    "auto" chooses it by cross-validation, and a function takes it from the rows. An
    interrupt is remembered in `net.interrupted_`.
    """
    net.interrupted_ = False
    data = net.get_dataset(rows)
    try:
        net.notify("on_train_begin", X=data, y=data.y)
        _solve(net, data, penalty)
    except KeyboardInterrupt as error:
        net.interrupted_ = not was_early_stopping(error)
    if net.history:
        net.notify("on_train_end", X=data, y=data.y)


def _solve(net: TransferNet, rows: SkorchRows, penalty: Penalty) -> None:
    """One epoch of one step for skorch and its callbacks, which finds the optimum.

    The step is over all rows at once, and no gradient of it is told.
    """
    validation = net.get_split_datasets(rows)[1]
    net.notify("on_epoch_begin", dataset_train=rows, dataset_valid=validation)
    batch = (rows, rows.y)
    net.notify("on_batch_begin", batch=batch, training=True)
    smoothing = net.criterion_.label_smoothing
    found, logits = set_to_optimum(
        net.module_, rows, penalty, label_smoothing=smoothing
    )
    if any(isinstance(callback, LRScheduler) for _, callback in net.callbacks_):
        # Schedules ask for a step before their own: it changes nothing.
        net.optimizer_.zero_grad()
        net.optimizer_.step()
    loss = found * rows.weight.double().mean()
    net.history.record_batch("train_loss", float(loss))
    net.history.record_batch("train_batch_size", len(rows))
    step = {"loss": loss, "y_pred": torch.from_numpy(logits)}
    net.notify("on_batch_end", batch=batch, training=True, **step)
    net.history.record("train_batch_count", 1)
    if validation is not None:
        batches = net.get_iterator(validation, training=False)
        net.run_single_epoch(
            batches, False, prefix="valid", step_fn=net.validation_step
        )
    net.notify("on_epoch_end", dataset_train=rows, dataset_valid=validation)


def set_to_optimum(
    network: TransferNetwork,
    rows: LabelledRows,
    penalty: Penalty,
    *,
    label_smoothing: float = 0.0,
) -> tuple[float, Floats]:
    """Give a linear head its best weights on features; returns loss and logits (n, k).

    `penalty` is as in `solve_head`. The loss is without it.
    """
    output = network.output
    problem = LinearProblem.of(
        _scaled(network, text_features(rows.rows)),
        rows.classes.numpy(),
        rows.weight.numpy(),
        network.layout.n_outputs,
        label_smoothing,
    )
    start = output.weight.detach().cpu().double().numpy()
    bias = output.bias.detach().cpu().double().numpy()
    # The products take microseconds; threads that wait for one another cost more.
    with threadpool_limits(1, "blas"):
        if callable(penalty):
            decay = penalty(problem)
        elif penalty == "auto":
            decay = choose_decay(problem, start, bias)
        else:
            decay = float(penalty)
        weight, bias = problem.solve(start, bias, decay)
    logits = problem.logits(weight, bias)
    loss = problem.loss(logits)
    if not math.isfinite(loss):
        raise diverged(f"the loss of the head became {loss}")
    with torch.no_grad():
        output.weight.copy_(torch.from_numpy(weight))
        output.bias.copy_(torch.from_numpy(bias))
    return loss, logits


def _scaled(network: TransferNetwork, features: Matrix) -> Any:
    scale = network.scaler.scale.item()
    if sparse.issparse(features):
        return features / scale  # which are not centred
    return (features - network.scaler.mean.cpu().numpy()) / scale
