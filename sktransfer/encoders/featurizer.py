"""BertFeaturizer: texts to vectors, as scikit-learn has its transformers.

The top of this folder: ``parameters`` makes a recipe of what the user wrote,
``checkpoints`` finds the weights, and ``encoding`` computes vectors and keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from sktransfer.encoders.array_files import write_vectors
from sktransfer.encoders.cache.disk import RecentStore, disk_store
from sktransfer.encoders.cache.memory import CacheInfo, MemoryStore, memory_store
from sktransfer.encoders.checkpoints.checkpoint import Checkpoint, find_checkpoint
from sktransfer.encoders.compute.devices import resolve_device, resolve_dtype
from sktransfer.encoders.encoding import Job, encode_all, warn_of_cuts
from sktransfer.encoders.parameters import (
    RULES,
    Recipe,
    explain_staleness,
    resolve_layers,
    resolve_max_length,
    resolve_pooling,
)
from sktransfer.estimators import DocumentedMixin, reads_texts
from sktransfer.exceptions import InvalidInputError, StaleFitError
from sktransfer.packages import DEFAULT_ENCODER
from sktransfer.texts import check_texts
from sktransfer.validation import PATH, check_parameters, exactly, whole

__all__ = ["BertFeaturizer"]


class BertFeaturizer(
    DocumentedMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Turn texts into vectors with a frozen pretrained transformer.

    ``fit`` looks for the weights and reads their configuration; the weights themselves
    are loaded at the first text that the cache does not know, and kept by the process:
    ``clone``, pickles and ``n_jobs`` move names only.

    Parameters
    ----------
    model : str or path-like, default="multilingual-e5-small"
        The name of packaged weights, which always means the package; a folder, which
        as a str has a separator or a suffix (``"./model"``); or a hub id.
    revision : str or None, default=None
        Branch, tag or commit on the hub.
    local_files_only : bool, default=False
        Ask no network.
    pooling : {"auto", "mean", "cls", "max"} or tuple of them, default="auto"
        Of the states of a text's tokens; several are put side by side. "auto" is what
        the checkpoint declares, else "mean".
    layers : "auto", int or tuple of int, default="auto"
        Hidden states to read, averaged where there are several; 0 is the embeddings.
        "auto" is -1, and of "multilingual-e5-small" the last three, (-1, -2, -3).
    normalize : bool, default=False
        Scale each vector to length 1. The length carries signal for classifiers.
    prefix : str, default="auto"
        Put before each text; "auto" is what the checkpoint declares, else nothing.
    max_length : int or None, default=None
        Tokens of a text that are read, special ones included; None is what the
        checkpoint declares, else the most that it can read.
    long_text : {"truncate", "head_tail", "window"}, default="truncate"
        Of longer texts the beginning is read, or beginning and end, or all of it in
        windows that overlap by a quarter, averaged by their tokens.
    batch_tokens : int or "auto", default="auto"
        Most tokens of one forward pass, padding included. Where the memory does not
        suffice it is halved until it does.
    device : str, default="auto"
        "auto" is a GPU where there is one, else "cpu".
    dtype : {"auto", "float32", "bfloat16", "float16", "int8"}, default="auto"
        Number format; "auto" is bfloat16 where the hardware multiplies it natively,
        else float32. "int8" is for CPUs and BERT's relatives: faster, less exact.
    cache : {"memory"}, path-like or None, default="memory"
        "memory" keeps vectors, text by text, in one bounded store of the process that
        all featurizers share. A folder keeps them on disk for all processes and runs,
        without the texts themselves. None keeps none.
    share : {"poolings", "layers"} or None, default=None
        What one forward pass puts into the cache beside what is asked for, so that a
        grid over it encodes each text once: all poolings of the layers (3 vectors of
        ``4 * hidden_size`` bytes), or of every layer.
    verbose : int, default=0
        1 shows a progress bar with texts per second.

    Attributes
    ----------
    checkpoint_ : Checkpoint
        The weights that were found.
    layers_ : tuple of int
        The hidden states averaged, counted from the last, -1.
    pooling_ : tuple of str
        The poolings put side by side.
    prefix_ : str
        What is put before each text.
    max_length_ : int
        Tokens read at once, special ones included.
    n_features_out_ : int
        Length of a vector.
    encoder_digest_ : str of 64 characters
        Fingerprint of weights, tokenizer and all parameters that change vectors. If it
        would be another one by the time of ``transform``, the fit is void.

    See Also
    --------
    WordVectorFeaturizer : Faster and less accurate.
    TransferSentimentClassifier : Can train the transformer as well.

    Notes
    -----
    With the batch that a text travels in, its vector moves by about 1e-6 in float32 and
    by up to about 1e-2 in half precision, where the cosine stays above 0.9999.

    Examples
    --------
    >>> from sktransfer import BertFeaturizer
    >>> featurizer = BertFeaturizer()
    >>> featurizer.fit_transform(["I loved it", "A dull film"]).shape
    (2, 384)
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_ENCODER,
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        pooling: str | tuple[str, ...] = "auto",
        layers: int | tuple[int, ...] | str = "auto",
        normalize: bool = False,
        prefix: str = "auto",
        max_length: int | None = None,
        long_text: str = "truncate",
        batch_tokens: int | str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        cache: str | Path | None = "memory",
        share: str | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.revision = revision
        self.local_files_only = local_files_only
        self.pooling = pooling
        self.layers = layers
        self.normalize = normalize
        self.prefix = prefix
        self.max_length = max_length
        self.long_text = long_text
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.cache = cache
        self.share = share
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the weights and read how they are meant to be used; load none.

        Parameters
        ----------
        X : iterable of str, of length n_texts
            Only checked for being texts.
        y : object, default=None
            Not used.

        Returns
        -------
        self : BertFeaturizer

        Raises
        ------
        InvalidInputError
            If X holds anything but texts.
        InvalidParameterError
            If a parameter is out of range.
        CheckpointNotFoundError
            If the weights are nowhere.
        """
        check_parameters(self.get_params(deep=False), RULES)
        check_texts(X)
        recipe = self._make_recipe()
        self.checkpoint_: Checkpoint = recipe.checkpoint
        self.layers_ = recipe.layers
        self.pooling_ = recipe.pooling
        self.prefix_ = recipe.prefix
        self.max_length_ = recipe.max_length
        self.n_features_out_ = recipe.width
        self.encoder_digest_ = self._digest(recipe)
        self._parameters_at_fit = self.get_params(deep=False)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """Fit, and return the vectors of the same texts.

        Parameters
        ----------
        X : iterable of str, of length n_texts
            The texts.
        y : object, default=None
            Not used.

        Returns
        -------
        vectors : float32 array of shape (n_texts, n_features_out_)
        """
        X = list(X) if isinstance(X, Iterator) else X  # fit would use it up
        vectors: NDArray[np.float32] = self.fit(X, y).transform(X)
        return vectors

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the vector of each text.

        Parameters
        ----------
        X : iterable of str, of length n_texts
            The texts.

        Returns
        -------
        vectors : float32 array of shape (n_texts, n_features_out_)

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        StaleFitError
            If a parameter that changes vectors, or the weights, changed since.
        InvalidInputError
            If X holds anything but texts.
        """
        texts, recipe = self._prepare(X)
        return self._encode(texts, self._make_job(recipe))

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
            If X holds anything but texts, or not `n_texts` of them, if a file that no
            earlier call has left is at ``<path>.part``, or if another call is writing
            to it.
        FileError
            If the file cannot be written, for example because the disk is full.
        """
        check_is_fitted(self)
        check_parameters(
            {"path": path, "n_texts": n_texts},
            {"path": PATH, "n_texts": exactly(None) | whole(0, "texts")},
            always=True,
        )
        X = X if n_texts is not None or not hasattr(X, "__len__") else check_texts(X)
        if n_texts is None:
            if not isinstance(X, list):
                raise InvalidInputError(
                    f"X is a {type(X).__name__}, whose length is not known: pass the "
                    "number of its texts as n_texts."
                )
            n_texts = len(X)
        n_texts = int(n_texts)
        jobs: list[Job] = []

        def encode(texts: Sequence[str]) -> NDArray[np.float32]:
            # For each block: weights that were replaced meanwhile void the fit.
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
        store = self._open_cache()
        return CacheInfo(0, 0, 0, 0, 0) if store is None else store.cache_info()

    def clear_cache(self) -> None:
        """Forget the vectors of all featurizers that share the cache."""
        store = self._open_cache()
        if store is not None:
            store.clear()

    def _prepare(self, X: Any) -> tuple[list[str], Recipe]:
        """Texts and recipe, if the fit still holds."""
        check_is_fitted(self)
        texts = check_texts(X)
        now, then = self.get_params(deep=False), self._parameters_at_fit
        # What fit has checked is right; an array among new values has no plain ==.
        if changed := {k: v for k, v in now.items() if v is not then[k]}:
            check_parameters(changed, RULES)
        recipe = self._make_recipe()
        if self._digest(recipe) != self.encoder_digest_:
            raise StaleFitError(explain_staleness(now, then))
        return texts, recipe

    def _make_job(self, recipe: Recipe) -> Job:
        budget = self.batch_tokens
        return Job(
            recipe,
            store=self._open_cache(),
            share=self.share,
            batch_tokens=None if isinstance(budget, str) else int(budget),
            verbose=bool(self.verbose),
        )

    def _encode(
        self, texts: list[str], job: Job, *, warn: bool = True
    ) -> NDArray[np.float32]:
        """Vectors as the parameters want them, shape (n_texts, n_features_out_)."""
        vectors = encode_all(texts, job)
        if warn:
            self._warn_of_cuts([job])
        if self.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            # A vector of zeros stays one.
            vectors /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return vectors

    def _warn_of_cuts(self, jobs: Sequence[Job]) -> None:
        """Warn that texts lost their ends to a length that nobody asked for."""
        n_cut = sum(job.n_cut for job in jobs)
        # Who names a length or a way to cut has made the choice.
        if not n_cut or self.long_text != "truncate" or self.max_length is not None:
            return
        n_texts = sum(job.n_texts for job in jobs)
        warn_of_cuts(n_cut, n_texts, jobs[0].recipe.max_length)

    def _open_cache(self) -> MemoryStore | RecentStore | None:
        if self.cache is None:
            return None
        return memory_store() if self.cache == "memory" else disk_store(self.cache)

    def _make_recipe(self) -> Recipe:
        """What the parameters amount to, with the weights as they are found now."""
        checkpoint = find_checkpoint(
            self.model,
            revision=self.revision,
            local_files_only=self.local_files_only,
        )
        device = resolve_device(self.device)
        return Recipe(
            checkpoint=checkpoint,
            layers=resolve_layers(self.layers, checkpoint),
            pooling=resolve_pooling(self.pooling, checkpoint),
            prefix=checkpoint.prefix if self.prefix == "auto" else self.prefix,
            max_length=resolve_max_length(self.max_length, checkpoint),
            long_text=self.long_text,
            device=device,
            dtype=resolve_dtype(self.dtype, device, integers=True),
        )

    def _digest(self, recipe: Recipe) -> str:
        # Without what the machine makes of "auto": a pickle may go elsewhere.
        return recipe.digest(bool(self.normalize), self.dtype)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_

    def __sklearn_tags__(self) -> Any:
        return reads_texts(super().__sklearn_tags__())
