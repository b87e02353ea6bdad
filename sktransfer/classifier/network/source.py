"""From an encoder, or a source model, to what a network starts from.

This is fixed weight transfer: source and target share structure and weights, and the
target's training goes on from the source's parameters.
"""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from sktransfer.bundles.folders import manifest_digest, read_bundle
from sktransfer.classifier.data.inputs import (
    FeatureInput,
    Input,
    NumberInput,
    TokenInput,
)
from sktransfer.classifier.network.adapters import is_adapter, plain_name
from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.network import TransferNetwork
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import EmbeddingBody, WordInput
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.parameters import resolve_layers
from sktransfer.exceptions import InvalidParameterError, TransferError, TransferWarning
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = [
    "WITHOUT_LAYERS",
    "carry_over",
    "check_columns",
    "open_body",
    "open_encoder",
    "open_source",
    "same_encoder",
    "source_parameters",
]

#: Strategies that ask for no layers to choose among.
WITHOUT_LAYERS = ("feature_extraction", "fine_tune", "contrastive")


def open_encoder(
    encoder: Any,
    strategy: str,
    texts: list[str] | None,
    source: Any,
    seed: int,
) -> tuple[Any, Body | None, Input]:
    """Fit the encoder, and open it as far as its layers learn or have learnt.

    Parameters
    ----------
    encoder : transformer or None
        The parameter of the classifier; None is ``BertFeaturizer()``.
    strategy : str
        Whether layers of the encoder learn.
    texts : list of str or None
        Training texts; None where X is numbers, which have no encoder.
    source : TransferSentimentClassifier or None
        If its encoder was tuned, the target needs a body too, even a frozen one.
    seed : int
        For rows of a word table that have no vector.

    Returns
    -------
    encoder : transformer or None
        Fitted.
    body : Body or None
    input : Input

    Raises
    ------
    InvalidParameterError
        If the encoder has no layers that could learn as `strategy` says.
    """
    if texts is None:
        return None, None, NumberInput()
    encoder = BertFeaturizer() if encoder is None else clone(encoder)
    encoder.fit(texts, None)  # FrozenEstimator takes no y for granted
    return encoder, *open_body(encoder, strategy, texts, source, seed)


def open_body(
    encoder: Any, strategy: str, texts: list[str], source: Any, seed: int
) -> tuple[Body | None, Input]:
    """Copy a fitted encoder as a body, where its layers learn or have learnt.

    Parameters
    ----------
    encoder : transformer
        Fitted.
    strategy, texts, source, seed
        As for `open_encoder`.

    Returns
    -------
    body : Body or None
    input : Input

    Raises
    ------
    InvalidParameterError
        If the encoder has no layers that could learn as `strategy` says.
    """
    tuned = _tuned_like(source, encoder)
    if strategy == "feature_extraction" and not tuned:
        return None, FeatureInput(encoder)
    if isinstance(encoder, WordVectorFeaturizer) and strategy in WITHOUT_LAYERS:
        before = source._input.vocabulary if tuned else None
        words = WordInput.learn(encoder, texts, before)
        return words.build_body(np.random.default_rng(seed)), words
    if isinstance(encoder, BertFeaturizer):
        body = TransformerBody(
            encoder.checkpoint_,
            pooling=encoder.pooling_,
            layers=encoder.layers,
            normalize=encoder.normalize,
        )
        return body, TokenInput(encoder)
    if isinstance(encoder, WordVectorFeaturizer):
        raise InvalidParameterError(
            f"strategy={strategy!r} chooses among layers, but a WordVectorFeaturizer "
            "has one only: use strategy='fine_tune', 'contrastive' or "
            "'feature_extraction' with it."
        )
    raise InvalidParameterError(
        f"strategy={strategy!r} trains the encoder, which a {type(encoder).__name__} "
        "does not offer: use a BertFeaturizer or a WordVectorFeaturizer, or "
        "strategy='feature_extraction'."
    )


