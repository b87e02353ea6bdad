"""How a classifier and its network go into a folder.

Of the network the folder holds what was learnt. The layers that rest come from the
checkpoint that it names.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from skorch.history import History

from sktransfer.bundles.kinds import Kind, take_estimator_apart
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.data.rows import FeatureInput, NumberInput, TokenInput
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import EmbeddingBody, WordInput
from sktransfer.classifier.training.net import TransferNet
from sktransfer.encoders.compute.devices import (
    available_device,
    resolve_device,
    resolve_dtype,
)
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.saving import with_opened_vectors

__all__ = ["KINDS"]


def _take_classifier_apart(model: TransferSentimentClassifier) -> dict[str, Any]:
    fields = take_estimator_apart(model)
    # Callbacks are code, and a source model would travel along as a whole.
    left_out: dict[str, Any] = {"callbacks": None}
    if not isinstance(model.init_from, (str, os.PathLike)):
        left_out["init_from"] = None
    if isinstance(model.encoder, WordVectorFeaturizer) and fields["fitted"]:
        fitted_encoder: Any = model.encoder_
        left_out["encoder"] = with_opened_vectors(model.encoder, fitted_encoder)
    fields["parameters"] = fields["parameters"] | left_out
    fitted = dict(fields["fitted"])
    if fitted:
        fitted["net_"] = fitted["net_"].module_
        fitted["history_"] = [
            {name: value for name, value in row.items() if name != "batches"}
            for row in model.history_
        ]
    return fields | {"fitted": fitted}


def _put_classifier_together(fields: dict[str, Any]) -> TransferSentimentClassifier:
    device = available_device(fields["parameters"]["device"])
    model = TransferSentimentClassifier(**fields["parameters"] | {"device": device})
    fitted = fields["fitted"]
    if fitted:
        place = resolve_device(model.device)
        dtype = resolve_dtype(model.dtype, place)
        net = TransferNet(
            fitted["net_"], autocast_dtype=dtype, device=str(place), verbose=0
        )
        net.initialize()
        net.history = _history(fitted["history_"])
        fitted = fitted | {"net_": net, "history_": net.history}
    model.__dict__.update(fitted)
    return model


def _history(rows: list[dict[str, Any]]) -> History:
    history = History()
    for row in rows:
        history.new_epoch()
        for name, value in row.items():
            history.record(name, value)
    return history


def _state_kind(cls: type[Any]) -> Kind:
    """Kind of a module whose pickle holds plain values and arrays."""

    def put_together(state: dict[str, Any]) -> Any:
        made: Any = object.__new__(cls)
        made.__setstate__(state)
        return made

    return Kind(lambda module: dict(module.__getstate__()), put_together)


def _take_words_apart(reader: WordInput) -> dict[str, Any]:
    return {
        "encoder": reader.encoder,
        "words": list(reader.vocabulary),
        "rows": np.array(list(reader.vocabulary.values()), np.int64),
    }


def _put_words_together(fields: dict[str, Any]) -> WordInput:
    rows = fields["rows"].tolist()
    vocabulary = dict(zip(fields["words"], rows, strict=True))
    return WordInput(fields["encoder"], vocabulary)


KINDS = {
    EmbeddingBody: _state_kind(EmbeddingBody),
    FeatureInput: Kind(
        lambda reader: {"encoder": reader.encoder},
        lambda fields: FeatureInput(fields["encoder"]),
    ),
    NumberInput: Kind(lambda reader: {}, lambda fields: NumberInput()),
    TokenInput: Kind(
        lambda reader: {"encoder": reader.encoder},
        lambda fields: TokenInput(fields["encoder"]),
    ),
    TransferNetwork: _state_kind(TransferNetwork),
    TransferSentimentClassifier: Kind(_take_classifier_apart, _put_classifier_together),
    TransformerBody: _state_kind(TransformerBody),
    WordInput: Kind(_take_words_apart, _put_words_together),
}
