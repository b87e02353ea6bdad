"""Which texts train and which test: the same for all strategies of a comparison.

And how many train: parts of a training part, for learning curves.

Copies of a text, and texts of one group, are never on both sides. Shapes: n texts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.validation import explained, show

__all__ = [
    "Fold",
    "Rows",
    "Splits",
    "TrainSize",
    "bind_rows",
    "check_groups",
    "choose_sizes",
    "make_folds",
    "nest_rows",
    "take_rows",
    "text_keys",
]


Rows = npt.NDArray[np.intp]


_AS_CV = "a list of (train, test), with numbers of rows"


class Splitter(Protocol):
    """What makes folds, as scikit-learn's splitters do."""

    def split(
        self,
        X: npt.NDArray[Any],
        y: npt.NDArray[Any],
        groups: Sequence[object] | None,
    ) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield training and test rows of each fold."""


# What is to be said of folds: their number, what makes them, or their rows.
Splits = int | Splitter | Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]


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

    They are numbers of texts, one a class at least, or shares of the training part as
    floats up to 1. What is larger than a training part means the whole of it, and so
    does None.
    """
    lengths = [len(fold.train) for fold in folds]
    whole = TrainSize(round(float(np.mean(lengths))))
    if train_sizes is None:
        return [whole]
    if isinstance(train_sizes, (str, Mapping)) or not isinstance(train_sizes, Iterable):
        raise InvalidParameterError(
            f"train_sizes={show(train_sizes)}, but None or a list of numbers of texts "
            "is expected."
        )
    asked = list(train_sizes)
    found = {_count(size, whole.n_texts, n_classes) for size in asked}
    if not found:
        raise InvalidParameterError(
            "train_sizes is empty, []: pass None for all texts, or a number of them."
        )
    sizes = [TrainSize(size, whole=False) for size in found if size < min(lengths)]
    if len(sizes) < len(found):
        sizes.append(whole)
    return sorted(sizes, key=lambda size: (size.whole, size.n_texts))


def _count(size: object, n_whole: int, n_classes: int) -> int:
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
            f"train_sizes holds {show(size)}, but a number of texts of at least "
            f"{n_classes}, one a class, or a share of them above 0 and up to 1.0, is "
            "expected."
        )
    return n_texts


def nest_rows(labels: npt.NDArray[Any], rows: Rows, seed: int) -> Rows:
    """Order rows so that each beginning of them is stratified.

    First comes a row of each class. The others stand by their quantile in their class,
    as cards that are dealt evenly. The labels are those of all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.comparison.setup.folds import nest_rows
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
    """Training rows of a fold at a size, ascending.

    Under the same seed, those of a smaller size are among those of a larger one.
    """
    if size.whole:
        return fold.train
    own = int(
        np.random.SeedSequence([seed, fold.repeat, fold.number]).generate_state(1)[0]
    )
    ordered = nest_rows(labels, fold.train, own)
    return np.sort(ordered[: size.n_texts])


@dataclass(frozen=True)
class Fold:
    """One split into training and test rows.

    Attributes
    ----------
    repeat, number : int
        Of the repetition and of the fold in it, both from 0.
    train, test : ndarray of int
        Positions of texts.
    """

    repeat: int
    number: int
    train: Rows
    test: Rows


def text_keys(texts: Iterable[str]) -> list[str]:
    """What two texts have in common that differ in case, blanks and punctuation only.

    Examples
    --------
    >>> from sktransfer.comparison.setup.folds import text_keys
    >>> text_keys(["Good film!", "good  film", ":)"])
    ['goodfilm', 'goodfilm', ':)']
    """
    return [_key(text) for text in texts]


def _key(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded)) or text.strip()


def bind_rows(texts: Sequence[str], groups: Sequence[object] | None = None) -> Rows:
    """Number the sets of texts that have to stay on one side of each split.

    Rows have the same number that belong together, directly or through others: copies,
    see `text_keys`, and what is in one group.

    Examples
    --------
    >>> from sktransfer.comparison.setup.folds import bind_rows
    >>> bind_rows(["fine", "Fine!", "bad", "dull"], groups=["a", "b", "b", "c"])
    array([0, 0, 0, 1])
    """
    copies = _number(text_keys(texts))
    if groups is None:
        return copies
    by_group = _number(groups)
    n_copies, size = copies.max() + 1, copies.max() + by_group.max() + 2
    links = (np.ones(len(copies)), (copies, n_copies + by_group))
    parts = connected_components(coo_matrix(links, shape=(size, size)), directed=False)
    return _number(parts[1][copies].tolist())


def _number(values: Iterable[Any]) -> Rows:
    """Number distinct values in the order in which they come."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.intp)


def check_groups(groups: object, n_texts: int, counted: str = "X has {} texts") -> None:
    """See that groups, where there are some, name one for each text.

    `counted` says what has so many entries, for the message.
    """
    if groups is None:
        return
    if isinstance(groups, (str, bytes, Mapping)) or not isinstance(groups, Collection):
        raise InvalidInputError(
            f"groups={show(groups)}, but a list or a 1-D array with one group per text "
            "is expected."
        )
    if len(groups) != n_texts:
        raise InvalidInputError(
            f"{counted.format(n_texts)} but groups has {len(groups)} entries: pass one "
            "group per text."
        )
    for row, group in enumerate(groups):
        if not isinstance(group, Hashable) or getattr(group, "ndim", False):
            raise InvalidInputError(
                f"groups[{row}] is {show(group)} of type {type(group).__name__}, but "
                "one name or number per text is expected."
            )


