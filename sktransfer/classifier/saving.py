"""How a classifier and its network go into a folder.

Of the network the folder holds what was learnt. The layers that rest come from the
checkpoint that it names.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from skorch.history import History

from sktransfer.bundles.kinds import Kind, take_estimator_apart
from sktransfer.bundles.proving.fields import (
    LABELS,
    REAL,
    Choice,
    Count,
    Field,
    ListOf,
    Numbers,
    Sizes,
)
from sktransfer.bundles.proving.parameters import is_harmless
from sktransfer.bundles.proving.rules import refuse
from sktransfer.bundles.proving.values import is_plain
from sktransfer.bundles.proving.widths import width_out
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.data.checks import Columns
from sktransfer.classifier.data.rows import FeatureInput, NumberInput, TokenInput
from sktransfer.classifier.nested_parameters import names_encoder, open_encoder
from sktransfer.classifier.network.adapters import plain_name
from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.network import (
    ACTIVATIONS,
    HeadLayout,
    TransferNetwork,
)
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import UNKNOWN, EmbeddingBody, WordInput
from sktransfer.classifier.training.net import TransferNet
from sktransfer.classifier.training.predicting import Reader
from sktransfer.encoders.checkpoints.checkpoint import Checkpoint
from sktransfer.encoders.compute.devices import (
    available_device,
    resolve_device,
    resolve_dtype,
)
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import ModelFolderError
from sktransfer.packages import PACKAGED
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.saving import with_opened_vectors
from sktransfer.words.text_vectors import POOLINGS

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
    if not _is_named_for_all(model.encoder):
        left_out["encoder"] = open_encoder(model.encoder)
    fields["parameters"] = fields["parameters"] | left_out
    fitted = dict(fields["fitted"])
    # A source that was left out would pass for another one.
    fitted.pop("_origin", None)
    if fitted:
        fitted["net_"] = fitted["net_"].module_
        fitted["history_"] = [
            {name: value for name, value in row.items() if name != "batches"}
            for row in model.history_
        ]
    return fields | {"fitted": fitted}


def _is_named_for_all(encoder: Any) -> bool:
    """Whether an `encoder` is none that a name of this machine or the hub means."""
    return encoder is None or not names_encoder(encoder) or encoder in PACKAGED


def _put_classifier_together(fields: dict[str, Any]) -> TransferSentimentClassifier:
    encoder = fields["parameters"].get("encoder")
    if not _is_named_for_all(encoder):
        # A later fit would open what it names, and might fetch it.
        refuse("TransferSentimentClassifier", "encoder", encoder, "a packaged one")
    for name, value in fields["parameters"].items():
        if not is_harmless(value):
            refuse("TransferSentimentClassifier", name, value, "no function")
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
        net.reader = _reader(fitted)
        net.temperature_ = fitted.get("temperature_", 1.0)
        net.history = _history(fitted["history_"])
        fitted = fitted | {"net_": net, "history_": net.history}
    model.__dict__.update(fitted)
    return model


def _reader(fitted: Mapping[str, Any]) -> Reader | None:
    """How the net reads raw X, from the classifier's attributes, not proved yet."""
    n_features, columns = fitted.get("n_features_in_"), None
    if n_features is not None:
        columns = Columns(n_features, fitted.get("feature_names_in_"))
    labels, reader = fitted.get("classes_"), fitted.get("_input")
    if labels is None or reader is None:
        return None
    return Reader(labels, reader, columns)


def _history(rows: list[dict[str, Any]]) -> History:
    if not is_plain(rows):
        raise ModelFolderError("its history is not one of numbers.")
    history = History()
    for row in rows:
        history.new_epoch()
        for name, value in row.items():
            history.record(name, value)
    return history


def _state_kind(cls: type[Any], check: Callable[[dict[str, Any]], None]) -> Kind:
    """Kind of a module whose pickle holds plain values and arrays.

    `check` raises for a state that is none, before anything of its size is made.
    """

    def put_together(state: dict[str, Any]) -> Any:
        check(state)
        made: Any = object.__new__(cls)
        made.__setstate__(state)
        return made

    return Kind(lambda module: dict(module.__getstate__()), put_together, _nothing)


