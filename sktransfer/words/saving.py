"""How word vectors and their featurizer go into a folder.

Packaged vectors go by name and digest. All others go with their numbers: a path would
be of no use on another machine, and what lies there might be a file of gensim's, which
is a pickle.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sktransfer.bundles.kinds import Kind, estimator_kind, take_estimator_apart
from sktransfer.bundles.proving.fields import (
    ANY,
    FLAG,
    REAL,
    TEXT,
    AnyOf,
    Anything,
    Choice,
    Count,
    Field,
    Instance,
    ListOf,
    Numbers,
    Sizes,
)
from sktransfer.bundles.proving.rules import Rule, refuse
from sktransfer.exceptions import ModelFolderError
from sktransfer.packages import PACKAGED
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.files.proofs import prove_ends
from sktransfer.words.files.tables import build_table
from sktransfer.words.files.vocabulary import Subwords
from sktransfer.words.text_vectors import POOLINGS, WordReader
from sktransfer.words.training import WordVectorTrainer
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import WordWeights

__all__ = ["KINDS", "with_opened_vectors"]


def _take_vectors_apart(vectors: WordVectors) -> dict[str, Any]:
    # What a pickle would hold: where the vectors come from, or all of them.
    arguments = vectors.__reduce__()[1]
    if isinstance(arguments[0], str) and arguments[0] in PACKAGED:
        return {"packaged": list(arguments[:4])}
    letters, ends = _join(vectors.words)
    pieces = vectors.subwords
    return {
        "letters": letters,
        "ends": ends,
        "matrix": vectors.matrix,
        "subwords": None if pieces is None else [pieces.buckets, pieces.facts()],
    }


def _put_vectors_together(fields: dict[str, Any]) -> WordVectors:
    if "packaged" in fields:
        if fields["packaged"][0] not in PACKAGED:
            raise ModelFolderError(f"no package has {fields['packaged'][0]!r}.")
        name, limit, dtype, digest = fields["packaged"]
        vectors = WordVectors.load(name, limit=limit, dtype=dtype)
        if vectors.digest != digest:
            raise ModelFolderError(f"the package of {name!r} holds other vectors now.")
        return vectors
    subwords = _subwords(fields["subwords"], fields["matrix"])
    words = _split(fields["letters"], fields["ends"])
    return WordVectors._of(build_table(words, fields["matrix"], subwords), None)


def _subwords(pieces: Any, matrix: NDArray[np.floating]) -> Subwords | None:
    if pieces is None:
        return None
    found = Subwords.from_facts(*pieces)
    sizes = {"w": matrix.shape[1]}
    # gensim's compiled code divides by the number of buckets.
    fits = Numbers("? w", finite=True).fault(found.buckets, sizes) is None
    lengths = [_LENGTH.fault(n, {}) for n in (found.shortest, found.longest)]
    if not fits or not len(found.buckets) or lengths != [None, None]:
        raise ModelFolderError("its pieces of words have no vectors that fit.")
    return found


def _take_weights_apart(weights: WordWeights) -> dict[str, Any]:
    letters, ends = _join(weights.known)
    values = np.array(list(weights.known.values()))
    rest = {"unseen": weights.unseen, "shared": weights.shared}
    return {"letters": letters, "ends": ends, "values": values} | rest


def _put_weights_together(fields: dict[str, Any]) -> WordWeights:
    words = _split(fields["letters"], fields["ends"])
    values = fields["values"]
    if Numbers("?", finite=True).fault(values, {}) or len(values) != len(words):
        raise ModelFolderError(
            f"it has {len(values)} weights for {len(words)} words, but a finite one "
            "for each is expected: save the model again."
        )
    known = dict(zip(words, values.tolist(), strict=True))
    if REAL.fault(fields["unseen"], {}) or FLAG.fault(fields["shared"], {}):
        raise ModelFolderError("its weight of unseen words is no number.")
    return WordWeights(known, fields["unseen"], fields["shared"])


def _take_reader_apart(reader: WordReader) -> dict[str, Any]:
    return {
        field.name: getattr(reader, field.name)
        for field in dataclasses.fields(reader)
        if not field.name.startswith("_")
    }


def _take_featurizer_apart(featurizer: WordVectorFeaturizer) -> dict[str, Any]:
    fields = take_estimator_apart(featurizer)
    if fields["fitted"] and not _stays(featurizer.vectors):
        opened = {"vectors": featurizer.vectors_}
        fields["parameters"] = fields["parameters"] | opened
        frozen = fields["fitted"]["_parameters"] | opened
        fields["fitted"] = fields["fitted"] | {"_parameters": frozen}
    return fields


def with_opened_vectors(
    given: WordVectorFeaturizer, fitted: WordVectorFeaturizer
) -> WordVectorFeaturizer:
    """A featurizer like `given`, whose vectors can be saved.

    `given` is as a user passed it, perhaps with a path or an object of gensim's;
    `fitted` is what came of fitting it.
    """
    if _stays(given.vectors):
        return given
    parameters = given.get_params(deep=False) | {"vectors": fitted.vectors_}
    return WordVectorFeaturizer(**parameters)


def _stays(vectors: Any) -> bool:
    """Whether this value of the parameter `vectors` goes into a folder as it is."""
    if isinstance(vectors, (BaseEstimator, WordVectors)):
        return True
    return isinstance(vectors, str) and vectors in PACKAGED


def _join(words: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Words as UTF-8, one behind the other, and where each ends."""
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    ends = np.cumsum([len(word) for word in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def _split(letters: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    kinds = [f"{part.dtype} of {part.ndim} dimensions" for part in (letters, ends)]
    if kinds != ["uint8 of 1 dimensions", "int64 of 1 dimensions"]:
        raise ModelFolderError(
            f"its words are arrays of {kinds[0]} and {kinds[1]}, but rows of uint8 and "
            "int64 are expected: save the model again."
        )
    bounds = np.append(np.int64(0), ends)
    prove_ends(bounds, len(letters), "A list of words in the folder")
    data, stops = letters.tobytes(), bounds.tolist()
    return [
        data[start:stop].decode("utf-8", "surrogatepass")
        for start, stop in itertools.pairwise(stops)
    ]


_LENGTH = Count(low=0, high=64)
_NONE = Choice((None,))
_READER: dict[str, Field] = {
    "vectors": Instance((WordVectors,)),
    "tokenizer": Choice(("auto",)),
    "lowercase": FLAG,
    "max_length": AnyOf((_NONE, Count(low=1))),
    "oov": Choice(("skip", "zero", "random", "subword")),
    "seed": Count(high=2**32 - 1),
}


def _prove_reader(reader: WordReader) -> None:
    for name, field in _READER.items():
        value = getattr(reader, name)
        if (expected := field.fault(value, {})) is not None:
            refuse("WordReader", name, value, expected)
    if reader.oov == "subword" and reader.vectors.subwords is None:
        refuse("WordReader", "oov", reader.oov, "vectors of pieces of words")


def _featurizer_fault(featurizer: WordVectorFeaturizer, sizes: Sizes) -> str | None:
    del sizes
    width = featurizer.vectors_.width
    n_features = width * len(featurizer.pooling_)
    if featurizer._reader.vectors.width != width:
        return "it reads other vectors than it has"
    if not featurizer.pooling_ or featurizer.n_features_out_ != n_features:
        return f"it gives {n_features} features, but n_features_out_ says otherwise"
    if set(featurizer._parameters) != set(featurizer.get_params(deep=False)):
        return "it was fitted with other parameters than it has"
    components: Any = featurizer.components_
    fits = components is None or components.shape[1] == n_features
    return None if fits else "its components have another width"


_FEATURIZER = Rule(
    {
        "vectors_": Instance((WordVectors,)),
        "pooling_": ListOf(Choice(POOLINGS)),
        "n_features_out_": Count(),
        "_parameters": Instance((dict,)),
        "_reader": Instance((WordReader,)),
        "word_weights_": AnyOf((_NONE, Instance((WordWeights,)))),
        "components_": AnyOf((_NONE, Numbers("? ?", finite=True))),
        "encoder_digest_": TEXT,
    },
    # A fit looks at what they are, and opens no pickle.
    parameters={"vectors": Anything()},
    together=_featurizer_fault,
)


KINDS = {
    WordReader: Kind(
        _take_reader_apart, lambda fields: WordReader(**fields), _prove_reader
    ),
    WordVectorTrainer: estimator_kind(
        WordVectorTrainer, Rule({"vectors_": Instance((WordVectors,))}, others=ANY)
    ),
    WordVectorFeaturizer: Kind(
        _take_featurizer_apart,
        estimator_kind(WordVectorFeaturizer).put_together,
        lambda featurizer: _FEATURIZER.prove(featurizer),
    ),
    WordVectors: Kind(_take_vectors_apart, _put_vectors_together),
    WordWeights: Kind(_take_weights_apart, _put_weights_together),
}
