"""What an estimator offers, what it holds, and what it wraps.

For any estimator that follows scikit-learn's conventions, whoever wrote it; and what
all of our own tell scikit-learn. Nothing here needs torch, so a pipeline of counts is
opened without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags

__all__ = [
    "DocumentedMixin",
    "Encoder",
    "Estimator",
    "TextClassifier",
    "Texts",
    "inner_estimators",
    "is_encoder",
    "is_estimator",
    "is_text_classifier",
    "named_parts",
    "open_wrappers",
    "reads_texts",
    "steps_of",
    "walk",
    "wrapped_in",
]

# What estimators of texts are given here: checked before, and never a single str.
Texts = Sequence[str]


class Estimator(Protocol):
    """Anything with parameters that ``clone`` copies."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters by name."""

    def set_params(self, **parameters: object) -> Any:
        """Change parameters, also of estimators inside, and return the estimator."""


class TextClassifier(Estimator, Protocol):
    """A classifier for texts; it may have probabilities or decisions as well."""

    classes_: NDArray[Any]

    def fit(self, X: Texts, y: ArrayLike) -> Any:
        """Learn from labelled texts, and return the classifier."""

    def predict(self, X: Texts) -> NDArray[Any]:
        """Label texts."""


class Encoder(Estimator, Protocol):
    """A transformer from texts to vectors that may keep the vectors it has made."""

    cache: Any

    def fit(self, X: Texts) -> Any:
        """Get ready, and return the encoder."""

    def transform(self, X: Texts) -> NDArray[np.float32]:
        """Return vectors of texts."""

    def cache_info(self) -> object:
        """Tell what is kept."""


def is_estimator(value: object) -> TypeGuard[Estimator]:
    """Whether a value is an estimator; a class of estimators is none."""
    return hasattr(value, "get_params") and not isinstance(value, type)


def is_encoder(value: object) -> TypeGuard[Encoder]:
    """Whether an estimator is an encoder that may keep its vectors."""
    return hasattr(value, "cache_info") and hasattr(value, "transform")


def is_text_classifier(value: object) -> TypeGuard[TextClassifier]:
    """Whether a value may be a classifier for texts; what it reads, a fit tells."""
    return is_estimator(value) and hasattr(value, "fit") and hasattr(value, "predict")


def named_parts(value: object) -> list[tuple[str, Estimator]]:
    """Estimators in a parameter such as the steps of a pipeline, with their names."""
    if not isinstance(value, (list, tuple)):
        return []
    return [
        (part[0], part[1])
        for part in value
        if isinstance(part, tuple) and len(part) > 1 and is_estimator(part[1])
    ]


def inner_estimators(
    estimator: Estimator, prefix: str = ""
) -> Iterator[tuple[str, Estimator]]:
    """Estimators among the parameters of one, itself first, at any depth.

    Each comes with the prefix of its parameters' names: empty, or ending in two
    underscores. What is frozen is not looked into.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> from sktransfer.estimators import inner_estimators
    >>> pipeline = Pipeline([("head", LogisticRegression())])
    >>> [prefix for prefix, _ in inner_estimators(pipeline)]
    ['', 'head__']
    """
    yield prefix, estimator
    if isinstance(estimator, FrozenEstimator):
        return
    for name, value in estimator.get_params(deep=False).items():
        if is_estimator(value):
            yield from inner_estimators(value, f"{prefix}{name}__")
        for part, part_estimator in named_parts(value):
            yield from inner_estimators(part_estimator, f"{prefix}{part}__")


def steps_of(pipeline: Pipeline) -> list[Any]:
    """Steps of a pipeline that do something."""
    return [step for _, step in pipeline.steps if step not in (None, "passthrough")]


def wrapped_in(estimator: object) -> Any:
    """What an estimator asks when it answers, or None where it answers itself.

    That is what was frozen, the last step of a pipeline, the best estimator of a search
    that was fitted, and else the ``estimator_`` that a fit has left.
    """
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    best = getattr(estimator, "best_estimator_", None)
    return getattr(estimator, "estimator_", None) if best is None else best


def open_wrappers(estimator: object, *wrappers: type) -> Any:
    """Innermost estimator; with `wrappers`, only what is of these types is opened.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktransfer.estimators import open_wrappers
    >>> open_wrappers(FrozenEstimator(make_pipeline(LogisticRegression())))
    LogisticRegression()
    """
    while isinstance(estimator, wrappers or (object,)):
        inner = wrapped_in(estimator)
        if inner is None:
            break
        estimator = inner
    return estimator


def walk(value: object, looks_into: Callable[[object], bool]) -> Iterator[Any]:
    """Everything that a value holds, itself included, each once.

    Containers are always looked into, attributes of an object where `looks_into` says
    so.
    """
    # The objects are kept beside their ids, which could be given out again else.
    waiting, seen = [value], {}
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        yield one
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
        elif isinstance(one, np.ndarray):
            waiting += one.ravel().tolist() if one.dtype.kind in "OSU" else []
        elif hasattr(one, "__dict__") and not isinstance(one, type) and looks_into(one):
            waiting += vars(one).values()


def reads_texts(tags: Tags) -> Tags:
    """Tags of an estimator that reads texts, one str a row, and nothing else."""
    tags.input_tags.string = True
    tags.input_tags.one_d_array = True
    tags.input_tags.two_d_array = False
    if tags.transformer_tags is not None:
        tags.transformer_tags.preserves_dtype = []  # what is no number has none
    return tags


class DocumentedMixin:
    """Public estimators, whose HTML repr links to their page of the documentation.

    Its address stands in the metadata of the package alone; without that there is no
    link.
    """

    # scikit-learn makes links of these two, for classes of this very package.
    _doc_link_module = "sktransfer"

    @property
    def _doc_link_template(self) -> str:
        address = _documentation()
        # As docs/api.rst names the pages that it makes.
        page = "generated/sktransfer.{estimator_name}.html"
        return f"{address.rstrip('/')}/{page}" if address else ""


def _documentation() -> str:
    """Address of the documentation, empty where the metadata has none."""
    try:
        entries = metadata("sktransfer").get_all("Project-URL") or []
    except PackageNotFoundError:  # a source tree that is not installed
        return ""
    for entry in entries:
        label, _, address = str(entry).partition(",")
        if label == "Documentation":
            return address.strip()
    return ""
