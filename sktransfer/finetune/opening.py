"""From an encoder to what the network needs of it: a body that learns, an input."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidParameterError
from sktransfer.finetune.bodies import TransformerBody
from sktransfer.finetune.body import Body
from sktransfer.finetune.inputs import FeatureInput, Input, NumberInput, TokenInput
from sktransfer.finetune.vocabulary import WordInput
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["WITHOUT_LAYERS", "open_body", "open_encoder", "same_encoder"]

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
