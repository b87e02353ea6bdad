import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, DistilBertConfig, RobertaConfig

from sktransfer.classifier.cpu.switch import plain
from sktransfer.classifier.network import packed_form
from sktransfer.classifier.network.packed_form import has_hooks

ENTRIES = "transformer.encoder.layer.1.output.dense.weight"


@pytest.fixture
def n_made(monkeypatch):
    """A list that grows with each encoder that is made."""
    made = []

    class Counted(packed_form.PackedEncoder):
        def __init__(self, *args, **kwargs):
            made.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(packed_form, "PackedEncoder", Counted)
    return made


@pytest.fixture
def fitted(make, sentiment_texts):
    def fitted(encoder=None, **options):
        texts, labels = sentiment_texts
        if encoder is not None:
            options["encoder"] = encoder
        defaults = {"strategy": "fine_tune", "max_epochs": 1}
        return make(**defaults | options).fit(texts[:24], labels[:24])

    return fitted


def padded(model, texts):
    with plain():
        return model.decision_function(texts)


TEXTS = ["good", "the plot is bad and boring " * 9, "", "awful camera !", "a good film"]


class TestAgreement:
    @pytest.mark.parametrize(
        "encoder",
        [
            {},
            {"pooling": ("cls", "max", "mean")},
            {"normalize": True},
            {"layers": (-1, 0)},
            {"layers": 1},
            {"max_length": 8, "long_text": "window"},
        ],
    )
    def test_logits_are_those_of_the_padded_way(self, fitted, bert, n_made, encoder):
        model = fitted(bert(**encoder))
        n_made.clear()
        found = model.decision_function(TEXTS)
        assert len(n_made) == 1
        np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)

    @pytest.mark.parametrize(
        "options",
        [
            {"strategy": "lora"},
            {"strategy": "bias"},
            {"strategy": "partial", "n_trainable_layers": 1},
            {"strategy": "gradual"},
            {"strategy": "contrastive"},
            {"train_embeddings": True},
        ],
    )
    def test_so_they_are_whatever_learns(self, fitted, n_made, options):
        model = fitted(**options)
        n_made.clear()
        found = model.decision_function(TEXTS)
        assert len(n_made) == 1
        np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)

    def test_in_half_precision_they_are_close(self, fitted, n_made):
        model = fitted(dtype="bfloat16")
        n_made.clear()
        found, expected = model.decision_function(TEXTS), padded(model, TEXTS)
        assert len(n_made) == 1
        assert 0 < np.abs(found - expected).max() < 0.05

    @pytest.mark.parametrize("config", [DistilBertConfig, RobertaConfig])
    def test_relatives_of_bert_go_the_same_way(
        self, fitted, save_encoder, n_made, config
    ):
        model = fitted(save_encoder(config))
        n_made.clear()
        found = model.decision_function(TEXTS)
        assert len(n_made) == 1
        np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)

    def test_other_architectures_keep_their_way(self, fitted, save_encoder, n_made):
        model = fitted(save_encoder(AlbertConfig, embedding_size=16))
        found = model.decision_function(TEXTS)
        assert not n_made
        np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-5)


class TestFreshness:
    def test_it_is_made_once(self, fitted, n_made):
        model = fitted()
        n_made.clear()
        for _ in range(3):
            model.predict(TEXTS)
        assert len(n_made) == 1

    def test_it_reads_the_bodys_own_tensors(self, fitted, n_made):
        model = fitted()
        n_made.clear()
        model.predict(TEXTS)
        body = model.net_.module_.body
        weight = dict(body.named_parameters())[ENTRIES]
        layer = n_made[0]._layers[1]
        assert layer._narrow._weight.data_ptr() == weight.data_ptr()

    @pytest.mark.parametrize("strategy", ["fine_tune", "lora", "contrastive"])
    def test_a_fit_that_goes_on_is_followed(self, fitted, strategy, sentiment_texts):
        model = fitted(strategy=strategy, warm_start=True, encoder_learning_rate=0.01)
        before = model.decision_function(TEXTS)
        model.fit(*(part[24:60] for part in sentiment_texts))
        found = model.decision_function(TEXTS)
        assert np.abs(found - before).max() > 1e-3
        np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)

    def test_partial_fit_is_followed(self, fitted, sentiment_texts):
        model = fitted(encoder_learning_rate=0.01)
        for start in (24, 48):
            before = model.decision_function(TEXTS)
            model.partial_fit(*(part[start : start + 24] for part in sentiment_texts))
            found = model.decision_function(TEXTS)
            assert np.abs(found - before).max() > 1e-3
            np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)

    def test_so_is_whoever_sets_tensors(self, fitted):
        model = fitted()
        before = model.decision_function(TEXTS)
        body = model.net_.module_.body
        weight = dict(body.named_parameters())[ENTRIES]
        original = weight.detach().clone()

        def set_in_place():
            with torch.no_grad():
                weight.mul_(2)

        def load():
            body.load_state_dict(body.state_dict() | {ENTRIES: 3 * original})

        def replace():
            weight.data = 4 * original

        def take():
            body.take_tuned({ENTRIES: 5 * original})

        for change in (set_in_place, load, replace, take):
            change()
            found = model.decision_function(TEXTS)
            assert np.abs(found - before).max() > 1e-3
            np.testing.assert_allclose(found, padded(model, TEXTS), atol=1e-4)
            before = found

    def test_a_failed_fit_leaves_what_there_was(self, fitted, sentiment_texts):
        model = fitted(warm_start=True)
        before = model.decision_function(TEXTS)
        model.set_params(encoder_learning_rate=1e30, max_epochs=3)
        with pytest.raises(RuntimeError):
            model.fit(*sentiment_texts)
        np.testing.assert_array_equal(model.decision_function(TEXTS), before)

    def test_a_pickle_does_not_hold_it(self, fitted):
        model = fitted()
        size = len(pickle.dumps(model))
        before = model.decision_function(TEXTS)
        dumped = pickle.dumps(model)
        assert abs(len(dumped) - size) < 200
        np.testing.assert_allclose(
            pickle.loads(dumped).decision_function(TEXTS), before, atol=1e-6
        )

    def test_threads_make_one_and_agree(self, fitted, n_made):
        model = fitted()
        expected = model.decision_function(TEXTS)
        model.net_.module_.body.merge()
        n_made.clear()
        start = threading.Barrier(4)

        def ask(_):
            start.wait()
            return model.decision_function(TEXTS)

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(ask, range(4)):
                np.testing.assert_array_equal(found, expected)
        assert len(n_made) == 1


class TestHooks:
    def test_they_are_called(self, fitted, n_made):
        model = fitted()
        part = model.net_.module_.body.blocks()[0]
        seen = []
        n_made.clear()
        with part.register_forward_hook(lambda *passed: seen.append(passed)):
            model.predict(TEXTS)
        assert seen
        assert not n_made

    def test_those_by_which_transformers_hands_out_states_do_not_count(self, fitted):
        model = fitted()
        body = model.net_.module_.body
        body.transformer(torch.ones(1, 3).long(), output_hidden_states=True)
        assert not has_hooks(body)
