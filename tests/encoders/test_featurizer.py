import inspect
import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sktransfer.encoders import encoding
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.loaded_models import load_module, load_tokenizer
from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    StaleFitError,
    TruncationWarning,
)

TEXTS = ["the film is good", "bad", "", "a boring plot but a great actor !", "好"]


@pytest.fixture(autouse=True)
def empty_store():
    memory_store().clear()
    yield
    memory_store().clear()


@pytest.fixture
def make(tiny_bert):
    """Featurizers of the tiny BERT in float32, whatever the machine prefers."""

    def make(**parameters):
        defaults = {"model": tiny_bert, "dtype": "float32", "device": "cpu"}
        return BertFeaturizer(**defaults | parameters)

    return make


@pytest.fixture
def counted():
    """How many texts have gone through a model since the test began."""
    before = n_texts_encoded()
    return lambda: n_texts_encoded() - before


class TestVectors:
    def test_they_are_those_of_a_plain_loop(self, make, tiny_bert):
        checkpoint = find_checkpoint(tiny_bert)
        module = load_module(
            checkpoint, device=torch.device("cpu"), dtype=torch.float32
        )
        tokenizer = load_tokenizer(checkpoint)
        expected = []
        with torch.no_grad():
            for text in TEXTS:
                ids = torch.tensor([tokenizer.encode(text).ids])
                expected.append(module(ids).last_hidden_state[0].mean(dim=0).numpy())
        vectors = make().fit_transform(TEXTS)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, np.stack(expected), atol=1e-5)

    @pytest.mark.parametrize(
        "container", [tuple, np.array, pd.Series, pl.Series, iter, pd.array]
    )
    def test_all_containers_give_the_same(self, make, container):
        expected = make(cache=None).fit_transform(TEXTS)
        vectors = make(cache=None).fit_transform(container(TEXTS))
        np.testing.assert_array_equal(vectors, expected)

    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data(), texts=st.lists(st.text(max_size=80), min_size=1, max_size=8))
    def test_any_text_any_order_any_subset(self, make, data, texts):
        featurizer = make(cache=None, max_length=20).fit(texts)
        vectors = featurizer.transform(texts)
        assert np.isfinite(vectors).all()
        rows = data.draw(
            st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=len(texts))
        )
        chosen = featurizer.transform([texts[row] for row in rows])
        np.testing.assert_allclose(chosen, vectors[rows], atol=1e-5)

    def test_poolings_stand_side_by_side(self, make):
        parts = [make(pooling=name).fit_transform(TEXTS) for name in ("cls", "max")]
        both = make(pooling=("cls", "max")).fit(TEXTS)
        assert both.n_features_out_ == 64
        np.testing.assert_allclose(both.transform(TEXTS), np.hstack(parts), atol=1e-5)

    def test_normalised_vectors_have_length_1(self, make):
        raw = make().fit_transform(TEXTS)
        vectors = make(normalize=True).fit_transform(TEXTS)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
        cosines = (raw * vectors).sum(axis=1) / np.linalg.norm(raw, axis=1)
        np.testing.assert_allclose(cosines, 1, rtol=1e-6)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"pooling": "cls"},
            {"layers": 0},
            {"layers": (-1, -2)},
            {"prefix": "not "},
            {"max_length": 4},
            {"max_length": 4, "long_text": "head_tail"},
            {"max_length": 4, "long_text": "window"},
            {"dtype": "bfloat16"},
        ],
    )
    def test_each_parameter_changes_vectors_in_spite_of_the_cache(
        self, make, parameters
    ):
        plain = make().fit_transform(TEXTS)
        changed = make(**parameters).fit_transform(TEXTS)
        assert not np.allclose(plain, changed, atol=1e-4)
        np.testing.assert_array_equal(make().fit_transform(TEXTS), plain)

    def test_windows_read_a_long_text_to_its_end(self, make):
        long = "good " * 100
        featurizer = make(long_text="window").fit(TEXTS)
        first, second = featurizer.transform([long + "bad", long + "boring"])
        assert not np.allclose(first, second, atol=1e-4)

    def test_cut_texts_are_a_warning_unless_meant(self, make):
        texts = ["good " * 100, "bad"]
        with pytest.warns(TruncationWarning, match=r"1 of 2 texts \(50%\).* 64 tokens"):
            make().fit_transform(texts)
        make(max_length=64, cache=None).fit_transform(texts)

    @pytest.mark.parametrize("cache", ["memory", "folder", None])
    def test_what_is_cut_is_told_whoever_has_encoded_it(self, make, tmp_path, cache):
        texts = ["good " * 100, "bad", "fine " * 99, "good " * 100]
        place = tmp_path if cache == "folder" else cache
        featurizer = make(cache=place).fit(texts)
        other = make(cache=place, normalize=True).fit(texts)
        with pytest.warns(TruncationWarning, match=r"^3 of 4 texts \(75%\)"):
            featurizer.transform(texts)
        for asked in (featurizer, other, pickle.loads(pickle.dumps(featurizer))):
            with pytest.warns(TruncationWarning, match=r"^2 of 3 texts") as caught:
                asked.transform(texts[:3])
            assert len(caught) == 1
            asked.transform(["bad"])
        make(cache=place, max_length=64).fit_transform(texts)

    @pytest.mark.parametrize("parameters", [{"pooling": "cls"}, {"layers": 0}])
    @pytest.mark.parametrize("cache", ["memory", "folder"])
    def test_so_it_is_for_what_another_pass_has_brought(
        self, make, tmp_path, cache, parameters, counted
    ):
        place = tmp_path if cache == "folder" else cache
        texts = ["good " * 100, "bad"]
        with pytest.warns(TruncationWarning, match="^1 of 2 texts"):
            make(cache=place, share="layers").fit_transform(texts)
        for pooling in (parameters, {"pooling": ("mean", "max")}):
            with pytest.warns(TruncationWarning, match="^1 of 2 texts"):
                make(cache=place, **pooling).fit_transform(texts)
        assert counted() == 2

    def test_another_process_is_told_too(self, make, tmp_path):
        texts = ["good " * 100, "bad"]
        with pytest.warns(TruncationWarning):
            make(cache=tmp_path).fit_transform(texts)
        moved = tmp_path / "moved"
        shutil.copytree(tmp_path, moved)  # no store of this process has seen it
        for _ in range(2):
            with pytest.warns(TruncationWarning, match="^1 of 2 texts"):
                make(cache=moved).fit_transform(texts)
        assert make(cache=moved).cache_info().n_vectors == 2

    def test_the_warning_names_the_users_line(self, make):
        texts, labels = ["good " * 100, "bad", "fine", "dull"] * 2, [0, 1] * 4
        pipeline = make_pipeline(make(), LogisticRegression())
        with pytest.warns(TruncationWarning) as caught:
            pipeline.fit(texts, labels)
        line = inspect.currentframe().f_lineno - 1
        assert [(each.filename, each.lineno) for each in caught] == [(__file__, line)]
        search = GridSearchCV(pipeline, {"logisticregression__C": [1.0, 9.0]}, cv=2)
        with pytest.warns(TruncationWarning) as caught:
            search.fit(texts, labels).predict(texts)
        line = inspect.currentframe().f_lineno - 1
        assert {(each.filename, each.lineno) for each in caught} == {(__file__, line)}

    def test_small_blocks_and_batches_change_nothing(self, make, monkeypatch):
        expected = make().fit_transform(TEXTS)
        monkeypatch.setattr(encoding, "_BLOCK", 2)
        for cache in (None, "memory"):
            memory_store().clear()
            featurizer = make(batch_tokens=8, cache=cache)
            np.testing.assert_allclose(
                featurizer.fit_transform(TEXTS), expected, atol=1e-5
            )


