"""One switch turns off every quick way, and the results stay."""

import contextlib
import sys
import threading

import numpy as np
import pytest
import torch
import transformers

from sktransfer.classifier.cpu import attention, dropout, half_precision
from sktransfer.classifier.cpu.batch_halves import encode_batch, in_halves
from sktransfer.classifier.cpu.sparse_gradient import sparse_gradient
from sktransfer.classifier.cpu.switch import VARIABLE, plain, tricks_on
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.training.frozen_prefix import KeptTexts
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.exceptions import InvalidParameterError

TEXTS = ["good film", "bad", "the plot is good", "awful and boring and bad"] * 6
LABELS = ["pos", "neg"] * 12


class TestSwitch:
    def test_the_variable_is_read_at_each_use(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        assert tricks_on()
        monkeypatch.setenv(VARIABLE, "0")
        assert not tricks_on()
        monkeypatch.setenv(VARIABLE, "1")
        assert tricks_on()

    def test_other_values_are_an_error_that_says_what_is_expected(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, "off")
        with pytest.raises(InvalidParameterError, match=r"'off'.*0 .* or 1 "):
            tricks_on()

    def test_a_block_is_plain_and_what_follows_is_not(self):
        with plain():
            with plain():
                assert not tricks_on()
            assert not tricks_on()
        assert tricks_on()

    def test_other_threads_are_not_concerned(self):
        seen = []
        with plain():
            thread = threading.Thread(target=lambda: seen.append(tricks_on()))
            thread.start()
            thread.join()
        assert seen == [True]


class TestNothingIsLeft:
    def fit(self, make, monkeypatch, **parameters):
        """Fit where every quick way fails that is still taken."""

        def refuse(*args, **kwargs):
            raise AssertionError("a quick way was taken")

        monkeypatch.setattr(attention.Attention, "apply", refuse)
        monkeypatch.setattr(dropout, "draw_kept", refuse)
        monkeypatch.setattr(half_precision._Product, "apply", refuse)
        monkeypatch.setattr(
            "sktransfer.classifier.cpu.batch_halves.threads_with_cores", refuse
        )
        monkeypatch.setattr(
            "sktransfer.classifier.cpu.batch_halves._Halves.encode", refuse
        )
        monkeypatch.setattr("torch.Tensor.coalesce", refuse)
        monkeypatch.setattr(KeptTexts, "batch", refuse)
        model = make(dtype="bfloat16", **parameters)
        torch.set_num_threads(2)
        return model.fit(TEXTS, LABELS).predict_proba(TEXTS)

    @pytest.mark.parametrize("strategy", ["partial", "fine_tune"])
    def test_in_a_plain_block(self, make, monkeypatch, strategy):
        with plain():
            found = self.fit(make, monkeypatch, strategy=strategy)
        assert found.shape == (24, 2)

    def test_with_the_variable(self, make, monkeypatch):
        monkeypatch.setenv(VARIABLE, "0")
        found = self.fit(make, monkeypatch, strategy="partial")
        assert found.shape == (24, 2)

    def test_without_it_they_are_taken(self, make, monkeypatch):
        with pytest.raises(AssertionError, match="quick way"):
            self.fit(make, monkeypatch, strategy="partial")

    def test_where_threads_wait_for_halves_already(self):
        torch.set_num_threads(2)
        seen = []

        def encode(states, attention_mask):
            seen.append((threading.get_ident(), len(states), tricks_on()))
            return states

        inputs = {"states": torch.ones(6, 3), "attention_mask": torch.ones(6, 3).long()}
        with in_halves(torch.device("cpu")), torch.no_grad():
            with plain():
                encode_batch(encode, inputs)
            assert seen == [(threading.get_ident(), 6, False)]
            encode_batch(encode, inputs)
        assert [entry[1] for entry in seen] == [6, 3, 3]

    def test_a_table_keeps_its_dense_gradient(self):
        table = torch.nn.Embedding(6, 3)
        with plain(), sparse_gradient(table):
            assert not table.sparse
        with sparse_gradient(table):
            assert table.sparse

    def test_states_that_have_been_kept_are_left_aside(self, tiny_bert):
        body = TransformerBody(find_checkpoint(str(tiny_bert)), pooling=("mean",))
        body.eval().let_learn(body.blocks()[-1].parameters())
        tokens = torch.arange(5, 17).view(2, 6), torch.ones(2, 6).long()
        wrong = torch.zeros(2, 6, body.checkpoint.hidden_size)
        with torch.no_grad():
            expected = body(*tokens)
            assert not torch.allclose(body(*tokens, states=wrong), expected)
            with plain():
                torch.testing.assert_close(body(*tokens, states=wrong), expected)


@pytest.fixture
def without_dropout(monkeypatch):
    """Quick dropout draws other numbers than torch's: results only agree without."""
    build = TransformerBody.__init__

    def build_without(body, *args, **kwargs):
        build(body, *args, **kwargs)
        for module in body.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout_prob"):
                module.dropout_prob = 0.0

    monkeypatch.setattr(TransformerBody, "__init__", build_without)


# Largest difference that is allowed of losses (around .6) and of logits. In float32
# sums are added up in another order (3e-7 were seen); bfloat16 has three digits (.02
# on logits up to .5, after three epochs).
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.06}


