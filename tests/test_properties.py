"""What holds for any text, label, weight and batch size, over the public estimators.

Hypothesis looks for what breaks it. A run takes the same examples each time;
``SKTRANSFER_PROPERTIES=20`` looks at twenty times as many, drawn anew.
"""

from __future__ import annotations

import copy
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sktransfer.baselines import NBSVMClassifier, VaderClassifier
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.prediction_files import load_predictions
from sktransfer.comparison.predictions import compare_predictions
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import SktransferError
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

FACTOR = int(os.environ.get("SKTRANSFER_PROPERTIES", "1"))


def tries(n):
    """Settings of a test with `n` examples, each of which may be slow."""
    return settings(
        max_examples=n * FACTOR,
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        suppress_health_check=list(HealthCheck),
    )


# Letters of every kind, halves of one among them, and what texts stumble over: accents
# apart, the other direction, families of emoji, endless words, nothing but blanks.
PIECES = ["good", "bad ", "the film", "酒店很好", "e\u0301", "a\u0300" * 9, "שלום "]
PIECES += ["\u202eabc\u202c", "👩‍👩‍👧‍👦", "🇩🇪", "\ud83d", "\udc00", "\0", "\ufeff"]
PIECES += [" ", "\u3000", "\n\t\r", "\u2028", "x" * 400, "ß", "İ", "ﷺ", "\u200d"]
CHARACTERS = st.characters(exclude_categories=[])
TEXT = st.lists(
    st.sampled_from(PIECES) | st.text(CHARACTERS, max_size=6), max_size=5
).map("".join)
TEXTS = st.lists(TEXT, min_size=1, max_size=7)

WHOLE = st.integers(-(2**53), 2**53)
KINDS = {
    "str": st.text(min_size=1, max_size=5).filter(lambda label: label[-1] != "\0"),
    "int": WHOLE,
    "float": WHOLE.map(float),
    "bool": st.booleans(),
    "object": st.text(CHARACTERS, max_size=5),
}


