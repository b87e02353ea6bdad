"""From a source model to the parameters that a network starts from.

This is fixed weight transfer: source and target share structure and weights, and the
target's training goes on from the source's parameters.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sktransfer.bundles.folders import manifest_digest, read_bundle
from sktransfer.classifier.data.checks import Columns
from sktransfer.classifier.data.rows import Encoder, Input
from sktransfer.classifier.network.adapters import is_adapter, plain_name
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.network.word_table import EmbeddingBody
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.parameters import resolve_layers
from sktransfer.estimators import open_wrappers
from sktransfer.exceptions import (
    InvalidParameterError,
    TransferError,
    TransferWarning,
    warn,
)
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = [
    "SourceModel",
    "carry_over",
    "check_columns",
    "is_tuned_version",
    "open_source",
    "same_encoder",
    "source_parameters",
]


class SourceNet(Protocol):
    """The fitted net of a source."""

    module_: TransferNetwork


class SourceModel(Protocol):
    """A fitted TransferSentimentClassifier, as far as a target starts from it."""

    net_: SourceNet
    encoder_: Encoder | None
    classes_: npt.NDArray[np.generic]
    _input: Input


def same_encoder(one: Encoder | None, other: Encoder | None) -> bool:
    """Whether two fitted encoders start from the same pretrained weights.

    None is that of a model of numbers.
    """
    if isinstance(one, BertFeaturizer) and isinstance(other, BertFeaturizer):
        return bool(one.checkpoint_.digest == other.checkpoint_.digest)
    if isinstance(one, WordVectorFeaturizer) and isinstance(
        other, WordVectorFeaturizer
    ):
        return bool(one.vectors_.digest == other.vectors_.digest)
    return type(one) is type(other)


def is_tuned_version(source: SourceModel, encoder: Encoder) -> bool:
    """Whether the source holds a tuned version of this very encoder."""
    body = source.net_.module_.body
    tuned = body is not None and bool(body.tuned)
    return tuned and same_encoder(source.encoder_, encoder)


def open_source(init_from: object) -> SourceModel:
    """Fitted classifier that `init_from` stands for.

    That is a folder that `save` wrote, or a fitted estimator, frozen or not. Of a
    pipeline the last step counts.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the source holds no fit, perhaps since ``clone`` has taken it off.
    InvalidParameterError
        If the source is something else.
    ModelFolderError
        If the folder is missing or damaged.
    """
    source = init_from
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source).expanduser().absolute()
        source = _read_source(folder, manifest_digest(folder))
    source = open_wrappers(source, FrozenEstimator, Pipeline)
    if not hasattr(source, "init_from"):
        raise InvalidParameterError(
            f"init_from is {init_from!r}, but a fitted TransferSentimentClassifier is "
            "expected: pass the folder that it was saved to, or "
            "FrozenEstimator(source) from sklearn.frozen."
        )
    if not hasattr(source, "net_"):
        raise NotFittedError(
            "the estimator in init_from is not fitted. If it was when you passed it, "
            "clone() has taken its fit off, as it does to every parameter of an "
            "estimator in a search or a pipeline: save it and pass the folder, or wrap "
            "it in FrozenEstimator(source) from sklearn.frozen. Otherwise call "
            "source.fit(X_source, y_source) first."
        )
    return cast(SourceModel, source)


# A search starts many fits from one folder. What was read is never changed.
@functools.lru_cache(maxsize=2)
def _read_source(folder: Path, digest: str) -> object:
    return read_bundle(folder)


def check_columns(source: SourceModel, columns: Columns | None) -> None:
    """Refuse a source of numbers whose columns have other names, or another order.

    Where one of both has no names, nothing is known.
    """
    theirs = getattr(source, "feature_names_in_", None)
    ours = None if columns is None else columns.names
    if theirs is None or ours is None or np.array_equal(theirs, ours):
        return
    raise TransferError(
        f"the source reads the columns {theirs.tolist()[:5]} and the target has "
        f"{ours.tolist()[:5]}: order them alike, as in "
        "X_target[source.feature_names_in_]."
    )


def carry_over(
    source: SourceModel,
    network: TransferNetwork,
    encoder: Encoder | None,
    classes: npt.NDArray[np.generic],
    *,
    warns: bool = True,
) -> set[str]:
    """Copy the source's parameters into `network`; returns the names of their tensors.

    The target's fitted `encoder` may be another than the source's where both are word
    vectors, as those of another language are: then the table is the target's, and all
    above it the source's. If the target has other `classes`, the last layer starts
    anew. It `warns` of what the source has and the target cannot take over.

    Raises
    ------
    TransferError
        If the structures differ; the message lists the differences.
    """
    other: TransferNetwork = source.net_.module_
    differences = _differences(source, network, encoder)
    if differences:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        raise TransferError(
            "the target cannot start from the source's parameters, since their "
            f"structures differ:\n{listed}\nGive the target the source's structure, or "
            "fit the source anew with the target's."
        )
    tensors = {name: tensor.clone() for name, tensor in other.own_tensors().items()}
    if not np.array_equal(source.classes_, classes):
        if warns:
            warn(
                f"the source knows the classes {source.classes_.tolist()[:10]} and the "
                f"target has {classes.tolist()[:10]}: the last layer starts anew, all "
                "below it is the source's.",
                TransferWarning,
            )
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.output")}
    network.load_state_dict(tensors, strict=False)
    return set(tensors) | _carry_body(source, network, encoder, warns)


def source_parameters(
    source: SourceModel,
    network: TransferNetwork,
    encoder: Encoder | None,
    classes: npt.NDArray[np.generic],
) -> dict[str, torch.Tensor]:
    """Where `network` would start from the source, though it has learnt since.

    It stays as it is. Adapters start at nothing.
    """
    body = None if network.body is None else network.body.pretrained()
    twin = TransferNetwork(network.layout, body)
    # The first fit has warned.
    carried = carry_over(source, twin, encoder, classes, warns=False)
    theirs = {n: p.detach() for n, p in twin.named_parameters() if n in carried}
    found = {}
    for name, parameter in network.named_parameters():
        if is_adapter(name):
            nothing = torch.zeros_like(parameter, requires_grad=False)
            found[name] = nothing if ".lora_B." in name else parameter.detach().clone()
        elif plain_name(name) in theirs:
            found[name] = theirs[plain_name(name)]
    return found


def _carry_body(
    source: SourceModel, network: TransferNetwork, encoder: Encoder | None, warns: bool
) -> set[str]:
    """Copy what the source's encoder has learnt, if the target has the same one."""
    theirs, ours = source.net_.module_.body, network.body
    tuned_body = theirs if theirs is not None and theirs.tuned else None
    if tuned_body is not None and encoder is None and warns:
        warn(
            "the source's encoder was tuned, but the target reads numbers and has no "
            "encoder to put it into: only scaler and head are the source's. Fit the "
            "target on texts to carry the encoder too.",
            TransferWarning,
        )
    if ours is None or not same_encoder(source.encoder_, encoder):
        return set()
    # What the source did not tune is in both as it was pretrained.
    names = {f"body.{name}" for name, _ in ours.named_parameters()}
    if tuned_body is None:
        return names
    tuned = {name: t.clone() for name, t in tuned_body.merged_tensors().items()}
    if isinstance(ours, EmbeddingBody):
        # The target's table holds the source's words first, then its own new ones.
        table = ours.table.weight.detach().clone()
        table[: len(tuned["table.weight"])] = tuned["table.weight"]
        tuned = {"table.weight": table}
    ours.take_tuned(tuned)
    return names


