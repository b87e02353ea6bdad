"""From what the user names to candidates: defaults, given estimators, a baseline."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sktransfer.comparison.candidates import Candidate, find_start, inner_estimators
from sktransfer.comparison.defaults import (
    DEFAULTS,
    Setting,
    default_names,
    make_candidates,
)
from sktransfer.comparison.lineup import Lineup
from sktransfer.comparison.named_encoders import short_name
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    InvalidParameterError,
    MissingExtraError,
    SktransferWarning,
)
from sktransfer.finetune.classifier import TransferSentimentClassifier

__all__ = ["choose_baseline", "choose_candidates"]

_NEED_SOURCE = {"source_only", "transferred", "joint"}


def choose_candidates(
    strategies: Any,
    baseline: str | None,
    param_grids: Mapping[str, Any] | None,
    setting: Setting,
) -> Lineup:
    """Candidates in the order in which they run.

    Parameters
    ----------
    strategies : None, iterable of str, or mapping of str to estimator or str
        As in `compare_strategies`.
    baseline : str or None
        As in `compare_strategies`; "auto" brings TF-IDF and the majority class along.
    param_grids : mapping of str to grid, or None
        By name of the strategy, with its encoder or without.
    setting : Setting
        What the defaults depend on.

    Returns
    -------
    lineup : Lineup

    Raises
    ------
    InvalidParameterError
        If a name or an estimator cannot be used.
    """
    found, missing = (
        _suitable(setting) if strategies is None else (_named(strategies, setting), {})
    )
    wanted = ["majority", "tfidf"] if baseline == "auto" else [baseline or ""]
    known = {candidate.name for candidate in found}
    brought = [name for name in wanted if name in DEFAULTS and name not in known]
    found = [*(c for name in brought for c in _make(name, setting)), *found]
    offered = [candidate for candidate in found if candidate.for_each_encoder]
    if len(setting.encoders) > 1 and offered and all(c.follows for c in offered):
        found += _make("frozen", setting)  # what their encoder is chosen by
    if offered:
        missing |= {f"the encoder {name}": why for name, why in setting.missing.items()}
    for name, why in missing.items():
        warnings.warn(f"{name} is left out: {why}", SktransferWarning, stacklevel=3)
    lineup = Lineup.of(_with_grids(found, param_grids or {}))
    names = lineup.names
    if lineup.followers:
        names += [c.name for c in lineup.possible if c.follows]
    for name in names:
        if names.count(name) > 1:
            raise InvalidParameterError(f"strategies names {name!r} twice.")
    return lineup


def choose_baseline(baseline: str | None, lineup: Lineup) -> str | None:
    """Name of the strategy that others are compared with.

    Parameters
    ----------
    baseline : str or None
        "auto" is TF-IDF where it takes part, else the first candidate.
    lineup : Lineup

    Returns
    -------
    name : str or None
        Where each encoder has such a row, without the encoder: `Lineup.resolve`.

    Raises
    ------
    InvalidParameterError
        If it does not take part.
    """
    names = lineup.names
    if baseline == "auto":
        return "tfidf" if "tfidf" in names else names[0]
    if baseline is not None and not {baseline, lineup.resolve(baseline, None)} & {
        *names
    }:
        raise InvalidParameterError(
            f"baseline={baseline!r}, but 'auto', None or one of the strategies {names} "
            "is expected."
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


def _named(strategies: Any, setting: Setting) -> list[Candidate]:
    if isinstance(strategies, str):
        strategies = [strategies]
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
                f"strategies names one {name!r}, but a str is expected."
            )
        if isinstance(value, str):
            found += [replace(made, name=name) for made in _make(value, setting)]
        else:
            found += _given(name, value, setting.has_source)
    return found


def _make(name: str, setting: Setting) -> list[Candidate]:
    if name not in DEFAULTS:
        raise InvalidParameterError(
            f"strategies names {name!r}, but one of {list(DEFAULTS)} is expected, or a "
            "dict that gives an estimator for it."
        )
    if name in _NEED_SOURCE and not setting.has_source:
        raise InvalidParameterError(
            f"the strategy {name!r} needs a source domain: pass source=(X, y)."
        )
    return make_candidates(name, setting)


def _given(name: str, estimator: Any, has_source: bool) -> list[Candidate]:
    """A user's estimator, and what it can make of a source."""
    if isinstance(estimator, type) or not all(
        hasattr(estimator, method) for method in ("fit", "predict", "get_params")
    ):
        raise InvalidParameterError(
            f"strategies[{name!r}] is {estimator!r:.80}, but a classifier that takes "
            "texts, such as a Pipeline, or the name of a default strategy is expected."
        )
    if isinstance(estimator, TransferSentimentClassifier) and estimator.encoder is None:
        # What None means, said in a way that others see.
        parameters = estimator.get_params(deep=False) | {"encoder": BertFeaturizer()}
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


def _find_name(estimator: Any) -> str | None:
    """Name of the first transformer in an estimator."""
    for _, inner in inner_estimators(estimator):
        if isinstance(inner, BertFeaturizer):
            return short_name(inner.model)
    return None


def _with_grids(
    candidates: list[Candidate], grids: Mapping[str, Any]
) -> list[Candidate]:
    # With several encoders a grid is for one of them, or for all.
    known = {name for c in candidates for name in (c.name, c.named_apart().name)}
    for name in grids:
        if name not in known:
            raise InvalidParameterError(
                f"param_grids has a grid for {name!r}, which is none of the strategies "
                f"{list(dict.fromkeys(c.name for c in candidates))}."
            )
    found = []
    for candidate in candidates:
        grid = grids.get(candidate.named_apart().name, grids.get(candidate.name))
        grid = _one_deeper(grid) if candidate.use == "joint" else grid
        found.append(replace(candidate, grid=grid))
    return found


def _one_deeper(grid: Any) -> Any:
    """Grid for an estimator that stands inside of another."""
    if isinstance(grid, (list, tuple)):
        return [_one_deeper(part) for part in grid]
    if grid is None:
        return None
    return {f"estimator__{name}": values for name, values in grid.items()}
