"""One vocabulary's vectors in another's space: languages, or domains.

CSLS is twice the cosine less the mean cosine of each side's ten nearest neighbours:
words that are near to everything ("hubs") lose their advantage.

Letters in shapes: Q words that ask, N words that may answer, D numbers a vector; P
pairs of words, S and T numbers a vector of source and target.

References
----------
Conneau, Lample, Ranzato, Denoyer, Jégou (2018). "Word translation without parallel
data". ICLR.

Artetxe, Labaka, Agirre (2016). "Learning principled bilingual mappings of word
embeddings while preserving monolingual invariance". EMNLP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import FLAG, check_parameters, instance, show, whole
from sktransfer.words.vectors import WordVectors

__all__ = [
    "align_word_vectors",
    "mutual_neighbors",
    "nearest",
    "translation_precision",
    "unit_rows",
]

_N_AROUND = 10

_RULES = {
    "source": instance(WordVectors, "WordVectors, as of WordVectors.load,"),
    "target": instance(WordVectors, "WordVectors, as of WordVectors.load,"),
    "center": FLAG,
    "scale": FLAG,
    "n_refinements": whole(0),
    "n_frequent": whole(1),
}

# Rows compared at a time: 40 MB of cosines against 10 000 words.
_ROWS_A_BLOCK = 1024


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def nearest(
    asking: NDArray[np.floating], answering: NDArray[np.floating], n_neighbors: int
) -> NDArray[np.int64]:
    """Nearest rows of `answering` (N, D) to each of `asking` (Q, D), in order.

    Shape (Q, n_neighbors), or fewer where there are fewer rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.alignment import nearest
    >>> nearest(np.array([[2.0, 0.1]]), np.eye(2), 2)
    array([[0, 1]])
    """
    questions, answers = unit_rows(asking), unit_rows(answering)
    # Only what the answers lose matters: a question's own mean is the same for all.
    crowding = _mean_of_nearest(answers, questions)
    found = [
        _largest(2 * cosines - crowding, n_neighbors)
        for cosines in _cosines(questions, answers)
    ]
    return np.concatenate(found)


def mutual_neighbors(
    one: NDArray[np.floating], other: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Rows of two sides that are each other's nearest, shape (2, n_pairs)."""
    there = nearest(one, other, 1)[:, 0]
    back = nearest(other, one, 1)[:, 0]
    rows = np.arange(len(one))
    mutual = back[there] == rows
    return np.array([rows[mutual], there[mutual]])


def _cosines(
    questions: NDArray[np.float32], answers: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(questions), _ROWS_A_BLOCK):
        yield questions[start : start + _ROWS_A_BLOCK] @ answers.T


