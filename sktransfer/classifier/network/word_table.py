"""Word vectors as a layer that learns: texts to rows of a table, and their pooling.

The table has a row for each word of the training texts. It begins as the vectors have
it, so that the network starts from what the featurizer gives.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.classifier.network.body import Body
from sktransfer.ragged import Ragged
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["PADDING", "EmbeddingBody", "WordInput", "WordRows"]

PADDING = 0

UNKNOWN = PADDING + 1
_MADE_UP = ("random", "subword")  # values of oov by which every word has a vector
_UNKNOWN_SCALE = 0.6  # standard deviation of the row for unknown words
_NEW_WORD_RANGE = 0.05  # words without a vector start uniform in plus or minus this


class EmbeddingBody(Body):
    """A table of word vectors that learns, pooled as the featurizer pools.

    Letters: v rows of the table, d numbers a word vector, n texts, t words, m words
    that came after training.

    Row 0 of the table (v, d) is padding, row 1 stands for unknown words. A mean is
    divided by the sum of the words' weights (idf) or by their number. Common
    `components` (c, w) are taken out.
    """

    components: torch.Tensor | None
    is_table = True

    def __init__(
        self,
        table: npt.NDArray[np.float32],
        *,
        pooling: tuple[str, ...],
        divide_by_weights: bool = False,
        normalize: bool = False,
        components: npt.NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(
            torch.from_numpy(table), freeze=False, padding_idx=PADDING
        )
        self.pooling = pooling
        self.divide_by_weights = divide_by_weights
        self.normalize = normalize
        self.register_buffer(
            "components", None if components is None else torch.tensor(components)
        )
        self.tuned = set()

    def forward(
        self,
        word_ids: torch.Tensor,
        word_weights: torch.Tensor | None = None,
        new_vectors: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (n, w) of word ids (n, t), filled up with 0.

        Ids from v on are rows of `new_vectors` (m, d): of words that were in no
        training text. Each word's vector is multiplied by its weight, if there is one.
        """
        n_rows = self.table.num_embeddings
        present = (word_ids != PADDING)[..., None]
        vectors = self.table(word_ids.clamp(max=n_rows - 1))
        if new_vectors is not None:
            new = (word_ids >= n_rows)[..., None]
            vectors = torch.where(
                new, new_vectors[(word_ids - n_rows).clamp(min=0)], vectors
            )
        weights = present.float()
        if word_weights is not None:
            weights = weights * word_weights[..., None]
        weighted = vectors * weights
        divisor = (weights if self.divide_by_weights else present.float()).sum(1)
        parts = []
        for how in self.pooling:
            if how in ("mean", "sum"):
                part = weighted.sum(1)
                if how == "mean":
                    part = part / torch.where(divisor > 0, divisor, 1.0)
            else:
                lowest = -torch.inf if how == "max" else torch.inf
                masked = weighted.masked_fill(~present, lowest)
                part = masked.amax(1) if how == "max" else masked.amin(1)
                part = torch.where(present.any(1), part, 0.0)
            parts.append(part)
        features = torch.cat(parts, dim=1)
        if self.components is not None:
            features = features - features @ self.components.T @ self.components
        if self.normalize:
            features = nn.functional.normalize(features, dim=-1)
        return features

    def pretrained(self) -> EmbeddingBody:
        """Return a copy: what the table was before it learnt is not kept."""
        return copy.deepcopy(self)

    def blocks(self) -> list[nn.Module]:
        """Return no layers: there are none above the table."""
        return []

    def token_table(self) -> nn.Parameter:
        """Word vectors, of shape (v, d)."""
        table: nn.Parameter = self.table.weight
        return table

    def __getstate__(self) -> dict[str, Any]:
        components = self.components
        return {
            "table": self.table.weight.detach().cpu().numpy(),
            "pooling": self.pooling,
            "divide_by_weights": self.divide_by_weights,
            "normalize": self.normalize,
            "components": None if components is None else components.cpu().numpy(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["table"] = np.array(state["table"])
        EmbeddingBody.__init__(self, **state)
        self.tuned = {"table.weight"}
        self.requires_grad_(False)


class WordRows:
    """Texts as rows of word ids, for an `EmbeddingBody`.

    Ids from `n_rows` of the table on are rows of `new_vectors` (m, d), of words that
    are not in the table. `weights` (n_words,) are what each word's vector is multiplied
    by, one text behind the other.
    """

    def __init__(
        self,
        ids: Ragged,
        weights: npt.NDArray[np.float32] | None,
        new_vectors: npt.NDArray[np.float32],
        n_rows: int,
    ) -> None:
        self.ids = ids
        self.weights = weights
        self.new_vectors = new_vectors
        self.n_rows = n_rows

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Words of each text."""
        return self.ids.lengths

    def take(self, indices: npt.NDArray[np.intp]) -> Self:
        """Return the texts at `indices`."""
        weights = self.weights
        if weights is not None:
            weights = weights[self.ids.positions(indices)]
        ids = self.ids.take(indices)
        return type(self)(ids, weights, self.new_vectors, self.n_rows)

    def batch(self, indices: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """Word ids (n, t), and weights and new vectors where there are any."""
        lengths = self.lengths[indices]
        words = self.ids.positions(indices)
        place = np.arange(max(1, lengths.max(initial=0))) < lengths[:, None]
        ids = np.full(place.shape, PADDING)
        ids[place] = self.ids.values[words]
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


class WordInput:
    """Texts are cut into words, and words become rows of the table.

    The fitted encoder's tokenizer, weighting and length apply; `vocabulary` has the row
    of each word that has one.
    """

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
        """Number the words of training texts, after those that a source knows."""
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
        weights = None
        if self.encoder.weighting is not None:
            each = dict(zip(words, self.encoder.weigh(words), strict=True))
            flat = (each[word] for text in kept for word in text)
            weights = np.fromiter(flat, np.float32)
        return WordRows(
            Ragged.from_lists(
                [[ids[word] for word in text] for text in kept], np.int64
            ),
            weights,
            self.encoder._reader.look_up(with_vector, sources[known]),
            n_rows,
        )

    def build_body(self, generator: np.random.Generator) -> EmbeddingBody:
        """Body whose table begins as the vectors have it.

        Padding is zeros; the unknown row is drawn from a normal distribution of scale
        0.6, and words without a vector uniformly from [-0.05, 0.05], unless the encoder
        makes one up for them.
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
