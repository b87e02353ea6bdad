"""One fitted model, many threads."""

import copy
import pickle
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from transformers import AlbertConfig

from sktransfer.classifier.cpu import batch_halves
from sktransfer.classifier.network import network
from sktransfer.classifier.network import source as source_module
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.encoders.loaded_models import read_module
from sktransfer.exceptions import TransferWarning
from sktransfer.persistence import load, save

pytestmark = pytest.mark.slow


def of_a_new_thread(ask=torch.get_num_threads):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


def tensors_of(model):
    state = model.net_.module_.state_dict()
    return {name: tensor.clone() for name, tensor in state.items()}


def same_tensors(before, after):
    return before.keys() == after.keys() and all(
        one.dtype == after[name].dtype and torch.equal(one, after[name])
        for name, one in before.items()
    )


@pytest.fixture
def two_cores(one_thread):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class InTurn:
    """Two calls of a function overlap, and the first to come is the first to go."""

    def __init__(self, function):
        self.function = function
        self.n_calls = 0
        self.first_is_in, self.second_is_in = threading.Event(), threading.Event()
        self.first_is_done = threading.Event()

    def __call__(self, *args, **kwargs):
        self.n_calls += 1
        if self.n_calls == 1:
            self.first_is_in.set()
            assert self.second_is_in.wait(10)
        else:
            self.second_is_in.set()
            assert self.first_is_done.wait(10)
        return self.function(*args, **kwargs)

    def run(self, first, second):
        """Results of both; the second begins when the first is in the function."""

        def lead():
            try:
                return first()
            finally:
                self.first_is_done.set()

        def follow():
            assert self.first_is_in.wait(10)
            return second()

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(lead), pool.submit(follow)]
            return [one.result() for one in both]


class TestHeads:
    def test_calls_that_overlap_leave_the_model_as_it_was(
        self, make, numbers, monkeypatch
    ):
        model = make(encoder=None).fit(*numbers)
        expected, before = model.decision_function(numbers[0]), tensors_of(model)
        in_turn = InTurn(network.average_by_text)
        monkeypatch.setattr(network, "average_by_text", in_turn)

        def ask():
            return model.decision_function(numbers[0])

        for found in in_turn.run(ask, ask):
            np.testing.assert_array_equal(found, expected)
        assert same_tensors(before, tensors_of(model))
        monkeypatch.undo()
        np.testing.assert_array_equal(model.decision_function(numbers[0]), expected)

    def test_calls_that_overlap_leave_all_their_cores(
        self, make, numbers, monkeypatch, two_cores
    ):
        model = make(encoder=None).fit(*numbers)
        in_turn = InTurn(network.average_by_text)
        monkeypatch.setattr(network, "average_by_text", in_turn)

        def ask():
            model.predict(numbers[0])
            return torch.get_num_threads()

        assert in_turn.run(ask, ask) == [2, 2]
        assert torch.get_num_threads() == of_a_new_thread() == 2

    def test_a_thread_that_begins_during_a_call_has_all_cores(
        self, make, numbers, monkeypatch, two_cores
    ):
        model, average = make(encoder=None).fit(*numbers), network.average_by_text
        seen = []

        def look(*args):
            seen.append(of_a_new_thread())
            return average(*args)

        monkeypatch.setattr(network, "average_by_text", look)
        model.predict(numbers[0])
        assert seen == [2]

    def test_they_compute_on_one_core(self, make, numbers, monkeypatch, two_cores):
        model, average = make(encoder=None).fit(*numbers), network.average_by_text
        seen = []

        def look(*args):
            seen.append(torch.get_num_threads())
            return average(*args)

        monkeypatch.setattr(network, "average_by_text", look)
        model.predict(numbers[0])
        assert seen == [1]

    def test_many_rows_are_those_one_by_one(self, make, numbers, two_cores):
        model = make(encoder=None).fit(*numbers)
        X = np.tile(numbers[0], (20, 1))
        expected = np.tile(model.decision_function(numbers[0]), 20)
        np.testing.assert_array_equal(model.decision_function(X), expected)

    def test_a_model_in_training_mode_silences_nothing(self, make, numbers):
        model = make(encoder=None).fit(*numbers)
        expected = model.decision_function(numbers[0])
        model.net_.module_.train()
        np.testing.assert_array_equal(model.decision_function(numbers[0]), expected)


