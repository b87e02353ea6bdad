"""What a strategy is, what one phase of a fit hands to the next, and common phases.

A strategy says which parameters of an encoder learn, in which phases and at which
rates. Each has a file of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import nn

from sktransfer.classifier.data.rows import LabelledRows, Rows
from sktransfer.classifier.network.body import Body, Needs
from sktransfer.classifier.network.build import Built
from sktransfer.classifier.network.network import TransferNetwork, set_resting_parts
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.training.frozen_prefix import keep_states
from sktransfer.classifier.training.linear_head import (
    LinearProblem,
    Penalty,
    solve_head,
)
from sktransfer.classifier.training.net import TransferNet, features_of
from sktransfer.classifier.training.pairs import RowsAndPairsNet
from sktransfer.classifier.training.predicting import Reader
from sktransfer.classifier.training.settings import (
    FROZEN,
    MANY_A_CLASS,
    PLENTY_A_CLASS,
    TUNED,
    TUNED_BY_FEW,
    TUNED_BY_PLENTY,
    WORDS,
    Defaults,
    Settings,
    initialize_net,
    make_net,
    make_schedule,
    resolve_settings,
)
from sktransfer.classifier.training.temperature import temperature_from_folds
from sktransfer.exceptions import InvalidParameterError

__all__ = [
    "FitState",
    "Phase",
    "Strategy",
    "all_layers",
    "fit_head",
    "join_histories",
    "layer_settings",
    "learn_and_keep",
    "make_trainer",
    "separate_layers",
    "train_head",
    "train_layers",
]


def tuned_defaults(body: Body, n_rows: int, n_classes: int) -> Defaults:
    """Rates and lengths for what learns by rows, one by one."""
    if body.is_table:
        return WORDS
    if n_rows < MANY_A_CLASS * n_classes:
        return TUNED_BY_FEW
    return TUNED_BY_PLENTY if n_rows >= PLENTY_A_CLASS * n_classes else TUNED


@dataclass(frozen=True)
class Strategy:
    """What of an encoder learns, and how.

    Attributes
    ----------
    name : str
        What users call it, and the name of its file.
    choose : callable
        From a body and the options to the parameters that learn.
    phases : tuple of callables
        Of a fit, in their order; of numbers, which have no encoder, the head learns.
    needs : Needs
        Of the encoder.
    cost : int
        Of a fit, relative to the others': cheap ones are compared first.
    defaults : callable
        From a body, n rows and n classes to rates and lengths for "auto".
    rates_by_size : bool
        Whether a larger transformer learns at a lower rate.
    head_can_go_first : bool
        Whether `head_first` puts the training of the head before these phases.
    scales_first : bool
        Whether the features that the head is going to read are known before they learn.
    hidden_layer_sizes : tuple of int
        Hidden units of the head for "auto", where it has an encoder to tune.
    one_by_one : bool
        Whether layers join the training one an epoch.
    keeps_adapters : bool
        Whether adapters stay beside the layers; else they become part of the weights.
    callbacks : tuple of (str, type)
        Made for each training of layers.
    no_updates : str
        Why ``partial_fit`` makes no sense, where it does not.
    """

    name: str
    choose: Callable[[Body, FitOptions], list[nn.Parameter]]
    phases: tuple[Phase, ...]
    needs: Needs
    cost: int
    defaults: Callable[[Body, int, int], Defaults] = tuned_defaults
    rates_by_size: bool = True
    head_can_go_first: bool = True
    scales_first: bool = True
    hidden_layer_sizes: tuple[int, ...] = ()
    one_by_one: bool = False
    keeps_adapters: bool = False
    callbacks: tuple[tuple[str, type[Callback]], ...] = ()
    no_updates: str = ""

    @property
    def tunes_encoder(self) -> bool:
        """Whether anything of the encoder learns."""
        return self.needs > Needs.VECTORS

    def apply(self, network: TransferNetwork, options: FitOptions) -> None:
        """Let what this strategy chooses learn, and the head, and freeze the rest."""
        network.requires_grad_(True)
        network.frozen_parts = []
        body = network.body
        if body is None:
            return
        if not self.keeps_adapters:
            body.fold()
        body.let_learn(self.choose(body, options))
        set_resting_parts(network)


def all_layers(body: Body, options: FitOptions) -> list[nn.Parameter]:
    """Everything that features depend on, but a transformer's token table."""
    # Word vectors are nothing but their table; a transformer's is four fifths of its
    # weights, and a few hundred texts touch a sliver of it.
    resting = {id(parameter) for parameter in body.idle()}
    if not (options.train_embeddings or body.is_table):
        resting.add(id(body.token_table()))
    return [p for p in body.parameters() if id(p) not in resting]