@pytest.mark.usefixtures("without_dropout")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("strategy", ["partial", "fine_tune"])
def test_results_agree(make, strategy, dtype):
    torch.set_num_threads(2)
    found = []
    for context in (plain, contextlib.nullcontext):
        model = make(strategy=strategy, dtype=dtype, dropout=0.0, max_epochs=3)
        with context():
            model.fit(TEXTS, LABELS)
            logits = model.decision_function(TEXTS)
        found.append((model.history_[:, "train_loss"], logits))
    tolerance = TOLERANCES[dtype]
    for expected, quick in zip(*found, strict=True):
        np.testing.assert_allclose(quick, expected, rtol=0, atol=tolerance)


class TestWhatAnotherVersionLacks:
    """A trick whose private names are gone leaves the plain way."""

    def prepared(self, tiny_bert):
        body = TransformerBody(find_checkpoint(str(tiny_bert)), pooling=("mean",))
        return body.transformer.config._attn_implementation

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            (torch, "_softmax_backward_data"),
            (transformers.modeling_utils, "AttentionInterface"),
            (transformers.masking_utils, "AttentionMaskInterface"),
            (transformers.utils.generic.GeneralInterface, "register"),
            (transformers.masking_utils, "sdpa_mask"),
            (transformers.integrations.sdpa_attention, "sdpa_attention_forward"),
        ],
    )
    def test_attention_stays_as_it_is(self, tiny_bert, monkeypatch, module, name):
        assert self.prepared(tiny_bert) == attention.ATTENTION
        # The package looks its names up in their modules, and keeps what it has found.
        monkeypatch.delattr(sys.modules["transformers"], name, raising=False)
        monkeypatch.delattr(module, name)
        assert self.prepared(tiny_bert) == "sdpa"

    def test_a_model_that_names_no_attention_stays_as_it_is(self):
        model = torch.nn.Linear(2, 2)
        model.config = object()
        attention.use_quick_attention(model)
        assert not hasattr(model.config, "_attn_implementation")

    def test_inputs_without_versions_are_converted_each_time(self, monkeypatch):
        layer, input = half_precision.Linear(4, 4), torch.randn(2, 4)
        # A name of torch's own C type cannot be taken away, but hidden.
        monkeypatch.setattr(torch.Tensor, "_version", None, raising=False)
        with torch.autocast("cpu", torch.bfloat16):
            before = layer(input)
            input.mul_(2)
            after = layer(input)
        assert not torch.equal(before, after)
