"""What is compared, and in which order: named estimators, and their use of a source.

Some strategies start from an encoder that others have to find first. With one encoder
everything is known beforehand. With several, each has a row of frozen features, and the
strategies that tune follow the one whose row leads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sktransfer.classifier.data.joint_domains import pool_domains
from sktransfer.estimators import (
    Estimator,
    TextClassifier,
    Texts,
    inner_estimators,
    is_text_classifier,
)
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import Rule, check_parameters

__all__ = [
    "CLASSIFIER",
    "Candidate",
    "Grid",
    "Lineup",
    "PooledClassifier",
    "Source",
    "Use",
    "cost_of",
    "find_start",
    "prepare",
    "seed_estimator",
    "weight_parameter",
]

_Method = TypeVar("_Method")

# Parameters to search, and the values of each; several grids are searched in turn.
Grid = Mapping[str, Any] | Sequence[Mapping[str, Any]]

# "only": learn from the source and never from the target; "joint": from both at once;
# "start": from the target, beginning with the parameters of the source's model.
Use = Literal["only", "joint", "start"]

# What `cost_of` answers for estimators that train layers of a network, and above.
_TRAINS_LAYERS = 40


def _if_estimator_has(method: str) -> Callable[[_Method], _Method]:
    def check(self: PooledClassifier) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    wrapped: Callable[[_Method], _Method] = available_if(check)
    return wrapped


def weight_parameter(estimator: Estimator) -> str | None:
    """Name by which ``fit`` takes weights of texts, if it does."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = weight_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


CLASSIFIER = Rule(is_text_classifier, "a classifier")


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
        estimator: TextClassifier,
        source_texts: Texts,
        source_labels: npt.ArrayLike,
        target_weight: float = 0.5,
    ) -> None:
        self.estimator = estimator
        self.source_texts = source_texts
        self.source_labels = source_labels
        self.target_weight = target_weight

    def fit(self, X: Iterable[str], y: npt.ArrayLike) -> Self:
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
        check_parameters({"estimator": self.estimator}, {"estimator": CLASSIFIER})
        source = (self.source_texts, self.source_labels)
        texts, labels, weight = pool_domains(source, (X, y), self.target_weight)
        self.estimator_ = clone(self.estimator)
        name = weight_parameter(self.estimator_)
        given = {} if name is None else {name: weight}
        self.estimator_.fit(texts, labels, **given)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:
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
    def predict_proba(self, X: Iterable[str]) -> npt.NDArray[np.float64]:
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
    def decision_function(self, X: Iterable[str]) -> npt.NDArray[np.float64]:
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
    estimator: TextClassifier
    use: Use | None = None
    grid: Grid | None = None
    base: str = ""
    teacher: TextClassifier | None = None
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

    def with_use(self, use: Use, name: str) -> Candidate:
        """Return the same with a use of the source, under another name."""
        return replace(self, use=use, name=name, base=self.name)

    def learns_source(self) -> TextClassifier:
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
    labels: npt.NDArray[Any]


def cost_of(candidate: Candidate) -> int:
    """How dear a candidate is, so that cheap ones come first.

    The tens are 0 without an encoder, 1 with word vectors, 3 with a frozen transformer,
    more where layers of one learn.
    """
    # Here, where they are loaded anyway: who only predicts needs no torch.
    from sktransfer.classifier.classifier import TransferSentimentClassifier
    from sktransfer.classifier.nested_parameters import names_encoder
    from sktransfer.classifier.strategies.registry import STRATEGIES
    from sktransfer.encoders.featurizer import BertFeaturizer
    from sktransfer.words.featurizer import WordVectorFeaturizer

    cost = 0
    for _, inner in inner_estimators(candidate.estimator):
        strategy = STRATEGIES.get(getattr(inner, "strategy", ""))
        tuned = 0 if strategy is None else strategy.cost
        if isinstance(inner, WordVectorFeaturizer):
            cost = max(cost, 1)
        elif isinstance(inner, BertFeaturizer):
            cost = max(cost, 3)
        elif isinstance(inner, TransferSentimentClassifier):
            cost = max(cost, 3 if names_encoder(inner.encoder) else 0, tuned)
    use = {None: 0, "only": 1, "start": 2, "joint": 3}[candidate.use]
    return 10 * cost + use + (5 if candidate.grid else 0)


