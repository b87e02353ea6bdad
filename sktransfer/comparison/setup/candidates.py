"""What is compared: a named estimator, and what use it makes of a source domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._tags import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sktransfer.classifier.data.joint_domains import pool_domains
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.exceptions import InvalidParameterError

__all__ = [
    "USES",
    "Candidate",
    "PooledClassifier",
    "Source",
    "cost_of",
    "find_start",
    "inner_estimators",
    "is_estimator",
    "named_parts",
    "prepare",
    "seed_estimator",
]

_Method = TypeVar("_Method")

# "only": learn from the source and never from the target; "joint": from both at once;
# "start": from the target, beginning with the parameters of the source's model.
USES = ("only", "joint", "start")


def _if_estimator_has(method: str) -> Callable[[_Method], _Method]:
    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    wrapped: Callable[[_Method], _Method] = available_if(check)
    return wrapped


def _weight_parameter(estimator: Any) -> str | None:
    """Name by which ``fit`` takes weights of texts, if it does."""
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        inner = _weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


class PooledClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that learns from a source domain beside the texts given to ``fit``.

    Parameters
    ----------
    estimator : classifier
        Cloned and fitted on both domains.
    source_texts : list of str, of length n_source
        The source domain.
    source_labels : array-like of shape (n_source,)
        Its labels.
    target_weight : float in (0, 1), default=0.5
        Share of the whole weight that the target's texts have together, see
        `pool_domains`. Where the estimator takes no weights, all texts count the same.

    Attributes
    ----------
    estimator_ : classifier
        The fitted one.
    classes_ : ndarray of shape (n_classes,)
        Distinct labels of both domains, sorted.
    """

    def __init__(
        self,
        estimator: Any,
        source_texts: Any,
        source_labels: Any,
        target_weight: float = 0.5,
    ) -> None:
        self.estimator = estimator
        self.source_texts = source_texts
        self.source_labels = source_labels
        self.target_weight = target_weight

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on these texts and on the source's.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts of the target domain.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        self : PooledClassifier
        """
        source = (self.source_texts, self.source_labels)
        texts, labels, weight = pool_domains(source, (X, y), self.target_weight)
        self.estimator_ = clone(self.estimator)
        name = _weight_parameter(self.estimator_)
        given = {} if name is None else {name: weight}
        self.estimator_.fit(texts, labels, **given)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Label of each text.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        check_is_fitted(self)
        labels: npt.NDArray[Any] = self.estimator_.predict(X)
        return labels

    @_if_estimator_has("predict_proba")
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Probability of each class, where the estimator has them.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
        """
        check_is_fitted(self)
        probabilities: npt.NDArray[np.float64] = self.estimator_.predict_proba(X)
        return probabilities

    @_if_estimator_has("decision_function")
    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Scores of the classes, where the estimator has them.

        Parameters
        ----------
        X : iterable of str, of length n
            Texts.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
        """
        check_is_fitted(self)
        scores: npt.NDArray[np.float64] = self.estimator_.decision_function(X)
        return scores

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags


@dataclass(frozen=True)
class Candidate:
    """A strategy of the comparison.

    Attributes
    ----------
    name : str
        How users call it.
    kind : {"baseline", "strategy", "given"}
        Where it comes from.
    estimator : classifier
        Not fitted.
    use : {"only", "joint", "start"} or None, default=None
        What it makes of the source; None is nothing.
    grid : dict or list of dict or None, default=None
        Parameters to search in each training part.
    base : str, default=""
        Name of the candidate that does the same without a source.
    teacher : classifier or None, default=None
        What learns the source; None is `estimator`.
    encoder : str or None, default=None
        Name of the transformer that it reads or tunes.
    follows : bool, default=False
        Whether its encoder is to be the one that leads, where there are several.
    entry : str, default=""
        Its name in the journal, where that is another one.
    """

    name: str
    kind: str
    estimator: Any
    use: str | None = None
    grid: Any = None
    base: str = ""
    teacher: Any = None
    encoder: str | None = None
    follows: bool = False
    entry: str = ""

    @property
    def recorded(self) -> str:
        """Name in the journal, which is never that of another encoder's."""
        return self.entry or self.name

    @property
    def for_each_encoder(self) -> bool:
        """Whether there is one of it for each encoder that takes part."""
        return self.kind == "strategy" and self.encoder is not None

    def named_apart(self) -> Candidate:
        """Return the same under a name that tells its encoder, if it is one of many."""
        if not self.for_each_encoder:
            return self
        base = f"{self.base} ({self.encoder})" if self.base else ""
        return replace(self, name=f"{self.name} ({self.encoder})", base=base)

    def leading(self) -> Candidate:
        """Return the same under its plain name, and recorded under the other one."""
        return replace(self, entry=self.named_apart().name)

    def with_use(self, use: str, name: str) -> Candidate:
        """Return the same with a use of the source, under another name."""
        return replace(self, use=use, name=name, base=self.name)

    def learns_source(self) -> Any:
        """Estimator that is fitted on the source."""
        return self.estimator if self.teacher is None else self.teacher


