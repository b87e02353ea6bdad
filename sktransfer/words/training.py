"""WordVectorTrainer: vectors learnt from texts, by gensim."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state

from sktransfer.estimators import DocumentedMixin, reads_texts
from sktransfer.exceptions import InvalidParameterError, TrainingError
from sktransfer.ragged import Ragged
from sktransfer.texts import check_texts
from sktransfer.validation import (
    FLAG,
    RANDOM_STATE,
    VERBOSE,
    check_parameters,
    exactly,
    instance,
    number,
    one_of,
    whole,
)
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.vectors import WordVectors

__all__ = ["WordVectorTrainer"]

_DEFAULT_SIZE = 100

_RULES = {
    "start_from": instance(
        (str, os.PathLike, WordVectors, type(None)),
        "None, WordVectors, or the path or the name of word vectors",
    ),
    "algorithm": one_of("word2vec", "fasttext"),
    "vector_size": whole(1) | exactly(None),
    "window": whole(1),
    "min_count": whole(1),
    "negative": whole(1),
    "epochs": whole(1),
    "learning_rate": number(0, ends="()"),
    "skip_gram": FLAG,
    "random_state": RANDOM_STATE,
    "verbose": VERBOSE,
}


class WordVectorTrainer(DocumentedMixin, BaseEstimator):
    """How to learn word vectors from the texts that a featurizer is fitted on.

    As the ``vectors`` of a featurizer it holds parameters only: the featurizer's
    ``fit`` learns with them, and has what was learnt as its own ``vectors_``. They are
    within reach of a grid, as in ``vectors__vector_size``.

    Parameters
    ----------
    algorithm : {"word2vec", "fasttext"}, default="word2vec"
        "fasttext" also learns vectors of pieces of words, for ``oov="subword"``.
    vector_size : int, default=None
        Numbers a vector; None is 100, or the width of `start_from`.
    window : int, default=5
        Words to either side that count as context.
    min_count : int, default=2
        Words that come less often are left out.
    skip_gram : bool, default=True
        Predict the context from the word; False predicts the word from its context
        (CBOW), which is faster and better for frequent words only.
    negative : int, default=5
        Words drawn at random against each word of the context.
    epochs : int, default=10
        Passes over the texts.
    learning_rate : float, default=0.025
        At the start; it falls linearly to almost zero.
    start_from : WordVectors, path or str, default=None
        Vectors, or what `WordVectors.load` finds them by, to start from instead of
        random ones, so that those of a source domain adapt to the texts at hand. Words
        that the texts lack stay as they are. Only with "word2vec".
    random_state : int, RandomState instance or None, default=None
        The same seed gives the same vectors: one thread does the work.
    verbose : int, default=0
        1 shows a progress bar over the epochs.

    Attributes
    ----------
    vectors_ : WordVectors
        What `fit` has learnt, where it was called.

    See Also
    --------
    WordVectorFeaturizer : Takes a trainer as its ``vectors``.
    WordVectors : What is learnt.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado, Dean (2013). "Distributed representations of
    words and phrases and their compositionality". NeurIPS.

    Bojanowski, Grave, Joulin, Mikolov (2017). "Enriching word vectors with subword
    information". TACL 5.

    Examples
    --------
    >>> from sktransfer import WordVectorFeaturizer, WordVectorTrainer
    >>> texts = ["good film", "bad film", "good plot", "bad plot"] * 5
    >>> trainer = WordVectorTrainer(vector_size=8, random_state=0)
    >>> featurizer = WordVectorFeaturizer(trainer).fit(texts)
    >>> featurizer.vectors_
    WordVectors(4 words, 8 wide)
    """

    def __init__(
        self,
        algorithm: str = "word2vec",
        *,
        vector_size: int | None = None,
        window: int = 5,
        min_count: int = 2,
        skip_gram: bool = True,
        negative: int = 5,
        epochs: int = 10,
        learning_rate: float = 0.025,
        start_from: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.algorithm = algorithm
        self.vector_size = vector_size
        self.window = window
        self.min_count = min_count
        self.skip_gram = skip_gram
        self.negative = negative
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.start_from = start_from
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Learn vectors from texts, as `learn` does, and keep them.

        Parameters
        ----------
        X : iterable of str, of length n_texts
        y : None
            Ignored.

        Returns
        -------
        self : WordVectorTrainer
        """
        check_parameters(self.get_params(deep=False), _RULES)
        self.vectors_ = self.learn(check_texts(X))
        return self

    def learn(self, texts: Iterable[str]) -> WordVectors:
        """Learn vectors from texts, cut into words as "auto" cuts them.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        vectors : WordVectors

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range.
        TrainingError
            If no word comes `min_count` times.
        """
        lexicon = Lexicon()
        return self.learn_words(
            lexicon.read(check_texts(texts, name="texts")), lexicon.words
        )

    def learn_words(self, ragged: Ragged, words: Sequence[str]) -> WordVectors:
        """Learn vectors from texts that are cut already.

        Parameters
        ----------
        ragged : Ragged
            Places in `words`, text by text.
        words : sequence of str

        Returns
        -------
        vectors : WordVectors
        """
        check_parameters(self.get_params(deep=False), _RULES)
        counts = np.bincount(ragged.values, minlength=len(words))
        # gensim's own error would speak of its build_vocab.
        if counts.max(initial=0) < self.min_count:
            raise TrainingError(
                f"No word comes min_count={self.min_count} times in the "
                f"{len(ragged)} texts, so there is nothing to learn: give "
                "more texts or a smaller min_count."
            )
        start = self._open_start()
        model = self._build_model(start)
        corpus = _Corpus(ragged, words)
        model.build_vocab(corpus)
        if start is not None:
            rows = start.index_of(model.wv.index_to_key)
            model.wv.vectors[rows >= 0] = start.lookup(rows[rows >= 0])
        model.train(
            corpus,
            total_examples=model.corpus_count,
            epochs=self.epochs,
            callbacks=[_bar(self.epochs)] if self.verbose else [],
        )
        learnt = WordVectors.from_gensim(model)
        return learnt if start is None else _add_missing(learnt, start)

    def _open_start(self) -> WordVectors | None:
        if self.start_from is None:
            return None
        start = self.start_from
        if not isinstance(start, WordVectors):
            start = WordVectors.load(start)
        if self.vector_size not in {None, start.width}:
            raise InvalidParameterError(
                f"vector_size={self.vector_size}, but start_from has vectors of "
                f"{start.width} numbers: leave vector_size at None."
            )
        if self.algorithm != "word2vec":
            raise InvalidParameterError(
                f"start_from needs algorithm='word2vec', but it is {self.algorithm!r}, "
                "whose vectors are sums over pieces of words."
            )
        return start

    def _build_model(self, start: WordVectors | None) -> Any:
        # gensim is slow to import, and reading vectors does without it.
        from gensim.models import FastText, Word2Vec

        kind = FastText if self.algorithm == "fasttext" else Word2Vec
        size = _DEFAULT_SIZE if start is None else start.width
        return kind(
            vector_size=self.vector_size or size,
            window=self.window,
            min_count=self.min_count,
            sg=int(self.skip_gram),
            negative=self.negative,
            alpha=self.learning_rate,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            workers=1,  # two threads would race for the order of the texts
        )

    def __sklearn_tags__(self) -> Tags:
        return reads_texts(super().__sklearn_tags__())


class _Corpus:
    """Texts as lists of words, as often as gensim asks for them."""

    def __init__(self, ragged: Ragged, words: Sequence[str]) -> None:
        self._ragged = ragged
        self._words = words

    def __iter__(self) -> Any:
        for row in self._ragged:
            yield [self._words[number] for number in row]


def _bar(n_epochs: int) -> Any:
    """A callback of gensim's that shows a progress bar."""
    from gensim.models.callbacks import CallbackAny2Vec
    from tqdm.auto import tqdm

    class Bar(CallbackAny2Vec):
        def on_train_begin(self, model: Any) -> None:
            self.bar = tqdm(total=n_epochs, desc="Learning word vectors", unit="epoch")

        def on_epoch_end(self, model: Any) -> None:
            self.bar.update()

        def on_train_end(self, model: Any) -> None:
            self.bar.close()

    return Bar()


def _add_missing(learnt: WordVectors, start: WordVectors) -> WordVectors:
    """`learnt` with the words that only `start` has behind its own."""
    missing = learnt.index_of(start.words) < 0
    words = [word for word, lacks in zip(start.words, missing, strict=True) if lacks]
    matrix = np.concatenate([learnt.matrix, start.matrix[missing]])
    return WordVectors([*learnt.words, *words], matrix)
