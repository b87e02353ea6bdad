from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer.baselines import SnowNLPClassifier, VaderClassifier, snownlp, vader
from sktransfer.datasets import load_mini_reviews
from sktransfer.exceptions import InvalidInputError, MissingExtraError


@pytest.fixture(autouse=True)
def quick_chinese(monkeypatch, request):
    """SnowNLP takes seconds to open and 400 MB: two words stand for it here."""
    if request.node.get_closest_marker("real"):
        yield
        return

    def classify(text):
        return 1 / (1 + np.exp(text.count("差") - text.count("好")))

    monkeypatch.setattr(snownlp, "_open_snownlp", lambda: classify)
    snownlp._score_text.cache_clear()
    yield
    snownlp._score_text.cache_clear()


ENGLISH = ["I love it", "great!", "it is ok", "I hate it", "awful", "the worst"]
CHINESE = ["好", "很好", "好好好", "差", "太差", "差差差"]
LABELS = np.array(["pos", "pos", "pos", "neg", "neg", "neg"])


@pytest.mark.parametrize(
    ("classifier", "texts"), [(VaderClassifier, ENGLISH), (SnowNLPClassifier, CHINESE)]
)
class TestContract:
    def test_parameters_are_only_stored(self, classifier, texts):
        model = classifier(class_weight="balanced")
        assert vars(model) == {"class_weight": "balanced"}
        assert repr(clone(model)) == f"{classifier.__name__}(class_weight='balanced')"

    def test_it_learns(self, classifier, texts):
        model = classifier().fit(texts, LABELS)
        assert model.score(texts, LABELS) == 1
        assert model.classes_.tolist() == ["neg", "pos"]
        assert model.order_.tolist() == ["neg", "pos"]

    def test_all_answers_agree(self, classifier, texts):
        model = classifier().fit(texts, LABELS)
        probabilities = model.predict_proba(texts)
        decisions = model.decision_function(texts)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        np.testing.assert_allclose(
            np.log(probabilities[:, 1] / probabilities[:, 0]), decisions
        )
        picked = model.classes_[probabilities.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(texts), picked)

    def test_the_positive_class_is_found_whatever_it_is_called(self, classifier, texts):
        # Sorted, the positive class now comes first.
        model = classifier().fit(texts, np.where(LABELS == "pos", 0, 1))
        assert model.order_.tolist() == [1, 0]
        assert model.predict(texts).tolist() == [0, 0, 0, 1, 1, 1]
        picked = model.predict_proba(texts).argmax(axis=1)
        assert picked.tolist() == [0, 0, 0, 1, 1, 1]

    def test_three_classes_are_cut_in_order(self, classifier, texts):
        labels = ["good", "good", "medium", "medium", "bad", "bad"]
        model = classifier().fit(texts, labels)
        assert set(model.order_.tolist()) == {"bad", "good", "medium"}
        assert (np.diff(model.cuts_) > 0).all()
        probabilities = model.predict_proba(texts)
        assert probabilities.shape == model.decision_function(texts).shape == (6, 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        picked = model.classes_[probabilities.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(texts), picked)

    def test_fitting_twice_gives_the_same(self, classifier, texts):
        model = classifier().fit(texts, LABELS)
        before = model.predict_proba(texts)
        np.testing.assert_array_equal(
            model.fit(texts, LABELS).predict_proba(texts), before
        )

    def test_rows_do_not_depend_on_their_company(self, classifier, texts):
        model = classifier().fit(texts, LABELS)
        every = model.decision_function(texts)
        np.testing.assert_array_equal(model.decision_function(texts[::-1]), every[::-1])
        np.testing.assert_array_equal(model.decision_function(texts[2:3]), every[2:3])

    @pytest.mark.parametrize("container", [tuple, np.array, pd.Series, pl.Series])
    def test_any_container_will_do(self, classifier, texts, container):
        model = classifier().fit(container(texts), container(list(LABELS)))
        assert model.predict(container(texts)).tolist() == LABELS.tolist()

    def test_the_empty_string_is_a_text(self, classifier, texts):
        model = classifier().fit([*texts, ""], [*LABELS, "neg"])
        assert model.predict([""]).shape == (1,)

    def test_it_pickles(self, classifier, texts):
        model = classifier().fit(texts, LABELS)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(
            again.predict_proba(texts), model.predict_proba(texts)
        )

    def test_not_fitted_is_said(self, classifier, texts):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            classifier().predict(texts)

    def test_a_grid_reaches_it_in_a_pipeline(self, classifier, texts):
        pipeline = make_pipeline(FunctionTransformer(), classifier())
        name = f"{classifier.__name__.lower()}__class_weight"
        search = GridSearchCV(pipeline, {name: [None, "balanced"]}, cv=3)
        assert search.fit(texts, LABELS).best_score_ > 0.5

    def test_weights_move_the_cut(self, classifier, texts):
        plain = classifier().fit(texts, LABELS)
        bent = classifier(class_weight={"pos": 9, "neg": 1}).fit(texts, LABELS)
        weighted = classifier().fit(texts, LABELS, np.where(LABELS == "pos", 9, 1))
        assert bent.cuts_[0] < plain.cuts_[0]
        assert weighted.cuts_[0] == pytest.approx(bent.cuts_[0])

    def test_rows_of_weight_zero_are_not_there(self, classifier, texts):
        model = classifier().fit([*texts, "?"], [*LABELS, "other"], [1] * 6 + [0])
        assert model.classes_.tolist() == ["neg", "pos"]

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            ("good", ["a"], "X is a single str"),
            (["good", None], ["a", "b"], r"X\[1\] is None"),
            (np.zeros((2, 2)), ["a", "b"], "X has 2 dimensions"),
            (["good", "bad"], ["a"], "X has 2 rows but y has 1 labels"),
            (["good", "bad"], ["a", "a"], "1 class only, 'a'"),
            (["good"], None, "y is None"),
        ],
    )
    def test_bad_input_is_refused(self, classifier, texts, X, y, message):
        with pytest.raises(InvalidInputError, match=message):
            classifier().fit(X, y)


def test_vader_does_better_than_guessing():
    texts, labels = load_mini_reviews("en", return_X_y=True)
    assert cross_val_score(VaderClassifier(), texts, labels, cv=5).mean() > 0.6


def test_a_text_is_scored_once_a_process(monkeypatch):
    seen = []
    classify = snownlp._open_snownlp()

    def counting(text):
        seen.append(text)
        return classify(text)

    monkeypatch.setattr(snownlp, "_open_snownlp", lambda: counting)
    model = SnowNLPClassifier().fit(CHINESE, LABELS)
    model.predict(CHINESE)
    model.predict_proba(CHINESE * 2)
    assert sorted(seen) == sorted(CHINESE)


@pytest.mark.parametrize(
    ("classifier", "module", "opener"),
    [
        (VaderClassifier, vader, vader._open_vader),
        (SnowNLPClassifier, snownlp, snownlp._open_snownlp),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, classifier, module, opener):
    opener.cache_clear()
    monkeypatch.setattr(module, opener.__name__, opener)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    package = module.BASELINE.package
    with pytest.raises(
        MissingExtraError, match=rf"'{package}'.*sktransfer\[baselines\]"
    ):
        classifier().fit(["a text that nobody", "has scored"], [0, 1])


@pytest.mark.real
def test_the_model_in_snownlp_knows_chinese():
    texts, labels = load_mini_reviews("zh", return_X_y=True)
    assert cross_val_score(SnowNLPClassifier(), texts, labels, cv=3).mean() > 0.65
