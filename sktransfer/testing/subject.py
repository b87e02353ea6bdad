"""What is checked: an estimator, what it offers, and clones that were fitted.

Tags decide what is asked of an estimator, and methods where tags say nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import joblib
import numpy as np
from scipy import sparse
from sklearn.base import clone, is_classifier, is_clusterer, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from sktransfer.testing import sample_texts

__all__ = [
    "ANSWERS",
    "Check",
    "Subject",
    "as_table",
    "fingerprint",
    "only_if",
    "parameters_of",
]

Check = Callable[["Subject"], None]

# What answers for texts, in the order in which messages name it.
ANSWERS = (
    "transform",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
)


class Subject:
    """An estimator under check, which itself is never fitted nor changed.

    Parameters
    ----------
    estimator : estimator
        What is cloned for each fit.
    tolerance : float
        How far two answers may differ, times the largest expected number or 1.
    """

    def __init__(self, estimator: Any, tolerance: float) -> None:
        self.estimator = estimator
        self.tolerance = tolerance
        self.name = type(estimator).__name__

    # What it is -------------------------------------------------------------

    @functools.cached_property
    def classifies(self) -> bool:
        """Whether it is a classifier."""
        return bool(is_classifier(self.estimator))

    @functools.cached_property
    def learns_labels(self) -> bool:
        """Whether it is a classifier or a regressor."""
        return self.classifies or bool(is_regressor(self.estimator))

    @functools.cached_property
    def transforms(self) -> bool:
        """Whether it is a transformer, and nothing that predicts."""
        predicts = self.learns_labels or is_clusterer(self.estimator)
        return hasattr(self.estimator, "transform") and not predicts

    @functools.cached_property
    def needs_labels(self) -> bool:
        """Whether fit takes labels."""
        return self.learns_labels or get_tags(self.estimator).target_tags.required

    @functools.cached_property
    def weighs(self) -> bool:
        """Whether fit takes sample weights."""
        return bool(has_fit_parameter(self.estimator, "sample_weight"))

    @functools.cached_property
    def knows_more_classes(self) -> bool:
        """Whether it is a classifier of more than two classes."""
        tags = get_tags(self.estimator).classifier_tags
        return self.classifies and (tags is None or tags.multi_class)

    @functools.cached_property
    def learns_in_parts(self) -> bool:
        """Whether it is a classifier with partial_fit."""
        return self.classifies and hasattr(self.estimator, "partial_fit")

    @functools.cached_property
    def first_step(self) -> Any:
        """What sees X first: a pipeline does not read it itself."""
        first = self.estimator
        while isinstance(first, Pipeline):
            first = next(s for _, s in first.steps if s not in (None, "passthrough"))
        return first

    @functools.cached_property
    def takes_numbers(self) -> bool:
        """Whether tags say that X may be a table of numbers as well."""
        return bool(get_tags(self.first_step).input_tags.two_d_array)

    @functools.cached_property
    def takes_sparse(self) -> bool:
        """Whether tags say that X may be a sparse matrix as well."""
        return bool(get_tags(self.first_step).input_tags.sparse)

    @functools.cached_property
    def needs_fit(self) -> bool:
        """Whether tags say that it has to be fitted before it answers."""
        return bool(get_tags(self.estimator).requires_fit)

    @functools.cached_property
    def repeats(self) -> bool:
        """Whether tags say that two fits come to the same."""
        return not get_tags(self.estimator).non_deterministic

    # Clones, and what they say ------------------------------------------------

    def new(self) -> Any:
        """Clone in which each ``random_state`` that was None is 0."""
        fresh = clone(self.estimator)
        seeds = {
            name: 0
            for name, value in fresh.get_params().items()
            if name.split("__")[-1] == "random_state" and value is None
        }
        return fresh.set_params(**seeds) if seeds else fresh

    def labels(self) -> Any:
        """What is learnt of `sample_texts.TEXTS`, or None."""
        if not self.needs_labels:
            return None
        return sample_texts.labels() if self.classifies else sample_texts.targets()

    def fit(self, X: Any = None, y: Any = None, **options: Any) -> Any:
        """Fit a new clone, on the sample where nothing else is given."""
        return self.fit_one(self.new(), X, y, **options)

    def fit_one(self, one: Any, X: Any = None, y: Any = None, **options: Any) -> Any:
        """Fit an estimator; labels are left out where it takes none."""
        X = list(sample_texts.TEXTS) if X is None else X
        y = self.labels() if y is None else y
        # What fit returns is asked by a check of its own.
        if y is None:
            one.fit(X, **options)
        else:
            one.fit(X, y, **options)
        return one

    @functools.cached_property
    def _fitted_and_asked(self) -> tuple[Any, dict[str, Any]]:
        # Asked at once: what a check does to another clone comes later.
        one = self.fit()
        return one, self.answers(one)

    @property
    def fitted(self) -> Any:
        """A clone that was fitted once, for checks that leave it as it is."""
        return self._fitted_and_asked[0]

    @property
    def expected(self) -> dict[str, Any]:
        """What `fitted` says of the sample."""
        return self._fitted_and_asked[1]

    def methods(self, one: Any) -> list[str]:
        """Methods of an estimator that answer for texts."""
        found = [name for name in ANSWERS if hasattr(one, name)]
        # A classifier's transform, where there is one, is not what it is for.
        return found if self.transforms else [n for n in found if n != "transform"]

    def answers(self, one: Any, X: Any = None) -> dict[str, Any]:
        """What an estimator says of texts, by method."""
        X = list(sample_texts.TEXTS) if X is None else X
        return {name: getattr(one, name)(X) for name in self.methods(one)}


def only_if(*needs: str) -> Callable[[Check], Check]:
    """Let a check apply only to subjects of which all of these attributes are true."""

    def mark(check: Check) -> Check:
        check.needs = needs  # type: ignore[attr-defined]
        return check

    return mark


def parameters_of(estimator: Any) -> Sequence[str]:
    """Names in the constructor's signature."""
    signature = inspect.signature(type(estimator).__init__).parameters.values()
    named = [
        p.name for p in signature if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    return named[1:]


def as_table(answer: Any) -> Any:
    """An answer as an array, or as sparse rows: those of hashes are a million wide."""
    return answer.tocsr() if sparse.issparse(answer) else np.asarray(answer)


def fingerprint(value: Any) -> object:
    """Something that changes with a value where that can be told.

    Of an estimator it is the class.
    """
    if hasattr(value, "get_params"):
        return type(value)
    if isinstance(value, (list, tuple)):
        return [fingerprint(one) for one in value]
    try:
        return joblib.hash(value)
    except Exception:  # what cannot be pickled
        return id(value)
