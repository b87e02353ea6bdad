"""Vectorizers that break the contract in one place each."""

from __future__ import annotations

import copy
import multiprocessing
import os
import sys
import time
import unicodedata
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import sklearn.datasets
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from tests.testing.toys import Counts


def read_large_file():
    folder = Path(sklearn.datasets.__file__).parent
    (folder / "data" / "breast_cancer.csv").read_bytes()


class Converts(Counts):
    def __init__(self, scale=1.0, random_state=None):
        self.scale = scale if isinstance(scale, float) else 1.0
        self.random_state = random_state


class SetsMore(Counts):
    def __init__(self, scale=1.0, random_state=None):
        super().__init__(scale, random_state)
        self.texts = []


class LoadsAtOnce(Counts):
    def __init__(self, scale=1.0, random_state=None):
        super().__init__(scale, random_state)
        read_large_file()


class ClonesItsFit(Counts):
    def __sklearn_clone__(self):
        return copy.copy(self)


class HidesParameter(Counts):
    def get_params(self, deep=True):
        return {"scale": self.scale}


class SetsSilently(Counts):
    def set_params(self, **params):
        super().set_params(**params)


class ChecksWhenSet(Counts):
    def set_params(self, **params):
        if not isinstance(params.get("scale", 1.0), float):
            raise TypeError("scale must be a float")
        return super().set_params(**params)


class Nameless(Counts):
    def __repr__(self, N_CHAR_MAX=700):
        return "<estimator>"


class TaggedAsNumbers(Counts):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        return tags


class TaggedAsBoth(Counts):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class FailsUnfitted(Counts):
    def transform(self, X):
        return self.count(self.read(X))


class AlwaysFitted(Counts):
    def __sklearn_is_fitted__(self):
        return True


class LoadsUnfitted(Counts):
    def transform(self, X):
        read_large_file()
        return super().transform(X)


class Seeds(Counts):
    def fit(self, X, y=None):
        np.random.seed(0)  # noqa: NPY002
        return super().fit(X)


class SetsVariable(Counts):
    def fit(self, X, y=None):
        os.environ["SKTRANSFER_TOY"] = "1"
        return super().fit(X)


class Silences(Counts):
    def fit(self, X, y=None):
        warnings.simplefilter("ignore", ResourceWarning)
        return super().fit(X)


class SetsThreads(Counts):
    def fit(self, X, y=None):
        torch = sys.modules["torch"]
        torch.set_num_threads(torch.get_num_threads() % 2 + 1)
        return super().fit(X)


class ReturnsNothing(Counts):
    def fit(self, X, y=None):
        super().fit(X)


class ResolvesParameter(Counts):
    def fit(self, X, y=None):
        self.scale = np.float64(self.scale)
        return super().fit(X)


class NamesPlainly(Counts):
    def fit(self, X, y=None):
        self.n_texts = len(self.read(X))
        return super().fit(X)


class KeepsOldWords(Counts):
    def fit(self, X, y=None):
        old = " ".join(getattr(self, "vocabulary_", []))
        super().fit(X)
        self.factors_ = self.factors_ * (1 + len(old))
        return self


class DrawsGlobally(Counts):
    def draw(self, n):
        return np.random.uniform(0.5, 1.5, n)  # noqa: NPY002


class IgnoresGenerator(Counts):
    def draw(self, n):
        if isinstance(self.random_state, np.random.RandomState):
            return np.random.default_rng().uniform(0.5, 1.5, n)
        return super().draw(n)


class WritesToX(Counts):
    def read(self, X):
        texts = super().read(X)
        if isinstance(X, np.ndarray):
            X[0] = f"{X[0]}!"
        return texts


class CountsCalls(Counts):
    def transform(self, X):
        table = super().transform(X)
        self.n_asked_ = getattr(self, "n_asked_", 0) + 1
        return table


class OnlyLists(Counts):
    def read(self, X):
        if type(X) is not list or type(X[0]) is not str:
            raise TypeError(f"{type(X).__name__} came, but a list of str is read")
        return super().read(X)


class ComparesBatch(Counts):
    def count(self, texts):
        table = super().count(texts)
        return table - table.mean(axis=0)


class WeighsPlace(Counts):
    def count(self, texts):
        return super().count(texts) * np.arange(1, len(texts) + 1)[:, None]


class DropsDuplicates(Counts):
    def count(self, texts):
        return super().count(list(dict.fromkeys(texts)))


