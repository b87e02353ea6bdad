"""WordVectors: a vocabulary and a matrix that never change.

References
----------
Tulkens, van Dongen (2024). "Model2Vec: fast state-of-the-art static embeddings".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import InvalidParameterError, WordVectorsError
from sktransfer.texts import check_texts
from sktransfer.validation import (
    FLAG,
    PATH,
    Rule,
    check_parameters,
    exactly,
    show,
    whole,
)
from sktransfer.words.files.formats import write_vectors
from sktransfer.words.files.gensim_files import source_of_keyed_vectors
from sktransfer.words.files.location import lasting_name, load_table
from sktransfer.words.files.tables import Table, build_table, digest_table, gather_table
from sktransfer.words.files.vocabulary import Subwords
from sktransfer.words.weighting import sif_weights

__all__ = ["WordVectors", "distill_matrix"]

_DISTILL_RULES = {
    "featurizer": Rule(
        lambda value: hasattr(value, "transform") and not isinstance(value, type),
        "a transformer of texts, such as BertFeaturizer(),",
    ),
    "center": FLAG,
    "n_components": exactly(None) | whole(1),
}

_Origin = tuple[str, int | None, str, str | None]  # what `load` was given


def distill_matrix(
    featurizer: Any,
    words: Sequence[str],
    *,
    center: bool = False,
    n_components: int | None = None,
    counts: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Vectors of words from an encoder of texts, as `WordVectors.distill` has them.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sktransfer.words.vectors import distill_matrix
    >>> letters = CountVectorizer(analyzer="char")
    >>> distill_matrix(letters, ["a", "ab"])
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    texts = list(words)
    try:
        check_is_fitted(featurizer)
    except NotFittedError:
        featurizer = clone(featurizer).fit(texts)
    found = featurizer.transform(texts)
    if hasattr(found, "toarray"):
        found = found.toarray()
    matrix = np.asarray(found, np.float32)
    if center:
        matrix = matrix - matrix.mean(axis=0)
    if n_components is not None:
        matrix = _keep_components(matrix, n_components)
    if counts is not None:
        occurrences = np.asarray(counts)
        if occurrences.shape != (len(texts),) or (occurrences < 0).any():
            raise InvalidParameterError(
                f"counts has shape {occurrences.shape}, but one number, at least 0, "
                f"for each of the {len(texts)} words is expected."
            )
        matrix = matrix * sif_weights(occurrences)[:, None]
    return matrix


def _keep_components(
    matrix: NDArray[np.float32], n_components: int
) -> NDArray[np.float32]:
    """Coordinates along the directions of largest variance."""
    if n_components > min(matrix.shape):
        raise InvalidParameterError(
            f"n_components={n_components}, but 1 to {min(matrix.shape)} are possible "
            f"with {len(matrix)} words of {matrix.shape[1]} numbers."
        )
    wide = matrix.astype(np.float64)
    wide -= wide.mean(axis=0)
    _, directions = np.linalg.eigh(wide.T @ wide)
    kept = matrix @ directions[:, ::-1][:, :n_components].astype(np.float32)
    return np.asarray(kept, np.float32)


class WordVectors:
    """Words and their vectors, read-only.

    Copies are free: ``copy`` and scikit-learn's ``clone`` give the same object. Where
    they come from a file, the numbers stay on the disk until they are looked up, and a
    pickle holds the path and a digest instead of the numbers.

    Parameters
    ----------
    words : iterable of str, of length n_words
        Distinct.
    matrix : array-like of shape (n_words, width)
        A vector for each word, finite. It is copied.

    See Also
    --------
    WordVectorFeaturizer : Vectors of texts from vectors of words.

    Examples
    --------
    >>> from sktransfer import WordVectors
    >>> vectors = WordVectors(["good", "bad"], [[1.0, 0.5], [-1.0, 0.5]])
    >>> vectors
    WordVectors(2 words, 2 wide)
    >>> vectors["bad"]
    array([-1. ,  0.5], dtype=float32)
    >>> vectors.index_of(["bad", "ugly"])
    array([ 1, -1])
    """

    __slots__ = ("_digest", "_origin", "_table")

    _table: Table
    _origin: _Origin | None
    _digest: str | None

    def __init__(self, words: Iterable[str], matrix: ArrayLike) -> None:
        if isinstance(words, (str, bytes, Mapping)) or not isinstance(words, Iterable):
            raise WordVectorsError(
                f"words={show(words)}, but a list of different words, each a str, is "
                "expected."
            )
        self._fill(build_table(list(words), matrix, None), None)

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str],
        *,
        limit: int | None = None,
        dtype: str = "float32",
        format: str | None = None,
    ) -> WordVectors:
        """Open vectors from a file, a folder or an installed package.

        word2vec (text, binary), GloVe, fastText (.vec, .bin) and what `save` wrote;
        text and word2vec binary also compressed (.gz). Of repeated words the first
        counts. A file is read once, kept in the user's cache, and its blocks are
        read, each proved by its digest, as words of them are looked up.

        Parameters
        ----------
        source : str or os.PathLike
            The name of packaged vectors such as ``"glove-6b-50d"``, or a path, which as
            a str has a separator or a suffix: ``"./vectors"``, ``"vectors.txt"``.
        limit : int, default=None
            Only the first `limit` words, the most frequent ones in most files.
        dtype : {"float32", "float16"}, default="float32"
            What the numbers are stored as; "float16" halves the file.
        format : {None, "gensim"}, default=None
            None tells it by the content. "gensim" is what gensim's own ``save`` writes,
            a pickle: opening it runs whatever code it holds, so say it of files from
            people you trust only. Without it no pickle is opened.

        Returns
        -------
        vectors : WordVectors

        Raises
        ------
        WordVectorsError
            If there is no such file, or if it is broken, or a pickle without `format`.
        """
        table = load_table(source, limit, dtype, format)
        limit = None if limit is None else int(limit)
        return cls._of(table, (lasting_name(source), limit, dtype, format))

    @classmethod
    def from_gensim(cls, keyed: Any) -> WordVectors:
        """Copy the vectors of gensim's KeyedVectors, or of a model, subwords included.

        Parameters
        ----------
        keyed : gensim.models.KeyedVectors

        Returns
        -------
        vectors : WordVectors
        """
        source = source_of_keyed_vectors(getattr(keyed, "wv", keyed), None, "It")
        return cls._of(gather_table(source), None)

    @classmethod
    def distill(
        cls,
        featurizer: Any,
        words: Iterable[str],
        *,
        center: bool = False,
        n_components: int | None = None,
        counts: ArrayLike | None = None,
    ) -> WordVectors:
        """Vectors of words out of an encoder of texts, not needed afterwards.

        Parameters
        ----------
        featurizer : object with ``transform``
            Such as a BertFeaturizer; where it is not fitted, a clone is, on `words`.
        words : iterable of str, of length n_words
            Distinct.
        center : bool, default=False
            Take the mean of all vectors out of each.
        n_components : int, default=None
            Keep so many principal components; None keeps all numbers.
        counts : array-like of int, of length n_words, default=None
            How often each word comes: multiplies its vector by its SIF weight.

        Returns
        -------
        vectors : WordVectors
        """
        check_parameters(
            {"featurizer": featurizer, "center": center, "n_components": n_components},
            _DISTILL_RULES,
        )
        texts = check_texts(words, name="words")
        matrix = distill_matrix(
            featurizer, texts, center=center, n_components=n_components, counts=counts
        )
        return cls(texts, matrix)

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in order of their rows."""
        return self._table.vocabulary.words

    @property
    def matrix(self) -> NDArray[np.floating]:
        """Vectors, shape (n_words, width), float32 or float16; read-only.

        Of vectors from a file all of it is read; `lookup` reads what it needs.
        """
        return self._table.matrix

    @property
    def width(self) -> int:
        """Numbers a vector."""
        return int(self._table.rows.shape[1])

    @property
    def subwords(self) -> Subwords | None:
        """Vectors of pieces of words, where fastText gave some."""
        return self._table.subwords

    @property
    def digest(self) -> str:
        """SHA-256 over words and numbers, in hexadecimal."""
        if self._digest is None:
            object.__setattr__(self, "_digest", digest_table(self._table))
        return str(self._digest)

    def index_of(self, words: Iterable[str]) -> NDArray[np.int64]:
        """Row of each word.

        Parameters
        ----------
        words : iterable of str, of length n_words

        Returns
        -------
        rows : ndarray of int64, shape (n_words,)
            -1 for words that have no vector.
        """
        return self._table.vocabulary.find_all(words)

    def lookup(self, rows: ArrayLike) -> NDArray[np.float32]:
        """Vectors of rows, as a fresh array.

        Parameters
        ----------
        rows : array-like of int, of length n_rows
            As `index_of` gives them; -1 gives zeros.

        Returns
        -------
        vectors : ndarray of float32, shape (n_rows, width)
        """
        places = np.asarray(rows, dtype=np.int64)
        found: NDArray[np.float32] = np.zeros((len(places), self.width), np.float32)
        known = places >= 0
        found[known] = self._table.rows.take(places[known])
        return found

    def save(
        self, path: str | os.PathLike[str], format: str = "sktransfer"
    ) -> WordVectors:
        """Write the vectors, in place of what is there once they are whole.

        Parameters
        ----------
        path : str or os.PathLike
        format : {"sktransfer", "word2vec", "word2vec-binary", "gensim"}, \
default="sktransfer"
            "sktransfer" is a folder that opens at once, and replaces nothing but
            older ones; the others lose subwords. Names that end in .gz are compressed.

        Returns
        -------
        vectors : WordVectors
            The same, opened from `path`, which they pickle by.
        """
        check_parameters({"path": path}, {"path": PATH}, always=True)
        place = Path(path).expanduser()
        write_vectors(place, self._table, format)
        pickled = "gensim" if format == "gensim" else None
        return WordVectors.load(
            place, dtype=str(self._table.rows.dtype), format=pickled
        )

    def __len__(self) -> int:
        return len(self._table.vocabulary)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._table.vocabulary.find(word) >= 0

    def __getitem__(self, words: str | Sequence[str]) -> NDArray[np.float32]:
        if isinstance(words, str):
            return np.asarray(self[[words]][0])
        rows = self.index_of(words)
        if (rows < 0).any():
            missing = words[int(np.flatnonzero(rows < 0)[0])]
            raise KeyError(f"{missing!r} is none of the {len(self)} words.")
        return self.lookup(rows)

    def __iter__(self) -> Any:
        return iter(self.words)

    def __repr__(self) -> str:
        source = f", from {self._origin[0]!r}" if self._origin else ""
        return f"WordVectors({len(self)} words, {self.width} wide{source})"

    def __copy__(self) -> WordVectors:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> WordVectors:
        return self

    def __setattr__(self, name: str, value: object) -> None:
        # Clones and threads share them.
        raise AttributeError(f"WordVectors never change, so {name!r} cannot be set.")

    def __reduce__(self) -> tuple[Any, ...]:
        # The digest proves later that the file still holds these numbers.
        if self._origin is not None:
            return _reload, (*self._origin[:3], self.digest, self._origin[3])
        return _restore, (self.words, self.matrix, self.subwords)

    @classmethod
    def _of(cls, table: Table, origin: _Origin | None) -> WordVectors:
        vectors = cls.__new__(cls)
        vectors._fill(table, origin)
        return vectors

    def _fill(self, table: Table, origin: _Origin | None) -> None:
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_origin", origin)
        object.__setattr__(self, "_digest", table.digest or None)


def _reload(
    source: str, limit: int | None, dtype: str, digest: str, format: str | None = None
) -> WordVectors:
    vectors = WordVectors.load(source, limit=limit, dtype=dtype, format=format)
    if vectors.digest != digest:
        raise WordVectorsError(
            f"{source} holds other vectors than when this was pickled: put the old "
            "file back, or fit again."
        )
    return vectors


def _restore(words: Any, matrix: Any, subwords: Any) -> WordVectors:
    return WordVectors._of(build_table(list(words), matrix, subwords), None)
