"""What a word counts: inverse document frequency, SIF, and common components.

Pure functions. Letters in shapes: T texts, S words of all texts one behind the other, V
distinct words, D numbers a vector, K components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import InvalidParameterError

__all__ = [
    "SIF_SMOOTHING",
    "WordWeights",
    "common_components",
    "document_frequencies",
    "idf_weights",
    "remove_components",
    "sif_weights",
    "weigh_words",
]

SIF_SMOOTHING = 1e-3


@dataclass(frozen=True)
class WordWeights:
    """What each word's vector is multiplied by.

    Attributes
    ----------
    known : dict of str to float
        Weights of the words that were counted.
    unseen : float
        Weight of all others.
    shared : bool
        Whether a mean is divided by the sum of the weights rather than by the number
        of words.
    """

    known: dict[str, float]
    unseen: float
    shared: bool

    def weigh(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Weight of each of `words`, shape (n_words,)."""
        weights = (self.known.get(word, self.unseen) for word in words)
        return np.fromiter(weights, np.float32, len(words))


def weigh_words(
    numbers: NDArray[np.integer],
    offsets: NDArray[np.integer],
    words: Sequence[str],
    weighting: str,
) -> WordWeights:
    """Count the words of texts and weigh them, by "idf" or "sif".

    `numbers` (S,) are places in `words`; text t has ``numbers[offsets[t]:offsets[t +
    1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.weighting import weigh_words
    >>> weigh_words(np.array([0]), np.array([0, 1]), ["good"], "idf").known
    {'good': 1.0}
    """
    if weighting == "sif":
        weights = sif_weights(np.bincount(numbers, minlength=len(words)))
        return WordWeights(_by_word(words, weights), unseen=1.0, shared=False)
    frequencies = document_frequencies(numbers, offsets, len(words))
    # One word more, which stands for all that no text has.
    weights = idf_weights(np.append(frequencies, 0), len(offsets) - 1)
    known = _by_word(words, weights[:-1])
    return WordWeights(known, unseen=float(weights[-1]), shared=True)


def _by_word(words: Sequence[str], weights: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(words, weights.tolist(), strict=True))


def document_frequencies(
    words: NDArray[np.integer], offsets: NDArray[np.integer], n_words: int
) -> NDArray[np.int64]:
    """In how many texts each of `n_words` distinct words stands.

    Text t has the words ``words[offsets[t]:offsets[t + 1]]``.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.weighting import document_frequencies
    >>> document_frequencies(np.array([0, 0, 1, 0]), np.array([0, 3, 4]), 3)
    array([2, 1, 0])
    """
    texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pairs = np.unique(texts * n_words + words)
    return np.bincount(pairs % n_words, minlength=n_words).astype(np.int64)


def idf_weights(frequencies: NDArray[np.int64], n_texts: int) -> NDArray[np.float32]:
    """Inverse document frequency, ``ln((1 + T) / (1 + frequency)) + 1``, at least 1.

    The formula of scikit-learn's ``TfidfVectorizer`` with its defaults.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.weighting import idf_weights
    >>> idf_weights(np.array([3, 0]), 3).round(3)
    array([1.   , 2.386], dtype=float32)
    """
    return (np.log((1 + n_texts) / (1 + frequencies)) + 1).astype(np.float32)


def sif_weights(
    counts: NDArray[np.int64], smoothing: float = SIF_SMOOTHING
) -> NDArray[np.float32]:
    """Smooth inverse frequency, :math:`a / (a + p(w))`, in (0, 1].

    p(w) is a word's share of all `counts`; words without a count have 1. The paper uses
    1e-3 to 1e-4 for a, the `smoothing`.

    References
    ----------
    Arora, Liang, Ma (2017). "A simple but tough-to-beat baseline for sentence
    embeddings". ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.weighting import sif_weights
    >>> sif_weights(np.array([999, 1, 0])).round(3)
    array([0.001, 0.5  , 1.   ], dtype=float32)
    """
    shares = counts / max(int(counts.sum()), 1)
    return (smoothing / (smoothing + shares)).astype(np.float32)


def common_components(
    vectors: NDArray[np.float32], n_components: int
) -> NDArray[np.float32]:
    """Directions that most texts share: the first K right singular vectors, (K, D).

    The vectors (T, D) are not centred, as in the paper: the first direction is close to
    the mean. The components are orthonormal; the sign of each is such that its largest
    number is positive.
    """
    if n_components > min(vectors.shape):
        raise InvalidParameterError(
            f"n_components_removed={n_components}, but {len(vectors)} texts of "
            f"{vectors.shape[1]} features have at most {min(vectors.shape)}."
        )
    # The small Gram matrix in float64 is exact enough and far faster than an SVD.
    wide = vectors.astype(np.float64)
    _, directions = np.linalg.eigh(wide.T @ wide)
    components = directions[:, ::-1].T[:n_components]
    peaks = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(len(components)), peaks])[:, None]
    found: NDArray[np.float32] = components.astype(np.float32)
    return found


def remove_components(
    vectors: NDArray[np.float32], components: NDArray[np.float32]
) -> NDArray[np.float32]:
    r"""Take orthonormal directions (K, D) out of vectors, :math:`v - u u^\top v`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.words.weighting import remove_components
    >>> vectors = np.array([[3, 4]], dtype=np.float32)
    >>> remove_components(vectors, np.array([[1, 0]], dtype=np.float32))
    array([[0., 4.]], dtype=float32)
    """
    found: NDArray[np.float32] = np.asarray(
        vectors - (vectors @ components.T) @ components, np.float32
    )
    return found
