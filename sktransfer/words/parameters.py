"""What the parameters of WordVectorFeaturizer may be, mean and were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator, clone

from sktransfer.exceptions import InvalidParameterError, StaleFitError
from sktransfer.validation import FLAG, Rule, exactly, one_of, whole
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.text_vectors import POOLINGS
from sktransfer.words.vectors import WordVectors

__all__ = ["RULES", "check_unchanged", "find_vectors", "freeze_parameters"]


def _is_pooling(value: Any) -> bool:
    names = (value,) if isinstance(value, str) else value
    return (
        isinstance(names, (tuple, list))
        and len(names) > 0
        and all(isinstance(name, str) and name in POOLINGS for name in names)
    )


RULES = {
    "weighting": one_of(None, "idf", "sif"),
    "oov": one_of("skip", "zero", "random", "subword"),
    "lowercase": FLAG,
    "normalize": FLAG,
    "pooling": Rule(_is_pooling, f"one of {list(POOLINGS)}, or a tuple of them"),
    "n_components_removed": whole(0),
    "max_length": whole(1, "words") | exactly(None),
    "tokenizer": Rule(
        lambda value: callable(value) or exactly("auto").accepts(value),
        "'auto' or a callable",
    ),
}


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