def _mean_of_nearest(
    questions: NDArray[np.float32], answers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Mean cosine of each question's nearest answers, shape (Q,)."""
    n_around = min(_N_AROUND, len(answers))
    means = [
        np.partition(cosines, -n_around, axis=1)[:, -n_around:].mean(axis=1)
        for cosines in _cosines(questions, answers)
    ]
    return np.concatenate(means)


def _largest(scores: NDArray[np.float32], n_largest: int) -> NDArray[np.int64]:
    """Columns of the largest numbers of each row, the largest first."""
    n_largest = min(n_largest, scores.shape[1])
    columns = np.argpartition(-scores, n_largest - 1, axis=1)[:, :n_largest]
    order = np.argsort(-np.take_along_axis(scores, columns, 1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, 1)


def align_word_vectors(
    source: WordVectors,
    target: WordVectors,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    center: bool = True,
    scale: bool = True,
    n_refinements: int = 0,
    n_frequent: int = 10_000,
) -> WordVectors:
    r"""Turn the vectors of `source` so that pairs of words come to lie together.

    With the unit vectors of the pairs as rows of X and Y, centred, the rotation is the
    solution of orthogonal Procrustes: :math:`X^\top Y = U \Sigma V^\top`,
    :math:`W = U V^\top`. Each source vector becomes
    :math:`s\,(x - \bar x)\,W + \bar y`: its distances to other source vectors stay what
    they were, up to one common factor s.

    Parameters
    ----------
    source, target : WordVectors
        Their widths may differ.
    pairs : iterable of (str, str), default=None
        A word of `source` and one of `target` that mean the same, for example from
        `bilingual_pairs`; those that lack a vector are left out, those that come
        several times weigh as much. None pairs each word with itself, which is right
        for two domains of one language.
    center : bool, default=True
        Bring the means of the pairs to the same place.
    scale : bool, default=True
        Bring the spread of the pairs to the same size.
    n_refinements : int, default=0
        Rounds in which the rotation is learnt anew from the pairs and from words that
        are each other's nearest neighbours (CSLS). It helps when pairs are few.
    n_frequent : int, default=10000
        How many of the first words of each side may become neighbours.

    Returns
    -------
    aligned : WordVectors
        The words of `source` in the space of `target`, whose vectors stay as they are.

    Raises
    ------
    InvalidInputError
        If no pair has both its vectors.

    See Also
    --------
    WordVectorFeaturizer : Vectors of texts from vectors of words.

    Examples
    --------
    >>> from sktransfer import WordVectors, align_word_vectors
    >>> english = WordVectors(["good", "bad", "film"], [[1, 0], [-1, 0], [0, 1]])
    >>> chinese = WordVectors(["好", "差", "电影"], [[0, 1], [0, -1], [-1, 0]])
    >>> pairs = [("好", "good"), ("差", "bad"), ("电影", "film")]
    >>> aligned = align_word_vectors(chinese, english, pairs)
    >>> aligned["好"].round(3) + 0.0
    array([1., 0.], dtype=float32)
    """
    check_parameters(
        {
            "source": source,
            "target": target,
            "center": center,
            "scale": scale,
            "n_refinements": n_refinements,
            "n_frequent": n_frequent,
        },
        _RULES,
    )
    rows = _find_pairs(source, target, pairs)
    every = (source.matrix.astype(np.float32), target.matrix.astype(np.float32))
    alignment = _Alignment.between(every[0][rows[0]], every[1][rows[1]], center, scale)
    for _ in range(n_refinements):
        found = mutual_neighbors(
            alignment.apply(every[0][:n_frequent]), every[1][:n_frequent]
        )
        one, other = np.hstack([rows, found])
        alignment = _Alignment.between(every[0][one], every[1][other], center, scale)
    return WordVectors(source.words, alignment.apply(every[0]))


def translation_precision(
    source: WordVectors,
    target: WordVectors,
    pairs: Iterable[tuple[str, str]],
    at: Iterable[int] = (1, 5),
) -> dict[int, float]:
    """How often a word's nearest neighbours hold its translation.

    Parameters
    ----------
    source, target : WordVectors
        In one space: `source` is what `align_word_vectors` returned.
    pairs : iterable of (str, str)
        Pairs that the alignment has not seen. A source word in several pairs counts
        once, and any of its translations is right.
    at : iterable of int, default=(1, 5)
        How many neighbours are looked at. They are all words of `target`, nearest by
        CSLS, which is the cosine corrected for words that are near to everything.

    Returns
    -------
    precision : dict of int to float
        Share of source words, for each number in `at`.

    Raises
    ------
    InvalidInputError
        If no pair has both its vectors.

    Examples
    --------
    >>> from sktransfer import WordVectors
    >>> from sktransfer.words.alignment import translation_precision
    >>> english = WordVectors(["good", "bad"], [[1, 0], [-1, 0]])
    >>> chinese = WordVectors(["好", "差"], [[2, 0], [1, 0]])
    >>> translation_precision(chinese, english, [("好", "good"), ("差", "bad")], at=[1])
    {1: 0.5}
    """
    numbers = sorted(at)
    rows = _find_pairs(source, target, pairs)
    right: dict[int, set[int]] = {}
    for one, other in rows.T.tolist():
        right.setdefault(one, set()).add(other)
    asked = list(right)
    near = nearest(source.lookup(asked), target.matrix, numbers[-1])
    hits = np.array(
        [
            [bool(right[one] & set(found[:number].tolist())) for number in numbers]
            for one, found in zip(asked, near, strict=True)
        ]
    )
    shares = hits.mean(axis=0).tolist()
    return dict(zip(numbers, shares, strict=True))


class _Alignment:
    """Centring, rotation and scale, learnt from pairs of vectors."""

    def __init__(
        self,
        source_mean: NDArray[np.float32],
        rotation: NDArray[np.float32],
        target_mean: NDArray[np.float32],
    ) -> None:
        self._source_mean = source_mean  # (S,)
        self._rotation = rotation  # (S, T), the scale included
        self._target_mean = target_mean  # (T,)

    @classmethod
    def between(
        cls,
        source: NDArray[np.float32],
        target: NDArray[np.float32],
        center: bool,
        scale: bool,
    ) -> _Alignment:
        """From vectors of shapes (P, S) and (P, T), row by row a pair."""
        means = [side.mean(axis=0) * np.float32(center) for side in (source, target)]
        centred = [source - means[0], target - means[1]]
        # Long vectors are those of frequent words, not those of better pairs.
        one, other = (unit_rows(side).astype(np.float64) for side in centred)
        left, _, right = np.linalg.svd(one.T @ other, full_matrices=False)
        rotation = left @ right
        if scale:
            sizes = [np.linalg.norm(side) for side in centred]
            rotation *= sizes[1] / sizes[0] if sizes[0] > 0 else 1.0
        return cls(means[0], rotation.astype(np.float32), means[1])

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors of shape (n, S) in the target's space, shape (n, T)."""
        moved = (vectors - self._source_mean) @ self._rotation + self._target_mean
        return np.asarray(moved, np.float32)


def _find_pairs(
    source: WordVectors,
    target: WordVectors,
    pairs: Iterable[tuple[str, str]] | None,
) -> NDArray[np.int64]:
    """Rows of the pairs whose words both have vectors, shape (2, P)."""
    given = [(word, word) for word in source.words]
    if pairs is not None:
        given = _check_pairs(pairs)
    rows = np.array(
        [
            source.index_of(pair[0] for pair in given),
            target.index_of(pair[1] for pair in given),
        ]
    )
    rows = rows[:, (rows >= 0).all(axis=0)]
    if not rows.shape[1]:
        raise InvalidInputError(
            f"None of the {len(given)} pairs has vectors for both its words, but 1 is "
            "needed: the first word of a pair is of source, the second of target."
        )
    return rows


def _check_pairs(pairs: object) -> list[tuple[str, str]]:
    expected = "pairs of a word of source and one of target, both str, are expected"
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InvalidInputError(f"pairs={show(pairs)}, but {expected}.")
    found = []
    for position, pair in enumerate(pairs):
        is_pair = isinstance(pair, (tuple, list, np.ndarray)) and len(pair) == 2
        if not is_pair or not all(isinstance(word, str) for word in pair):
            raise InvalidInputError(
                f"pairs[{position}] is {show(pair)}, but {expected}."
            )
        found.append((pair[0], pair[1]))
    return found
