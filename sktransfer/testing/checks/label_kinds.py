"""Labels of any kind: learnt by what they are, and given back as they came."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning

from sktransfer.testing import sample_texts
from sktransfer.testing.assertions import (
    assert_refused,
    assert_same_answers,
    fail,
    import_or_skip,
    near_ties,
    shown,
    skip,
)
from sktransfer.testing.sample_texts import TEXTS
from sktransfer.testing.subject import Subject, only_if


@only_if("classifies")
def check_classes_are_sorted(subject: Subject) -> None:
    """classes_ holds the distinct labels in order, whatever row comes first."""
    y = subject.labels()
    for X, labels in ((TEXTS, y), (TEXTS[::-1], y[::-1])):
        classes = subject.fit(X, labels).classes_
        if not np.array_equal(classes, np.unique(y)):
            fail(f"classes_ is {shown(classes)}, not {shown(np.unique(y))}.")


@only_if("classifies")
def check_labels_of_int(subject: Subject) -> None:
    """Labels may be whole numbers, and need not be 0 and 1."""
    _assert_learnt(subject, [3, 7], np.array, "i")


@only_if("classifies")
def check_labels_of_negative_int(subject: Subject) -> None:
    """Labels may be negative: -1 and 1 are labels, not scores."""
    _assert_learnt(subject, [-1, 1], np.array, "i")


@only_if("classifies")
def check_labels_of_bool(subject: Subject) -> None:
    """Labels may be True and False, and come back as bool."""
    _assert_learnt(subject, [False, True], np.array, "b")


@only_if("classifies")
def check_labels_of_integral_float(subject: Subject) -> None:
    """Labels may be floats without fraction, as pandas makes of int with gaps."""
    _assert_learnt(subject, [1.0, 2.0], np.array, "f")


@only_if("classifies")
def check_labels_of_str(subject: Subject) -> None:
    """Labels may be str of fixed width, also longer than the first one."""
    _assert_learnt(subject, ["n", "positive"], np.array, "U")


@only_if("classifies")
def check_labels_of_object(subject: Subject) -> None:
    """Labels may be str in an array of objects."""
    _assert_learnt(subject, ["neg", "pos"], lambda y: np.array(y, dtype=object), "O")


@only_if("classifies")
def check_labels_of_string_dtype(subject: Subject) -> None:
    """Labels may be of numpy's StringDType."""
    strings = getattr(np.dtypes, "StringDType", None)
    if strings is None:
        skip("numpy has StringDType from 2.0 on")
    _assert_learnt(
        subject, ["neg", "pos"], lambda y: np.array(y, dtype=strings()), "TUO"
    )


@only_if("classifies")
def check_labels_in_list(subject: Subject) -> None:
    """Labels may be a list of str or of int."""
    _assert_learnt(subject, ["neg", "pos"], list, "UO")
    _assert_learnt(subject, [0, 1], list, "i")


@only_if("classifies")
def check_labels_in_pandas_series(subject: Subject) -> None:
    """Labels may be a Series, whose index is not looked at."""
    pandas = import_or_skip("pandas")
    index = range(50, 50 + len(TEXTS))
    _assert_learnt(
        subject, ["neg", "pos"], lambda y: pandas.Series(y, index=index), "OUT"
    )


@only_if("classifies")
def check_labels_of_pandas_categorical(subject: Subject) -> None:
    """Labels may be pandas categories; one that no row has is no class."""
    pandas = import_or_skip("pandas")
    kinds = ["pos", "neg", "unused"]
    _assert_learnt(
        subject,
        ["neg", "pos"],
        lambda y: pandas.Series(pandas.Categorical(y, categories=kinds)),
        "OUT",
    )


@only_if("classifies")
def check_labels_in_polars_series(subject: Subject) -> None:
    """Labels may be a polars Series."""
    polars = import_or_skip("polars")
    _assert_learnt(subject, ["neg", "pos"], lambda y: polars.Series("y", y), "OUT")


