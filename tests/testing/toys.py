"""A vectorizer and a classifier that keep to the contract, in few lines."""

from __future__ import annotations

import re

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sktransfer.baselines.labels import check_targets
from sktransfer.classifier.data.checks import check_labels, number_labels
from sktransfer.exceptions import InvalidInputError
from sktransfer.texts import check_texts


class OfTexts(BaseEstimator):
    """What both share."""

    def read(self, X):
        return check_texts(X)

    def words(self, text):
        return re.findall(r"\w+", text.lower())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class Counts(TransformerMixin, OfTexts):
    """Counts of words, each times a number that was drawn for it."""

    def __init__(self, scale=1.0, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        found = sorted({word for text in self.read(X) for word in self.words(text)})
        self.vocabulary_ = {word: place for place, word in enumerate(found)}
        self.factors_ = self.draw(len(found))
        return self

    def draw(self, n):
        random = check_random_state(self.random_state)
        return self.scale * random.uniform(0.5, 1.5, n)

    def transform(self, X):
        check_is_fitted(self)
        return self.count(self.read(X))

    def count(self, texts):
        table = np.zeros((len(texts), len(self.vocabulary_)))
        for row, text in enumerate(texts):
            for word in self.words(text):
                if word in self.vocabulary_:
                    table[row, self.vocabulary_[word]] += 1
        return table * self.factors_

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(list(self.vocabulary_), dtype=object)


class Votes(ClassifierMixin, OfTexts):
    """Each word votes for the classes it was seen in; several sittings are possible."""

    def __init__(self, smoothing=1.0):
        self.smoothing = smoothing

    def fit(self, X, y, sample_weight=None):
        texts = self.read(X)
        targets = self.check(y, len(texts), sample_weight)
        self.classes_ = targets.classes
        self.seen_ = {}
        kept = [texts[row] for row in targets.rows]
        self.learn(kept, targets.numbers, targets.weight)
        return self

    def check(self, y, n, sample_weight):
        return check_targets(y, n, sample_weight, None)

    def partial_fit(self, X, y, classes=None):
        texts = self.read(X)
        if not hasattr(self, "seen_"):
            self.classes_, self.seen_ = self.first_classes(y, classes), {}
        numbers = number_labels(check_labels(y, len(texts)), self.classes_)
        self.learn(texts, numbers, np.ones(len(texts)))
        return self

    def first_classes(self, y, classes):
        if classes is None:
            raise InvalidInputError("classes are needed in the first call.")
        return np.unique(classes)

    def learn(self, texts, numbers, weights):
        for text, number, weight in zip(texts, numbers, weights, strict=True):
            for word in self.words(text):
                counts = self.seen_.setdefault(word, np.zeros(len(self.classes_)))
                counts[number] += weight

    def predict_log_proba(self, X):
        check_is_fitted(self)
        sums = np.zeros((len(texts := self.read(X)), len(self.classes_)))
        for row, text in enumerate(texts):
            for word in set(self.words(text)):
                if word in self.seen_:
                    counts = self.seen_[word] + self.smoothing
                    sums[row] += np.log(counts / counts.sum())
        return sums - np.logaddexp.reduce(sums, axis=1, keepdims=True)

    def predict_proba(self, X):
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X):
        logs = self.predict_log_proba(X)
        return logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs

    def predict(self, X):
        logs = self.predict_log_proba(X)
        return self.classes_[logs.argmax(axis=1)]