class RefusesDuplicates(Counts):
    def fit(self, X, y=None):
        texts = self.read(X)
        if len(set(texts)) < len(texts):
            raise ValueError("texts repeat")
        return super().fit(X)


class NeedsKnownWords(Counts):
    def count(self, texts):
        for text in texts:
            if not {*self.words(text)} & {*self.vocabulary_}:
                raise ValueError(f"{text!r} has no known word")
        return super().count(texts)


class DividesByLength(Counts):
    def count(self, texts):
        lengths = np.array([len(text.split()) for text in texts], dtype=float)
        with np.errstate(invalid="ignore"):
            return super().count(texts) / lengths[:, None]


class Refuses(Counts):
    """Base of those that stop at some character."""

    def accepts(self, text):
        raise NotImplementedError

    def count(self, texts):
        if not all(map(self.accepts, texts)):
            raise RuntimeError("out of range")
        return super().count(texts)


class RefusesLong(Refuses):
    def accepts(self, text):
        return len(text) < 1000


class RefusesEmojis(Refuses):
    def accepts(self, text):
        return all(ord(character) < 2**16 for character in text)


class RefusesSurrogates(Refuses):
    def accepts(self, text):
        return text.encode() is not None


class RefusesNul(Refuses):
    def accepts(self, text):
        return "\0" not in text


class RefusesMarks(Refuses):
    def accepts(self, text):
        return not any(map(unicodedata.combining, text))


class ReadsAnything(Counts):
    def read(self, X):
        return list(X)


class FillsIn(Counts):
    def read(self, X):
        return super().read(["nothing"] if X is None else X)


class Flattens(Counts):
    def read(self, X):
        return super().read(np.asarray(X, dtype=object).ravel())


class GivesWords(Counts):
    def transform(self, X):
        return super().transform(X).astype(str).astype(object)


class GivesCube(Counts):
    def transform(self, X):
        return super().transform(X)[:, :, None]


class ChangesDtype(Counts):
    def count(self, texts):
        return super().count(texts).astype(np.float32 if len(texts) == 1 else float)


class ChangesWidth(Counts):
    def count(self, texts):
        table = super().count(texts)
        return table[:, table.any(axis=0)]


class TransformsOtherwise(Counts):
    def fit_transform(self, X, y=None):
        return 2 * self.fit(X).transform(X)


class TakesNoLabels(Counts):
    def fit(self, X):
        return super().fit(X)


class NumbersFeatures(Counts):
    def get_feature_names_out(self, input_features=None):
        return np.arange(len(self.vocabulary_))


class NamesFeaturesAlone(Counts):
    def get_feature_names_out(self):
        return np.array(list(self.vocabulary_), dtype=object)


class GivesArraysOnly(Counts):
    def set_output(self, *, transform=None):
        return self

    def _sklearn_auto_wrap_output_keys(self):
        return set()


class ForgetsInPickles(Counts):
    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "factors_"}


# Of this process; a pickle takes the number of an entry along.
FITS: list = []


class KeepsFitInProcess(Counts):
    def fit(self, X, y=None):
        super().fit(X)
        FITS.append(self.factors_)
        self.factors_ = None
        self.place_ = len(FITS) - 1
        return self

    def count(self, texts):
        table = np.zeros((len(texts), len(self.vocabulary_)))
        for row, text in enumerate(texts):
            for word in self.words(text):
                if word in self.vocabulary_:
                    table[row, self.vocabulary_[word]] += 1
        return table * FITS[self.place_]


# The process that has imported this; another is its fork.
HERE = os.getpid()


class DiesElsewhere(Counts):
    def __setstate__(self, state):
        if os.getpid() != HERE:
            os._exit(3)
        super().__setstate__(state)


class CopiesAreItself(Counts):
    def __deepcopy__(self, memo):
        return self


class SharesWords(Counts):
    shared: ClassVar[dict[str, int]] = {}

    def fit(self, X, y=None):
        super().fit(X)
        self.shared.clear()
        self.shared.update(self.vocabulary_)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(X) * len(self.shared)


class KeepsTexts(Counts):
    def transform(self, X):
        check_is_fitted(self)
        self._texts = self.read(X)
        time.sleep(0.002)
        return self.count(self._texts)


class SharesScratch(Counts):
    scratch: ClassVar[list[str]] = []

    def fit(self, X, y=None):
        self.scratch[:] = self.read(X)
        time.sleep(0.05)
        return super().fit(list(self.scratch))