def separate_layers(body: Body, strategy: str) -> list[nn.Module]:
    """Layers from the bottom to the top, each with weights of its own."""
    blocks = body.blocks()
    if not blocks:
        raise InvalidParameterError(
            f"strategy={strategy!r} chooses among layers, but this encoder has one set "
            "of weights for all of them: use strategy='fine_tune' or "
            "'feature_extraction'."
        )
    return blocks


@dataclass(frozen=True)
class FitState:
    """What one phase of a fit hands to the next.

    Attributes
    ----------
    options : FitOptions
        Parameters of the classifier.
    strategy : Strategy
        Applied to the network.
    built : Built
        The network, and what feeds it.
    rows : LabelledRows
        All rows, as the network reads them.
    train : ndarray of int
        Rows to learn from.
    held_out : ndarray of int or None
        Rows to validate on.
    given : LabelledRows or None
        Rows to validate on that the user has named.
    device, dtype, seed
        Where training runs, the precision of its products, what decides its order.
    goes_on : bool
        Whether the network has learnt in an earlier fit.
    first : Rows or None
        What the body gave for `rows` before it learnt, where the head learns from that.
    head_start : torch.Tensor or None
        Weights of the head's last layer when the fit began.
    n_distinct : int
        Different texts to learn from.
    strength : float
        Of a linear head on what the layers give that have learnt, see `Defaults`.
    reader : Reader or None
        How nets read what the classifier is given.
    net : TransferNet or None
        Of the last phase: trained, or interrupted.
    validation : LabelledRows or None
        What the last phase was validated on.
    temperature : float
        What logits are to be divided by.
    """

    options: FitOptions
    strategy: Strategy
    built: Built
    rows: LabelledRows
    train: npt.NDArray[np.intp]
    device: torch.device
    dtype: torch.dtype
    seed: int
    held_out: npt.NDArray[np.intp] | None = None
    given: LabelledRows | None = None
    goes_on: bool = False
    first: Rows | None = None
    head_start: torch.Tensor | None = None
    n_distinct: int = 0
    strength: float = 1.0
    reader: Reader | None = None
    net: TransferNet | None = None
    validation: LabelledRows | None = None
    temperature: float = 1.0

    @property
    def network(self) -> TransferNetwork:
        """What is trained."""
        return self.built.network

    def learning(self) -> LabelledRows:
        """Rows to learn from."""
        return self.rows if self.held_out is None else self.rows.take(self.train)

    def to_validate(self) -> LabelledRows | None:
        """Rows to validate on."""
        return self.given if self.held_out is None else self.rows.take(self.held_out)

    def penalty_on_tuned(self) -> Penalty:
        """Of a linear head on what layers give that have learnt from these rows.

        Equal texts count once in it: weights do then what repeated rows would.
        """

        def penalty(problem: LinearProblem) -> float:
            return problem.decay(self.strength, self.n_distinct)

        return self.options.l2_sp or penalty

    def measures_scale(self) -> bool:
        """Whether the scale is of this fit, and not a source's or an earlier fit's."""
        carried = self.goes_on or "scaler.mean" in self.built.carried
        return bool(self.options.scale_features) and not carried

    def encoded(self) -> FitState:
        """The same with features as rows, where a resting body gives them."""
        body = self.network.body
        if body is None or body.learns():
            return self
        return replace(
            self,
            rows=self._encode(self.rows),
            given=None if self.given is None else self._encode(self.given),
        )

    def _encode(self, data: LabelledRows) -> LabelledRows:
        features = features_of(self.network, data.rows, self.device, self.dtype)
        return LabelledRows(features, data.classes.numpy(), data.weight.numpy())


Phase = Callable[[FitState], FitState]


def train_head(state: FitState) -> FitState:
    """Phase: the head learns alone, on what the resting encoder gives."""
    state, options = state.encoded(), state.options
    learning, validation = state.learning(), state.to_validate()
    settings = resolve_settings(options, FROZEN, state.network, len(learning))
    penalty, temperature = options.l2_sp or options.weight_decay, 1.0
    if options.calibrates_always and validation is None:
        before = copy.deepcopy(state.network.own_tensors())

        def fit(rows: LabelledRows, others: LabelledRows) -> npt.NDArray[np.float32]:
            network = TransferNetwork(state.network.layout)
            network.load_state_dict(before)
            alone = replace(state, built=replace(state.built, network=network))
            # For as many steps as the head itself: with fewer it would be less sure.
            own = resolve_settings(options, FROZEN, network, len(rows))
            net = make_trainer(alone, own, len(rows), is_last=False)
            fit_head(net, rows, penalty)
            return net.predict_logits(others.rows)

        temperature = temperature_from_folds(learning, fit)
    net = make_trainer(state, settings, len(learning), validation)
    fit_head(net, learning, penalty)
    return replace(state, net=net, validation=validation, temperature=temperature)