@dataclass(frozen=True)
class Source:
    """The source domain.

    Attributes
    ----------
    texts : list of str, of length n
        Without those that are in the target domain too.
    labels : ndarray of shape (n,)
        Of the target's kind.
    """

    texts: list[str]
    labels: Any


def inner_estimators(estimator: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Estimators inside of one, itself first, each with the prefix of its parameters.

    Parameters
    ----------
    estimator : estimator
        What is frozen in it is not looked into.
    prefix : str, default=""
        Of the parameters of `estimator`.

    Yields
    ------
    prefix : str
        Empty, or ending in two underscores.
    inner : estimator
    """
    yield prefix, estimator
    if isinstance(estimator, FrozenEstimator):
        return
    for name, value in estimator.get_params(deep=False).items():
        if is_estimator(value):
            yield from inner_estimators(value, f"{prefix}{name}__")
        for part, part_estimator in named_parts(value):
            yield from inner_estimators(part_estimator, f"{prefix}{part}__")


def is_estimator(value: Any) -> bool:
    """Whether a parameter's value is an estimator."""
    return hasattr(value, "get_params") and not isinstance(value, type)


def named_parts(value: Any) -> list[tuple[str, Any]]:
    """Estimators in a parameter such as the steps of a pipeline, with their names."""
    if not isinstance(value, (list, tuple)):
        return []
    return [
        (part[0], part[1])
        for part in value
        if isinstance(part, tuple) and len(part) > 1 and is_estimator(part[1])
    ]


def cost_of(candidate: Candidate) -> int:
    """How dear a candidate is, so that cheap ones come first.

    Parameters
    ----------
    candidate : Candidate

    Returns
    -------
    cost : int
        0 without an encoder, 1 with word vectors, 3 with a frozen transformer, more
        where layers of one learn.
    """
    cost = 0
    for _, inner in inner_estimators(candidate.estimator):
        name = type(inner).__name__
        strategy = getattr(inner, "strategy", "")
        tuned = STRATEGIES[strategy].cost if strategy in STRATEGIES else 0
        if name == "WordVectorFeaturizer":
            cost = max(cost, 1)
        elif name == "BertFeaturizer":
            cost = max(cost, 3)
        elif name == "TransferSentimentClassifier":
            cost = max(cost, 3 if getattr(inner, "encoder", 0) is None else 0, tuned)
    use = {None: 0, "only": 1, "start": 2, "joint": 3}[candidate.use]
    return 10 * cost + use + (5 if candidate.grid else 0)


def seed_estimator(estimator: Any, seed: int) -> Any:
    """Clone, with a seed wherever it has none.

    Parameters
    ----------
    estimator : estimator
        Left as it is.
    seed : int
        For each ``random_state`` that is None.

    Returns
    -------
    seeded : estimator
    """
    seeded = clone(estimator)
    found = {
        f"{prefix}random_state": seed
        for prefix, inner in inner_estimators(seeded)
        if getattr(inner, "random_state", 0) is None
    }
    return seeded.set_params(**found)


def prepare(candidate: Candidate, source: Source | None, source_model: Any) -> Any:
    """Estimator of a candidate, which from here on is one like any other.

    Parameters
    ----------
    candidate : Candidate
        What is wanted.
    source : Source or None
        The source domain, for "joint".
    source_model : classifier or None
        The candidate's estimator fitted on the source, for "only" and "start".

    Returns
    -------
    estimator : classifier
        Not fitted, but for "only".

    Raises
    ------
    InvalidParameterError
        If the estimator cannot start from another.
    """
    if candidate.use is None:
        return candidate.estimator
    if candidate.use == "only":
        return FrozenEstimator(source_model)
    if candidate.use == "joint":
        assert source is not None
        return PooledClassifier(candidate.estimator, source.texts, source.labels)
    name = find_start(candidate.estimator)
    if name is None:
        raise InvalidParameterError(
            f"{candidate.name!r} has no parameter init_from, so it cannot start from a "
            "model of the source domain: take a TransferSentimentClassifier."
        )
    return clone(candidate.estimator).set_params(
        **{name: FrozenEstimator(source_model)}
    )


def find_start(estimator: Any) -> str | None:
    """Name of the parameter that takes a source model, if there is one."""
    names = (
        f"{p}init_from"
        for p, e in inner_estimators(estimator)
        if hasattr(e, "init_from")
    )
    return next(names, None)
