from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline

from sktransfer.baselines import VaderClassifier, nbsvm_baseline, tfidf_baseline
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.explanation import explain

TEXT = "the film is great, not bad"


@pytest.fixture
def model(sentiment_texts):
    return tfidf_baseline(["good"]).fit(*sentiment_texts)


class TestExplanation:
    def test_it_holds_the_words_and_what_they_are_worth(self, model):
        found = explain(model, TEXT)
        assert found.text == TEXT
        assert found.words == ["the", "film", "is", "great", ",", "not", "bad"]
        assert found.label == model.predict([TEXT])[0]
        chance = model.predict_proba([TEXT])[0]
        assert found.probability == pytest.approx(chance.max())
        assert found.contributions.shape == (7,)

    def test_it_is_a_table(self, model):
        frame = explain(model, TEXT).to_frame()
        assert frame.columns.tolist() == ["word", "start", "stop", "contribution"]
        assert frame.word.tolist()[:2] == ["the", "film"]
        assert frame.iloc[1][["start", "stop"]].tolist() == [4, 8]

    def test_it_shows_itself(self, model):
        found = explain(model, TEXT, label="pos")
        assert found._repr_html_() == found.to_html()
        assert "great" in found.to_html()
        assert str(found).startswith("pos (p = 0.")
        assert "great[+" in str(found)

    def test_html_in_a_text_is_escaped(self, model):
        html = explain(model, "<script>alert(1)</script> great").to_html()
        assert "<script" not in html
        assert "&lt;" in html

    def test_labels_of_any_type_will_do(self, sentiment_texts):
        texts, labels = sentiment_texts
        numbers = (labels == "pos").astype(int)
        found = explain(tfidf_baseline(texts).fit(texts, numbers), TEXT, label=1)
        assert found.label == 1

    def test_one_label_speaks_against_the_other(self, model):
        pos, neg = (explain(model, TEXT, label=label) for label in ("pos", "neg"))
        np.testing.assert_allclose(pos.contributions, -neg.contributions)
        assert pos.probability + neg.probability == pytest.approx(1)

    def test_the_empty_text_has_no_words(self, model):
        found = explain(model, "")
        assert found.words == []
        assert found.to_frame().shape == (0, 4)
        assert found.value == found.base_value
        assert "<mark" not in found.to_html()


class TestEstimators:
    def test_a_search_is_explained_by_its_best(self, sentiment_texts):
        pipeline = Pipeline(
            [("features", TfidfVectorizer()), ("c", LogisticRegression())]
        )
        search = GridSearchCV(pipeline, {"c__C": [0.1, 10]}, cv=3).fit(*sentiment_texts)
        found = explain(search, TEXT)
        best = explain(search.best_estimator_, TEXT)
        assert found.method == "exact"
        np.testing.assert_array_equal(found.contributions, best.contributions)

    def test_wrappers_are_opened(self, model, sentiment_texts):
        plain = explain(model, TEXT, label="pos")
        for wrapped in (
            FrozenEstimator(model),
            Pipeline([("rest", "passthrough"), ("model", model)]),
            TunedThresholdClassifierCV(
                FrozenEstimator(model), cv="prefit", refit=False
            ).fit(*sentiment_texts),
        ):
            found = explain(wrapped, TEXT, label="pos")
            assert found.method == "exact"
            np.testing.assert_array_equal(found.contributions, plain.contributions)

    def test_without_probabilities_there_is_none(self, sentiment_texts):
        found = explain(nbsvm_baseline(["good"]).fit(*sentiment_texts), TEXT)
        assert np.isnan(found.probability)
        assert str(found).startswith(f"{found.label}: ")

    def test_a_lexicon_is_occluded(self, sentiment_texts):
        model = VaderClassifier().fit(*sentiment_texts)
        found = explain(model, "I love it, a broken promise", label="pos")
        by_word = dict(zip(found.words, found.contributions, strict=True))
        assert found.method == "occlusion"
        assert by_word["love"] > 0 > by_word["broken"]
        assert by_word["it"] == 0

    def test_occlusion_takes_probabilities_where_there_is_no_decision(
        self, sentiment_texts
    ):
        model = make_pipeline(
            TfidfVectorizer(), RandomForestClassifier(20, random_state=0)
        ).fit(*sentiment_texts)
        found = explain(model, "film great camera", label="pos")
        chances = model.predict_proba(["film great camera", "film camera"])[:, 1]
        odds = np.log(np.clip(chances, 1e-12, 1 - 1e-12))
        odds -= np.log(np.clip(1 - chances, 1e-12, 1 - 1e-12))
        assert found.contributions[1] == pytest.approx(odds[0] - odds[1])

    def test_what_knows_nothing_explains_nothing(self, sentiment_texts):
        found = explain(DummyClassifier().fit(*sentiment_texts), TEXT)
        assert not found.contributions.any()


@pytest.mark.slow
def test_counts_are_explained_without_torch():
    code = """
import sys
from sktransfer.baselines import tfidf_baseline
from sktransfer.explanation import explain
texts = ["good film", "bad film"]
explain(tfidf_baseline(texts).fit(texts, [1, 0]), "good")
print("torch" in sys.modules, "captum" in sys.modules)
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.split() == ["False", "False"]


class TestErrors:
    def test_an_unknown_label_is_named(self, model):
        with pytest.raises(
            InvalidParameterError, match=r"label='good', but one of \['neg"
        ):
            explain(model, TEXT, label="good")

    def test_an_unknown_method_is_named(self, model):
        with pytest.raises(InvalidParameterError, match="method='lime', but one of"):
            explain(model, TEXT, method="lime")

    @pytest.mark.parametrize("method", ["exact", "gradients"])
    def test_a_method_that_is_not_possible_says_so(self, sentiment_texts, method):
        model = VaderClassifier().fit(*sentiment_texts)
        with pytest.raises(InvalidParameterError, match=f"{method}' is not possible"):
            explain(model, TEXT, method=method)

    @pytest.mark.parametrize("text", [["good"], None, b"good"])
    def test_what_is_no_text_is_refused(self, model, text):
        with pytest.raises(InvalidInputError, match="but a str is expected"):
            explain(model, text)

    def test_not_fitted_is_said(self):
        with pytest.raises(NotFittedError, match="not fitted"):
            explain(tfidf_baseline(["good"]), TEXT)

    def test_a_search_without_its_best_is_refused(self, sentiment_texts):
        search = GridSearchCV(tfidf_baseline(["good"]), {}, cv=3, refit=False)
        with pytest.raises(NotFittedError, match="refit=False"):
            explain(search.fit(*sentiment_texts), TEXT)

    def test_what_reads_numbers_is_refused(self):
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        with pytest.raises(
            InvalidParameterError, match="cannot predict the label of a"
        ):
            explain(model, TEXT)

    def test_what_is_no_classifier_is_refused(self, sentiment_texts):
        texts, labels = sentiment_texts
        model = make_pipeline(TfidfVectorizer(), LinearRegression())
        model.fit(texts, labels == "pos")
        with pytest.raises(InvalidParameterError, match="has no classes_"):
            explain(model, TEXT)
        with pytest.raises(InvalidParameterError, match="a fitted classifier of texts"):
            explain(TfidfVectorizer(), TEXT)
