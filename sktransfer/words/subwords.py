"""Vectors for words never seen, from the pieces they are made of (fastText).

References
----------
Bojanowski, Grave, Joulin, Mikolov (2017). "Enriching word vectors with subword
information". TACL 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Subwords"]


@dataclass(frozen=True)
class Subwords:
    """Vectors of hashed pieces of words.

    Attributes
    ----------
    buckets : ndarray of float32, shape (n_buckets, width)
        Pieces that share a hash share a vector.
    shortest, longest : int
        Letters of the pieces, the marks at both ends of the word included.
    """

    buckets: NDArray[np.float32]
    shortest: int
    longest: int

    def facts(self) -> dict[str, Any]:
        """What is needed besides the array, as JSON has it."""
        return {
            "n_buckets": len(self.buckets),
            "shortest": self.shortest,
            "longest": self.longest,
        }

    @classmethod
    def from_facts(
        cls, buckets: NDArray[np.float32], facts: dict[str, Any]
    ) -> Subwords:
        """The reverse of `facts`."""
        return cls(buckets, facts["shortest"], facts["longest"])

    def vector(self, word: str) -> NDArray[np.float32]:
        """Mean of the vectors of the word's pieces.

        Parameters
        ----------
        word : str

        Returns
        -------
        vector : ndarray of float32, shape (width,)
            Zeros where the word is too short for a piece.
        """
        # gensim hashes in C exactly as fastText does, bugs with accents included.
        from gensim.models.fasttext import ft_ngram_hashes

        rows = ft_ngram_hashes(word, self.shortest, self.longest, len(self.buckets))
        if not len(rows):
            return np.zeros(self.buckets.shape[1], np.float32)
        vector: NDArray[np.float32] = self.buckets[rows].mean(axis=0)
        return vector