def same_encoder(one: Any, other: Any) -> bool:
    """Whether two fitted encoders start from the same pretrained weights.

    Parameters
    ----------
    one, other : transformer or None
        Fitted; None is that of a model of numbers.

    Returns
    -------
    same : bool
    """
    if isinstance(one, BertFeaturizer) and isinstance(other, BertFeaturizer):
        return bool(one.checkpoint_.digest == other.checkpoint_.digest)
    if isinstance(one, WordVectorFeaturizer) and isinstance(
        other, WordVectorFeaturizer
    ):
        return bool(one.vectors_.digest == other.vectors_.digest)
    return type(one) is type(other)


def _tuned_like(source: Any, encoder: Any) -> bool:
    """Whether the source holds a tuned version of this very encoder."""
    if source is None or source.net_.module_.body is None:
        return False
    return bool(source.net_.module_.body.tuned) and same_encoder(
        source.encoder_, encoder
    )


def open_source(init_from: Any) -> Any:
    """Fitted classifier that `init_from` stands for.

    Parameters
    ----------
    init_from : str, os.PathLike, FrozenEstimator or TransferSentimentClassifier
        The parameter of the classifier: a folder that `save` wrote, or a fitted
        estimator. In a pipeline, the last step counts.

    Returns
    -------
    source : TransferSentimentClassifier
        Fitted.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the source holds no fit, be it that ``clone`` has taken it off.
    InvalidParameterError
        If the source is something else.
    ModelFolderError
        If the folder is missing or damaged.
    """
    source = init_from
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source).expanduser().absolute()
        source = _read_source(folder, manifest_digest(folder))
    while isinstance(source, (FrozenEstimator, Pipeline)):
        source = (
            source.estimator
            if isinstance(source, FrozenEstimator)
            else source.steps[-1][1]
        )
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
    return source


# A search starts many fits from one folder. What was read is never changed.
@functools.lru_cache(maxsize=2)
def _read_source(folder: Path, digest: str) -> Any:
    return read_bundle(folder)


def check_columns(source: Any, target: Any) -> None:
    """Refuse a source of numbers whose columns have other names, or another order.

    Parameters
    ----------
    source : TransferSentimentClassifier
        Fitted.
    target : TransferSentimentClassifier
        Has seen its data.

    Raises
    ------
    TransferError
        If both have names and they differ.
    """
    theirs = getattr(source, "feature_names_in_", None)
    ours = getattr(target, "feature_names_in_", None)
    if theirs is None or ours is None or np.array_equal(theirs, ours):
        return
    raise TransferError(
        f"the source reads the columns {theirs.tolist()[:5]} and the target has "
        f"{ours.tolist()[:5]}: order them alike, as in "
        "X_target[source.feature_names_in_]."
    )