@st.composite
def labelled(draw, n=12, n_classes=(2, 3)):
    """Classes, sorted, and `n` labels of them, each of which comes at least once."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    most = 2 if kind == "bool" else n_classes[1]
    one = st.lists(KINDS[kind], min_size=n_classes[0], max_size=most, unique=True)
    classes = sorted(draw(one))
    places = draw(st.lists(st.integers(0, len(classes) - 1), min_size=n, max_size=n))
    places[: len(classes)] = range(len(classes))
    dtype = object if kind == "object" else None
    return np.array([classes[place] for place in places], dtype)


@st.composite
def weights(draw, n=12):
    """Some 0 after the first six, some tiny, some huge, some whole."""
    size = st.sampled_from([1e-9, 1e-3, 1.0, 1.0, 2.5, 1e6]) | st.floats(0.1, 10)
    some = draw(st.lists(size | st.just(0.0), min_size=n - 6, max_size=n - 6))
    return np.array(draw(st.lists(size, min_size=6, max_size=6)) + some)


@pytest.fixture(scope="module")
def bert(tiny_bert):
    """Featurizers of the tiny BERT in float32."""

    def bert(**parameters):
        defaults = {"dtype": "float32", "device": "cpu", "cache": None}
        return BertFeaturizer(tiny_bert, **defaults | parameters)

    return bert


@pytest.fixture(scope="module")
def vectors(toy_words, toy_matrix):
    return WordVectors(toy_words, toy_matrix)


@pytest.fixture(scope="module")
def models(bert, vectors, sentiment_texts, tmp_path_factory):
    """Fitted classifiers of texts by name, each with what a folder brought back."""
    import torch

    from sktransfer.baselines import nbsvm_baseline, tfidf_baseline

    texts, labels = sentiment_texts
    options = {"device": "cpu", "random_state": 0, "max_epochs": 1}
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def make(encoder, strategy):
        return TransferSentimentClassifier(encoder, strategy, **options)

    made = {
        "frozen": make(bert(), "feature_extraction"),
        "bias": make(bert(max_length=24), "bias"),
        "words": make(WordVectorFeaturizer(vectors), "fine_tune"),
        "tfidf": tfidf_baseline(texts),
        "nbsvm": nbsvm_baseline(texts),
        "vader": VaderClassifier(),
    }
    found = {}
    for name, model in made.items():
        folder = tmp_path_factory.mktemp(name)
        save(model.fit(texts, labels), folder)
        found[name] = model, load(folder)
    yield found
    torch.set_num_threads(n_threads)


FEATURIZERS = ["cls", "mean", "words", "idf"]


@pytest.fixture(scope="module")
def featurizers(bert, vectors, sentiment_texts):
    """Fitted featurizers by name."""
    made = {
        "cls": bert(pooling="cls", max_length=24),
        "mean": bert(pooling=("mean", "max"), max_length=24),
        "words": WordVectorFeaturizer(vectors),
        "idf": WordVectorFeaturizer(
            vectors, weighting="idf", pooling=("mean", "min", "max")
        ),
    }
    assert list(made) == FEATURIZERS
    return {name: one.fit(sentiment_texts[0]) for name, one in made.items()}


class TestFeatures:
    @tries(12)
    @given(data=st.data(), texts=TEXTS)
    @pytest.mark.parametrize("name", FEATURIZERS)
    def test_a_row_is_its_texts_alone(self, featurizers, name, data, texts):
        featurizer = copy.copy(featurizers[name])
        given_texts = list(texts)
        vectors = featurizer.transform(texts)
        assert texts == given_texts
        assert vectors.shape[0] == len(texts)
        assert np.isfinite(vectors).all()
        rows = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1))
        if hasattr(featurizer, "batch_size"):
            featurizer.batch_size = data.draw(st.sampled_from([1, 2, 3, 64]))
        chosen = featurizer.transform(np.array(texts, object)[rows])
        np.testing.assert_allclose(chosen, vectors[rows], atol=2e-5)


MODELS = ["frozen", "bias", "words", "tfidf", "nbsvm", "vader"]


class TestAnswers:
    @tries(10)
    @given(data=st.data(), texts=TEXTS)
    @pytest.mark.parametrize("name", MODELS)
    def test_of_any_text(self, models, name, data, texts):
        model, loaded = models[name]
        before = list(texts)
        told = model.predict(texts)
        assert texts == before
        assert set(told) <= {"pos", "neg"}
        np.testing.assert_array_equal(loaded.predict(texts), told)
        rows = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1))
        chosen = tuple(texts[row] for row in rows)
        decision = model.decision_function(texts)
        np.testing.assert_array_equal(loaded.decision_function(texts), decision)
        np.testing.assert_allclose(
            model.decision_function(chosen), decision[rows], atol=1e-4
        )
        if hasattr(model, "predict_proba"):
            shares = model.predict_proba(texts)
            assert ((shares >= 0) & (shares <= 1)).all()
            np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
            best = model.classes_[shares.argmax(axis=1)]
            # Of two classes that are as probable as each other either may be told.
            sure = np.abs(shares[:, 0] - 0.5) > 1e-6
            np.testing.assert_array_equal(best[sure], told[sure])


X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def classifier(**parameters):
    options = {"hidden_layer_sizes": (), "weight_decay": 0.01, "device": "cpu"}
    options |= {"random_state": 0, "max_epochs": 2}
    return TransferSentimentClassifier(**options | parameters)


def nbsvm(**parameters):
    return NBSVMClassifier(random_state=0, **parameters)


class TestLabels:
    @tries(15)
    @given(y=labelled(), size=st.sampled_from([(), (3,)]), batch=st.integers(1, 20))
    def test_come_back_as_they_were_given(self, tmp_path_factory, y, size, batch):
        model = classifier(hidden_layer_sizes=size, batch_size=batch)
        given_labels = y.copy()
        model.fit(X, y)
        np.testing.assert_array_equal(y, given_labels)
        assert model.classes_.tolist() == sorted(set(y.tolist()))
        told = model.predict(X)
        assert told.dtype == y.dtype
        assert set(map(type, told.tolist())) <= set(map(type, y.tolist()))
        np.testing.assert_array_equal(
            told, model.classes_[model.predict_proba(X).argmax(axis=1)]
        )
        folder = tmp_path_factory.mktemp("model")
        save(model, folder)
        loaded = load(folder)
        assert loaded.classes_.dtype == model.classes_.dtype
        assert loaded.classes_.tolist() == model.classes_.tolist()
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))

    @tries(15)
    @given(y=labelled())
    def test_so_they_do_from_a_baseline(self, y):
        told = nbsvm().fit(np.abs(X), y).predict(np.abs(X))
        assert told.dtype == y.dtype
        assert set(told.tolist()) <= set(y.tolist())


CLASS_WEIGHTS = st.sampled_from([None, "balanced", {0: 3, 1: 0.5}])
Y = np.arange(12) % 2


class TestWeights:
    @tries(20)
    @given(weight=weights(), class_weight=CLASS_WEIGHTS, factor=st.floats(1e-6, 1e6))
    @pytest.mark.parametrize("size", [(), (3,)])
    def test_only_ratios_count(self, size, weight, class_weight, factor):
        options = {"class_weight": class_weight, "hidden_layer_sizes": size}
        one, other = classifier(**options), classifier(**options)
        kept = weight.copy()
        one.fit(X, Y, weight)
        other.fit(X, Y, weight * factor)
        np.testing.assert_array_equal(weight, kept)
        np.testing.assert_allclose(
            other.predict_proba(X), one.predict_proba(X), atol=1e-4
        )

    @tries(10)
    @given(factor=st.floats(1e-6, 1e6), size=st.sampled_from([(), (3,)]))
    def test_equal_ones_are_none(self, factor, size):
        weighted = classifier(hidden_layer_sizes=size).fit(X, Y, np.full(12, factor))
        plain = classifier(hidden_layer_sizes=size).fit(X, Y)
        np.testing.assert_array_equal(weighted.predict_proba(X), plain.predict_proba(X))

    @tries(15)
    @given(times=st.lists(st.integers(0, 4), min_size=10, max_size=10))
    def test_whole_ones_are_repeats(self, times):
        times = np.array([1, 2, *times])
        weighted = classifier().fit(X, Y, times)
        repeated = classifier().fit(X.repeat(times, axis=0), Y.repeat(times))
        np.testing.assert_allclose(
            weighted.decision_function(X), repeated.decision_function(X), atol=1e-3
        )

    @tries(10)
    @given(weight=weights())
    @pytest.mark.parametrize("make", [classifier, nbsvm])
    def test_rows_of_weight_0_are_as_if_they_were_not_there(self, make, weight):
        features, kept = np.abs(X), weight > 0
        whole = make().fit(features, Y, weight)
        part = make().fit(features[kept], Y[kept], weight[kept])
        np.testing.assert_allclose(
            whole.decision_function(features),
            part.decision_function(features),
            atol=1e-4,
        )


class TestWordVectors:
    @tries(15)
    @given(words=st.lists(TEXT, min_size=1, max_size=6, unique=True), data=st.data())
    @pytest.mark.parametrize("format", ["sktransfer", "word2vec", "word2vec-binary"])
    def test_come_back_from_a_file(self, tmp_path_factory, words, data, format):
        number = st.floats(-(2.0**90), 2.0**90, width=32)
        row = st.lists(number, min_size=2, max_size=2)
        matrix = np.array([data.draw(row) for _ in words], np.float32)
        try:
            made = WordVectors(words, matrix)
        except SktransferError:
            return
        place = tmp_path_factory.mktemp("vectors") / "words"
        try:
            read = made.save(place, format=format)
        except SktransferError:
            return
        assert read.words == made.words == tuple(words)
        np.testing.assert_array_equal(read.matrix, matrix)
        asked = data.draw(st.lists(st.sampled_from(words) | TEXT, max_size=5))
        rows = [words.index(word) if word in words else -1 for word in asked]
        assert read.index_of(asked).tolist() == rows
        np.testing.assert_array_equal(read.lookup(rows), made.lookup(rows))
        assert [word in read for word in asked] == [word in words for word in asked]


class TestComparisons:
    @tries(6)
    @given(y=labelled(), data=st.data(), texts=st.lists(TEXT, min_size=12, max_size=12))
    def test_are_the_same_from_a_file(self, tmp_path_factory, y, data, texts):
        labels = st.lists(st.sampled_from(y.tolist()), min_size=12, max_size=12)
        guesses = {
            name: np.array(data.draw(labels), y.dtype) for name in ("one", "other")
        }
        path = tmp_path_factory.mktemp("comparison") / "predictions.jsonl"
        try:
            made = compare_predictions(y, guesses, texts=texts)
            made.save_predictions(path)
        except SktransferError:
            return
        again = compare_predictions(**load_predictions(path))
        pd.testing.assert_frame_equal(again.results, made.results)
        assert again.classes.tolist() == made.classes.tolist()
        assert again.texts == texts