class TestCache:
    def test_each_text_once(self, make, counted):
        featurizer = make().fit(TEXTS)
        first = featurizer.transform(TEXTS * 3)
        second = clone(featurizer).fit(TEXTS).transform(TEXTS[::-1])
        assert counted() == len(TEXTS)
        np.testing.assert_array_equal(first[: len(TEXTS)], second[::-1])

    def test_scaling_needs_no_second_pass(self, make, counted):
        make().fit_transform(TEXTS)
        make(normalize=True).fit_transform(TEXTS)
        assert counted() == len(TEXTS)

    def test_changing_a_result_does_not_change_the_store(self, make):
        first = make().fit_transform(TEXTS)
        kept = first.copy()
        first[:] = 0
        np.testing.assert_array_equal(make().fit_transform(TEXTS), kept)

    def test_none_keeps_nothing(self, make, counted):
        for _ in range(2):
            make(cache=None).fit_transform(TEXTS)
        assert counted() == 2 * len(TEXTS)
        assert memory_store().cache_info().n_vectors == 0

    def test_other_weights_never_answer(self, make, other_tiny_bert):
        vectors = make().fit_transform(TEXTS)
        others = make(model=other_tiny_bert).fit_transform(TEXTS)
        assert not np.allclose(vectors, others, atol=1e-2)

    def test_threads_share_the_work(self, make, counted):
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(make().fit_transform(TEXTS)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counted() == len(TEXTS)
        for vectors in results:
            np.testing.assert_array_equal(vectors, results[0])


class TestFitting:
    def test_fit_loads_no_weights(self, make, monkeypatch):
        def fail(*args, **kwargs):
            raise AssertionError("weights were loaded")

        monkeypatch.setattr(encoding, "load_encoder", fail)
        featurizer = make().fit(TEXTS)
        check_is_fitted(featurizer)
        assert featurizer.n_features_out_ == 32
        assert featurizer.pooling_ == ("mean",)
        assert featurizer.prefix_ == ""
        assert featurizer.max_length_ == 64
        assert len(featurizer.encoder_digest_) == 64

    def test_not_fitted_is_said_before_anything_is_looked_for(self):
        with pytest.raises(
            NotFittedError, match="BertFeaturizer instance is not fitted"
        ):
            BertFeaturizer("./nowhere").transform(TEXTS)

    def test_the_constructor_only_stores(self):
        featurizer = BertFeaturizer(pooling=3, cache=4, max_length="x")
        assert clone(featurizer).get_params() == featurizer.get_params()
        assert "max_length='x'" in repr(featurizer)

    def test_fitting_twice_is_the_same(self, make):
        featurizer = make().fit(TEXTS)
        digest = featurizer.encoder_digest_
        assert featurizer.fit(["other"]).encoder_digest_ == digest

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("pooling", "cls"),
            ("layers", 1),
            ("normalize", True),
            ("prefix", "x"),
            ("max_length", 9),
            ("long_text", "window"),
            ("dtype", "bfloat16"),
        ],
    )
    def test_a_parameter_that_changes_vectors_makes_the_fit_void(
        self, make, name, value
    ):
        featurizer = make().fit(TEXTS).set_params(**{name: value})
        with pytest.raises(StaleFitError, match=f"^{name} is .*: call fit again"):
            featurizer.transform(TEXTS)
        assert len(featurizer.fit(TEXTS).transform(TEXTS)) == len(TEXTS)

    def test_other_parameters_may_change(self, make, capsys):
        featurizer = make().fit(TEXTS)
        expected = featurizer.transform(TEXTS)
        featurizer.set_params(batch_tokens=5, cache=None, verbose=1)
        np.testing.assert_allclose(featurizer.transform(TEXTS), expected, atol=1e-5)
        assert "5/5" in capsys.readouterr().err

    def test_other_weights_make_the_fit_void(
        self, make, tiny_bert, other_tiny_bert, tmp_path
    ):
        folder = Path(shutil.copytree(tiny_bert, tmp_path / "bert"))
        featurizer = make(model=folder).fit(TEXTS)
        featurizer.transform(TEXTS)
        shutil.copy(Path(other_tiny_bert, "model.safetensors"), folder)
        with pytest.raises(StaleFitError, match=r"weights found as .* are not those"):
            featurizer.transform(TEXTS)

    def test_the_same_weights_elsewhere_are_as_good(self, make, tiny_bert, tmp_path):
        featurizer = make().fit(TEXTS)
        featurizer.set_params(model=shutil.copytree(tiny_bert, tmp_path / "moved"))
        assert featurizer.transform(TEXTS).shape == (5, 32)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"pooling": "sum"}, "pooling='sum', but 'auto', 'mean', 'cls' or"),
            ({"max_length": 65}, "max_length is 65.* at most 64 tokens"),
            ({"layers": -4}, "layers is -4.* has 2 layers"),
            ({"device": "nowhere"}, "device is 'nowhere'"),
        ],
    )
    def test_parameters_are_checked_in_fit(self, make, parameters, message):
        with pytest.raises(InvalidParameterError, match=message):
            make(**parameters).fit(TEXTS)


