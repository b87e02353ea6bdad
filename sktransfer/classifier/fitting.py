"""The steps of a fit: check, split, build, walk the strategy's phases, finish."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator

from sktransfer.classifier.data.checks import (
    Columns,
    TrainingData,
    check_data,
    check_validation,
    split_rows,
)
from sktransfer.classifier.data.rows import (
    Encoder,
    FeatureRows,
    Input,
    LabelledRows,
    Rows,
    TokenTexts,
)
from sktransfer.classifier.network.adapters import is_adapter
from sktransfer.classifier.network.build import Built, build, refer_to_source, reopen
from sktransfer.classifier.network.network import (
    find_temperature,
    restored_on_failure,
)
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import (
    FitState,
    Phase,
    layer_settings,
    train_head,
)
from sktransfer.classifier.strategies.head_first import train_head_first
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.classifier.structure import Origin, check_unchanged
from sktransfer.classifier.training.callbacks import diverged
from sktransfer.classifier.training.net import TransferNet, features_of
from sktransfer.classifier.training.predicting import Reader
from sktransfer.classifier.training.settings import (
    FROZEN,
    initialize_net,
    make_net,
    make_updates,
    resolve_settings,
)
from sktransfer.classifier.training.temperature import temperature_from_folds
from sktransfer.encoders.compute.devices import (
    count_cores,
    resolve_device,
    resolve_dtype,
)
from sktransfer.exceptions import InvalidParameterError

__all__ = [
    "Fitted",
    "draw_seed",
    "fit_classifier",
    "private_randomness",
    "update_classifier",
]

# Parameters that a call of partial_fit reads when it makes its net.
_OF_UPDATES = (
    "strategy",
    "batch_size",
    "encoder_learning_rate",
    "head_learning_rate",
    "weight_decay",
    "layer_decay",
    "l2_sp",
    "init_from",
    "max_grad_norm",
    "label_smoothing",
    "device",
    "dtype",
    "verbose",
)

_ONE_TRAINING = threading.RLock()


@dataclass(frozen=True)
class Fitted:
    """What a fit gives, and the next one may go on from.

    Attributes
    ----------
    net : TransferNet
        Trained, or interrupted.
    input : Input
        Turns checked X into rows of the network.
    encoder : Encoder or None
        The fitted encoder.
    classes, class_count : ndarray of shape (n_classes,)
        Labels, and rows of each that were learnt from.
    columns : Columns or None
        Of numbers.
    temperature : float
        What logits are divided by.
    origin : Origin or None
        Where the network began; None where that is not known, as in a saved model.
    """

    net: TransferNet
    input: Input
    encoder: Encoder | None
    classes: npt.NDArray[Any]
    class_count: npt.NDArray[np.int64]
    columns: Columns | None
    temperature: float = 1.0
    origin: Origin | None = None

    @property
    def reads_texts(self) -> bool:
        """Whether X is texts; else it is numbers."""
        return self.encoder is not None

    def built(self) -> Built:
        """The network and what feeds it, to be trained again."""
        return Built(self.net.module_, self.input, self.encoder)

    def check_goes_on(self, options: FitOptions, who: str) -> None:
        """Refuse options that only another network would suit; `who` goes on."""
        check_unchanged(
            options, self.net.module_.layout, self.encoder, self.origin, who
        )


def fit_classifier(
    model: BaseEstimator,
    options: FitOptions,
    before: Fitted | None,
    random_state: np.random.RandomState,
    X: object,
    y: object,
    sample_weight: object,
    X_val: object,
    y_val: object,
    sample_weight_val: object,
) -> Fitted:
    """Fit on all rows, from the parameters of the fit `before` if there is one.

    `model` stays as it is: scikit-learn's checks read its name and its columns.
    """
    count_cores()  # before the first operation
    data = check_data(
        model,
        X,
        y,
        sample_weight,
        options.class_weight,
        None if before is None else before.classes,
        texts=None if before is None else before.reads_texts,
    )
    given = check_validation(model, data, X_val, y_val, sample_weight_val)
    _check_strategy(options, data)
    if before is not None:
        before.check_goes_on(options, "warm_start=True")
    split_seed, seed = draw_seed(random_state), draw_seed(random_state)
    train, held_out = _split(options, data, given, split_seed)
    data = data.relative_to(train)
    device = resolve_device(options.device)
    with private_randomness(seed, device), contextlib.ExitStack() as stack:
        state = _begin(options, before, data, train, device, seed)
        if before is not None:
            stack.enter_context(restored_on_failure(state.network))
        state = replace(state, held_out=held_out, given=_label(state.built, given))
        state = _walk(state)
        if _lacks_proof(state):
            state = _calibrate_by_folds(state, data)
        return _finish(state, data, origin=_origin(options, before))


def _check_strategy(options: FitOptions, data: TrainingData) -> None:
    """Refuse to tune the encoder of numbers: they have none.

    A search would compare a head with itself, and seem to say that tuning is in vain.
    """
    if data.texts is None and STRATEGIES[options.strategy].tunes_encoder:
        raise InvalidParameterError(
            f"strategy={options.strategy!r} trains an encoder, but X is numbers, which "
            "have none: where they come from a featurizer in front, leave it out and "
            "pass texts, in the grid of a pipeline as {'featurizer': ['passthrough'], "
            f"'classifier__strategy': [{options.strategy!r}]}}; for a head on these "
            "numbers set strategy='feature_extraction'."
        )


def _origin(options: FitOptions, before: Fitted | None) -> Origin:
    """Where the network of this fit began."""
    if before is not None and before.origin is not None:
        return before.origin
    return Origin(options.init_from, bool(options.scale_features))


def _split(
    options: FitOptions,
    data: TrainingData,
    given: TrainingData | None,
    seed: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp] | None]:
    """Rows to learn from, and rows to validate on where the user gave none."""
    if given is not None:
        return np.arange(len(data.numbers)), None
    if options.early_stopping == "auto" or not options.early_stopping:
        return np.arange(len(data.numbers)), None
    return split_rows(
        data.numbers,
        data.texts,
        validation_fraction=options.validation_fraction,
        seed=seed,
    )


def _begin(
    options: FitOptions,
    before: Fitted | None,
    data: TrainingData,
    train: npt.NDArray[np.intp],
    device: torch.device,
    seed: int,
) -> FitState:
    """Build the network, or take it up again, and apply the strategy to it."""
    strategy = STRATEGIES[options.strategy]
    needs, dtype = strategy.needs, resolve_dtype(options.dtype, device)
    if before is None:
        head = strategy.hidden_layer_sizes
        built, rows = build(options, needs, head, data, train, seed)
    else:
        built = reopen(before.built(), options, needs, data, seed)
        rows = built.input.rows(data.X)
    labelled = LabelledRows(rows, data.numbers, data.weight)
    state = FitState(options, strategy, built, labelled, train, device, dtype, seed)
    state = replace(state, reader=Reader(data.classes, built.input, data.columns))
    if before is None:
        state = replace(state, first=_measure(state, data))
    texts = [] if data.texts is None else data.texts
    state = replace(
        state,
        head_start=built.network.output.weight.detach().clone(),
        n_distinct=len({texts[row] for row in train}) if texts else len(train),
    )
    strategy.apply(built.network, options)
    if before is not None:
        built = refer_to_source(built, options, data.classes)
    elif options.init_from is not None:
        # Adapters begin at nothing, so that towards where they began is to the source.
        names = (name for name, _ in built.network.named_parameters())
        built = replace(built, carried=built.carried | set(filter(is_adapter, names)))
    return replace(state, built=built, goes_on=before is not None)


def _measure(state: FitState, data: TrainingData) -> Rows | None:
    """Set the scale to what the head reads before anything learns, unless it has one.

    Returns the features of all rows where the head is to learn from them first. The
    encoder would give the same, for a second copy of its weights in memory.
    """
    options, strategy, network = state.options, state.strategy, state.network
    rows, weight = state.rows.rows, data.weights_of(state.train)
    scales = options.init_from is None and bool(options.scale_features)
    if isinstance(rows, FeatureRows):
        if scales:
            network.set_scale(rows.matrix[state.train], weight)
        return None
    scales = scales and strategy.scales_first
    keeps = options.head_first and strategy.head_can_go_first
    if not (scales or keeps):
        return None
    first = features_of(network, rows, state.device, state.dtype)
    means = first.matrix
    if isinstance(rows, TokenTexts):
        # As the encoder averages them, over whose vectors the scale is measured.
        shares, starts = rows.tokens.weights[:, None], rows.first_row[:-1]
        total = np.add.reduceat(means * shares, starts)
        means = np.asarray(total / np.add.reduceat(shares, starts), dtype=np.float32)
        # Over its windows the head is averaged as in prediction: alike, not by length.
        first = FeatureRows(means) if isinstance(first, FeatureRows) else first
    if scales:
        network.set_scale(means[state.train], weight)
    return first if keeps else None


def _label(built: Built, data: TrainingData | None) -> LabelledRows | None:
    if data is None:
        return None
    return LabelledRows(built.input.rows(data.X), data.numbers, data.weight)


def _phases(state: FitState) -> tuple[Phase, ...]:
    """Phases of a fit; where there is no encoder to tune, it is the head's alone."""
    if state.network.body is None:
        return (train_head,)
    before = () if state.first is None else (train_head_first,)
    return (*before, *state.strategy.phases)