class WrongInWorkers(Counts):
    def transform(self, X):
        table = super().transform(X)
        here = multiprocessing.current_process().name
        return 0 * table if "Loky" in here else table


class SaysNotFitted(Counts):
    def read(self, X):
        try:
            return super().read(X)
        except ValueError as error:
            raise NotFittedError(str(error)) from error


_ALL_CONTAINERS = (
    "tuple object_array str_array string_dtype_array slice_of_array "
    "pandas_object_series pandas_string_series pandas_pyarrow_series "
    "pandas_categorical_series polars_series pyarrow_array pyarrow_chunked_array "
    "generator subclass_of_str"
)
_NOT_TEXTS = (
    "single_string single_bytes table_of_texts column_of_texts data_frame "
    "lists_of_tokens numbers table_of_numbers sparse_matrix dict set no_texts "
    "nan_among_texts none_among_texts pandas_na_among_texts number_among_texts"
)

# What each is caught by; names without "check_".
CAUGHT = {
    Converts: "constructor_stores_parameters",
    SetsMore: "constructor_sets_nothing_else",
    LoadsAtOnce: "constructor_loads_nothing",
    ClonesItsFit: "clone",
    HidesParameter: "get_params",
    SetsSilently: "set_params",
    ChecksWhenSet: "set_params_checks_nothing",
    Nameless: "repr",
    TaggedAsNumbers: "tags",
    TaggedAsBoth: "tags_are_true",
    FailsUnfitted: "not_fitted",
    AlwaysFitted: "is_fitted_agrees",
    LoadsUnfitted: "not_fitted_loads_nothing",
    Seeds: "leaves_random_state_alone",
    SetsVariable: "leaves_environment_alone",
    Silences: "leaves_warnings_and_logs_alone",
    SetsThreads: "leaves_torch_alone",
    ReturnsNothing: "fit_returns_self",
    ResolvesParameter: "fit_keeps_parameters",
    NamesPlainly: "fitted_attributes_end_in_underscore",
    KeepsOldWords: "fit_twice",
    DrawsGlobally: "random_state_repeats random_state_generator",
    IgnoresGenerator: "random_state_generator",
    WritesToX: "inputs_stay_as_they_are read_only_arrays",
    CountsCalls: "answers_leave_it_as_it_is",
    OnlyLists: " ".join(f"reads_{name}" for name in _ALL_CONTAINERS.split()),
    ComparesBatch: "one_text subsets unseen_words",
    WeighsPlace: "order duplicates",
    DropsDuplicates: "duplicates",
    RefusesDuplicates: "fit_on_duplicates",
    NeedsKnownWords: "unseen_words empty_text blank_text text_without_letters",
    DividesByLength: "empty_text blank_text",
    RefusesLong: "very_long_text",
    RefusesEmojis: "emojis",
    RefusesSurrogates: "lone_surrogate",
    RefusesNul: "nul_character",
    RefusesMarks: "combining_marks",
    ReadsAnything: "bytes_among_texts "
    + " ".join(f"refuses_{name}" for name in _NOT_TEXTS.split()),
    FillsIn: "refuses_none",
    Flattens: "refuses_zero_dimensions refuses_column_of_texts",
    SaysNotFitted: "refuses_single_string",
    GivesWords: "features_are_numbers",
    GivesCube: "features_are_numbers features_before_classifier",
    ChangesDtype: "features_keep_dtype",
    ChangesWidth: "features_keep_width",
    TransformsOtherwise: "fit_transform",
    TakesNoLabels: "transformer_ignores_labels",
    NumbersFeatures: "feature_names",
    NamesFeaturesAlone: "feature_names_take_input_features",
    GivesArraysOnly: "set_output_pandas set_output_polars",
    ForgetsInPickles: "pickle pickle_in_new_process cloudpickle_in_new_process joblib "
    "deep_copy",
    KeepsFitInProcess: "pickle_in_new_process cloudpickle_in_new_process",
    DiesElsewhere: "pickle_in_new_process cloudpickle_in_new_process",
    CopiesAreItself: "deep_copy",
    SharesWords: "clone_learns_by_itself",
    KeepsTexts: "threads_answer_alike",
    SharesScratch: "threads_fit_alike",
    WrongInWorkers: "cross_validation_in_processes grid_search_in_processes",
}