def make_folds(
    labels: npt.NDArray[Any],
    bound: Rows,
    *,
    cv: Splits = 5,
    n_repeats: int = 1,
    groups: Sequence[object] | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Split rows, stratified by label and with what is bound kept together.

    With a splitter of the user's, which is given the groups, test rows are as it says,
    and training rows that are bound to one of them by their text are left out. For a
    number of folds groups only say that `bound` is more than copies of texts.
    """
    if n_repeats < 1:
        raise InvalidParameterError(f"n_repeats={n_repeats}, but at least 1 is needed.")
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        folds = [
            Fold(repeat, number, train, test)
            for repeat in range(n_repeats)
            for number, (train, test) in enumerate(
                _split(labels, bound, int(cv), groups is not None, seed + repeat)
            )
        ]
    else:
        folds = _split_by(cv, labels, bound, groups, n_repeats)
    for fold in folds:
        _check_fold(fold, labels)
    return folds


def _split(
    labels: npt.NDArray[Any], bound: Rows, n_folds: int, grouped: bool, seed: int
) -> list[tuple[Rows, Rows]]:
    if n_folds < 2:
        raise InvalidParameterError(f"cv={n_folds}, but at least 2 folds are needed.")
    pairs = set(zip(labels.tolist(), bound.tolist(), strict=True))
    sizes = Counter(label for label, _ in pairs)
    rarest = min(sizes, key=lambda label: sizes[label])
    if sizes[rarest] < n_folds:
        what = "groups" if grouped else "different texts"
        raise InvalidInputError(
            f"the class {rarest!r} is in {sizes[rarest]} {what} only, but cv={n_folds} "
            f"needs at least {n_folds}: label more of it, merge or drop the class, or "
            "use fewer folds."
        )
    if grouped:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        return list(splitter.split(labels, labels, bound))
    # Each text once, and its copies go where it goes.
    first = np.unique(bound, return_index=True)[1]
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    found = []
    for _, test in splitter.split(first, labels[first]):
        tested = np.isin(bound, bound[first[test]])
        found.append((np.flatnonzero(~tested), np.flatnonzero(tested)))
    return found


def _split_by(
    cv: Splits,
    labels: npt.NDArray[Any],
    bound: Rows,
    groups: Sequence[object] | None,
    n_repeats: int,
) -> list[Fold]:
    if n_repeats != 1:
        raise InvalidParameterError(
            f"n_repeats={n_repeats}, but cv={cv!r} decides itself what is drawn: pass "
            "n_repeats=1, or a splitter that repeats, as RepeatedStratifiedKFold."
        )
    try:
        splitter = check_cv(cv, labels, classifier=True)
    except ValueError as error:
        raise InvalidParameterError(
            f"cv={show(cv)}, but a number of folds, a splitter of scikit-learn or a "
            "list of (train, test) is expected."
        ) from error
    with explained(f"cv={show(cv)} makes no folds of these texts", _AS_CV):
        pairs = [
            (np.asarray(train), np.asarray(test))
            for train, test in splitter.split(
                np.zeros((len(labels), 1)), labels, groups
            )
        ]
    for position, pair in enumerate(pairs):
        for rows in pair:
            if not _are_rows(rows, len(labels)):
                raise InvalidInputError(
                    f"cv gives {show(rows)} for fold {position}, but {_AS_CV} from "
                    f"0 to {len(labels) - 1} is expected."
                )
    if not pairs:
        raise InvalidInputError(
            f"cv={show(cv)} gives no folds, but {_AS_CV} is expected."
        )
    n_each = len(pairs) // getattr(cv, "n_repeats", 1) or len(pairs)
    folds = []
    for number, (train, test) in enumerate(pairs):
        if train.dtype == bool:
            train, test = np.flatnonzero(train), np.flatnonzero(test)
        train = train[~np.isin(bound[train], bound[test])]
        folds.append(Fold(number // n_each, number % n_each, train, test))
    return folds


def _are_rows(rows: npt.NDArray[Any], n_rows: int) -> bool:
    """Whether an array is numbers of rows, or says of each whether it is one."""
    if rows.dtype == bool:
        return rows.shape == (n_rows,)
    in_range = rows.dtype.kind in "iu" and ((rows >= -n_rows) & (rows < n_rows)).all()
    return rows.ndim == 1 and bool(in_range)


def _check_fold(fold: Fold, labels: npt.NDArray[Any]) -> None:
    where = f"fold {fold.number} of repeat {fold.repeat}"
    if not len(fold.test):
        raise InvalidInputError(
            f"{where} has no test texts: use fewer folds, or other groups."
        )
    found = np.unique(labels[fold.train]).tolist()
    if len(found) < 2:
        raise InvalidInputError(
            f"the training part of {where} holds the classes {found} only, but at "
            "least 2 are needed: use fewer folds, or groups that mix classes."
        )