def _walk(state: FitState) -> FitState:
    """Go through all phases of a fit."""
    for phase in _phases(state):
        state = phase(state)
    return state


def _lacks_proof(state: FitState) -> bool:
    """Whether a temperature is asked for that only networks of folds can tell.

    A head that rests on its features has found one by now. A linear one on layers that
    have learnt is under a penalty that does the same, and what goes on has seen all.
    """
    tuned = state.network.body is not None and state.strategy.tunes_encoder
    proved = state.to_validate() is not None or state.goes_on
    asked = state.options.calibrates_always and bool(
        state.network.layout.hidden_layer_sizes
    )
    return tuned and asked and not proved and not _was_interrupted(state)


def _was_interrupted(state: FitState) -> bool:
    return state.net is not None and state.net.interrupted_


def _calibrate_by_folds(state: FitState, data: TrainingData) -> FitState:
    """Train as often as there are folds, each time without one, and ask for it then.

    An interrupt leaves the temperature that the last head has by itself.
    """
    # Callbacks are about the model that stays.
    options = replace(state.options, callbacks=None, verbose=0)

    def fit(rows: LabelledRows, others: LabelledRows) -> npt.NDArray[np.float32]:
        part, rest = data.take(_numbers_of(rows)), data.take(_numbers_of(others))
        everything = np.arange(len(part.numbers))
        part = part.relative_to(everything)
        # All begin as the model itself did.
        with private_randomness(state.seed, state.device):
            found = _walk(
                _begin(options, None, part, everything, state.device, state.seed)
            )
        if found.net is None or _was_interrupted(found):
            raise KeyboardInterrupt
        return found.net.predict_logits(found.built.input.rows(rest.X))

    numbers = FeatureRows(np.arange(len(data.numbers), dtype=np.float32)[:, None])
    try:
        temperature = temperature_from_folds(
            LabelledRows(numbers, data.numbers, data.weight), fit
        )
    except KeyboardInterrupt:
        assert state.net is not None
        state.net.interrupted_ = True
        return state
    return replace(state, temperature=temperature)


