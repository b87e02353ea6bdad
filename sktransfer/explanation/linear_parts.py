"""Decisions that are sums with a part a word: counts, and pooled word vectors.

Letters in shapes: S words of the text that count, D numbers a word vector, w features.

Whether a decision is linear is not read off from types: it is probed. That covers
scalers and projections before the classifier, and heads without hidden layers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from sktransfer.explanation.opened_model import Attribution, OpenedModel
from sktransfer.explanation.word_spans import Span, locate_words
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = [
    "attribute_counts",
    "attribute_parts",
    "featurizer_parts",
    "locate_grams",
    "probe_linear",
    "table_parts",
]

_SPACES = re.compile(r"\s\s+")  # as CountVectorizer has it
_WORD = re.compile(r"\S+")

Parts = tuple[list[Span], NDArray[np.float64]]

# Relative; networks compute in float32.
_TOLERANCE = 1e-4


def locate_grams(
    vectorizer: CountVectorizer, text: str
) -> dict[str, list[list[Span]]] | None:
    """Each occurrence of each feature of a text, as the places of its parts.

    None where the fitted vectorizer's own functions make places unknowable.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.explanation.linear_parts import locate_grams
    >>> vectorizer = CountVectorizer(ngram_range=(1, 2)).fit(["not good"])
    >>> locate_grams(vectorizer, "Not good")["not good"]
    [[(0, 3), (4, 8)]]
    """
    if callable(vectorizer.analyzer):
        return None
    seen = vectorizer.build_preprocessor()(text)
    if len(seen) != len(text):
        return None
    low, high = vectorizer.ngram_range
    if vectorizer.analyzer == "word":
        if vectorizer.tokenizer is not None:
            return None
        found = _word_grams(vectorizer, seen, low, high)
    elif vectorizer.analyzer == "char":
        found = _char_grams(seen, low, high)
    else:
        found = _padded_grams(seen, low, high)
    grams: dict[str, list[list[Span]]] = {}
    counts: Counter[str] = Counter()
    for gram, spans in found:
        grams.setdefault(gram, []).append(spans)
        counts[gram] += 1
    # The vectorizer itself has the last word on what it counts.
    return grams if counts == Counter(vectorizer.build_analyzer()(text)) else None


def _word_grams(
    vectorizer: CountVectorizer, text: str, low: int, high: int
) -> Iterator[tuple[str, list[Span]]]:
    pattern = re.compile(vectorizer.token_pattern)
    group = min(pattern.groups, 1)
    stop_words = vectorizer.get_stop_words() or ()
    matches = [
        match
        for match in pattern.finditer(text)
        if match.group(group) not in stop_words
    ]
    for length in range(low, high + 1):
        for start in range(len(matches) - length + 1):
            parts = matches[start : start + length]
            gram = " ".join(part.group(group) for part in parts)
            yield gram, [part.span(group) for part in parts]


def _char_grams(text: str, low: int, high: int) -> Iterator[tuple[str, list[Span]]]:
    """Runs of characters, in which white space of any length counts as one."""
    spaces = {match.start(): match.end() for match in _SPACES.finditer(text)}
    letters: list[tuple[str, Span]] = []
    place = 0
    while place < len(text):
        end = spaces.get(place, place + 1)
        letters.append((" " if place in spaces else text[place], (place, end)))
        place = end
    seen = "".join(letter for letter, _ in letters)
    for length in range(low, high + 1):
        for start in range(len(seen) - length + 1):
            stop = start + length
            yield seen[start:stop], [(letters[start][1][0], letters[stop - 1][1][1])]


def _padded_grams(text: str, low: int, high: int) -> Iterator[tuple[str, list[Span]]]:
    """Runs of characters within words, which have a space at either end."""
    for match in _WORD.finditer(text):
        word = f" {match.group()} "
        for length in range(low, high + 1):
            # A short word is counted once, whatever the length asked for.
            for start in range(max(len(word) - length + 1, 1)):
                gram = word[start : start + length]
                first = match.start() + max(start - 1, 0)
                last = match.start() + min(start + len(gram) - 1, len(match.group()))
                yield gram, [(first, max(first, last))]
            if len(word) <= length:
                break


def featurizer_parts(featurizer: WordVectorFeaturizer, text: str) -> Parts | None:
    """Places of words, and the part of the features that each contributes, (S, w).

    The sum of the parts is the row that ``transform`` gives. There are none where the
    features are no sum: under other poolings than mean and sum, or normalised.
    """
    if not _is_sum(featurizer):
        return None
    reader = featurizer._reader
    ragged, distinct, rows = reader.read_counted([text])
    words = [distinct[number] for number in ragged.values.tolist()]
    vectors = reader.look_up(distinct, rows)[ragged.values]
    weights = featurizer.weigh(words)
    parts = _pool_parts(featurizer, vectors.astype(np.float64), weights)
    return _place(featurizer, words, parts, text)


def table_parts(network_input: Any, body: Any, text: str) -> Parts | None:
    """The same for a table of word vectors that has learnt.

    The input, a `WordInput`, says how texts become rows of the table.
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
    if len(words) != len(rows.ids.values):
        return None
    weights = np.ones(len(words)) if rows.weights is None else rows.weights
    parts = _pool_parts(featurizer, every[rows.ids.values], weights)
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


