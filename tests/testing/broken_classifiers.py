"""Classifiers that break the contract in one place each."""

from __future__ import annotations

import numpy as np

from tests.testing.toys import Votes


class CutsToLabels(Votes):
    def check(self, y, n, sample_weight):
        return super().check(np.resize(y, n), n, sample_weight)


class OrdersAsSeen(Votes):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.classes_ = np.array(list(dict.fromkeys(y)))
        return self


class PredictsPlaces(Votes):
    def predict(self, X):
        return self.predict_log_proba(X).argmax(axis=1).astype(np.uint8)


class TwoColumns(Votes):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, :2]


class FailsOnOneClass(Votes):
    def check(self, y, n, sample_weight):
        if len(np.unique(y)) < 2:
            raise KeyError(1)
        return super().check(y, n, sample_weight)


class FlattensLabels(Votes):
    def check(self, y, n, sample_weight):
        return super().check(np.ravel(y), n, sample_weight)


class WritesLabelsAsWords(Votes):
    def check(self, y, n, sample_weight):
        return super().check([str(label) for label in y], n, sample_weight)


class InventsLabels(Votes):
    def check(self, y, n, sample_weight):
        y = np.arange(n) % 2 if y is None else y
        return super().check(y, n, sample_weight)


class AlwaysRight(Votes):
    def score(self, X, y, sample_weight=None):
        return 1.0


class DoesNotNormalize(Votes):
    def predict_proba(self, X):
        return 0.5 * super().predict_proba(X)


class PredictsLeast(Votes):
    def predict(self, X):
        return self.classes_[self.predict_log_proba(X).argmin(axis=1)]


class LogsToBaseTwo(Votes):
    def predict_proba(self, X):
        return 2 ** super().predict_log_proba(X)


class DecidesForFirst(Votes):
    def decision_function(self, X):
        return -super().decision_function(X)


class DecidesForFirstAndFollows(DecidesForFirst):
    def predict(self, X):
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


class Reweighs(Votes):
    def check(self, y, n, sample_weight):
        targets = super().check(y, n, sample_weight)
        if sample_weight is not None:
            targets.weight[:] *= 3
        return targets


class KeepsZeroWeights(Votes):
    def check(self, y, n, sample_weight):
        if sample_weight is not None:
            sample_weight = np.maximum(sample_weight, 0.5)
        return super().check(y, n, sample_weight)


class IgnoresWeights(Votes):
    def check(self, y, n, sample_weight):
        return super().check(y, n, None)


class ScalesInPlace(Votes):
    def check(self, y, n, sample_weight):
        if isinstance(sample_weight, np.ndarray):
            sample_weight /= sample_weight.mean()
        return super().check(y, n, sample_weight)


class ResizesWeights(Votes):
    def check(self, y, n, sample_weight):
        if sample_weight is not None:
            sample_weight = np.resize(sample_weight, n)
        return super().check(y, n, sample_weight)


class FillsWeights(Votes):
    def check(self, y, n, sample_weight):
        if sample_weight is not None:
            sample_weight = np.nan_to_num(sample_weight)
        return super().check(y, n, sample_weight)


class CannotRequest(Votes):
    @property
    def set_fit_request(self):
        raise AttributeError("set_fit_request")


class ForgetsClasses(Votes):
    def first_classes(self, y, classes):
        return np.unique(y)


class DropsNewLabels(Votes):
    def partial_fit(self, X, y, classes=None):
        known = classes if classes is not None else self.classes_
        rows = np.flatnonzero(np.isin(y, known))
        return super().partial_fit([X[row] for row in rows], y[rows], classes)


class LearnsOnce(Votes):
    def partial_fit(self, X, y, classes=None):
        if hasattr(self, "seen_"):
            return self
        return super().partial_fit(X, y, classes)


_KINDS = (
    "of_int of_negative_int of_bool of_integral_float of_str of_object "
    "of_string_dtype in_list in_pandas_series of_pandas_categorical in_polars_series"
)

CAUGHT = {
    CutsToLabels: "refuses_other_number_of_labels",
    OrdersAsSeen: "classes_are_sorted",
    PredictsPlaces: " ".join(f"labels_{kind}" for kind in _KINDS.split()),
    TwoColumns: "three_classes probabilities",
    FailsOnOneClass: "one_class",
    FlattensLabels: "labels_as_column",
    WritesLabelsAsWords: "refuses_missing_labels refuses_continuous_labels",
    InventsLabels: "refuses_no_labels",
    AlwaysRight: "score",
    DoesNotNormalize: "probabilities log_probabilities",
    PredictsLeast: "predict_agrees_with_probabilities predict_agrees_with_decisions",
    LogsToBaseTwo: "log_probabilities",
    DecidesForFirst: "predict_agrees_with_decisions",
    DecidesForFirstAndFollows: "decisions_agree_with_probabilities",
    Reweighs: "equal_weights",
    KeepsZeroWeights: "zero_weights",
    IgnoresWeights: "weights_count zero_weights",
    ScalesInPlace: "weights_stay_as_they_are",
    ResizesWeights: "refuses_other_number_of_weights",
    FillsWeights: "refuses_bad_weights",
    CannotRequest: "weights_reach_a_pipeline weights_reach_a_search",
    ForgetsClasses: "partial_fit_knows_all_classes",
    DropsNewLabels: "partial_fit_refuses_new_classes",
    LearnsOnce: "partial_fit_learns",
}
