"""What a fitted estimator consists of: what makes features, and what decides on them.

Letters in shapes: n texts, w features.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators import TextClassifier, steps_of, wrapped_in
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.explanation.word_spans import Span
from sktransfer.validation import show

if TYPE_CHECKING:
    from sktransfer.classifier.classifier import TransferSentimentClassifier
    from sktransfer.classifier.network.body import Body

__all__ = ["Attribution", "OpenedModel", "find_class", "margins", "open_model"]

# Beyond these odds a probability of 0 or 1 says nothing more.
_SUREST = 1e-12


@dataclass(frozen=True)
class Attribution:
    """Values of pieces of a text.

    Attributes
    ----------
    method : {"exact", "gradients", "occlusion"}
    spans : list of (int, int), of length n_pieces
    values : list of float, of length n_pieces
        What each piece adds to the margin.
    value : float
        Margin of the text.
    base : float
        Margin of a text that says nothing.
    """

    method: str
    spans: list[Span] = field(repr=False)
    values: list[float] = field(repr=False)
    value: float
    base: float


@dataclass(frozen=True)
class OpenedModel:
    """A fitted estimator, opened.

    Attributes
    ----------
    whole : classifier
        Reads texts.
    transformers : list of transformer
        From texts to features, fitted, in order; empty where the classifier reads
        texts.
    classifier : classifier
        Reads what the last transformer gives, fitted.
    number : int
        Class that is asked for, as a place in ``classes_``.
    """

    whole: Any
    transformers: list[Any] = field(repr=False)
    classifier: Any = field(repr=False)
    number: int

    @property
    def network(self) -> TransferSentimentClassifier | None:
        """TransferSentimentClassifier that decides, or None."""
        model = getattr(self.classifier, "model", self.classifier)
        network: TransferSentimentClassifier | None
        network = model if _is_network(model) else None
        return network

    @property
    def body(self) -> Body | None:
        """The network's own layers that read texts, or None."""
        network = self.network
        return None if self.transformers or network is None else _body_of(network)

    def margins(self, texts: list[str]) -> NDArray[np.float64]:
        """Margin of the class, shape (n,)."""
        return margins(self.whole, texts, self.number)

    def decide_after(self, n_transformers: int) -> Callable[[Any], NDArray[np.float64]]:
        """Function from what so many transformers give, (n, w), to margins (n,)."""

        def decide(features: Any) -> NDArray[np.float64]:
            for transformer in self.transformers[n_transformers:]:
                transformer, features = _agree_on_names(transformer, features)
                features = transformer.transform(features)
            classifier, features = _agree_on_names(self.classifier, features)
            return margins(classifier, features, self.number)

        return decide


def _agree_on_names(estimator: Any, features: Any) -> tuple[Any, Any]:
    """Estimator and features (n, w), of which both or none have names of columns.

    What is probed has none. A filter of the warning of that would be the process's, and
    of two threads in turn the second would put back for good what the first has set.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or hasattr(features, "columns"):
        return estimator, features
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(features, np.ndarray):
        return estimator, pandas.DataFrame(features, columns=names)
    nameless = copy.copy(estimator)
    vars(nameless).pop("feature_names_in_", None)
    return nameless, features


def open_model(estimator: TextClassifier, number: int) -> OpenedModel:
    """Open searches, wrappers and pipelines; the class is asked for by its number."""
    *transformers, classifier = _open(estimator)
    if _is_network(classifier) and not transformers and _body_of(classifier) is None:
        # A frozen encoder is one more transformer.
        from sktransfer.explanation.integrated_gradients import NetworkHead

        transformers = _open(classifier.encoder_)
        classifier = NetworkHead(classifier)
    return OpenedModel(estimator, transformers, classifier, number)


def _is_network(model: object) -> bool:
    module = getattr(getattr(model, "net_", None), "module_", None)
    return hasattr(module, "scaler") and hasattr(module, "head")


def _body_of(network: TransferSentimentClassifier) -> Body | None:
    body: Body | None = network.net_.module_.body
    return body


def _open(estimator: object) -> list[Any]:
    """Steps of an estimator, the innermost that can be told."""
    if isinstance(estimator, Pipeline):
        return [part for step in steps_of(estimator) for part in _open(step)]
    # Thresholds move the label, not the margin.
    has_threshold = hasattr(estimator, "estimator_") and hasattr(
        estimator, "response_method"
    )
    is_search = hasattr(estimator, "best_estimator_")
    if isinstance(estimator, FrozenEstimator) or is_search or has_threshold:
        return _open(wrapped_in(estimator))
    return [estimator]


def margins(classifier: Any, X: object, number: int) -> NDArray[np.float64]:
    """How much speaks for a class in n rows, shape (n,): logit, decision or log-odds.

    Of two classes, what speaks for the one speaks as much against the other.
    """
    if hasattr(classifier, "decision_function"):
        decisions = np.asarray(classifier.decision_function(X), dtype=np.float64)
        if decisions.ndim == 1:
            return decisions if number == 1 else -decisions
        return decisions[:, number]
    shares = np.asarray(classifier.predict_proba(X), dtype=np.float64)[:, number]
    odds: NDArray[np.float64] = logit(np.clip(shares, _SUREST, 1 - _SUREST))
    return odds


def find_class(estimator: object, text: str, label: object) -> int:
    """Place in ``classes_`` of the label that is asked for, or that is predicted.

    What is not fitted, is no classifier or does not know the label is an error.
    """
    if hasattr(estimator, "cv_results_") and not hasattr(estimator, "best_estimator_"):
        raise NotFittedError(
            f"this {type(estimator).__name__} was told not to fit its best estimator "
            "(refit=False): pass a fitted estimator, or search with refit=True."
        )
    if not hasattr(estimator, "predict"):
        raise InvalidParameterError(
            f"estimator is {estimator!r}, but a fitted classifier of texts is expected."
        )
    check_is_fitted(estimator)
    if not hasattr(estimator, "classes_"):
        raise InvalidParameterError(
            f"estimator is {estimator!r}, which has no classes_, but a classifier is "
            "expected."
        )
    classes = np.asarray(estimator.classes_)
    if label is None:
        label = _predict(estimator, text)
    # A list would be compared entry by entry.
    is_one = np.ndim(label) == 0  # type: ignore[arg-type]
    numbers = np.flatnonzero(classes == label) if is_one else np.empty(0)
    if not len(numbers):
        raise InvalidParameterError(
            f"label={show(label)}, but one of {classes.tolist()[:10]} is expected."
        )
    return int(numbers[0])


def _predict(estimator: Any, text: str) -> Any:
    try:
        return estimator.predict([text])[0]
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError | NotFittedError):
            raise
        raise InvalidParameterError(
            f"the estimator cannot predict the label of a text ({error}): pass one "
            "that was fitted on texts, as a pipeline that begins with a featurizer."
        ) from error