def probe_linear(
    decide: Callable[[Any], NDArray[np.float64]], features: Any
) -> tuple[NDArray[np.float64], float] | None:
    """Coefficients (w,) of a decision function, and that on zeros, if it is linear.

    The features are one row. A dense one is probed in all columns, a sparse one where
    it is not zero; the other coefficients are 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.explanation.linear_parts import probe_linear
    >>> probe_linear(lambda X: X @ [2.0, -1.0] + 3, np.ones((1, 2)))
    (array([ 2., -1.]), 3.0)
    >>> probe_linear(lambda X: (X**2).sum(axis=1), np.ones((1, 2)))
    """
    thin = sparse.issparse(features)
    if not thin:
        features = np.asarray(features)  # a table of pandas is one of columns
    width = features.shape[1]
    columns = features.tocsr().indices if thin else np.arange(width)
    size = float(abs(features).max()) or 1.0
    n_steps = len(columns)
    # Zeros, the row, half of it, and a step in each column.
    row = np.asarray(features[:, columns].toarray()[0] if thin else features[0])
    dtype = features.dtype if features.dtype.kind == "f" else np.float64
    if thin:
        # With narrow indices, which is what scikit-learn's own transformers give.
        ends = [0, 0, n_steps, 2 * n_steps, *range(2 * n_steps + 1, 3 * n_steps + 1)]
        values = np.concatenate([row, row / 2, np.full(n_steps, size)]).astype(dtype)
        places = np.tile(columns, 3).astype(np.int32)
        probes: Any = sparse.csr_matrix(
            (values, places, np.array(ends, np.int32)), shape=(n_steps + 3, width)
        )
    else:
        steps = size * np.eye(n_steps)
        probes = np.vstack([np.zeros_like(row), row, row / 2, steps]).astype(dtype)
    found = decide(probes)
    base, value, half = found[:3]
    coefficients = np.zeros(width)
    coefficients[columns] = (found[3:] - base) / size
    told = base + float(row @ coefficients[columns])
    scale = max(np.abs(found).max(), 1e-9)
    straight = np.isclose(told, value, rtol=0, atol=_TOLERANCE * scale)
    straight &= np.isclose((base + value) / 2, half, rtol=0, atol=_TOLERANCE * scale)
    return (coefficients, float(base)) if straight else None


def attribute_counts(model: OpenedModel, text: str) -> Attribution | None:
    """Contributions of words or runs of characters that the first transformer counts.

    None where the estimator is of another kind.
    """
    transformers = model.transformers
    if not transformers or not isinstance(transformers[0], CountVectorizer):
        return None
    vectorizer = transformers[0]
    grams = locate_grams(vectorizer, text)
    if grams is None:
        return None
    features, n_used = vectorizer.transform([text]), 1
    # TF-IDF keeps the columns, but divides by the length of the row.
    while len(transformers) > n_used and isinstance(
        transformers[n_used], TfidfTransformer
    ):
        features = transformers[n_used].transform(features)
        n_used += 1
    found = probe_linear(model.decide_after(n_used), features)
    if found is None:
        return None
    coefficients, base = found
    row = features.toarray()[0]
    spans: list[Span] = []
    values: list[float] = []
    for gram, occurrences in grams.items():
        column = vectorizer.vocabulary_.get(gram)
        if column is None:
            continue
        worth = row[column] * coefficients[column] / len(occurrences)
        for parts in occurrences:
            spans += parts
            values += [worth / len(parts)] * len(parts)
    return Attribution("exact", spans, values, base + float(row @ coefficients), base)


def attribute_parts(
    decide: Callable[[Any], NDArray[np.float64]],
    spans: list[Span],
    parts: NDArray[np.float64],
) -> Attribution | None:
    """Contributions of words whose vectors, parts (S, w), add up to the features.

    None where the decision is not linear.
    """
    features = parts.sum(axis=0, keepdims=True)
    found = probe_linear(decide, features)
    if found is None:
        return None
    coefficients, base = found
    values = parts @ coefficients
    return Attribution("exact", spans, values.tolist(), base + values.sum(), base)
