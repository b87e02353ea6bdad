"""A text's pooled word vectors as a sum with one part a word.

Letters in shapes: S words of the text that count, D numbers a word vector, w features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.explanation.places import Span, locate_words
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["featurizer_parts", "table_parts"]

Parts = tuple[list[Span], NDArray[np.float64]]


def featurizer_parts(featurizer: WordVectorFeaturizer, text: str) -> Parts | None:
    """Part of the features that each word contributes.

    Parameters
    ----------
    featurizer : WordVectorFeaturizer
        Fitted.
    text : str

    Returns
    -------
    spans : list of (int, int), of length S
    parts : ndarray of shape (S, w)
        Their sum is the row that ``transform`` gives. Instead of both None, where the
        features are no sum: under other poolings than mean and sum, or normalised.
    """
    if not _is_sum(featurizer):
        return None
    reader = featurizer._reader
    ragged, distinct, rows = reader.read_counted([text])
    words = [distinct[number] for number in ragged.words.tolist()]
    vectors = reader.look_up(distinct, rows)[ragged.words]
    weights = featurizer.weigh(words)
    parts = _pool_parts(featurizer, vectors.astype(np.float64), weights)
    return _place(featurizer, words, parts, text)


def table_parts(network_input: Any, body: Any, text: str) -> Parts | None:
    """The same for a table of word vectors that has learnt.

    Parameters
    ----------
    network_input : WordInput
        How texts become rows of the table.
    body : EmbeddingBody
        The table.
    text : str

    Returns
    -------
    spans : list of (int, int), of length S
    parts : ndarray of shape (S, w)
        Or None, as `featurizer_parts`.
    """
    featurizer = network_input.encoder
    if not _is_sum(featurizer):
        return None
    rows = network_input.rows([text])
    table = body.token_table().detach().cpu().numpy()
    every = np.concatenate([table, rows.new_vectors]).astype(np.float64)
    known = network_input.vocabulary
    every_word = featurizer.words_of([text])[0]
    found = dict(
        zip(every_word, featurizer.vectors_.index_of(every_word) >= 0, strict=True)
    )
    skip = featurizer.oov == "skip"
    words = [word for word in every_word if word in known or found[word] or not skip]
    if len(words) != len(rows.ids):
        return None
    weights = np.ones(len(words)) if rows.weights is None else rows.weights
    parts = _pool_parts(featurizer, every[rows.ids], weights)
    return _place(featurizer, words, parts, text)


def _is_sum(featurizer: WordVectorFeaturizer) -> bool:
    return not featurizer.normalize and set(featurizer.pooling_) <= {"mean", "sum"}


def _pool_parts(
    featurizer: WordVectorFeaturizer,
    vectors: NDArray[np.float64],
    weights: NDArray[Any],
) -> NDArray[np.float64]:
    weighted = vectors * np.asarray(weights, np.float64)[:, None]
    known = featurizer.word_weights_
    shared = known is not None and known.shared
    divisor = float(weights.sum()) if shared else float(len(vectors))
    parts = np.hstack(
        [
            weighted / (divisor or 1.0) if how == "mean" else weighted
            for how in featurizer.pooling_
        ]
    )
    if featurizer.components_ is not None:
        components = featurizer.components_.astype(np.float64)
        parts = parts - parts @ components.T @ components
    return parts


def _place(
    featurizer: WordVectorFeaturizer,
    words: Sequence[str],
    parts: NDArray[np.float64],
    text: str,
) -> Parts | None:
    spans = locate_words(words, text, lowercase=featurizer.lowercase)
    return None if spans is None else (spans, parts)