def carry_over(
    source: Any, network: TransferNetwork, encoder: Any, classes: npt.NDArray[Any]
) -> set[str]:
    """Copy the source's parameters into `network`.

    Parameters
    ----------
    source : TransferSentimentClassifier
        Fitted on the source domain.
    network : TransferNetwork
        The target's, changed in place.
    encoder : transformer or None
        The target's, fitted. Word vectors may be others than the source's, as those of
        another language are: then the table is the target's and all above it the
        source's.
    classes : ndarray of shape (n_classes,)
        The target's classes. If the source has others, the last layer starts anew.

    Returns
    -------
    carried : set of str
        Names of the tensors of `network` that are now the source's.

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
        warnings.warn(
            f"the source knows the classes {source.classes_.tolist()[:10]} and the "
            f"target has {classes.tolist()[:10]}: the last layer starts anew, all "
            "below it is the source's.",
            TransferWarning,
            stacklevel=4,
        )
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.output")}
    network.load_state_dict(tensors, strict=False)
    return set(tensors) | _carry_body(source, network, encoder)


def source_parameters(
    source: Any, network: TransferNetwork, encoder: Any, classes: npt.NDArray[Any]
) -> dict[str, torch.Tensor]:
    """Where `network` would start from the source, though it has learnt since.

    Parameters
    ----------
    source, encoder, classes
        As for `carry_over`.
    network : TransferNetwork
        The target's; it stays as it is.

    Returns
    -------
    parameters : dict of str to torch.Tensor
        By the names that they have in `network`. Adapters start at nothing.
    """
    body = None if network.body is None else network.body.pretrained()
    twin = TransferNetwork(network.layout, body)
    with warnings.catch_warnings():
        # The first fit has said it.
        warnings.simplefilter("ignore", TransferWarning)
        carried = carry_over(source, twin, encoder, classes)
    theirs = {n: p.detach() for n, p in twin.named_parameters() if n in carried}
    found = {}
    for name, parameter in network.named_parameters():
        if is_adapter(name):
            nothing = torch.zeros_like(parameter, requires_grad=False)
            found[name] = nothing if ".lora_B." in name else parameter.detach().clone()
        elif plain_name(name) in theirs:
            found[name] = theirs[plain_name(name)]
    return found


def _carry_body(source: Any, network: TransferNetwork, encoder: Any) -> set[str]:
    """Copy what the source's encoder has learnt, if the target has the same one."""
    theirs, ours = source.net_.module_.body, network.body
    learnt = theirs is not None and bool(theirs.tuned)
    if learnt and encoder is None:
        warnings.warn(
            "the source's encoder was tuned, but the target reads numbers and has no "
            "encoder to put it into: only scaler and head are the source's. Fit the "
            "target on texts to carry the encoder too.",
            TransferWarning,
            stacklevel=5,
        )
    if ours is None or not same_encoder(source.encoder_, encoder):
        return set()
    # What the source did not tune is in both as it was pretrained.
    names = {f"body.{name}" for name, _ in ours.named_parameters()}
    if not learnt:
        return names
    tuned = {name: tensor.clone() for name, tensor in theirs.merged_tensors().items()}
    if isinstance(ours, EmbeddingBody):
        # The target's table holds the source's words first, then its own new ones.
        table = ours.table.weight.detach().clone()
        table[: len(tuned["table.weight"])] = tuned["table.weight"]
        tuned = {"table.weight": table}
    ours.take_tuned(tuned)
    return names


def _differences(source: Any, network: TransferNetwork, encoder: Any) -> list[str]:
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
    if source.encoder_ is None or encoder is None:
        return found
    if type(source.encoder_) is not type(encoder):
        found.append(
            f"the source's encoder is a {type(source.encoder_).__name__}, the target's "
            f"a {type(encoder).__name__}"
        )
    elif isinstance(encoder, BertFeaturizer):
        if not same_encoder(source.encoder_, encoder):
            found.append(
                f"the source's encoder is {source.encoder_.checkpoint_.name!r}, the "
                f"target's {encoder.checkpoint_.name!r}"
            )
        depths = (
            resolve_layers(one.layers, one.checkpoint_)
            for one in (source.encoder_, encoder)
        )
        # The last layer has two names.
        names = ("pooling_", "normalize") + (("layers",) if len({*depths}) > 1 else ())
        found += _other_settings(source.encoder_, encoder, names)
    elif isinstance(encoder, WordVectorFeaturizer):
        names = ("pooling_", "normalize", "weighting", "n_components_removed")
        found += _other_settings(source.encoder_, encoder, names)
    elif hasattr(encoder, "get_feature_names_out"):
        theirs, ours = (e.get_feature_names_out() for e in (source.encoder_, encoder))
        if not np.array_equal(theirs, ours):
            found.append(
                f"the source's encoder gives the columns {theirs[:3].tolist()}..., the "
                f"target's {ours[:3].tolist()}...; FrozenEstimator(encoder) from "
                "sklearn.frozen keeps one that was fitted before"
            )
    return found


def _other_settings(theirs: Any, ours: Any, names: tuple[str, ...]) -> list[str]:
    return [
        f"{name.rstrip('_')}={getattr(theirs, name)!r} in the source's encoder, "
        f"{getattr(ours, name)!r} in the target's"
        for name in names
        if getattr(theirs, name) != getattr(ours, name)
    ]