@dataclass(frozen=True)
class Lineup:
    """Candidates in the order in which they run.

    Attributes
    ----------
    first : list of Candidate
        What runs before an encoder is chosen, the cheap ones first.
    late : list of Candidate, default=[]
        What could, but takes long.
    followers : dict of str to list of Candidate, default={}
        By encoder what starts from it if it leads, under plain names. Empty where there
        is nothing to choose.
    encoders : list of str, default=[]
        Names of the transformers that take part, the cheap ones first.
    """

    first: list[Candidate]
    late: list[Candidate] = field(default_factory=list)
    followers: dict[str, list[Candidate]] = field(default_factory=dict)
    encoders: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Lineup:
        """Sort candidates, whose names are plain where they belong to an encoder."""
        strategies = [c for c in candidates if c.for_each_encoder]
        encoders = list(dict.fromkeys(str(c.encoder) for c in strategies))
        if len(encoders) < 2:
            return cls(sorted(candidates, key=cost_of), encoders=encoders)
        followers = {
            encoder: [c for c in strategies if c.follows and c.encoder == encoder]
            for encoder in encoders
        }
        others = [c.named_apart() for c in candidates if not c.follows]
        if not any(followers.values()):
            return cls(sorted(others, key=cost_of), encoders=encoders)
        return cls(
            sorted((c for c in others if cost_of(c) < _TRAINS_LAYERS), key=cost_of),
            [c for c in others if cost_of(c) >= _TRAINS_LAYERS],
            followers,
            encoders,
        )

    @property
    def names(self) -> list[str]:
        """Names of the rows that are certain to be there."""
        followers = next(iter(self.followers.values()), [])
        return [c.name for c in (*self.first, *self.late, *followers)]

    @property
    def possible(self) -> list[Candidate]:
        """All that may run, each as it is recorded."""
        followers = [c for found in self.followers.values() for c in found]
        return [*self.first, *self.late, *(c.named_apart() for c in followers)]

    @property
    def evidence(self) -> dict[str, str | None]:
        """Encoder to the name of its row of frozen features, if there is one."""
        found = {
            c.encoder: c.name
            for c in reversed(self.first)
            if c.for_each_encoder and not c.follows
        }
        return {encoder: found.get(encoder) for encoder in self.encoders}

    def rest(
        self, leader: str | None, rivals: Iterable[str] = ()
    ) -> list[list[Candidate]]:
        """What runs after an encoder was chosen: lists, the cheap ones of each first.

        They are those of the leader and of each rival, which are tuned after it, under
        names that tell them. Without a leader some other encoder stands in, so that
        rows can say why they were not run.
        """
        if not self.followers:
            return []
        of_leader = [c.leading() for c in self.followers[leader or self.encoders[0]]]
        if leader is None:
            of_leader = [replace(c, encoder=None) for c in of_leader]
        of_rivals = [[c.named_apart() for c in self.followers[r]] for r in rivals]
        return [
            sorted(found, key=cost_of)
            for found in ([*self.late, *of_leader], *of_rivals)
        ]

    def dearest(self) -> list[Candidate]:
        """Return all that will run, if the last encoder, the dearest one, leads."""
        leader = self.encoders[-1] if self.encoders else None
        return [*self.first, *(c for stage in self.rest(leader) for c in stage)]

    def resolve(self, name: str | None, leader: str | None) -> str | None:
        """Name of a row; where each encoder has such a row, that of the leader."""
        if name is None or name in self.names or not self.encoders:
            return name
        return f"{name} ({leader or self.encoders[0]})"


def seed_estimator(estimator: Estimator, seed: int) -> Any:
    """Clone an estimator, with the seed for each ``random_state`` that is None."""
    seeded = clone(estimator)
    found = {
        f"{prefix}random_state": seed
        for prefix, inner in inner_estimators(seeded)
        if getattr(inner, "random_state", 0) is None
    }
    return seeded.set_params(**found)


def prepare(
    candidate: Candidate, source: Source | None, source_model: TextClassifier | None
) -> Any:
    """Estimator of a candidate, which from here on is one like any other.

    "joint" needs the source, "only" and "start" the candidate's estimator fitted on it.
    For "only" the answer is fitted, too.
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


def find_start(estimator: Estimator) -> str | None:
    """Name of the parameter that takes a source model, if there is one."""
    names = (
        f"{p}init_from"
        for p, e in inner_estimators(estimator)
        if hasattr(e, "init_from")
    )
    return next(names, None)