def _numbers_of(rows: LabelledRows) -> npt.NDArray[np.intp]:
    """Which rows these are, where their one feature says it."""
    assert isinstance(rows.rows, FeatureRows)
    return np.asarray(rows.rows.matrix[:, 0], dtype=np.intp)


def _finish(
    state: FitState,
    data: TrainingData,
    before: Fitted | None = None,
    *,
    origin: Origin,
) -> Fitted:
    """Check what was learnt and make the network ready to predict.

    `before` is given where this was an update: rows are added up, and its temperature
    stays. An interrupt leaves the best so far, which is not calibrated.
    """
    net, network = state.net, state.network
    assert net is not None
    net.train_split = None  # A fitted model keeps no texts to validate on.
    learnt = network.learning_tensors().values()
    if not net.interrupted_ and not all(bool(t.isfinite().all()) for t in learnt):
        # No loss was measured after the last step.
        raise diverged("the last step left parameters that are no numbers")
    if network.body is not None:
        network.body.merge()
    # Set here, and not by whoever predicts first: others may be about to do the same.
    network.eval()
    count = np.bincount(data.numbers[state.train], minlength=len(data.classes))
    found = Fitted(
        net,
        state.built.input,
        state.built.encoder,
        data.classes,
        count if before is None else count + before.class_count,
        data.columns,
        state.temperature if before is None else before.temperature,
        origin,
    )
    validation = state.validation
    if validation is None or not state.options.calibrates_always or net.interrupted_:
        return found
    temperature = find_temperature(
        net.predict_logits(validation.rows),
        validation.classes.numpy(),
        validation.weight.numpy(),
    )
    return replace(found, temperature=temperature)


