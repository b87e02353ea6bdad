from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    StaleFitError,
    WordVectorsError,
)
from sktransfer.words import text_vectors as reader
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

SMALL = WordVectors(
    ["good", "bad", "film", "!", "not", "酒店"],
    [[1, 0], [-1, 0], [0, 4], [2, 2], [0, -3], [5, 5]],
)
TEXTS = ["A good film!", "Bad, BAD film", "unknown", "", "好 酒店 not good"]


def fit(**parameters):
    return WordVectorFeaturizer(SMALL, **parameters).fit(TEXTS)


class TestValues:
    """Numbers that a hand computes."""

    @pytest.mark.parametrize(
        ("pooling", "first"),
        [
            ("mean", [1, 2]),
            ("sum", [3, 6]),
            ("max", [2, 4]),
            ("min", [0, 0]),
            (("mean", "max"), [1, 2, 2, 4]),
            (("min", "sum", "mean"), [0, 0, 3, 6, 1, 2]),
        ],
    )
    def test_pooling(self, pooling, first):
        featurizer = fit(pooling=pooling)
        vectors = featurizer.transform(TEXTS)
        np.testing.assert_allclose(vectors[0], first)
        np.testing.assert_array_equal(vectors[2:4], 0)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), featurizer.n_features_out_)
        assert isinstance(featurizer.pooling_, tuple)

    def test_idf_divides_by_the_sum_of_the_weights(self):
        featurizer = fit(weighting="idf")
        good, film, mark = (np.log(6 / (1 + df)) + 1 for df in (2, 2, 1))
        expected = np.array([good + 2 * mark, 4 * film + 2 * mark])
        expected /= good + film + mark
        np.testing.assert_allclose(featurizer.transform(TEXTS)[0], expected, rtol=1e-6)
        np.testing.assert_allclose(
            featurizer.weigh(["good", "neverseen"]), [good, np.log(6) + 1], rtol=1e-6
        )

    def test_without_a_weighting_all_words_weigh_one(self):
        np.testing.assert_array_equal(fit().weigh(["good", "neverseen"]), [1, 1])

    def test_sif_divides_by_the_number_of_words(self):
        featurizer = fit(weighting="sif")
        # Nine known words: good 2, film 2, bad 2, and !, not, 酒店 once each.
        twice, once = 1e-3 / (1e-3 + 2 / 9), 1e-3 / (1e-3 + 1 / 9)
        expected = np.array([twice + 2 * once, 4 * twice + 2 * once]) / 3
        np.testing.assert_allclose(featurizer.transform(TEXTS)[0], expected, rtol=1e-5)

    def test_common_components_are_taken_out(self):
        plain = fit().transform(TEXTS)
        featurizer = fit(n_components_removed=1)
        _, _, directions = np.linalg.svd(plain)
        expected = plain - plain @ np.outer(directions[0], directions[0])
        np.testing.assert_allclose(featurizer.transform(TEXTS), expected, atol=1e-5)
        assert featurizer.components_.shape == (1, 2)

    def test_components_come_from_the_texts_of_fit(self):
        featurizer = fit(n_components_removed=1)
        whole = featurizer.transform(TEXTS)
        np.testing.assert_array_equal(featurizer.transform(TEXTS[:1]), whole[:1])

    def test_normalize_gives_length_one_or_zero(self):
        lengths = np.linalg.norm(fit(normalize=True).transform(TEXTS), axis=1)
        np.testing.assert_allclose(lengths, [1, 1, 0, 0, 1], rtol=1e-6)

    def test_max_length_counts_words_before_unknown_ones_go(self):
        vectors = fit(max_length=2).transform(TEXTS)
        np.testing.assert_array_equal(vectors[0], SMALL["good"])

    def test_lowercase(self):
        vectors = fit(lowercase=False).transform(TEXTS)
        np.testing.assert_array_equal(vectors[1], SMALL["film"])

    def test_a_tokenizer_of_ones_own(self):
        vectors = fit(tokenizer=lambda text: ["film"]).transform(TEXTS)
        np.testing.assert_array_equal(vectors, [SMALL["film"]] * len(TEXTS))

    def test_negation_counts(self):
        vectors = WordVectors(["do", "n't", "like"], [[0], [-1], [1]])
        featurizer = WordVectorFeaturizer(vectors, pooling="sum").fit(["x"])
        assert featurizer.transform(["I don't like it"]).item() == 0


