"""Explanations of models that others use at the same time."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.explanation import explain

TEXT = "the film is greatly boring, but quite fun!"


def test_a_model_answers_others_while_it_is_explained(
    bert, network, sentiment_texts, monkeypatch
):
    model = network(bert(), strategy="fine_tune", max_epochs=1)
    model.fit(sentiment_texts[0][:32], sentiment_texts[1][:32])
    expected = model.decision_function([TEXT])
    features, here, found = TransformerBody._features, threading.get_ident(), []

    def ask_in_between(body, **tokens):
        if threading.get_ident() == here and len(found) < 4:
            with ThreadPoolExecutor(1) as pool:
                ask = pool.submit(model.decision_function, [TEXT])
                found.append(ask.result())
        return features(body, **tokens)

    monkeypatch.setattr(TransformerBody, "_features", ask_in_between)
    explain(model, TEXT, method="gradients")
    assert len(found) == 4
    np.testing.assert_array_equal(found, [expected] * 4)


@pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune", "lora"])
def test_threads_get_the_explanation_that_one_gets(
    bert, network, sentiment_texts, strategy
):
    model = network(bert(), strategy=strategy, max_epochs=1)
    model.fit(sentiment_texts[0][:32], sentiment_texts[1][:32])
    texts = [TEXT, "a good film", "the plot is bad", "no"]
    expected = [explain(model, text).contributions for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda text: explain(model, text).contributions, texts)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_explanations_that_overlap_leave_the_filters_of_warnings(sentiment_texts):
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    class Slow(LogisticRegression):
        def decision_function(self, X):
            if X.shape[0] > 1:  # only probes come by the row
                if threading.current_thread().name == "first":
                    first_is_in.set()
                    second_is_in.wait(0.2)
                else:
                    second_is_in.set()
                    assert first_is_out.wait(10)
            return super().decision_function(X)

    model = make_pipeline(TfidfVectorizer(), Slow()).fit(*sentiment_texts)
    model[-1].feature_names_in_ = model[0].get_feature_names_out()

    def explain_first():
        found.append(explain(model, TEXT, label="pos").method)
        first_is_out.set()

    def explain_second():
        first_is_in.wait(10)
        found.append(explain(model, TEXT, label="pos").method)

    found = []
    before = warnings.filters[:]
    with warnings.catch_warnings():
        # Without a name for each column, the prediction itself would warn.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        within = warnings.filters[:]
        threads = [
            threading.Thread(target=explain_first, name="first"),
            threading.Thread(target=explain_second, name="second"),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = warnings.filters[:]
    assert found == ["exact", "exact"]
    assert after == within
    assert warnings.filters[:] == before


@pytest.mark.parametrize("kind", ["bert", "words"])
def test_no_filter_is_needed_where_features_have_names(
    bert, words, sentiment_texts, kind
):
    first = bert() if kind == "bert" else words()
    plain = make_pipeline(first, StandardScaler(), LogisticRegression())
    plain.fit(*sentiment_texts)
    named = clone(plain).set_output(transform="pandas").fit(*sentiment_texts)
    assert len(named[-1].feature_names_in_) == named[-1].n_features_in_
    found = explain(named, TEXT)  # a warning would be an error
    expected = explain(plain, TEXT)
    assert found.method == expected.method
    np.testing.assert_allclose(found.contributions, expected.contributions, atol=1e-6)
