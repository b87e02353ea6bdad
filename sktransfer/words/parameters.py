"""What the parameters of WordVectorFeaturizer may be, mean and were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator, clone

from sktransfer.exceptions import InvalidParameterError, StaleFitError
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.text_vectors import POOLINGS
from sktransfer.words.vectors import WordVectors

__all__ = ["check_parameters", "check_unchanged", "find_vectors", "freeze_parameters"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "weighting": (None, "idf", "sif"),
    "oov": ("skip", "zero", "random", "subword"),
    "lowercase": (True, False),
    "normalize": (True, False),
}


def check_parameters(featurizer: Any) -> None:
    """Say which parameter is out of range, and what it may be.

    Parameters
    ----------
    featurizer : WordVectorFeaturizer

    Raises
    ------
    InvalidParameterError
        For the first parameter that is out of range.
    """
    for name, choices in _CHOICES.items():
        value = getattr(featurizer, name)
        # An array equals nothing as a whole, so the type is asked first.
        if not isinstance(value, (str, bool, type(None))) or value not in choices:
            _refuse(name, value, f"one of {list(choices)}")
    pooling = featurizer.pooling
    parts = (pooling,) if isinstance(pooling, str) else pooling
    if not isinstance(parts, (tuple, list)) or not parts or set(parts) - set(POOLINGS):
        _refuse("pooling", pooling, f"one of {list(POOLINGS)}, or a tuple of them")
    removed = featurizer.n_components_removed
    if not _is_whole(removed) or removed < 0:
        _refuse("n_components_removed", removed, "a whole number, at least 0")
    length = featurizer.max_length
    if length is not None and (not _is_whole(length) or length < 1):
        _refuse("max_length", length, "a whole number of words, at least 1, or None")
    if featurizer.tokenizer != "auto" and not callable(featurizer.tokenizer):
        _refuse("tokenizer", featurizer.tokenizer, "'auto' or a callable")


def freeze_parameters(featurizer: Any) -> dict[str, Any]:
    """Parameters as they are now, to be compared with what they are later.

    Parameters
    ----------
    featurizer : WordVectorFeaturizer

    Returns
    -------
    parameters : dict
        A trainer is replaced by its own parameters, since `set_params` reaches into it.
    """
    parameters: dict[str, Any] = featurizer.get_params(deep=False)
    if isinstance(parameters["vectors"], BaseEstimator):
        parameters["vectors"] = repr(sorted(parameters["vectors"].get_params().items()))
    return parameters


def check_unchanged(featurizer: Any, frozen: dict[str, Any]) -> None:
    """Say which parameter is another than in `fit`.

    Parameters
    ----------
    featurizer : WordVectorFeaturizer
    frozen : dict
        From `freeze_parameters`, in fit.

    Raises
    ------
    StaleFitError
        For the first parameter that has changed.
    """
    for name, value in freeze_parameters(featurizer).items():
        before = frozen[name]
        if value is not before and value != before:
            raise StaleFitError(
                f"{name} was {before!r:.60} in fit and is {value!r:.60} now, which "
                "changes the vectors: call fit again."
            )


def find_vectors(featurizer: Any, texts: Sequence[str]) -> WordVectors:
    """Vectors that the parameter `vectors` means.

    Parameters
    ----------
    featurizer : WordVectorFeaturizer
    texts : sequence of str, of length n_texts
        From which a trainer learns.

    Returns
    -------
    vectors : WordVectors

    Raises
    ------
    InvalidParameterError
        If `vectors` is nothing of the kind, or if `oov` wants more than they have.
    """
    found = featurizer.vectors
    if isinstance(found, (str, os.PathLike)):
        found = WordVectors.load(found)
    elif hasattr(found, "learn_words"):
        lexicon = Lexicon(featurizer.tokenizer, featurizer.lowercase)
        found = clone(found).learn_words(lexicon.read(texts), lexicon.words)
    elif hasattr(getattr(found, "wv", found), "index_to_key"):
        found = WordVectors.from_gensim(found)
    if not isinstance(found, WordVectors):
        raise InvalidParameterError(
            f"vectors={found!r:.80}, but a path, the name of packaged vectors, "
            "WordVectors, a WordVectorTrainer or gensim's KeyedVectors is expected."
        )
    if featurizer.oov == "subword" and found.subwords is None:
        raise InvalidParameterError(
            f"oov='subword', but {found!r} has no vectors of pieces of words: load a "
            "fastText .bin file, or choose another oov."
        )
    return found


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _refuse(name: str, value: object, expected: str) -> None:
    raise InvalidParameterError(f"{name}={value!r:.80}, but {expected} is expected.")