class TestUnknownWords:
    def test_zero_counts_in_a_mean(self):
        vectors = fit(oov="zero").transform(TEXTS)
        np.testing.assert_allclose(vectors[0], [0.75, 1.5])
        np.testing.assert_array_equal(vectors[2], [0, 0])

    def test_random_vectors_belong_to_word_and_seed(self):
        one, two = fit(oov="random", random_state=0), fit(oov="random", random_state=1)
        vectors = one.transform(["unknown", "Unknown unknown", "other"])
        np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-6)
        assert not np.allclose(vectors[0], vectors[2])
        assert not np.allclose(vectors[0], two.transform(["unknown"])[0])
        again = fit(oov="random", random_state=0).transform(["x y", "unknown"])
        np.testing.assert_array_equal(again[1], vectors[0])

    def test_random_vectors_have_the_scale_of_the_others(self):
        featurizer = fit(oov="random", random_state=0)
        drawn = featurizer.transform([f"w{number}" for number in range(500)])
        assert np.std(drawn) == pytest.approx(np.std(SMALL.matrix), rel=0.1)

    def test_the_global_generator_is_left_alone_unless_asked(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        fit()
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_subwords_need_vectors_that_have_them(self):
        with pytest.raises(InvalidParameterError, match="oov='subword', but WordV"):
            fit(oov="subword")

    def test_subwords(self):
        from gensim.models import FastText

        model = FastText(
            [["good", "film"], ["bad", "film"]] * 9,
            vector_size=4,
            min_count=1,
            bucket=30,
            workers=1,
        )
        featurizer = WordVectorFeaturizer(model, oov="subword").fit(["x"])
        expected = (model.wv["goodly"] + model.wv["film"]) / 2
        found = featurizer.transform(["goodly film"])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert (
            clone(featurizer).fit(["x"]).encoder_digest_ == featurizer.encoder_digest_
        )


class TestInput:
    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            ("good film", "X is a single str"),
            (b"good", "X is a single bytes"),
            ([], "X holds no texts"),
            (["a", None], r"X\[1\] is None, a missing value"),
            (["a", float("nan")], r"X\[1\] is nan, a missing value"),
            (["a", b"b"], r"X\[1\] is bytes"),
            (["a", "b", 3], r"X\[2\] is 3 of type int"),
            (np.array([["a", "b"]]), r"2 dimensions \(shape \(1, 2\)\)"),
            (pd.DataFrame({"t": ["a"]}), r"pass one of them, as in X\['t'\]"),
            (pl.Series(["a", None]), r"X\[1\] is None"),
        ],
    )
    @pytest.mark.parametrize("method", ["fit", "transform", "words_of", "tokenize"])
    def test_what_is_no_list_of_texts(self, texts, message, method):
        with pytest.raises(InvalidInputError, match=message):
            getattr(fit(), method)(texts)

    @pytest.mark.parametrize(
        "container",
        [
            tuple,
            np.array,
            lambda texts: np.array(texts, object),
            pd.Series,
            lambda texts: pd.Series(texts, index=range(9, 9 - len(texts), -1)),
            pl.Series,
            iter,
        ],
    )
    def test_any_container_gives_the_same(self, container):
        expected = fit().transform(TEXTS)
        np.testing.assert_array_equal(fit().transform(container(TEXTS)), expected)
        featurizer = WordVectorFeaturizer(SMALL).fit(container(TEXTS))
        np.testing.assert_array_equal(featurizer.transform(TEXTS), expected)

    @pytest.mark.slow
    @given(st.lists(st.text(), min_size=1, max_size=6))
    def test_any_text_has_a_finite_vector_of_its_own(self, texts):
        featurizer = fit(pooling=("mean", "max"), weighting="idf")
        vectors = featurizer.transform(texts)
        assert vectors.shape == (len(texts), 4)
        assert np.isfinite(vectors).all()
        alone = featurizer.transform(texts[-1:])
        np.testing.assert_array_equal(vectors[-1:], alone)

    def test_order_and_blocks_do_not_change_a_row(self, monkeypatch):
        texts = TEXTS * 7
        expected = fit().transform(texts)
        order = np.random.default_rng(0).permutation(len(texts))
        shuffled = fit().transform([texts[place] for place in order])
        np.testing.assert_array_equal(shuffled, expected[order])
        monkeypatch.setattr(reader, "_TEXTS_A_BLOCK", 3)
        np.testing.assert_array_equal(fit().transform(texts), expected)