def update_classifier(
    model: BaseEstimator,
    options: FitOptions,
    before: Fitted | None,
    random_state: np.random.RandomState,
    X: object,
    y: object,
    classes: object,
    sample_weight: object,
) -> Fitted:
    """One more pass over these rows, or the first, where there was no fit `before`."""
    count_cores()  # before the first operation
    known = _known_classes(before, classes)
    data = check_data(
        model,
        X,
        y,
        sample_weight,
        options.class_weight,
        known,
        texts=None if before is None else before.reads_texts,
    )
    _check_strategy(options, data)
    if before is not None:
        before.check_goes_on(options, "partial_fit")
    refused = STRATEGIES[options.strategy].no_updates
    if refused and data.texts is not None:
        raise InvalidParameterError(refused)
    options = replace(options, head_first=False)
    seed, device = draw_seed(random_state), resolve_device(options.device)
    everything = np.arange(len(data.numbers))
    with private_randomness(seed, device), contextlib.ExitStack() as stack:
        state = _begin(options, before, data, everything, device, seed)
        if before is not None:
            stack.enter_context(restored_on_failure(state.network))
        net = _train_once(state.encoded(), None if before is None else before.net)
        state = replace(state, net=net)
        return _finish(state, data, before, origin=_origin(options, before))


def _known_classes(before: Fitted | None, classes: object) -> npt.NDArray[Any]:
    """All classes that may come in calls of ``partial_fit``."""
    if before is None and classes is None:
        raise InvalidParameterError(
            "classes must be passed on the first call to partial_fit: name all labels "
            "that will ever come, as in partial_fit(X, y, classes=['neg', 'pos'])."
        )
    if before is not None and classes is None:
        return before.classes
    known = np.unique(np.asarray(classes))
    if len(known) < 2:
        raise InvalidParameterError(
            f"classes={known.tolist()} names 1 class or none, but 2 or more are needed "
            "to learn a difference: name all labels that will ever come."
        )
    if before is not None and not np.array_equal(known, before.classes):
        raise InvalidParameterError(
            f"classes={known.tolist()} is not the same as on last call to partial_fit, "
            f"{before.classes.tolist()}: pass the same ones, or None."
        )
    return known


def _train_once(state: FitState, net: TransferNet | None) -> TransferNet:
    """Train for one pass, with the net of the updates before if it still suits.

    The optimiser's moments live on from call to call, while its parameters stay the
    same. A full fit leaves none: its rates have fallen to 0.
    """
    options, network, rows = state.options, state.network, state.rows
    update: dict[str, object] = {name: getattr(options, name) for name in _OF_UPDATES}
    # What somebody adds to either later is new.
    update["callbacks"] = list(options.callbacks or [])
    update["net_params"] = dict(options.net_params or {})
    if net is None or not net.can_go_on(network, update):
        tunes = network.body is not None and network.body.learns()
        if tunes:
            settings = layer_settings(state, len(rows))
        else:
            settings = resolve_settings(options, FROZEN, network, len(rows))
        net = make_net(
            options,
            network,
            settings,
            make_updates(options, state.built),
            state.seed,
            state.device,
            one_by_one=tunes and state.strategy.one_by_one,
            reader=state.reader,
        )
        initialize_net(net, options)
    net.updates_ = update
    net.max_epochs = 1
    net.partial_fit(rows, None)
    return net


def draw_seed(random_state: np.random.RandomState) -> int:
    """Seed for a training, from 0 to 2**31 - 2."""
    return int(random_state.randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def private_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for a block and restore them after it.

    They are the CPU's and that of `device`, which dropout draws from, and everybody
    else. They are lent to one training at a time, under a lock of the process.
    """
    on_gpu, on_mps = device.type == "cuda", device.type == "mps"
    with _ONE_TRAINING, torch.random.fork_rng(devices=[device] if on_gpu else []):
        # Not torch.manual_seed, which also reaches devices outside of the fork.
        torch.default_generator.manual_seed(seed)
        before = torch.mps.get_rng_state() if on_mps else None
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif on_mps:
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)
