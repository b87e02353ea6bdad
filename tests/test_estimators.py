import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline

from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import (
    inner_estimators,
    is_encoder,
    is_estimator,
    is_text_classifier,
    open_wrappers,
    steps_of,
    walk,
    wrapped_in,
)

TEXTS, LABELS = ["good film", "bad film"] * 6, [1, 0] * 6


@pytest.fixture
def words():
    return make_pipeline(CountVectorizer(), LogisticRegression())


class TestKinds:
    def test_a_class_is_no_estimator(self):
        assert is_estimator(LogisticRegression())
        assert not is_estimator(LogisticRegression)

    def test_what_predicts_may_be_a_classifier_of_texts(self, words):
        assert is_text_classifier(words)
        assert not is_text_classifier(CountVectorizer())

    def test_encoders_keep_vectors(self):
        class Own(BertFeaturizer):
            pass

        assert is_encoder(Own())
        assert not is_encoder(CountVectorizer())


class TestInner:
    def test_prefixes_set_parameters(self, words):
        search = GridSearchCV(words, {})
        found = dict(inner_estimators(search))
        assert found["estimator__countvectorizer__"] is words[0]
        search.set_params(estimator__countvectorizer__binary=True)
        assert words[0].binary

    def test_what_is_frozen_is_not_looked_into(self, words):
        assert len(list(inner_estimators(FrozenEstimator(words)))) == 1

    def test_steps_that_do_nothing_are_left_out(self):
        head = LogisticRegression()
        pipeline = Pipeline([("a", "passthrough"), ("b", None), ("c", head)])
        assert steps_of(pipeline) == [head]


class TestWrappers:
    def test_all_are_opened(self, words):
        search = GridSearchCV(words, {"countvectorizer__binary": [True]}, cv=2)
        fitted = FrozenEstimator(search.fit(TEXTS, LABELS))
        inner = open_wrappers(fitted)
        assert inner is fitted.estimator.best_estimator_[-1]
        assert inner.coef_.shape == (1, 3)

    def test_only_those_that_are_named(self, words):
        tuned = TunedThresholdClassifierCV(words, cv=2).fit(TEXTS, LABELS)
        frozen = FrozenEstimator(tuned)
        assert open_wrappers(frozen, FrozenEstimator, Pipeline) is tuned
        assert open_wrappers(frozen) is tuned.estimator_[-1]

    def test_what_is_not_fitted_or_no_wrapper_stays(self, words):
        search = GridSearchCV(words, {})
        assert wrapped_in(search) is None
        assert open_wrappers(search) is search
        assert open_wrappers(None) is None


class TestWalk:
    def test_each_once_at_any_depth(self):
        inner = TfidfVectorizer()
        outer = LogisticRegression(class_weight={"a": [inner, (inner,)]})
        outer.self_ = outer
        found = [one for one in walk(outer, is_estimator) if is_estimator(one)]
        assert sorted(map(id, found)) == sorted(map(id, (outer, inner)))

    def test_attributes_only_where_asked_for(self):
        outer = LogisticRegression(class_weight="balanced")
        assert list(walk([outer], lambda one: False)) == [[outer], outer]

    def test_arrays_of_objects_and_sets_are_containers(self):
        one, other = CountVectorizer(), CountVectorizer(binary=True)
        array = np.array([one, other], dtype=object)
        found = list(walk({"a": array, "b": {1}}, lambda one: False))
        ids = {id(each) for each in found}
        assert {id(one), id(other), id(array)} < ids
        assert 1 in [each for each in found if isinstance(each, int)]