class TestContract:
    @pytest.mark.parametrize("method", ["transform", "words_of", "tokenize"])
    def test_not_fitted_loads_nothing(self, method):
        featurizer = WordVectorFeaturizer("there/is/no/such/file")
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(featurizer, method)(TEXTS)

    def test_the_constructor_only_stores(self):
        featurizer = WordVectorFeaturizer(3, pooling=4, weighting=5, oov=6)
        assert featurizer.get_params()["oov"] == 6
        assert repr(featurizer)
        assert clone(featurizer).pooling == 4

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"pooling": "median"}, "pooling='median', but one of"),
            ({"pooling": ()}, r"pooling=\(\), but"),
            ({"pooling": ("mean", "median")}, "or a tuple of them is expected"),
            ({"pooling": None}, "pooling=None, but"),
            ({"weighting": "tfidf"}, r"weighting='tfidf', but one of \[None, 'idf'"),
            ({"weighting": np.ones(2)}, "weighting=array"),
            ({"oov": "drop"}, "oov='drop', but one of"),
            ({"lowercase": "yes"}, "lowercase='yes', but True or"),
            ({"normalize": 2}, "normalize=2, but True or"),
            ({"n_components_removed": -1}, "n_components_removed=-1, but a whole"),
            ({"n_components_removed": 1.0}, r"n_components_removed=1\.0, but"),
            (
                {"n_components_removed": 3},
                "=3, but 5 texts of 2 features have at most 2",
            ),
            ({"max_length": 0}, "max_length=0, but a whole number of words"),
            ({"max_length": True}, "max_length=True, but"),
            ({"tokenizer": "jieba"}, "tokenizer='jieba', but 'auto' or a callable"),
        ],
    )
    def test_parameters_out_of_range(self, parameters, message):
        with pytest.raises(InvalidParameterError, match=message):
            fit(**parameters)

    @pytest.mark.parametrize("vectors", [3, None, ["good"], np.ones((2, 2))])
    def test_vectors_that_are_none(self, vectors):
        with pytest.raises(InvalidParameterError, match="but a path, the name of"):
            WordVectorFeaturizer(vectors).fit(TEXTS)

    def test_vectors_that_are_nowhere(self):
        with pytest.raises(WordVectorsError, match="There is no file or folder"):
            WordVectorFeaturizer("there/is/no/such/file").fit(TEXTS)

    @pytest.mark.parametrize(
        "change",
        [
            {"pooling": "max"},
            {"weighting": "sif"},
            {"vectors": "glove-6b-50d"},
            {"oov": "zero"},
            {"max_length": 3},
            {"random_state": 1},
        ],
    )
    def test_a_changed_parameter_makes_the_fit_void(self, change):
        featurizer = fit()
        before = featurizer.get_params()
        featurizer.set_params(**change)
        with pytest.raises(
            StaleFitError, match=f"{next(iter(change))} was .*fit again"
        ):
            featurizer.transform(TEXTS)
        featurizer.set_params(**before)
        featurizer.transform(TEXTS)

    def test_fit_twice_is_the_same(self):
        featurizer = fit(weighting="idf", n_components_removed=1)
        digest, vectors = featurizer.encoder_digest_, featurizer.transform(TEXTS)
        featurizer.fit(["other texts"]).fit(TEXTS)
        assert featurizer.encoder_digest_ == digest
        np.testing.assert_array_equal(featurizer.transform(TEXTS), vectors)
        plain = featurizer.set_params(weighting=None, n_components_removed=0).fit(TEXTS)
        assert plain.components_ is None
        assert plain.word_weights_ is None

    def test_fit_transform_is_fit_then_transform(self):
        featurizer = WordVectorFeaturizer(SMALL, weighting="sif")
        np.testing.assert_array_equal(
            featurizer.fit_transform(TEXTS), fit(weighting="sif").transform(TEXTS)
        )

    @pytest.mark.parametrize(
        "parameters",
        [{"pooling": "max"}, {"weighting": "idf"}, {"oov": "zero"}, {"max_length": 9}],
    )
    def test_the_digest_follows_parameters_and_vectors(self, parameters):
        other = WordVectorFeaturizer(WordVectors(["a"], [[1.0]])).fit(TEXTS)
        digests = {fit().encoder_digest_, fit(**parameters).encoder_digest_}
        assert len({*digests, other.encoder_digest_}) == 3

    def test_what_was_counted_is_part_of_the_digest(self):
        other = WordVectorFeaturizer(SMALL, weighting="idf").fit(TEXTS[1:])
        assert other.encoder_digest_ != fit(weighting="idf").encoder_digest_

    def test_feature_names_and_set_output(self):
        names = list(fit(pooling=("mean", "max")).get_feature_names_out())
        assert names == [f"wordvectorfeaturizer{number}" for number in range(4)]
        texts = pd.Series(TEXTS, index=list("abcde"))
        frame = fit().set_output(transform="pandas").transform(texts)
        if Version(sklearn.__version__) >= Version("1.8"):  # before, of a table alone
            assert list(frame.index) == list("abcde")
        assert list(frame.columns) == names[:2]

    def test_tags_say_that_it_takes_texts(self):
        tags = fit().__sklearn_tags__()
        assert tags.input_tags.string
        assert not tags.input_tags.two_d_array
        assert not tags.target_tags.required

    def test_words_of_and_tokenize_agree(self):
        featurizer = fit(max_length=3)
        words = featurizer.words_of(TEXTS)
        assert words[0] == ["a", "good", "film"]
        assert words[3] == []
        rows, offsets = featurizer.tokenize(TEXTS)
        assert rows.dtype == offsets.dtype == np.int64
        assert offsets.tolist() == np.cumsum([0, *map(len, words)]).tolist()
        flat = [word for row in words for word in row]
        np.testing.assert_array_equal(rows, SMALL.index_of(flat))
        assert -1 in rows


