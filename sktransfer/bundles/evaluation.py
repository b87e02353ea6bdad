"""Scorers and splitters of scikit-learn as plain values, and back.

They are no estimators, and yet estimators hold them once they are fitted: a search
holds both, and a classifier with a tuned threshold holds the scorer, whose positive
label it predicts with.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import sklearn.metrics
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.metrics._scorer import _CurveScorer, _PassthroughScorer, _Scorer
from sklearn.model_selection._split import (
    BaseCrossValidator,
    BaseShuffleSplit,
    _RepeatedSplits,
)

from sktransfer.exceptions import ModelFolderError

__all__ = ["PAIRS", "SPLITTERS", "put_splitter_together", "take_splitter_apart"]

SPLITTERS = (BaseCrossValidator, BaseShuffleSplit, _RepeatedSplits)


def take_splitter_apart(splitter: Any) -> dict[str, Any]:
    """Arguments of the constructor that make a splitter.

    Parameters
    ----------
    splitter : splitter
        Of scikit-learn.

    Returns
    -------
    fields : dict
    """
    _check_unrouted(splitter)
    # Those that repeat another splitter keep its arguments in a dict.
    inner = getattr(splitter, "cvargs", {})
    names = [*list(inspect.signature(type(splitter)).parameters), *inner]
    found = {name: inner.get(name, getattr(splitter, name, None)) for name in names}
    return {name: value for name, value in found.items() if name != "cvargs"}


def put_splitter_together(cls: type[Any], fields: dict[str, Any]) -> Any:
    """Splitter of a class.

    Parameters
    ----------
    cls : type
        One of scikit-learn's.
    fields : dict
        As `take_splitter_apart` gives them.

    Returns
    -------
    splitter : splitter
    """
    return cls(**fields)


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
    _check_unrouted(scorer)
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


def _check_unrouted(value: Any) -> None:
    if "_metadata_request" in vars(value):
        raise ModelFolderError(
            f"{value!r:.80} asks for metadata, such as sample weights, by a request of "
            "its own, which cannot be saved: fit without the request."
        )


# Ways apart and together again, by class.
PAIRS: dict[
    type[Any],
    tuple[Callable[[Any], dict[str, Any]], Callable[[dict[str, Any]], Any]],
] = {
    _Scorer: (_take_scorer_apart, _put_scorer_together),
    _CurveScorer: (_take_scorer_apart, _put_curve_together),
    # What stands for the score that an estimator has itself.
    _PassthroughScorer: (
        lambda scorer: {"estimator": scorer._estimator},
        lambda fields: _PassthroughScorer(**fields),
    ),
}
