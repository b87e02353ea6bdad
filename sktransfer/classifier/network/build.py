"""From an encoder, a source or an earlier fit to a network and what feeds it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone

from sktransfer.classifier.data.checks import TrainingData
from sktransfer.classifier.data.rows import (
    Encoder,
    FeatureInput,
    FeatureRows,
    Input,
    NumberInput,
    Rows,
    TokenInput,
)
from sktransfer.classifier.nested_parameters import names_encoder, open_encoder
from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.network.network import (
    USUAL_HEAD,
    HeadLayout,
    TransferNetwork,
    log_odds,
)
from sktransfer.classifier.network.source import (
    SourceModel,
    carry_over,
    check_columns,
    is_tuned_version,
    open_source,
    source_parameters,
)
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import WordInput
from sktransfer.classifier.parameters import FitOptions
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import CheckpointNotFoundError, InvalidParameterError
from sktransfer.packages import PACKAGED, existing_path
from sktransfer.validation import did_you_mean
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["Built", "build", "refer_to_source", "reopen"]


@dataclass(frozen=True)
class Built:
    """A network with what feeds it.

    Attributes
    ----------
    network : TransferNetwork
        All of it learns, until a strategy has been applied.
    input : Input
        Turns checked X into rows of the network.
    encoder : Encoder or None
        The fitted encoder; None where X is numbers.
    carried : frozenset of str
        Names of the parameters that came from a source model.
    references : dict of str to torch.Tensor
        These parameters as the source has them, where the network's are others by now.
    """

    network: TransferNetwork
    input: Input
    encoder: Encoder | None
    carried: frozenset[str] = frozenset()
    references: dict[str, torch.Tensor] = field(default_factory=dict)


def build(
    options: FitOptions,
    needs: Needs,
    tuned_head: tuple[int, ...],
    data: TrainingData,
    train: npt.NDArray[np.intp],
    seed: int,
) -> tuple[Built, Rows]:
    """Build the network of a first fit, from the source's parameters if there is one.

    It comes with the data as it reads them. `needs` are those of the strategy,
    `tuned_head` the hidden units that it takes for "auto", `train` are the rows to
    learn from, and `seed` draws words without a vector.
    """
    source = None if options.init_from is None else open_source(options.init_from)
    encoder, body, reader = _open_encoder(options, needs, data.texts, source, seed)
    rows = reader.rows(data.X)
    if isinstance(rows, FeatureRows):
        n_features = rows.matrix.shape[1]
    else:
        assert encoder is not None
        n_features = encoder.n_features_out_
    n_classes = len(data.classes)
    layout = HeadLayout(
        n_features=n_features,
        hidden_layer_sizes=_hidden_layers(options, body, source, tuned_head),
        n_outputs=1 if n_classes == 2 else n_classes,
        activation=options.activation,
        dropout=float(options.dropout),
    )
    network = TransferNetwork(layout, body)
    carried: set[str] = set()
    if source is not None:
        check_columns(source, data.columns)
        carried = carry_over(source, network, encoder, data.classes)
    if "head.output.bias" not in carried:
        biases = log_odds(
            data.numbers[train],
            data.weights_of(train),
            layout.n_outputs,
            options.label_smoothing,
        )
        network.set_output_bias(biases)
    return Built(network, reader, encoder, frozenset(carried)), rows


def _hidden_layers(
    options: FitOptions,
    body: Body | None,
    source: SourceModel | None,
    tuned_head: tuple[int, ...],
) -> tuple[int, ...]:
    """Hidden units of the head: those named, else the source's, else the usual ones."""
    if not isinstance(options.hidden_layer_sizes, str):
        return tuple(int(size) for size in options.hidden_layer_sizes)
    if source is not None:
        return source.net_.module_.layout.hidden_layer_sizes
    # Word vectors alone say little; what they add up to is for the head to find out.
    return USUAL_HEAD if body is None or body.is_table else tuned_head


def reopen(
    before: Built, options: FitOptions, needs: Needs, data: TrainingData, seed: int
) -> Built:
    """Take up the network of an earlier fit again.

    Where layers are to learn by now of an encoder that was only read from, they join
    the network; that of the earlier fit is left as it was, but for its dropout.
    """
    built = before
    before.network.set_dropout(float(options.dropout))
    if before.network.body is None and data.texts is not None:
        assert before.encoder is not None
        name, texts = options.strategy, data.texts
        body, reader = _open_body(before.encoder, name, needs, texts, None, seed)
        network = before.network
        if body is not None:
            network = TransferNetwork(before.network.layout, body)
            network.load_state_dict(before.network.own_tensors(), strict=False)
        built = replace(before, network=network, input=reader)
    return built


def refer_to_source(
    built: Built, options: FitOptions, classes: npt.NDArray[np.generic]
) -> Built:
    """Find what a network that goes on is to be pulled towards, if it is to be.

    The strategy has been applied to it: adapters count, and begin at nothing.
    """
    if not options.l2_sp:
        return built
    source = open_source(options.init_from)
    found = source_parameters(source, built.network, built.encoder, classes)
    return replace(built, carried=frozenset(found), references=found)


def _open_encoder(
    options: FitOptions,
    needs: Needs,
    texts: list[str] | None,
    source: SourceModel | None,
    seed: int,
) -> tuple[Encoder | None, Body | None, Input]:
    """Fit the encoder, and open it as far as its layers learn or have learnt."""
    if texts is None:
        return None, None, NumberInput()
    encoder: Encoder = clone(open_encoder(options.encoder))
    try:
        encoder.fit(texts, None)  # FrozenEstimator takes no y for granted
    except CheckpointNotFoundError as error:
        if options.encoder is None or not names_encoder(options.encoder):
            raise
        hint = _explain_name(options.encoder)
        raise CheckpointNotFoundError(f"{error}{hint}") from error
    return encoder, *_open_body(encoder, options.strategy, needs, texts, source, seed)


def _explain_name(name: str | os.PathLike[str]) -> str:
    """What else a name may mean that no transformer has; a blank before it."""
    path = existing_path(os.fspath(name))
    if path is not None and path.is_file():
        return (
            " As an encoder, a file of word vectors is written "
            f"WordVectorFeaturizer({os.fspath(name)!r})."
        )
    encoders = (each.name for each in PACKAGED.values() if each.kind != "dictionary")
    return did_you_mean(name, encoders)


def _open_body(
    encoder: Encoder,
    strategy: str,
    needs: Needs,
    texts: list[str],
    source: SourceModel | None,
    seed: int,
) -> tuple[Body | None, Input]:
    """Copy a fitted encoder as a body, where its layers learn or have learnt.

    If the source's encoder was tuned, the target needs a body too, even one that rests.
    """
    tuned = source is not None and is_tuned_version(source, encoder)
    if needs is Needs.VECTORS and not tuned:
        return None, FeatureInput(encoder)
    if isinstance(encoder, WordVectorFeaturizer) and needs < Needs.LAYERS:
        before = None
        if tuned:
            assert source is not None
            assert isinstance(source._input, WordInput)
            before = source._input.vocabulary
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