def _differences(
    source: SourceModel, network: TransferNetwork, encoder: Encoder | None
) -> list[str]:
    """Say what keeps the source's parameters from fitting, one sentence each."""
    found = []
    ours, theirs = network.layout, source.net_.module_.layout
    if theirs.n_features != ours.n_features:
        found.append(
            f"the source reads {theirs.n_features} features, the target "
            f"{ours.n_features}"
        )
    for name in ("hidden_layer_sizes", "activation"):
        if getattr(theirs, name) != getattr(ours, name):
            found.append(
                f"{name}={getattr(theirs, name)!r} in the source, "
                f"{getattr(ours, name)!r} in the target"
            )
    # Of the target's class, once that is known.
    given: Any = source.encoder_
    own: Any = encoder
    if given is None or own is None:
        return found
    if type(given) is not type(own):
        found.append(
            f"the source's encoder is a {type(given).__name__}, the target's "
            f"a {type(own).__name__}"
        )
    elif isinstance(own, BertFeaturizer):
        if not same_encoder(given, own):
            found.append(
                f"the source's encoder is {given.checkpoint_.name!r}, the "
                f"target's {own.checkpoint_.name!r}"
            )
        depths = (resolve_layers(one.layers, one.checkpoint_) for one in (given, own))
        # The last layer has two names.
        names = ("pooling_", "normalize") + (("layers",) if len({*depths}) > 1 else ())
        found += _other_settings(given, own, names)
    elif isinstance(own, WordVectorFeaturizer):
        names = ("pooling_", "normalize", "weighting", "n_components_removed")
        found += _other_settings(given, own, names)
    elif hasattr(own, "get_feature_names_out"):
        theirs, ours = (e.get_feature_names_out() for e in (given, own))
        if not np.array_equal(theirs, ours):
            found.append(
                f"the source's encoder gives the columns {theirs[:3].tolist()}..., the "
                f"target's {ours[:3].tolist()}...; FrozenEstimator(encoder) from "
                "sklearn.frozen keeps one that was fitted before"
            )
    return found


def _other_settings(
    theirs: Encoder, ours: Encoder, names: tuple[str, ...]
) -> list[str]:
    return [
        f"{name.rstrip('_')}={getattr(theirs, name)!r} in the source's encoder, "
        f"{getattr(ours, name)!r} in the target's"
        for name in names
        if getattr(theirs, name) != getattr(ours, name)
    ]
