import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from sktransfer.exceptions import InvalidInputError, StaleFitError
from sktransfer.persistence import load, save

CLASSES = ["neg", "pos"]


class Words:
    """A tokenizer that says nothing of its own; a copy of it is another object."""

    def __call__(self, text):
        return text.split()


def stays(model, X, y):
    """Go on in both ways, which raises where the structure is another."""
    model.set_params(warm_start=True).fit(X, y)
    model.partial_fit(X, y)


class TestWhatCannotChange:
    @pytest.mark.parametrize(
        ("changed", "was"),
        [
            (
                {"hidden_layer_sizes": (3,)},
                r"hidden_layer_sizes was \(4,\).* is \(3,\)",
            ),
            ({"activation": "tanh"}, "activation was 'relu', but it is 'tanh' now"),
            ({"scale_features": False}, "scale_features was True, but it is False"),
            ({"init_from": "models/films"}, "init_from was None, .* 'models/films'"),
        ],
    )
    def test_of_a_head_on_numbers(self, make, numbers, changed, was):
        X, y = numbers
        model = make(encoder=None).fit(X, y)
        expected = model.predict_proba(X)
        model.set_params(warm_start=True, **changed)
        message = (
            f"warm_start=True goes on with the network of the last fit, in .*{was}"
        )
        with pytest.raises(StaleFitError, match=message):
            model.fit(X, y)
        with pytest.raises(StaleFitError, match=f"partial_fit goes on .*{was}"):
            model.partial_fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), expected)

    def test_starting_anew_takes_it(self, make, numbers):
        model = make(encoder=None, warm_start=True).fit(*numbers)
        model.set_params(hidden_layer_sizes=(3,), warm_start=False).fit(*numbers)
        assert model.net_.module_.layout.hidden_layer_sizes == (3,)
        model.set_params(warm_start=True).fit(*numbers)

    @pytest.mark.parametrize(
        ("changed", "was"),
        [
            ({"encoder__pooling": "max"}, "encoder__pooling was 'auto', .* is 'max'"),
            ({"encoder__max_length": 7}, "encoder__max_length was None, but it is 7"),
            ({"encoder": TfidfVectorizer()}, "encoder was BertFeaturizer.* Tfidf"),
            ({"encoder": "glove-6b-50d"}, "encoder was Bert.* WordVectorFeaturizer"),
        ],
    )
    def test_of_a_transformer(self, make, sentiment_texts, changed, was):
        model = make(warm_start=True).fit(*sentiment_texts)
        model.set_params(**changed)
        with pytest.raises(StaleFitError, match=was):
            model.fit(*sentiment_texts)

    def test_other_weights(self, make, tiny_bert, other_tiny_bert, sentiment_texts):
        model = make(encoder=tiny_bert, warm_start=True).fit(*sentiment_texts)
        with pytest.raises(StaleFitError, match="encoder__model was"):
            model.set_params(encoder=other_tiny_bert).fit(*sentiment_texts)
        with pytest.raises(StaleFitError, match="'no/such' now"):
            model.set_params(encoder="no/such").fit(*sentiment_texts)

    def test_of_others_encoders(self, make, words, sentiment_texts, toy_words):
        texts, labels = sentiment_texts
        pipe = make_pipeline(TfidfVectorizer(), MaxAbsScaler())
        for encoder, changed in (
            (words(), {"encoder__pooling": ("mean", "max")}),
            (pipe, {"encoder__tfidfvectorizer__ngram_range": (1, 2)}),
            (TfidfVectorizer(), {"encoder__dtype": np.float32}),
            (
                CountVectorizer(vocabulary={"is", "good"}),
                {"encoder__vocabulary": {"is"}},
            ),
        ):
            model = make(encoder=encoder, warm_start=True, max_epochs=1)
            model.fit(texts, labels).set_params(**changed)
            with pytest.raises(StaleFitError, match=r"encoder.* was .*, but it is"):
                model.fit(texts, labels)

    def test_the_source(self, make, numbers):
        X, y = numbers
        sources = [make(encoder=None, random_state=n).fit(X, y) for n in (1, 2)]
        one, other = map(FrozenEstimator, sources)
        model = make(encoder=None, init_from=one, warm_start=True).fit(X, y)
        model.set_params(init_from=FrozenEstimator(sources[0])).fit(X, y)
        model = pickle.loads(pickle.dumps(model)).fit(X, y)
        for changed in (other, None):
            with pytest.raises(StaleFitError, match="init_from was Frozen"):
                model.set_params(init_from=changed).fit(X, y)

    def test_classes(self, make, numbers):
        X, y = numbers
        model = make(encoder=None, warm_start=True).fit(X, y)
        message = r"labels \['new'\], which are not among the classes \['neg', 'pos'\]"
        with pytest.raises(InvalidInputError, match=message):
            model.fit(X, np.where(y == "neg", "new", y))


class TestWhatMayChange:
    def test_rates_lengths_and_dropout(self, make, numbers):
        X, y = numbers
        model = make(encoder=None, dropout=0.1, warm_start=True).fit(X, y)
        model.set_params(max_epochs=1, batch_size=7, head_learning_rate=0.1)
        model.set_params(dropout=0.6, scale_features="auto", hidden_layer_sizes=[4])
        stays(model, X, y)
        network = model.net_.module_
        assert network.layout.dropout == 0.6
        assert network.head.get_submodule("dropout_1").p == 0.6
        assert len(model.history_) == 1

    def test_the_same_in_other_words(self, make, bert, tiny_bert, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(encoder=bert(), max_epochs=1).fit(texts, labels)
        again = {"pooling": ("mean",), "model": Path(tiny_bert), "cache": None}
        again |= {"normalize": np.bool_(False), "verbose": np.int64(0)}
        model.set_params(encoder=bert(**again), hidden_layer_sizes="auto")
        stays(model, texts, labels)

    def test_copies_of_what_cannot_be_told_apart(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        encoder = TfidfVectorizer(tokenizer=Words(), token_pattern=None)
        model = make(encoder=encoder, max_epochs=1).fit(texts, labels)
        stays(pickle.loads(pickle.dumps(model)), texts, labels)
        stays(model.set_params(encoder__dtype=np.float64), texts, labels)

    @pytest.mark.parametrize("kind", ["words", "frozen", "numbers"])
    def test_a_loaded_model_goes_on(
        self, make, words, sentiment_texts, numbers, tmp_path, kind
    ):
        texts, labels = sentiment_texts
        encoder = {
            "words": lambda: words(weighting="idf"),
            "frozen": lambda: FrozenEstimator(TfidfVectorizer().fit(texts)),
            "numbers": lambda: None,
        }[kind]()
        X, y = numbers if kind == "numbers" else (texts, labels)
        source = make(encoder=encoder, max_epochs=1).fit(X, y)
        model = make(
            encoder=encoder, max_epochs=1, init_from=FrozenEstimator(source)
        ).fit(X, y)
        save(model, tmp_path / "model")
        stays(load(tmp_path / "model"), X, y)
