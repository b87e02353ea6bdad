"""Training parts of different sizes, the smaller ones inside the larger ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.folds import Fold
from sktransfer.exceptions import InvalidParameterError

__all__ = ["TrainSize", "choose_sizes", "nest_rows", "take_rows"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class TrainSize:
    """How many labelled texts train.

    Attributes
    ----------
    n_texts : int
        Mean over the folds; 0 where no text of the target domain is looked at.
    whole : bool
        Whether that is each fold's whole training part.
    """

    n_texts: int
    whole: bool = True


def choose_sizes(
    train_sizes: Iterable[float] | None, folds: Sequence[Fold], n_classes: int
) -> list[TrainSize]:
    """Sizes that the folds can give, ascending, each once.

    Parameters
    ----------
    train_sizes : iterable of int or float, or None
        Numbers of texts, or shares of the training part as floats up to 1. What is
        larger than a training part means the whole of it, and so does None.
    folds : sequence of Fold
        The folds.
    n_classes : int
        No size may be smaller.

    Returns
    -------
    sizes : list of TrainSize

    Raises
    ------
    InvalidParameterError
        If a size is no number or too small.
    """
    lengths = [len(fold.train) for fold in folds]
    whole = TrainSize(round(float(np.mean(lengths))))
    if train_sizes is None:
        return [whole]
    asked = list(train_sizes)
    found = {_count(size, whole.n_texts, n_classes) for size in asked}
    if not found:
        raise InvalidParameterError("train_sizes is empty: pass None for all texts.")
    sizes = [TrainSize(size, whole=False) for size in found if size < min(lengths)]
    if len(sizes) < len(found):
        sizes.append(whole)
    return sorted(sizes, key=lambda size: (size.whole, size.n_texts))


def _count(size: Any, n_whole: int, n_classes: int) -> int:
    if isinstance(size, (bool, np.bool_)):
        n_texts = -1
    elif isinstance(size, Integral):
        n_texts = int(size)
    elif isinstance(size, Real) and 0 < float(size) <= 1:
        n_texts = round(float(size) * n_whole)
    else:
        n_texts = -1
    if n_texts < n_classes:
        raise InvalidParameterError(
            f"train_sizes holds {size!r}, but a number of texts of at least "
            f"{n_classes}, one a class, or a share of them above 0 and up to 1.0, is "
            "expected."
        )
    return n_texts


def nest_rows(labels: npt.NDArray[Any], rows: Rows, seed: int) -> Rows:
    """Order rows so that each beginning of them is stratified.

    First comes a row of each class. The others stand by their quantile in their class,
    as cards that are dealt evenly.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Of all rows.
    rows : ndarray of int
        Those to order.
    seed : int
        Of the shuffling within a class.

    Returns
    -------
    ordered : ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.comparison.curves import nest_rows
    >>> labels = np.array(["a", "a", "a", "a", "b", "b"])
    >>> labels[nest_rows(labels, np.arange(6), seed=0)[:3]].tolist()
    ['a', 'b', 'a']
    """
    generator = np.random.default_rng(seed)
    shuffled = rows[generator.permutation(len(rows))]
    place = np.empty(len(shuffled))
    for label in np.unique(labels[shuffled]):
        mine = np.flatnonzero(labels[shuffled] == label)
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
        place[mine[0]] = -1
    # Ties fall to whichever class comes first, not to whichever was drawn first.
    order = np.lexsort((np.unique(labels[shuffled], return_inverse=True)[1], place))
    ordered: Rows = shuffled[order]
    return ordered


def take_rows(fold: Fold, size: TrainSize, labels: npt.NDArray[Any], seed: int) -> Rows:
    """Training rows of a fold at a size.

    Parameters
    ----------
    fold : Fold
        The fold.
    size : TrainSize
        One of `choose_sizes`.
    labels : ndarray of shape (n,)
        Of all rows.
    seed : int
        The same for all sizes, so that they are nested.

    Returns
    -------
    rows : ndarray of int
        In ascending order.
    """
    if size.whole:
        return fold.train
    own = int(
        np.random.SeedSequence([seed, fold.repeat, fold.number]).generate_state(1)[0]
    )
    ordered = nest_rows(labels, fold.train, own)
    return np.sort(ordered[: size.n_texts])
