"""WordVectorFeaturizer: texts -> pooled word vectors, as a scikit-learn transformer.

The top of ``words``: it joins vectors, lexicon, weighting and pooling, and keeps to
scikit-learn's contract. It never imports torch.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators import DocumentedMixin, reads_texts
from sktransfer.exceptions import InvalidParameterError, StaleFitError
from sktransfer.load_times import loading
from sktransfer.texts import check_texts
from sktransfer.validation import (
    FLAG,
    RANDOM_STATE,
    Rule,
    check_parameters,
    exactly,
    one_of,
    whole,
)
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.text_vectors import POOLINGS, WordReader
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import (
    WordWeights,
    common_components,
    remove_components,
    weigh_words,
)

__all__ = ["WordVectorFeaturizer"]


def _is_pooling(value: Any) -> bool:
    names = (value,) if isinstance(value, str) else value
    return (
        isinstance(names, (tuple, list))
        and len(names) > 0
        and all(isinstance(name, str) and name in POOLINGS for name in names)
    )


def _are_vectors(value: Any) -> bool:
    if isinstance(value, (str, os.PathLike, WordVectors)):
        return True
    # A class has the methods of its objects.
    return not isinstance(value, type) and (
        hasattr(value, "learn_words")
        or hasattr(getattr(value, "wv", value), "index_to_key")
    )


_RULES = {
    "vectors": Rule(
        _are_vectors,
        "a path, the name of packaged vectors, WordVectors, a WordVectorTrainer or "
        "gensim's KeyedVectors",
    ),
    "weighting": one_of(None, "idf", "sif"),
    "oov": one_of("skip", "zero", "random", "subword"),
    "lowercase": FLAG,
    "random_state": RANDOM_STATE,
    "normalize": FLAG,
    "pooling": Rule(_is_pooling, f"one of {list(POOLINGS)}, or a tuple of them"),
    "n_components_removed": whole(0),
    "max_length": whole(1, "words") | exactly(None),
    "tokenizer": Rule(
        lambda value: callable(value) or exactly("auto").accepts(value),
        "'auto' or a callable",
    ),
}


class WordVectorFeaturizer(
    DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Turn texts into vectors by pooling the vectors of their words.

    Parameters
    ----------
    vectors : str, path, WordVectors, WordVectorTrainer or KeyedVectors, \
default="glove-6b-50d"
        The name of packaged word vectors, a path as `WordVectors.load` has it (no
        pickle), or the vectors themselves. A trainer learns vectors from the texts of
        `fit`; its parameters are in reach of a grid, as in ``vectors__vector_size``.
        KeyedVectors are copied at every clone; `WordVectors.from_gensim` saves that.
    pooling : {"mean", "sum", "max", "min"} or tuple of them, default="mean"
        How the vectors of a text's words become one; several are put side by side.
    weighting : {None, "idf", "sif"}, default=None
        What a word's vector is multiplied by: inverse document frequency, smooth
        inverse frequency (both counted on the texts of `fit`), or nothing. The mean of
        "idf" is divided by the sum of the weights, that of "sif" by the number of
        words, as in its paper.
    n_components_removed : int, default=0
        Common components of the texts of `fit` to take out of each vector; SIF uses 1.
    tokenizer : "auto" or callable, default="auto"
        "auto" cuts English and Chinese, in any mixture (Chinese needs the extra
        ``chinese``), keeps punctuation, emoji and negations, and cuts a word finer
        where the vectors do not know it: "don't" is tried before "do" and "n't". A
        callable takes a text and returns a list of str, which is used as it is.
    max_length : int, default=None
        Words of a text that count, from the start; None is all.
    lowercase : bool, default=True
        Lowercase texts first, as most vectors want.
    normalize : bool, default=False
        Scale each text's vector to length 1.
    oov : {"skip", "zero", "random", "subword"}, default="skip"
        What a word without a vector is: nothing, a vector of zeros that counts in a
        mean, a normal random vector drawn from word and seed, or the mean of its
        pieces' vectors (fastText's .bin files).
    random_state : int, RandomState instance or None, default=None
        Seed of the random vectors; unused otherwise.

    Attributes
    ----------
    vectors_ : WordVectors
    pooling_ : tuple of str
        `pooling` as a tuple.
    n_features_out_ : int
    encoder_digest_ : str
        SHA-256 over vectors, parameters and everything fitted.
    word_weights_ : WordWeights or None
    components_ : ndarray of float32, shape (n_components_removed, n_features_out_)
        What is taken out, orthonormal; None where nothing is.

    See Also
    --------
    BertFeaturizer : Vectors of texts from a pretrained transformer.

    Notes
    -----
    A text without any known word is a row of zeros. For sentiment the plain mean is
    often better than SIF, which was made for similarity; try both.

    References
    ----------
    Arora, Liang, Ma (2017). "A simple but tough-to-beat baseline for sentence
    embeddings". ICLR.

    Examples
    --------
    >>> from sktransfer import WordVectorFeaturizer, WordVectors
    >>> vectors = WordVectors(["good", "bad", "film"], [[1, 0], [-1, 0], [0, 1]])
    >>> featurizer = WordVectorFeaturizer(vectors)
    >>> featurizer.fit_transform(["A good film!", "Bad.", "Unseen"])
    array([[ 0.5,  0.5],
           [-1. ,  0. ],
           [ 0. ,  0. ]], dtype=float32)
    """

    def __init__(
        self,
        vectors: Any = "glove-6b-50d",
        *,
        pooling: str | tuple[str, ...] = "mean",
        weighting: str | None = None,
        n_components_removed: int = 0,
        tokenizer: str | Callable[[str], list[str]] = "auto",
        max_length: int | None = None,
        lowercase: bool = True,
        normalize: bool = False,
        oov: str = "skip",
        random_state: Any = None,
    ) -> None:
        self.vectors = vectors
        self.pooling = pooling
        self.weighting = weighting
        self.n_components_removed = n_components_removed
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.lowercase = lowercase
        self.normalize = normalize
        self.oov = oov
        self.random_state = random_state

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Open or learn the vectors, and count words where a weighting needs it.

        Parameters
        ----------
        X : iterable of str, of length n_texts
        y : None
            Ignored.

        Returns
        -------
        self : WordVectorFeaturizer

        Raises
        ------
        InvalidInputError
            If `X` is not a list of texts.
        InvalidParameterError
            If a parameter is out of range.
        WordVectorsError
            If the vectors cannot be found or read.
        """
        check_parameters(self.get_params(deep=False), _RULES)
        texts = check_texts(X)
        self.vectors_ = self._find_vectors(texts)
        pooling = self.pooling
        self.pooling_ = (pooling,) if isinstance(pooling, str) else tuple(pooling)
        self.n_features_out_ = self.vectors_.width * len(self.pooling_)
        self._n_features_out = self.n_features_out_
        self._parameters = self._freeze_parameters()
        self._reader = WordReader(
            self.vectors_,
            tokenizer=self.tokenizer,
            lowercase=bool(self.lowercase),
            max_length=self.max_length,
            oov=self.oov,
            seed=self._draw_seed(),
        )
        self.word_weights_: WordWeights | None = None
        if self.weighting is not None:
            ragged, words, _ = self._reader.read_counted(texts)
            self.word_weights_ = weigh_words(
                ragged.values, ragged.offsets, words, self.weighting
            )
        self.components_: NDArray[np.float32] | None = None
        if self.n_components_removed:
            pooled = self._reader.pool(texts, self.pooling_, self.word_weights_)
            self.components_ = common_components(pooled, self.n_components_removed)
        self.encoder_digest_ = self._digest()
        return self

    def fit_transform(self, X: Iterable[str], y: Any = None) -> NDArray[np.float32]:
        """Fit, and return the vectors of the same texts.

        Parameters
        ----------
        X : iterable of str, of length n_texts
        y : None
            Ignored.

        Returns
        -------
        vectors : ndarray of float32, shape (n_texts, n_features_out_)
        """
        X = list(X) if isinstance(X, Iterator) else X  # fit would use it up
        vectors: NDArray[np.float32] = self.fit(X, y).transform(X)
        return vectors

    def transform(self, X: Iterable[str]) -> NDArray[np.float32]:
        """Vectors of texts.

        Parameters
        ----------
        X : iterable of str, of length n_texts

        Returns
        -------
        vectors : ndarray of float32, shape (n_texts, n_features_out_)

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        StaleFitError
            If a parameter was set to another value since.
        InvalidInputError
            If `X` is not a list of texts.
        """
        self._check_fitted()
        pooled = self._reader.pool(check_texts(X), self.pooling_, self.word_weights_)
        if self.components_ is not None:
            pooled = remove_components(pooled, self.components_)
        if self.normalize:
            lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
            pooled /= np.where(lengths > 0, lengths, 1)
        return pooled

    def words_of(self, X: Iterable[str]) -> list[list[str]]:
        """Words of each text as `transform` counts them, unknown ones included.

        Parameters
        ----------
        X : iterable of str, of length n_texts

        Returns
        -------
        words : list of list of str, of length n_texts
            Lowercased and cut to `max_length` as the parameters say.
        """
        self._check_fitted()
        return self._reader.words_of(check_texts(X))

    def tokenize(self, X: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of `vectors_` for each word of each text.

        Parameters
        ----------
        X : iterable of str, of length n_texts

        Returns
        -------
        rows : ndarray of int64, shape (n_words,)
            All texts one behind the other; -1 for words without a vector.
        offsets : ndarray of int64, shape (n_texts + 1,)
            Text t has the words ``rows[offsets[t]:offsets[t + 1]]``.
        """
        self._check_fitted()
        ragged, _, rows = self._reader.read(check_texts(X))
        return rows[ragged.values], ragged.offsets.astype(np.int64)

    def weigh(self, words: Iterable[str]) -> NDArray[np.float32]:
        """What each word's vector is multiplied by.

        Parameters
        ----------
        words : iterable of str, of length n_words

        Returns
        -------
        weights : ndarray of float32, shape (n_words,)
            Ones without a weighting. A word that no text given to `fit` has weighs as
            one that is rarer than all others.
        """
        self._check_fitted()
        words = list(words)
        if self.word_weights_ is None:
            return np.ones(len(words), np.float32)
        return self.word_weights_.weigh(words)

    def _find_vectors(self, texts: Sequence[str]) -> WordVectors:
        """Vectors that `vectors` means; a trainer learns them from the texts."""
        found = self.vectors
        if isinstance(found, (str, os.PathLike)):
            with loading(f"word vectors {found}"):
                found = WordVectors.load(found)
        elif hasattr(found, "learn_words"):
            lexicon = Lexicon(self.tokenizer, self.lowercase)
            found = clone(found).learn_words(lexicon.read(texts), lexicon.words)
        elif hasattr(getattr(found, "wv", found), "index_to_key"):
            found = WordVectors.from_gensim(found)
        if self.oov == "subword" and found.subwords is None:
            raise InvalidParameterError(
                f"oov='subword', but {found!r} has no vectors of pieces of words: load "
                "a fastText .bin file, or choose another oov."
            )
        vectors: WordVectors = found
        return vectors

    def _freeze_parameters(self) -> dict[str, Any]:
        """Parameters as they are now, to be compared with what they are later.

        A trainer is replaced by its own parameters, since `set_params` reaches into it.
        """
        parameters: dict[str, Any] = self.get_params(deep=False)
        if isinstance(self.vectors, BaseEstimator):
            parameters["vectors"] = repr(sorted(self.vectors.get_params().items()))
        return parameters

    def _check_fitted(self) -> None:
        """Raise unless fitted, with the parameters that it still has."""
        check_is_fitted(self, "encoder_digest_")
        for name, value in self._freeze_parameters().items():
            before = self._parameters[name]
            if value is not before and value != before:
                raise StaleFitError(
                    f"{name} was {before!r:.60} in fit and is {value!r:.60} now, which "
                    "changes the vectors: call fit again."
                )

    def _draw_seed(self) -> int:
        if self.oov != "random":  # no generator moves on for nothing
            return 0
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _digest(self) -> str:
        settings = self._parameters | {"vectors": self.vectors_.digest}
        settings |= {"pooling": self.pooling_, "random_state": self._reader.seed}
        if callable(self.tokenizer):
            # Where a function lies in memory differs from process to process.
            kind = type(self.tokenizer).__qualname__
            settings["tokenizer"] = getattr(self.tokenizer, "__qualname__", kind)
        digest = hashlib.sha256(repr(sorted(settings.items())).encode())
        digest.update(repr(self.word_weights_).encode())
        if self.components_ is not None:
            digest.update(np.ascontiguousarray(self.components_).data)
        return digest.hexdigest()

    def __sklearn_tags__(self) -> Any:
        return reads_texts(super().__sklearn_tags__())