class TestPickles:
    @pytest.fixture
    def saved(self, toy_words, toy_matrix, tmp_path):
        return str(WordVectors(toy_words, toy_matrix).save(tmp_path / "toy")._origin[0])

    @pytest.mark.parametrize(
        "parameters", [{}, {"weighting": "idf", "n_components_removed": 1}]
    )
    def test_round_trip(self, saved, parameters):
        featurizer = WordVectorFeaturizer(saved, **parameters).fit(TEXTS)
        featurizer.transform(TEXTS * 100)
        pickled = pickle.dumps(featurizer)
        assert len(pickled) < 3000
        again = pickle.loads(pickled)
        np.testing.assert_array_equal(
            again.transform(TEXTS), featurizer.transform(TEXTS)
        )
        assert again.encoder_digest_ == featurizer.encoder_digest_

    @pytest.mark.slow
    def test_in_a_fresh_process_without_torch(self, saved, tmp_path):
        featurizer = WordVectorFeaturizer(saved).fit(TEXTS)
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(featurizer))
        code = f"""
import pathlib, pickle, sys
model = pickle.loads(pathlib.Path({str(path)!r}).read_bytes())
print(model.transform(["good film", "不好"]).sum())
assert not {{"torch", "transformers", "skorch", "gensim"}} & set(sys.modules)
"""
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        expected = featurizer.transform(["good film", "不好"]).sum()
        assert float(answer.stdout) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_grid_search_in_two_processes(toy_words, toy_matrix, sentiment_texts):
    texts, labels = sentiment_texts
    vectors = WordVectors(toy_words, toy_matrix)
    pipeline = make_pipeline(WordVectorFeaturizer(vectors), LogisticRegression())
    grid = {
        "wordvectorfeaturizer__pooling": ["mean", ("mean", "max")],
        "wordvectorfeaturizer__weighting": [None, "idf"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(texts, labels)
    assert search.best_score_ > 0.7
    assert len(set(search.cv_results_["mean_test_score"].round(6))) > 1


@pytest.mark.real
def test_packaged_glove_tells_good_from_bad():
    featurizer = WordVectorFeaturizer().fit(["any"])
    texts = ["What a good, lovely film", "An awful, terrible film", "A great film!"]
    good, bad, great = featurizer.set_output(transform="default").transform(texts)
    assert np.linalg.norm(good - great) < np.linalg.norm(bad - great)
    assert len(pickle.dumps(featurizer)) < 3000
    assert featurizer.words_of(["I don't"]) == [["i", "do", "n't"]]
