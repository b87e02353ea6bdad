"""Texts to rows of a table of word vectors, and the table's first state.

The table has a row for each word of the training texts. It begins as the vectors have
it, so that the network starts from what the featurizer gives.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from sktransfer.finetune.embeddings import PADDING, EmbeddingBody
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["WordInput", "WordRows"]

UNKNOWN = PADDING + 1
_MADE_UP = ("random", "subword")  # values of oov by which every word has a vector
_UNKNOWN_SCALE = 0.6  # standard deviation of the row for unknown words
_NEW_WORD_RANGE = 0.05  # words without a vector start uniform in plus or minus this


class WordRows:
    """Texts as rows of word ids, for an `EmbeddingBody`.

    Parameters
    ----------
    ids : ndarray of shape (n_words,)
        Of all texts, one behind the other.
    offsets : ndarray of shape (n + 1,)
        Text i has the words ``ids[offsets[i]:offsets[i + 1]]``.
    weights : ndarray of shape (n_words,) or None
        What each word's vector is multiplied by.
    new_vectors : ndarray of shape (m, d)
        Vectors of words that are not in the table.
    n_rows : int
        Rows v of the table; ids from v on are rows of `new_vectors`.
    """

    def __init__(
        self,
        ids: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32] | None,
        new_vectors: npt.NDArray[np.float32],
        n_rows: int,
    ) -> None:
        self.ids = ids
        self.offsets = offsets
        self.weights = weights
        self.new_vectors = new_vectors
        self.n_rows = n_rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Words of each text."""
        return np.diff(self.offsets)

    def take(self, indices: npt.NDArray[np.intp]) -> Self:
        """Return the texts at `indices`."""
        words = self._positions(indices)
        lengths = self.lengths[indices]
        return type(self)(
            self.ids[words],
            np.concatenate([[0], np.cumsum(lengths)]),
            None if self.weights is None else self.weights[words],
            self.new_vectors,
            self.n_rows,
        )

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Word ids (n, t), and weights and new vectors where there are any."""
        lengths = self.lengths[indices]
        words = self._positions(indices)
        place = np.arange(max(1, lengths.max(initial=0))) < lengths[:, None]
        ids = np.full(place.shape, PADDING)
        ids[place] = self.ids[words]
        inputs = {}
        new = ids >= self.n_rows
        if new.any():
            used, numbers = np.unique(ids[new] - self.n_rows, return_inverse=True)
            ids[new] = self.n_rows + numbers
            inputs["new_vectors"] = torch.from_numpy(self.new_vectors[used])
        if self.weights is not None:
            weights = np.ones(place.shape, np.float32)
            weights[place] = self.weights[words]
            inputs["word_weights"] = torch.from_numpy(weights)
        return {"word_ids": torch.from_numpy(ids), **inputs}

    def _positions(self, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        lengths = self.lengths[indices]
        ends = np.cumsum(lengths)
        shifts = np.repeat(self.offsets[indices] - (ends - lengths), lengths)
        positions: npt.NDArray[np.int64] = np.arange(len(shifts)) + shifts
        return positions


class WordInput:
    """Texts are cut into words, and words into rows of the table.

    Parameters
    ----------
    encoder : WordVectorFeaturizer
        Fitted; its tokenizer, weighting and length apply.
    vocabulary : dict of str to int
        Row of each word that has one.
    """

    reads_text = True

    def __init__(
        self, encoder: WordVectorFeaturizer, vocabulary: dict[str, int]
    ) -> None:
        self.encoder = encoder
        self.vocabulary = vocabulary

    @classmethod
    def learn(
        cls,
        encoder: WordVectorFeaturizer,
        texts: list[str],
        before: dict[str, int] | None = None,
    ) -> Self:
        """Number the words of training texts, after those of an earlier table.

        Parameters
        ----------
        encoder : WordVectorFeaturizer
            Fitted.
        texts : list of str
            Training texts.
        before : dict of str to int or None, default=None
            Vocabulary of a source whose table is carried on.

        Returns
        -------
        input : WordInput
        """
        vocabulary = dict(before or {})
        for words in encoder.words_of(texts):
            for word in words:
                vocabulary.setdefault(word, len(vocabulary) + UNKNOWN + 1)
        return cls(encoder, vocabulary)

    def rows(self, X: list[str]) -> WordRows:
        """Rows of checked texts."""
        texts = self.encoder.words_of(X)
        n_rows = len(self.vocabulary) + UNKNOWN + 1
        words = list(dict.fromkeys(word for text in texts for word in text))
        unseen = [word for word in words if word not in self.vocabulary]
        sources = self.encoder.vectors_.index_of(unseen)
        skip = self.encoder.oov == "skip"
        ids = dict(self.vocabulary)
        known = (sources >= 0) | (self.encoder.oov in _MADE_UP)
        with_vector = [unseen[position] for position in np.flatnonzero(known)]
        for number, word in enumerate(with_vector):
            ids[word] = n_rows + number
        for position in np.flatnonzero(~known):
            ids[unseen[position]] = PADDING if skip else UNKNOWN
        kept = [[word for word in text if ids[word] != PADDING] for text in texts]
        flat = [word for text in kept for word in text]
        weights = None
        if self.encoder.weighting is not None:
            each = dict(zip(words, self.encoder.weigh(words), strict=True))
            weights = np.array([each[word] for word in flat], np.float32)
        return WordRows(
            np.array([ids[word] for word in flat], np.int64),
            np.cumsum([0, *map(len, kept)]),
            weights,
            self.encoder._reader.look_up(with_vector, sources[known]),
            n_rows,
        )

    def build_body(self, generator: np.random.Generator) -> EmbeddingBody:
        """Body whose table begins as the vectors have it.

        Padding is zeros; the unknown row is drawn from a normal distribution of scale
        0.6, and words without a vector uniformly from [-0.05, 0.05], unless the encoder
        makes one up for them.

        Parameters
        ----------
        generator : numpy.random.Generator
            Draws the rows that have no vector.

        Returns
        -------
        body : EmbeddingBody
        """
        vectors = self.encoder.vectors_
        width = vectors.width
        rows = vectors.index_of(self.vocabulary)
        words = generator.uniform(-_NEW_WORD_RANGE, _NEW_WORD_RANGE, (len(rows), width))
        known = (rows >= 0) | (self.encoder.oov in _MADE_UP)
        names = [word for word, has in zip(self.vocabulary, known, strict=True) if has]
        words[known] = self.encoder._reader.look_up(names, rows[known])
        unknown = generator.normal(0.0, _UNKNOWN_SCALE, (1, width))
        table = np.concatenate([np.zeros((1, width)), unknown, words])
        return EmbeddingBody(
            table.astype(np.float32),
            pooling=self.encoder.pooling_,
            divide_by_weights=self.encoder.weighting == "idf",
            normalize=self.encoder.normalize,
            components=getattr(self.encoder, "components_", None),
        )
