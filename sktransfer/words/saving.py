"""How word vectors and their featurizer go into a folder.

Packaged vectors go by name and digest. All others go with their numbers: a path would
be of no use on another machine, and what lies there might be a file of gensim's, which
is a pickle.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sktransfer.bundles.kinds import Kind, estimator_kind, take_estimator_apart
from sktransfer.exceptions import ModelFolderError
from sktransfer.packages import PACKAGED
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.files.tables import build_table
from sktransfer.words.files.vocabulary import Subwords
from sktransfer.words.text_vectors import WordReader
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
    pieces = fields["subwords"]
    subwords = None if pieces is None else Subwords.from_facts(*pieces)
    words = _split(fields["letters"], fields["ends"])
    return WordVectors._of(build_table(words, fields["matrix"], subwords), None)


def _take_weights_apart(weights: WordWeights) -> dict[str, Any]:
    letters, ends = _join(weights.known)
    values = np.array(list(weights.known.values()))
    rest = {"unseen": weights.unseen, "shared": weights.shared}
    return {"letters": letters, "ends": ends, "values": values} | rest


def _put_weights_together(fields: dict[str, Any]) -> WordWeights:
    words = _split(fields["letters"], fields["ends"])
    known = dict(zip(words, fields["values"].tolist(), strict=True))
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
    data, stops = letters.tobytes(), ends.tolist()
    return [
        data[start:stop].decode("utf-8", "surrogatepass")
        for start, stop in zip([0, *stops], stops, strict=False)
    ]


KINDS = {
    WordReader: Kind(_take_reader_apart, lambda fields: WordReader(**fields)),
    WordVectorTrainer: estimator_kind(WordVectorTrainer),
    WordVectorFeaturizer: Kind(
        _take_featurizer_apart, estimator_kind(WordVectorFeaturizer).put_together
    ),
    WordVectors: Kind(_take_vectors_apart, _put_vectors_together),
    WordWeights: Kind(_take_weights_apart, _put_weights_together),
}