def _nothing(made: object) -> None:
    """What was checked before it was made is not checked again."""


def _check_network(state: dict[str, Any]) -> None:
    layout, tensors = HeadLayout(**state["layout"]), state["tensors"]
    widths = [layout.n_features, *layout.hidden_layer_sizes, layout.n_outputs]
    if not all(type(n) is int and n > 0 for n in widths):
        refuse("the network", "layout", layout, "a number of units for each layer")
    names = [f"hidden_{depth}" for depth in range(1, len(widths) - 1)] + ["output"]
    expected: dict[str, tuple[int, ...]] = {
        "scaler.mean": (layout.n_features,),
        "scaler.scale": (),
    }
    for name, (below, above) in zip(names, itertools.pairwise(widths), strict=True):
        expected |= {
            f"head.{name}.weight": (above, below),
            f"head.{name}.bias": (above,),
        }
    _check_tensors("the network", tensors, expected)
    if layout.activation not in ACTIVATIONS:
        refuse("the network", "activation", layout.activation, "a known one")
    body = state["body"]
    if not (body is None or isinstance(body, Body)):
        refuse("the network", "body", body, "None or layers")


def _check_tensors(
    owner: str, tensors: Any, expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse tensors that are others than expected, or of other shapes."""
    if other := sorted(set(tensors) ^ set(expected), key=str):
        refuse(owner, str(other[0]), tensors.get(other[0]), "what its layers have")
    for name, shape in expected.items():
        found = tensors[name]
        is_array = isinstance(found, np.ndarray) and found.dtype.kind == "f"
        if not is_array or found.shape != shape or not np.isfinite(found).all():
            refuse(owner, name, found, f"an array of finite numbers of shape {shape}")


def _check_table(state: dict[str, Any]) -> None:
    sizes: Sizes = {}
    how, components = state["pooling"], state["components"]
    if (expected := _TABLE.fault(state["table"], sizes)) is not None:
        refuse("the table of words", "table", state["table"], expected)
    if _POOLING.fault(how, {}) is not None or not how:
        refuse("the table of words", "pooling", how, f"some of {list(POOLINGS)}")
    sizes["f"] = sizes["w"] * len(how)
    if components is not None and _COMPONENTS.fault(components, sizes) is not None:
        refuse("the table of words", "components", components, "others")


def _put_body_together(state: dict[str, Any]) -> TransformerBody:
    """Layers as they were before they learnt, and then what they have learnt."""
    _check_body(state)
    tuned = state["tuned"]
    made = object.__new__(TransformerBody)
    made.__setstate__(state | {"tuned": {}})
    shapes = {
        plain_name(name): tuple(parameter.shape)
        for name, parameter in made.named_parameters()
    }
    known = {name: shapes[name] for name in tuned if name in shapes}
    _check_tensors("the layers", tuned, known)
    made.take_tuned({name: torch.from_numpy(np.array(a)) for name, a in tuned.items()})
    return made.requires_grad_(False)


def _check_body(state: dict[str, Any]) -> None:
    adaptation, tuned = state["adaptation"], state["tuned"]
    ranks = {
        array.shape[axis]
        for name, array in tuned.items()
        for mark, axis in ((".lora_A.", 0), (".lora_B.", -1))
        if mark in name
    }
    if adaptation is not None and ranks != {adaptation["rank"]}:
        refuse("the adapters", "rank", adaptation["rank"], f"one of {sorted(ranks)}")
    if not isinstance(state["checkpoint"], Checkpoint):
        refuse("the layers", "checkpoint", state["checkpoint"], "a checkpoint")


def _take_words_apart(reader: WordInput) -> dict[str, Any]:
    return {
        "encoder": reader.encoder,
        "words": list(reader.vocabulary),
        "rows": np.array(list(reader.vocabulary.values()), np.int64),
    }


def _put_words_together(fields: dict[str, Any]) -> WordInput:
    rows = fields["rows"].tolist()
    vocabulary = dict(zip(fields["words"], rows, strict=True))
    # A word is a row of the table: each of them once, behind padding and unknown.
    if sorted(rows) != list(range(UNKNOWN + 1, len(vocabulary) + UNKNOWN + 1)):
        refuse("the words", "rows", fields["rows"], "each row of the table once")
    return WordInput(fields["encoder"], vocabulary)


def _prove_classifier(model: TransferSentimentClassifier) -> None:
    """Prove that the network reads what the encoder gives, and answers for all labels.

    The network, the encoder and the words were proved by themselves before.
    """
    if not hasattr(model, "net_"):
        return
    owner, sizes = "TransferSentimentClassifier", Sizes()
    for name, field in _FITTED.items():
        value = getattr(model, name)
        if (expected := field.fault(value, sizes)) is not None:
            refuse(owner, name, value, expected)
    network, reader = model.net_.module_, model._input
    if not isinstance(network, TransferNetwork):
        refuse(owner, "net_", network, "a network")
    layout, body = network.layout, network.body
    n_outputs = 1 if sizes["K"] == 2 else sizes["K"]
    if layout.n_outputs != n_outputs:
        refuse(owner, "the outputs", layout.n_outputs, f"{n_outputs}")
    width: int | None
    if type(reader) is NumberInput:
        width, fits = model.n_features_in_, body is None
    elif type(reader) is FeatureInput:
        width, fits = width_out(reader.encoder), True
    elif type(reader) is TokenInput:
        width, fits = _tokens_fit(reader, body)
    else:
        width, fits = _words_fit(reader, body)
    if not fits:
        refuse(owner, "the body", type(body).__name__, "what reads its texts")
    if width is not None and width != layout.n_features:
        refuse(owner, "the features", layout.n_features, f"{width}")


def _tokens_fit(reader: TokenInput, body: Any) -> tuple[int, bool]:
    encoder = reader.encoder
    fits = (
        isinstance(body, TransformerBody)
        and isinstance(encoder, BertFeaturizer)
        and body.checkpoint.digest == encoder.checkpoint_.digest
        and tuple(body.pooling) == tuple(encoder.pooling_)
        and tuple(body.layers) == tuple(encoder.layers_)
    )
    return encoder.n_features_out_, fits


def _words_fit(reader: Any, body: Any) -> tuple[int, bool]:
    if not (isinstance(reader, WordInput) and isinstance(body, EmbeddingBody)):
        return 0, False
    n_rows, width = body.table.weight.shape
    fits = (
        n_rows == len(reader.vocabulary) + UNKNOWN + 1
        and width == reader.encoder.vectors_.width
    )
    return width * len(body.pooling), fits


_TABLE = Numbers("v w", finite=True)
_COMPONENTS = Numbers("? f", finite=True)
_POOLING = ListOf(Choice(POOLINGS))
_FITTED: dict[str, Field] = {
    "classes_": LABELS,
    "class_count_": Numbers("K", "fiu"),
    "temperature_": REAL,
    "n_parameters_": Count(),
    "n_trainable_parameters_": Count(),
}

KINDS = {
    EmbeddingBody: _state_kind(EmbeddingBody, _check_table),
    FeatureInput: Kind(
        lambda reader: {"encoder": reader.encoder},
        lambda fields: FeatureInput(fields["encoder"]),
        _nothing,
    ),
    NumberInput: Kind(lambda reader: {}, lambda fields: NumberInput(), _nothing),
    TokenInput: Kind(
        lambda reader: {"encoder": reader.encoder},
        lambda fields: TokenInput(fields["encoder"]),
        _nothing,
    ),
    TransferNetwork: _state_kind(TransferNetwork, _check_network),
    TransferSentimentClassifier: Kind(
        _take_classifier_apart, _put_classifier_together, _prove_classifier
    ),
    TransformerBody: Kind(
        lambda body: dict(body.__getstate__()), _put_body_together, _nothing
    ),
    WordInput: Kind(_take_words_apart, _put_words_together, _nothing),
}