BAD_INPUT = [
    ("one text", "X is a single str"),
    (np.array([["a", "b"]]), "X has 2 dimensions"),
    (pd.DataFrame({"text": ["a"]}), "pass one of them, as in X\\['text'\\]"),
    (None, "X is .*NoneType"),
    ([], "X holds no texts"),
    (["a", None], "X\\[1\\] is None"),
    (["a", float("nan")], "X\\[1\\] is nan"),
    (["a", b"b"], "X\\[1\\] is bytes"),
    (["a", 3], "X\\[1\\] is 3 of type int"),
]


class TestContract:
    @pytest.mark.parametrize(("X", "message"), BAD_INPUT)
    def test_bad_input_is_named(self, make, X, message):
        with pytest.raises(InvalidInputError, match=message):
            make().fit(X)
        with pytest.raises(InvalidInputError, match=message):
            make().fit(["good"]).transform(X)

    def test_pickles_are_small_and_go_on(self, make):
        featurizer = make()
        assert len(pickle.dumps(featurizer)) < 10_000
        vectors = featurizer.fit(TEXTS).transform(TEXTS)
        stored = pickle.dumps(featurizer)
        assert len(stored) < 10_000
        np.testing.assert_array_equal(pickle.loads(stored).transform(TEXTS), vectors)

    def test_tags_say_text(self, make):
        tags = get_tags(make())
        assert tags.input_tags.string
        assert not tags.input_tags.two_d_array
        assert tags.requires_fit

    def test_features_have_names(self, make):
        names = make().fit(TEXTS).get_feature_names_out()
        assert names[:2].tolist() == ["bertfeaturizer0", "bertfeaturizer1"]
        assert len(names) == 32

    def test_output_may_be_a_table_with_the_index_of_the_texts(self, make):
        texts = pd.Series(TEXTS, index=list("abcde"))
        table = make().set_output(transform="pandas").fit_transform(texts)
        if Version(sklearn.__version__) >= Version("1.8"):  # before, of a table alone
            assert table.index.tolist() == list("abcde")
        assert table.columns[-1] == "bertfeaturizer31"
        table = make().set_output(transform="polars").fit_transform(TEXTS)
        assert table.shape == (5, 32)

    def test_a_grid_over_it_fits_what_it_names(self, make, sentiment_texts, counted):
        texts, labels = sentiment_texts
        pipe = make_pipeline(make(), LogisticRegression(max_iter=1000))
        grid = {"bertfeaturizer__pooling": ["mean", ("cls", "max")]}
        search = GridSearchCV(pipe, grid, cv=3).fit(texts, labels)
        assert search.best_score_ > 0.6
        assert counted() == 2 * len(set(texts))
        n_features = search.best_estimator_[-1].n_features_in_
        assert n_features == {"mean": 32}.get(
            search.best_params_["bertfeaturizer__pooling"], 64
        )

    def test_a_grid_runs_in_two_processes(self, make, sentiment_texts, tmp_path):
        texts, labels = sentiment_texts
        pipe = make_pipeline(make(cache=tmp_path), LogisticRegression(max_iter=1000))
        grid = {"logisticregression__C": [0.1, 1]}
        search = GridSearchCV(
            pipe, grid, cv=2, n_jobs=2, error_score="raise", refit=False
        )
        assert search.fit(texts, labels).best_score_ > 0.6
        assert make(cache=tmp_path).cache_info().n_vectors == len(set(texts))