@pytest.mark.parametrize("stage", ["head", "body"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_call_that_fails_leaves_all_as_it_was(
    make, sentiment_texts, monkeypatch, two_cores, stage, error
):
    texts, labels = sentiment_texts
    strategy = "partial" if stage == "body" else "feature_extraction"
    model = make(strategy=strategy, max_epochs=1).fit(texts[:16], labels[:16])
    expected, before = model.decision_function(texts), tensors_of(model)

    def fail(*args):
        raise error("in between")

    with monkeypatch.context() as patch:
        patch.setattr(network, "average_by_text", fail)
        with pytest.raises(error, match="in between"):
            model.predict(texts)
    assert torch.get_num_threads() == of_a_new_thread() == 2
    assert same_tensors(before, tensors_of(model))
    np.testing.assert_array_equal(model.decision_function(texts), expected)


class TestTraining:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_threads_that_begin_meanwhile_have_all_cores(
        self, make, sentiment_texts, two_cores, strategy
    ):
        seen = []

        class Look(Callback):
            def on_batch_begin(self, net, **kwargs):
                seen.append(of_a_new_thread())

        texts, labels = sentiment_texts
        model = make(strategy=strategy, max_epochs=1, callbacks=[Look()])
        model.fit(texts[:16], labels[:16])
        assert set(seen) == {2}
        assert torch.get_num_threads() == of_a_new_thread() == 2

    def test_another_model_answers_meanwhile(self, make, numbers, two_cores):
        # And what is learnt is what would have been without it.
        alone = make(encoder=None).fit(*numbers)
        other = make(encoder=None, hidden_layer_sizes=()).fit(*numbers)
        expected, found = other.decision_function(numbers[0]), []

        class Ask(Callback):
            def on_batch_begin(self, net, **kwargs):
                found.append(
                    of_a_new_thread(lambda: other.decision_function(numbers[0]))
                )

        model = make(encoder=None, callbacks=[Ask()]).fit(*numbers)
        assert len(found) >= 4
        for one in found:
            np.testing.assert_array_equal(one, expected)
        assert same_tensors(tensors_of(alone), tensors_of(model))

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_a_model_that_was_asked_while_it_learnt_is_whole(
        self, make, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts[0][:16], sentiment_texts[1][:16]
        model = make(strategy=strategy).partial_fit(
            texts, labels, classes=[*set(labels)]
        )
        ended = threading.Event()

        def ask():
            while not ended.is_set():
                model.predict(texts[:2])

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            try:
                for _ in range(3):
                    model.partial_fit(texts, labels)
            finally:
                ended.set()
        assert not any(one.exception() for one in asking)
        assert {t.dtype for t in model.net_.module_.parameters()} == {torch.float32}
        expected = copy.deepcopy(model).decision_function(texts)
        np.testing.assert_allclose(model.decision_function(texts), expected, atol=1e-6)

    def test_a_fitted_model_is_in_evaluation_mode(self, make, numbers):
        module = make(encoder=None).fit(*numbers).net_.module_
        assert not any(part.training for part in module.modules())


class TestLoading:
    """What a thread loads is nothing that another one's training could notice."""

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune", "lora"])
    def test_nothing_is_drawn_and_no_generator_put_back(
        self, make, sentiment_texts, monkeypatch, tmp_path, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, max_epochs=1).fit(texts[:16], labels[:16])
        save(model, tmp_path / "model")
        content, expected = pickle.dumps(model), model.decision_function(texts)
        before = torch.get_rng_state()

        def fail(*args):
            raise AssertionError("the generator of all threads was put back")

        monkeypatch.setattr(torch, "set_rng_state", fail)
        monkeypatch.setattr(torch.random, "set_rng_state", fail)
        for found in (pickle.loads(content), load(tmp_path / "model")):
            np.testing.assert_array_equal(found.decision_function(texts), expected)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_not_that_of_all_threads(
        self, save_encoder, monkeypatch, dtype
    ):
        encoder = save_encoder(AlbertConfig, embedding_size=16)
        folder, seen, set_format = Path(encoder.model), [], torch.set_default_dtype
        monkeypatch.setattr(
            torch,
            "set_default_dtype",
            lambda dtype: (seen.append(dtype), set_format(dtype)),
        )
        module = read_module(folder, dtype)
        assert set(seen) <= {torch.float32}
        assert {p.dtype for p in module.parameters()} == {dtype}
        exact = read_module(folder, torch.float32).state_dict()
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, exact[name].to(tensor.dtype))

    def test_a_head_is_of_float32_whatever_others_load(self, make, numbers):
        model = make(encoder=None, max_epochs=1).fit(*numbers)
        try:
            torch.set_default_dtype(torch.float16)
            found = pickle.loads(pickle.dumps(model))
            again = make(encoder=None, max_epochs=1).fit(*numbers)
        finally:
            torch.set_default_dtype(torch.float32)
        expected = model.decision_function(numbers[0])
        for one in (found, again):
            assert same_tensors(tensors_of(model), tensors_of(one))
            np.testing.assert_array_equal(one.decision_function(numbers[0]), expected)


class TestFilters:
    """Filters of warnings belong to all threads, and two in turn lose some."""

    @pytest.mark.parametrize("kind", ["array", "wide", "integers"])
    def test_predictions_from_numbers_leave_them_alone(
        self, make, numbers, monkeypatch, kind
    ):
        X = numbers[0]
        if kind == "wide":
            X = X.astype(np.float64)
        elif kind == "integers":
            X = (X * 10).astype(int)
        model = make(encoder=None, max_epochs=1).fit(X, numbers[1])
        expected = model.decision_function(X)

        def fail(*args, **kwargs):
            raise AssertionError("filters were set")

        with monkeypatch.context() as patch:
            patch.setattr(warnings, "catch_warnings", fail)
            found = model.decision_function(X)
        np.testing.assert_array_equal(found, expected)

    def test_so_does_going_on_from_a_source_of_other_classes(
        self, make, numbers, monkeypatch
    ):
        X, labels = numbers
        source = make(encoder=None, hidden_layer_sizes=(4,)).fit(X, labels)
        others = np.where(labels == "pos", "good", "poor")
        model = make(
            encoder=None,
            hidden_layer_sizes=(4,),
            init_from=FrozenEstimator(source),
            l2_sp=0.1,
            warm_start=True,
        )
        with pytest.warns(TransferWarning, match="the last layer starts anew"):
            model.fit(X, others)
        # The second fit has nothing to tell, and no filter to set.
        with monkeypatch.context() as patch:
            patch.setattr(source_module, "warn", None)
            model.fit(X, others)


class TestTokens:
    def test_no_threads_are_made_for_a_few_texts(
        self, make, sentiment_texts, monkeypatch, two_cores
    ):
        texts, labels = sentiment_texts
        model = make(strategy="partial", max_epochs=1).fit(texts[:16], labels[:16])

        def fail(*args):
            raise AssertionError("threads were made")

        monkeypatch.setattr(batch_halves, "threads_with_cores", fail)
        # As an architecture does that is no relative of BERT.
        monkeypatch.setattr(TransformerBody, "encode", lambda *_: None)
        assert len(model.predict(texts[:3])) == 3
        with pytest.raises(AssertionError, match="threads were made"):
            model.predict(texts[:4])

    def test_casts_of_weights_are_not_kept_for_threads_that_learn(
        self, make, sentiment_texts
    ):
        texts, labels = sentiment_texts
        model = make(strategy="partial", max_epochs=1, dtype="bfloat16")
        model.fit(texts[:16], labels[:16])
        kept = []
        model.net_.module_.register_forward_pre_hook(
            lambda *_: kept.append(torch.is_autocast_cache_enabled())
        )
        model.predict(texts[:2])
        assert kept == [False]


def searched(make, bert, words, texts, labels):
    grid = {"hidden_layer_sizes": [(), (4,)]}
    search = GridSearchCV(make(max_epochs=1), grid, cv=2).fit(texts, labels)
    return search.best_estimator_


def piped(make, bert, words, texts, labels):
    return make_pipeline(bert(), make(encoder=None)).fit(texts, labels)


def tuned(strategy, **parameters):
    def fit(make, bert, words, texts, labels):
        return make(strategy=strategy, max_epochs=1, **parameters).fit(texts, labels)

    fit.__name__ = strategy
    return fit


def windows(make, bert, words, texts, labels):
    encoder = bert(max_length=5, long_text="window")
    return make(encoder=encoder, strategy="partial", max_epochs=1).fit(texts, labels)


def uncached(make, bert, words, texts, labels):
    return make(encoder=bert(cache=None)).fit(texts, labels)


def frozen_words(make, bert, words, texts, labels):
    return make(encoder=words()).fit(texts, labels)


def tuned_words(make, bert, words, texts, labels):
    return make(encoder=words(), strategy="fine_tune").fit(texts, labels)


def loaded(make, bert, words, texts, labels):
    model = make(strategy="fine_tune", max_epochs=1).fit(texts, labels)
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        return load(folder)


def rows_of_numbers(make, bert, words, texts, labels):
    X = np.random.default_rng(0).normal(size=(len(texts), 40)).astype(np.float32)
    return make(encoder=None).fit(sparse.csr_array(X * (X > 1)), labels)


FITS = [
    tuned("feature_extraction"),
    uncached,
    tuned("partial"),
    tuned("fine_tune"),
    tuned("lora"),
    tuned("contrastive"),
    windows,
    frozen_words,
    tuned_words,
    rows_of_numbers,
    searched,
    piped,
    loaded,
]


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
def test_eight_threads_get_what_one_gets(
    make, bert, words, sentiment_texts, two_cores, fit
):
    texts, labels = sentiment_texts[0][:24], sentiment_texts[1][:24]
    model = fit(make, bert, words, texts, labels)
    inputs = [texts[:1], texts[1:4], texts[4:], [" ".join(texts[:3])]]
    if fit is rows_of_numbers:
        X = np.random.default_rng(1).normal(size=(30, 40)).astype(np.float32)
        inputs = [X[:1], sparse.csr_array(X * (X > 1)), X]
    last = model[-1] if hasattr(model, "steps") else model
    expected = [model.decision_function(one) for one in inputs]
    chances = [model.predict_proba(one) for one in inputs]
    named, before = [model.predict(one) for one in inputs], tensors_of(last)
    together = threading.Barrier(8)

    def ask(number):
        together.wait(30)
        for turn in range(6):
            which = (number + turn) % len(inputs)
            found = model.decision_function(inputs[which])
            np.testing.assert_allclose(found, expected[which], atol=1e-6, rtol=0)
            found = model.predict_proba(inputs[which])
            np.testing.assert_allclose(found, chances[which], atol=1e-6, rtol=0)
            assert model.predict(inputs[which]).tolist() == named[which].tolist()
        return torch.get_num_threads()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(8))) == {2}
    finally:
        sys.setswitchinterval(interval)
    assert same_tensors(before, tensors_of(last))
    assert torch.get_num_threads() == of_a_new_thread() == 2
