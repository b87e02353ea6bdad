"""What a transformer gives: a table of numbers with a row for each text."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from sktransfer.testing.assertions import (
    assert_same_numbers,
    fail,
    import_or_skip,
    shown,
    skip,
)
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, as_table, only_if


@only_if("transforms")
def check_features_are_numbers(subject: Subject) -> None:
    """Features are a table of finite numbers with a row for each text."""
    table = as_table(subject.expected["transform"])
    if table.ndim != 2 or table.shape[0] != len(TEXTS):
        fail(f"transform of {len(TEXTS)} texts has shape {table.shape}.")
    if table.dtype.kind not in "fiub":
        fail(f"transform gives dtype {table.dtype}, but numbers were expected.")
    numbers = table.data if sparse.issparse(table) else table
    if not np.isfinite(numbers.astype(float)).all():
        fail("transform gives numbers that are nan or infinite.")


@only_if("transforms")
def check_features_keep_dtype(subject: Subject) -> None:
    """The dtype of features does not depend on the texts, or on how many there are."""
    expected = as_table(subject.expected["transform"]).dtype
    for texts in (TEXTS[:1], [""], TEXTS[::-1]):
        found = as_table(subject.fitted.transform(texts)).dtype
        if found != expected:
            fail(f"transform gives dtype {found} for {shown(texts)}, else {expected}.")


@only_if("transforms")
def check_features_keep_width(subject: Subject) -> None:
    """Each table has the width of the first, as what comes after it needs."""
    width = as_table(subject.expected["transform"]).shape[1]
    for texts in (TEXTS[:1], [""], ["words that are new"] * 3):
        shape = as_table(subject.fitted.transform(texts)).shape
        if shape != (len(texts), width):
            fail(
                f"transform has shape {shape}, but {(len(texts), width)} was expected."
            )


@only_if("transforms")
def check_fit_transform(subject: Subject) -> None:
    """What fit_transform gives is what transform gives after it, and after fit."""
    one = subject.new()
    y = subject.labels()
    found = one.fit_transform(TEXTS) if y is None else one.fit_transform(TEXTS, y)
    for table, what in ((found, "fit_transform"), (one.transform(TEXTS), "transform")):
        assert_same_numbers(
            table,
            subject.expected["transform"],
            subject.tolerance,
            f"{what} after fit_transform",
            "transform after fit",
        )


@only_if("transforms")
def check_transformer_ignores_labels(subject: Subject) -> None:
    """A transformer takes y, which pipelines hand on, and may ignore it."""
    if subject.needs_labels:
        skip("it needs labels")
    y = np.arange(len(TEXTS)) % 2
    one = subject.fit(TEXTS, y)
    assert_same_numbers(
        one.transform(TEXTS),
        subject.expected["transform"],
        subject.tolerance,
        "transform after fit with y",
        "that after fit without y",
    )


@only_if("transforms")
def check_feature_names(subject: Subject) -> None:
    """Each feature has a name of its own, a str, in an array of objects."""
    names = _names(subject, subject.fitted)
    width = as_table(subject.expected["transform"]).shape[1]
    if not isinstance(names, np.ndarray) or names.dtype != object:
        fail(f"feature names are {shown(names)}, but an array of objects was expected.")
    if len(names) != width:
        fail(f"{len(names)} feature names were given for {width} features.")
    if not all(isinstance(name, str) for name in names):
        fail(f"feature names are no str: {shown(list(names[:3]))}")
    if len(set(names)) != width:
        fail("feature names are not distinct.")


@only_if("transforms")
def check_feature_names_take_input_features(subject: Subject) -> None:
    """Feature names are the same with input_features=None, which pipelines hand on."""
    names = _names(subject, subject.fitted)
    for given in (
        subject.fitted.get_feature_names_out(None),
        subject.fitted.get_feature_names_out(input_features=None),
    ):
        if list(given) != list(names):
            fail("get_feature_names_out(None) gives other names.")


class _Zeros(TransformerMixin, BaseEstimator):
    """A column of zeros."""

    def fit(self, X: Any, y: object = None) -> Self:
        return self

    def transform(self, X: Any) -> np.ndarray:
        return np.zeros((len(X), 1))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        return np.array(["zero"], dtype=object)


def _keeps_an_index(X: Any) -> bool:
    """Whether frames have the index of a Series; with scikit-learn 1.6 none has."""
    frame: Any = _Zeros().set_output(transform="pandas").fit_transform(X)
    return list(frame.index) == list(X.index)


@only_if("transforms")
def check_set_output_pandas(subject: Subject) -> None:
    """A pandas DataFrame on request has the feature names and the index of X."""
    pandas = import_or_skip("pandas")
    one = _with_output(subject, "pandas")
    index = [f"row {number}" for number in range(len(TEXTS))]
    X = pandas.Series(TEXTS, index=index)
    y = subject.labels()
    fitted = one.fit_transform(X) if y is None else one.fit_transform(X, y)
    for frame in (fitted, one.transform(X)):
        if not isinstance(frame, pandas.DataFrame):
            fail(f"a {type(frame).__name__} came, but a DataFrame was expected.")
        if list(frame.index) != index and _keeps_an_index(X):
            fail(f"the index is {shown(list(frame.index))}, not that of X.")
        _assert_frame(subject, one, frame, frame.to_numpy())


@only_if("transforms")
def check_set_output_polars(subject: Subject) -> None:
    """A polars DataFrame on request has the feature names."""
    polars = import_or_skip("polars")
    one = _with_output(subject, "polars")
    y = subject.labels()
    frame = one.fit_transform(TEXTS) if y is None else one.fit_transform(TEXTS, y)
    if not isinstance(frame, polars.DataFrame):
        fail(f"a {type(frame).__name__} came, but a polars DataFrame was expected.")
    _assert_frame(subject, one, frame, frame.to_numpy())


@only_if("transforms")
def check_features_before_classifier(subject: Subject) -> None:
    """A pipeline with a linear classifier behind it is cloned, fits and predicts."""
    from sklearn.base import clone
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from sktransfer.testing import sample_texts

    pipeline = clone(make_pipeline(subject.new(), LogisticRegression()))
    predicted = pipeline.fit(TEXTS, sample_texts.labels()).predict(TEXTS)
    if predicted.shape != (len(TEXTS),):
        fail(f"a pipeline predicts shape {predicted.shape}.")


def _names(subject: Subject, one: Any) -> Any:
    if not hasattr(one, "get_feature_names_out"):
        skip(f"{subject.name} has no get_feature_names_out")
    return one.get_feature_names_out()


def _with_output(subject: Subject, kind: str) -> Any:
    if not hasattr(subject.estimator, "set_output"):
        skip(f"{subject.name} has no set_output")
    if sparse.issparse(subject.expected["transform"]):
        skip("scikit-learn refuses sparse features in data frames")
    return subject.new().set_output(transform=kind)


def _assert_frame(subject: Subject, one: Any, frame: Any, numbers: Any) -> None:
    names = list(one.get_feature_names_out())
    if list(frame.columns) != names:
        fail(f"columns are {shown(list(frame.columns))}, not {shown(names)}.")
    assert_same_numbers(
        numbers,
        subject.expected["transform"],
        subject.tolerance,
        "the data frame",
        "the array",
    )
