"""What BertFeaturizer does with vectors beside returning them: files and caches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sktransfer.encoders.recipe import Recipe, warn_of_cuts
from sktransfer.encoders.store import CacheInfo
from sktransfer.encoders.stores import open_store
from sktransfer.encoders.vectors import Job, encode_all
from sktransfer.encoders.writing import write_vectors
from sktransfer.exceptions import InvalidInputError
from sktransfer.texts import check_texts

__all__ = ["StoredVectorsMixin"]


class StoredVectorsMixin:
    """Methods of a featurizer that write vectors to files, and look after its cache."""

    cache: str | os.PathLike[str] | None
    max_length: int | None
    long_text: str
    normalize: bool
    n_features_out_: int
    encoder_digest_: str

    def transform_to(
        self, X: Any, path: str | Path, *, n_texts: int | None = None
    ) -> NDArray[np.float32]:
        """Write the vector of each text to a file, for results larger than memory.

        An interrupted call leaves ``<path>.part``; the same call again goes on where
        it stopped, and computes again what was of other texts or parameters.

        Parameters
        ----------
        X : iterable of str, of length n_texts
            A generator is gone through once and never held as a whole.
        path : path-like
            The file, in numpy's format; conventionally it ends in ``.npy``. One that is
            there already is replaced once the new one is whole.
        n_texts : int or None, default=None
            How many texts a generator gives; None for what has a length.

        Returns
        -------
        vectors : float32 memory map of shape (n_texts, n_features_out_)
            Read-only; ``np.load(path, mmap_mode="r")`` opens it again.

        Raises
        ------
        InvalidInputError
            If X holds anything but texts, or not `n_texts` of them, or if a file that
            no earlier call has left is at ``<path>.part``.
        """
        check_is_fitted(self)
        X = X if n_texts is not None or not hasattr(X, "__len__") else check_texts(X)
        if n_texts is None:
            if not isinstance(X, list):
                raise InvalidInputError(
                    f"X is a {type(X).__name__}, whose length is not known: pass the "
                    "number of its texts as n_texts."
                )
            n_texts = len(X)
        jobs: list[Job] = []

        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            texts, recipe = self._prepare(texts)
            jobs.append(self._make_job(recipe))
            return self._encode(texts, jobs[-1], warn=False)

        written = write_vectors(
            X,
            n_texts,
            Path(path).expanduser(),
            width=self.n_features_out_,
            digest=self.encoder_digest_,
            encode=encode,
        )
        self._warn_of_cuts(jobs)
        return written

    def cache_info(self) -> CacheInfo:
        """Return what the cache has done in this process, and what it holds.

        Returns
        -------
        info : CacheInfo
            Of all featurizers that share the cache; zeros where there is none.
        """
        store = open_store(self.cache)
        return CacheInfo(0, 0, 0, 0, 0) if store is None else store.cache_info()

    def clear_cache(self) -> None:
        """Forget the vectors of all featurizers that share the cache."""
        store = open_store(self.cache)
        if store is not None:
            store.clear()

    def _prepare(self, X: Any) -> tuple[list[str], Recipe]:
        raise NotImplementedError

    def _make_job(self, recipe: Recipe) -> Job:
        raise NotImplementedError

    def _encode(
        self, texts: list[str], job: Job, *, warn: bool = True
    ) -> NDArray[np.float32]:
        """Vectors as the parameters want them, shape (n_texts, n_features_out_)."""
        vectors = encode_all(texts, job)
        if warn:
            self._warn_of_cuts([job])
        if self.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return vectors

    def _warn_of_cuts(self, jobs: Sequence[Job]) -> None:
        """Warn that texts lost their ends to a length that nobody asked for."""
        n_cut = sum(job.n_cut for job in jobs)
        # Who names a length or a way to cut has made the choice.
        if not n_cut or self.long_text != "truncate" or self.max_length is not None:
            return
        n_texts = sum(job.n_computed for job in jobs)
        warn_of_cuts(n_cut, n_texts, jobs[0].recipe.max_length)