REVIEWS = [
    "A moving film, and wonderfully played.",
    "dull",
    "",
    "I bought this camera in May. " * 12,
    "Not bad at all, though the ending is weak!",
]


FAST = "all-MiniLM-L6-v2"


@pytest.mark.real
class TestRealWeights:
    @pytest.mark.parametrize("model", [FAST, "multilingual-e5-small"])
    def test_vectors_are_those_of_a_plain_float32_loop(self, model):
        featurizer = BertFeaturizer(model, device="cpu").fit(REVIEWS)
        checkpoint = featurizer.checkpoint_
        module = load_module(
            checkpoint, device=torch.device("cpu"), dtype=torch.float32
        )
        tokenizer = load_tokenizer(checkpoint)
        expected = []
        with torch.no_grad():
            for text in REVIEWS:
                ids = torch.tensor([tokenizer.encode(featurizer.prefix_ + text).ids])
                hidden = module(ids, output_hidden_states=True).hidden_states
                states = torch.stack([hidden[layer] for layer in featurizer.layers_])
                expected.append(states.mean(dim=0)[0].mean(dim=0).numpy())
        expected = np.stack(expected)
        vectors = featurizer.transform(REVIEWS)
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
        assert ((vectors * expected).sum(axis=1) / lengths).min() > 0.9998
        exact = BertFeaturizer(model, device="cpu", dtype="float32")
        np.testing.assert_allclose(exact.fit_transform(REVIEWS), expected, atol=2e-5)

    def test_the_fast_one_reads_the_last_layer_of_256_tokens(self):
        featurizer = BertFeaturizer(FAST).fit(["good"])
        assert featurizer.layers_ == (-1,)
        assert featurizer.pooling_ == ("mean",)
        assert featurizer.prefix_ == ""
        assert featurizer.max_length_ == 256

    def test_the_default_reads_the_last_three_layers_of_512_tokens(self):
        featurizer = BertFeaturizer().fit(["good"])
        assert featurizer.model == "multilingual-e5-small"
        assert featurizer.layers_ == (-1, -2, -3)
        assert featurizer.pooling_ == ("mean",)
        assert featurizer.prefix_ == "query: "
        assert featurizer.max_length_ == 512