@only_if("knows_more_classes")
def check_three_classes(subject: Subject) -> None:
    """Three classes are learnt, and each answer has a column for each."""
    y = sample_texts.labels(3)
    one = subject.fit(TEXTS, y)
    if not np.array_equal(one.classes_, np.unique(y)):
        fail(f"classes_ is {shown(one.classes_)}, not {shown(np.unique(y))}.")
    for method, answer in subject.answers(one).items():
        shape = np.shape(answer)
        expected = (len(TEXTS),) if method == "predict" else (len(TEXTS), 3)
        # One against one has as many columns for three classes.
        if shape != expected:
            fail(f"{method} has shape {shape} for 3 classes, not {expected}.")


@only_if("classifies")
def check_one_class(subject: Subject) -> None:
    """One class only is refused with a message about classes, or predicted."""
    y = np.array(["good"] * len(TEXTS))
    try:
        one = subject.fit(TEXTS, y)
    except Exception:
        assert_refused(
            lambda: subject.fit(TEXTS, y), "fit on labels of one class", "class"
        )
    else:
        if set(one.predict(TEXTS)) != {"good"}:
            fail("after a fit on one class another is predicted.")


@only_if("learns_labels")
def check_labels_as_column(subject: Subject) -> None:
    """Labels of shape (n, 1) are taken as n labels, with a DataConversionWarning."""
    y = subject.labels()
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        one = subject.fit(TEXTS, y[:, None])
    if not any(issubclass(w.category, DataConversionWarning) for w in issued):
        fail("y of shape (n, 1) came without a DataConversionWarning.")
    found = subject.answers(one)
    assert_same_answers(
        subject, found, subject.expected, "after y of shape (n, 1)", "(n,)"
    )


@only_if("learns_labels")
def check_refuses_missing_labels(subject: Subject) -> None:
    """None or nan among labels is refused: it is no class of its own."""
    y = subject.labels().astype(object)
    for missing in (None, float("nan")):
        y[2] = missing
        assert_refused(
            lambda: subject.fit(TEXTS, y),
            f"fit where y[2] is {missing}",
            r"nan|none|missing|null|mix|unknown label type",
        )


@only_if("learns_labels")
def check_refuses_no_labels(subject: Subject) -> None:
    """A fit without labels is refused, and the message names y."""
    one = subject.new()
    assert_refused(lambda: one.fit(TEXTS, None), "fit where y is None", r"\by\b")


@only_if("classifies")
def check_refuses_continuous_labels(subject: Subject) -> None:
    """Labels with fractions are refused by a classifier, as they are a regressor's."""
    y = np.linspace(0.0, 1.0, len(TEXTS))
    assert_refused(
        lambda: subject.fit(TEXTS, y),
        "fit where y has fractions",
        "continuous|fraction|whole|regress|float|class|label",
    )


@only_if("learns_labels")
def check_score(subject: Subject) -> None:
    """The score is the accuracy of predict, or R2 of a regressor."""
    from sklearn.metrics import accuracy_score, r2_score

    measure = accuracy_score if subject.classifies else r2_score
    # Others than those of the fit, which may all be met.
    y = np.roll(subject.labels(), 1)
    expected = measure(y, subject.expected["predict"])
    found = subject.fitted.score(TEXTS, y)
    if abs(found - expected) > 1e-9 + subject.tolerance:
        fail(f"score is {found}, but {measure.__name__} of predict is {expected}.")


def _assert_learnt(
    subject: Subject, pair: list[Any], pack: Callable[[Any], Any], kinds: str
) -> None:
    """Labels of another kind come to the predictions that plain ones come to."""
    y = pack([pair[side] for side in sample_texts.sides()])
    one = subject.fit(TEXTS, y)
    if list(one.classes_) != pair:
        fail(f"classes_ is {shown(one.classes_)}, but {shown(pair)} was expected.")
    predicted = np.asarray(one.predict(TEXTS))
    if predicted.dtype.kind not in kinds:
        fail(
            f"predict gives dtype {predicted.dtype} where y is "
            f"{shown(getattr(y, 'dtype', type(y)))}."
        )
    known = np.searchsorted(subject.fitted.classes_, subject.expected["predict"])
    expected = np.array([pair[number] for number in known], dtype=object)
    unclear = near_ties(subject, subject.expected)
    wrong = np.flatnonzero((predicted.astype(object) != expected) & ~unclear)
    if wrong.size:
        row = wrong[0]
        fail(
            f"predict says {shown(predicted[row])} for row {row}, but other names for "
            f"the same labels gave {shown(expected[row])}."
        )