def train_layers(state: FitState) -> FitState:
    """Phase: layers and head learn together; after a head that was interrupted, not."""
    learning, validation = state.learning(), state.to_validate()
    after_head = state.options.head_first
    settings = layer_settings(state, len(learning), after_head=after_head)
    if settings.max_epochs > 1:
        body, where = state.network.body, (state.device, state.dtype)
        learning = keep_states(body, learning, *where)
        if validation is not None:
            validation = keep_states(body, validation, *where)
    assert state.network.body is not None
    # The study of pairs is one of transformers.
    kind = TransferNet if state.network.body.is_table else RowsAndPairsNet
    net = make_trainer(
        state, settings, len(learning), validation, layers=True, kind=kind
    )
    head = state.net
    if head is None or not head.interrupted_:
        learn_and_keep(net, learning, _stepping_back(state), settings.kept)
    if head is not None:
        net.interrupted_ = head.interrupted_ or net.interrupted_
        join_histories(net, "all", head)
    strength = settings.strength
    return replace(state, net=net, validation=validation, strength=strength)


def _stepping_back(state: FitState) -> list[nn.Parameter]:
    """Parameters that keep a share of their change, if not all.

    Those of an earlier fit of the same model do not go back to it. A head with hidden
    layers has to go the same way as the layers below it. One that began at random
    cannot; it knows what they give in the end, and nothing else.
    """
    network, carried = state.network, "head.output.weight" in state.built.carried
    if state.goes_on:
        return []
    if not network.layout.hidden_layer_sizes:
        assert network.body is not None
        return [*network.body.parameters()]
    knew_before = carried or state.net is not None
    return [*network.parameters()] if knew_before else []


def learn_and_keep(
    net: TransferNet,
    rows: LabelledRows,
    parameters: Iterable[nn.Parameter],
    kept: float,
) -> None:
    """Train the layers, and have these parameters keep this share of their change.

    Half way between what was learnt before and what is learnt now, networks know some
    of both: Wortsman et al. (2022), "Robust Fine-tuning of Zero-shot Models". An
    interrupt leaves them where they were.
    """
    learning: list[torch.Tensor] = [p for p in parameters if p.requires_grad]
    start = [p.detach().clone() for p in learning] if kept < 1 else []
    net.partial_fit(rows, None)
    if start and not net.interrupted_:
        with torch.no_grad():
            torch._foreach_lerp_(learning, start, 1 - kept)


def layer_settings(
    state: FitState, n_rows: int, *, after_head: bool = False
) -> Settings:
    """Rates and lengths where layers learn.

    `after_head`, the head goes on at the pace of the layers.
    """
    options, strategy, network = state.options, state.strategy, state.network
    body = network.body
    assert body is not None
    auto = strategy.defaults(body, n_rows, max(2, network.layout.n_outputs))
    if isinstance(body, TransformerBody) and strategy.rates_by_size:
        auto = auto.at_size(body.checkpoint.n_layers, body.checkpoint.hidden_size)
    head_rate = options.head_learning_rate
    if after_head and head_rate == "auto":
        rate = options.encoder_learning_rate
        rate = auto.encoder_learning_rate if rate == "auto" else float(rate)
        head_rate = min(auto.head_learning_rate, rate)
    return resolve_settings(
        options,
        auto,
        network,
        n_rows,
        n_stages=len(body.blocks()) if strategy.one_by_one else 0,
        instead={"head_learning_rate": head_rate},
    )


def make_trainer(
    state: FitState,
    settings: Settings,
    n_rows: int,
    validation: LabelledRows | None = None,
    *,
    layers: bool = False,
    is_last: bool = True,
    kind: type[TransferNet] = TransferNet,
) -> TransferNet:
    """Initialised net of one phase, in which `layers` learn or the head alone."""
    options, strategy = state.options, state.strategy
    more = [(name, make()) for name, make in strategy.callbacks] if layers else []
    callbacks = make_schedule(
        options,
        state.built,
        settings,
        n_rows,
        validation,
        more=more,
        is_last=is_last,
    )
    net = make_net(
        options,
        state.network,
        settings,
        callbacks,
        state.seed,
        state.device,
        one_by_one=layers and strategy.one_by_one,
        kind=kind,
        reader=state.reader,
    )
    if validation is not None:
        net.set_params(train_split=predefined_split(validation))
    initialize_net(net, options)
    return net


def fit_head(net: TransferNet, rows: LabelledRows, penalty: Penalty) -> None:
    """Train the head on features; a linear one is solved for, with this `penalty`."""
    if net.module_.is_linear():
        solve_head(net, rows, penalty)
    else:
        net.partial_fit(rows, None)


def join_histories(net: TransferNet, part: str, earlier: TransferNet) -> None:
    """Put the epochs of an earlier training before those of this one.

    `part` has learnt in this one; the earlier epochs say it themselves. It is done
    after training: a schedule that found earlier epochs would take itself to go on.
    """
    for line in net.history:
        line |= {"part": part, "epoch": line["epoch"] + len(earlier.history)}
    net.history[:0] = earlier.history
