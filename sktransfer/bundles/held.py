"""What estimators of scikit-learn hold that is no estimator, as plain values.

Scorers and splitters, which a search holds, and a classifier with a tuned threshold,
as it predicts with the positive label of its scorer; the distributions that a search
draws from; selectors of columns by their names and types; calibrated parts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import scipy.stats
import sklearn.metrics
from sklearn.compose import make_column_selector
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
)

from sktransfer._compat import (
    _CalibratedClassifier,
    _CurveScorer,
    _PassthroughScorer,
    _Scorer,
    rv_continuous_frozen,
    rv_discrete_frozen,
)
from sktransfer.bundles.proving.parameters import check_selector
from sktransfer.bundles.proving.values import is_plain
from sktransfer.exceptions import ModelFolderError

__all__ = ["HELD", "SPLITTERS", "Way", "splitter_way"]

#: From an object to a dict of values that can be packed, and the reverse.
Way: TypeAlias = tuple[Callable[[Any], dict[str, Any]], Callable[[dict[str, Any]], Any]]

#: Base classes of splitters.
SPLITTERS = (
    BaseCrossValidator,
    BaseShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
)


def splitter_way(cls: type[Any]) -> Way:
    """Way of a class of splitters."""
    return _take_splitter_apart, functools.partial(_put_splitter_together, cls)


def _take_splitter_apart(splitter: Any) -> dict[str, Any]:
    """Arguments of the constructor that make a splitter of scikit-learn."""
    # Those that repeat another splitter keep its arguments in a dict.
    inner = getattr(splitter, "cvargs", {})
    names = [*list(inspect.signature(type(splitter)).parameters), *inner]
    found = {name: inner.get(name, getattr(splitter, name, None)) for name in names}
    return {name: value for name, value in found.items() if name != "cvargs"}


def _put_splitter_together(cls: type[Any], fields: dict[str, Any]) -> Any:
    state = fields.get("random_state")
    if fields.get("shuffle") is not False or state is None:
        return cls(**fields)
    # A stack gives its splitter random numbers, where a constructor would refuse them.
    made = cls(**fields | {"random_state": None})
    made.random_state = state
    return made


def _take_scorer_apart(scorer: Any) -> dict[str, Any]:
    function = scorer._score_func
    name = getattr(function, "__name__", "")
    if _metrics().get(name) is not function:
        raise ModelFolderError(
            f"{scorer!r:.80} calls {name or repr(function)}, which is no metric of "
            "sklearn.metrics, and functions of others cannot be saved without a "
            "pickle: fit with a metric of sklearn.metrics, or save what was found, "
            "such as FixedThresholdClassifier with the tuned threshold."
        )
    fields = {
        "metric": name,
        "sign": scorer._sign,
        "kwargs": scorer._kwargs,
        "response_method": scorer._response_method,
    }
    if isinstance(scorer, _CurveScorer):
        return fields | {"thresholds": scorer._thresholds}
    return fields


def _put_scorer_together(fields: dict[str, Any]) -> _Scorer:
    metric = _metrics().get(fields["metric"])
    if metric is None:
        raise ModelFolderError(
            f"the metric {fields['metric']!r} is asked for, but only those of "
            "sklearn.metrics are taken."
        )
    return _Scorer(metric, fields["sign"], fields["kwargs"], fields["response_method"])


def _put_curve_together(fields: dict[str, Any]) -> _CurveScorer:
    scorer = _put_scorer_together(fields)
    return _CurveScorer.from_scorer(
        scorer, fields["response_method"], fields["thresholds"]
    )


@functools.cache
def _metrics() -> dict[str, Callable[..., Any]]:
    """Metrics by name: the public ones, and those that a scorer's name stands for."""
    public = [getattr(sklearn.metrics, name) for name in sklearn.metrics.__all__]
    named = [get_scorer(name)._score_func for name in get_scorer_names()]
    functions = [one for one in [*public, *named] if inspect.isfunction(one)]
    return {function.__name__: function for function in functions}


def _put_calibrated_together(fields: dict[str, Any]) -> _CalibratedClassifier:
    calibrated = object.__new__(_CalibratedClassifier)
    vars(calibrated).update(fields)
    return calibrated


def _take_distribution_apart(frozen: Any) -> dict[str, Any]:
    name = frozen.dist.name
    if type(_distribution(name)) is not type(frozen.dist):
        raise ModelFolderError(
            f"the distribution {name!r} is none of scipy.stats: search among values, "
            "or save the best estimator."
        )
    return {"distribution": name, "args": frozen.args, "kwds": frozen.kwds}


def _put_distribution_together(fields: dict[str, Any]) -> Any:
    name, args, kwds = fields["distribution"], fields["args"], fields["kwds"]
    found = _distribution(name)
    plain = [*args, *kwds.values()]
    if found is None or not all(is_plain(one, containers=False) for one in plain):
        raise ModelFolderError(
            f"the distribution {name!r:.60} is asked for, with {plain!r:.60}, but only "
            "those of scipy.stats are taken, with numbers."
        )
    return found(*args, **kwds)


def _distribution(name: Any) -> Any:
    kinds = (scipy.stats.rv_continuous, scipy.stats.rv_discrete)
    found = getattr(scipy.stats, name, None) if type(name) is str else None
    return found if isinstance(found, kinds) else None


def _put_selector_together(fields: dict[str, Any]) -> Any:
    made = make_column_selector(**fields)
    check_selector(made)
    return made


def _attributes(value: Any) -> dict[str, Any]:
    return dict(vars(value))


_DISTRIBUTION: Way = _take_distribution_apart, _put_distribution_together

#: The ways of classes that are no estimators.
HELD: dict[type[Any], Way] = {
    _CalibratedClassifier: (_attributes, _put_calibrated_together),
    _Scorer: (_take_scorer_apart, _put_scorer_together),
    _CurveScorer: (_take_scorer_apart, _put_curve_together),
    # What stands for the score that an estimator has itself.
    _PassthroughScorer: (
        lambda scorer: {"estimator": scorer._estimator},
        lambda fields: _PassthroughScorer(**fields),
    ),
    make_column_selector: (_attributes, _put_selector_together),
    rv_continuous_frozen: _DISTRIBUTION,
    rv_discrete_frozen: _DISTRIBUTION,
}
