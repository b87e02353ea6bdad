import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AlbertConfig,
    DistilBertConfig,
    ElectraConfig,
    RobertaConfig,
)

from sktransfer.classifier.cpu import batch_halves, packed_batch, packed_layer
from sktransfer.classifier.cpu.batch_halves import in_halves
from sktransfer.classifier.cpu.packed_batch import _cut_by_area
from sktransfer.classifier.cpu.switch import plain
from sktransfer.classifier.data.rows import TokenInput
from sktransfer.classifier.network.transformer import TransformerBody

CPU = torch.device("cpu")
TEXTS = ["good", "", "bad film " * 9, "the plot is fine"] * 3 + ["awful"]


def body_and_tokens(encoder, **options):
    encoder.fit(TEXTS)
    options = {"pooling": encoder.pooling_, "layers": encoder.layers} | options
    body = TransformerBody(encoder.checkpoint_, **options)
    body.let_learn(body.parameters())
    rows = TokenInput(encoder).rows(TEXTS)
    return body.eval(), rows.batch(np.arange(len(TEXTS)))


def learn(body, tokens, seed=0, dtype=torch.float32):
    """Features of a batch, and the gradient of each parameter."""
    body.zero_grad()
    torch.manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        features = body(**tokens).float()
    features.sin().sum().backward()
    found = {
        n: p.grad.clone() for n, p in body.named_parameters() if p.grad is not None
    }
    return features.detach(), found


def learn_both_ways(body, tokens, **options):
    with plain():
        expected = learn(body, tokens, **options)
    with in_halves(CPU):
        return learn(body, tokens, **options), expected


@pytest.fixture(autouse=True)
def in_float32_too(monkeypatch):
    monkeypatch.setattr(batch_halves, "_IN_FLOAT32", True)


@pytest.fixture
def n_steps(monkeypatch):
    """A list that grows with each layer that packed rows go through."""
    steps = []
    call = packed_layer.Layer.__call__

    def counted(layer, states, rows):
        steps.append(layer)
        return call(layer, states, rows)

    monkeypatch.setattr(packed_layer.Layer, "__call__", counted)
    return steps


class TestGradients:
    @pytest.mark.parametrize("together", [0, 1536])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"layers": (-1, 0), "pooling": ("cls", "max")},
            {"layers": 1},
            {"normalize": True},
        ],
    )
    def test_they_are_those_of_the_plain_way(
        self, bert, n_steps, monkeypatch, options, together
    ):
        monkeypatch.setattr(packed_batch, "_MOST_TOGETHER", together)
        monkeypatch.setattr(packed_batch, "_WORTH_CUTTING", 10)
        body, tokens = body_and_tokens(bert(), **options)
        found, expected = learn_both_ways(body, tokens)
        assert n_steps
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

    def test_in_half_precision_they_are_as_good(self, bert, n_steps):
        body, tokens = body_and_tokens(bert())
        with plain():
            _, true = learn(body, tokens)
            _, usual = learn(body, tokens, dtype=torch.bfloat16)
        with in_halves(CPU):
            _, found = learn(body, tokens, dtype=torch.bfloat16)
        assert n_steps
        for name, grad in true.items():
            if name.endswith("key.bias"):
                continue  # nothing depends on it
            allowed = 2 * float((usual[name] - grad).norm()) + 0.01 * float(grad.norm())
            assert float((found[name] - grad).norm()) < allowed, name

    def test_they_add_to_what_there_is(self, bert):
        body, tokens = body_and_tokens(bert())
        with in_halves(CPU):
            _, once = learn(body, tokens)
            body(**tokens).sin().sum().backward()
        twice = {n: p.grad for n, p in body.named_parameters() if p.grad is not None}
        torch.testing.assert_close(twice, {n: 2 * g for n, g in once.items()})

    @pytest.mark.parametrize("what", ["bias", "block.1", "LayerNorm", "query"])
    def test_what_rests_has_none(self, bert, n_steps, what):
        body, tokens = body_and_tokens(bert())
        names = {
            name
            for name, _ in body.named_parameters()
            if (what in name if what != "block.1" else ".layer.1." in name)
        }
        body.let_learn(p for n, p in body.named_parameters() if n in names)
        (features, found), expected = learn_both_ways(body, tokens)
        assert n_steps
        assert set(found) == names
        torch.testing.assert_close((features, found), expected, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize(
        ("config", "options"),
        [(RobertaConfig, {}), (ElectraConfig, {"embedding_size": 16})],
    )
    def test_relatives_go_the_same_way(self, save_encoder, n_steps, config, options):
        body, tokens = body_and_tokens(save_encoder(config, **options))
        found, expected = learn_both_ways(body, tokens)
        assert n_steps
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize(
        ("config", "options"),
        [
            (AlbertConfig, {"embedding_size": 16}),
            (DistilBertConfig, {}),
            (RobertaConfig, {"hidden_act": "relu"}),
        ],
    )
    def test_others_keep_their_way(self, save_encoder, n_steps, config, options):
        body, tokens = body_and_tokens(save_encoder(config, **options))
        found, expected = learn_both_ways(body, tokens)
        assert not n_steps
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

    def test_kept_states_are_taken_up(self, bert, n_steps):
        body, tokens = body_and_tokens(bert())
        body.let_learn(body.blocks()[1].parameters())
        (_, whole), _ = learn_both_ways(body, tokens)
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        with torch.no_grad():
            hidden = body.transformer(
                ids, attention_mask=mask, output_hidden_states=True
            ).hidden_states
        n_steps.clear()
        with in_halves(CPU):
            _, found = learn(body, tokens | {"states": hidden[1]})
        assert len(n_steps) == 2  # one layer of each half
        torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-4)


class TestDropout:
    def test_threads_and_their_number_do_not_change_the_masks(self, bert, n_steps):
        body, tokens = body_and_tokens(bert())
        body.train()
        before, found = torch.get_num_threads(), []
        try:
            for n in (1, 2, 2):
                torch.set_num_threads(n)
                with in_halves(CPU):
                    found.append(learn(body, tokens, seed=7))
        finally:
            torch.set_num_threads(before)
        assert n_steps
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], atol=0, rtol=0)
        with in_halves(CPU):
            assert not torch.equal(learn(body, tokens, seed=1)[0], found[0][0])

    def test_its_gradients_are_those_of_what_was_kept(self, bert):
        body, tokens = body_and_tokens(bert())
        body.train()
        name = "transformer.encoder.layer.0.intermediate.dense.weight"
        weight = dict(body.named_parameters())[name]
        with in_halves(CPU):
            _, found = learn(body, tokens, seed=3)
            step = 1e-2 * torch.sign(found[name])
            losses = []
            for sign in (1, -1):
                with torch.no_grad():
                    weight += sign * step
                torch.manual_seed(3)
                losses.append(body(**tokens).sin().sum().item())
                with torch.no_grad():
                    weight -= sign * step
        slope = (losses[0] - losses[1]) / 2
        assert slope == pytest.approx(float((found[name] * step).sum()), rel=0.05)


class TestFallback:
    def test_float32_keeps_its_way(self, bert, n_steps, monkeypatch):
        monkeypatch.setattr(batch_halves, "_IN_FLOAT32", False)
        body, tokens = body_and_tokens(bert())
        with in_halves(CPU):
            learn(body, tokens)
            assert not n_steps
            learn(body, tokens, dtype=torch.bfloat16)
            assert n_steps

    def test_hooks_are_called(self, bert, n_steps):
        body, tokens = body_and_tokens(bert())
        seen = []
        block = body.blocks()[0]
        with block.register_forward_hook(lambda *_: seen.append(1)), in_halves(CPU):
            learn(body, tokens)
        weight = block.intermediate.dense.weight
        with weight.register_hook(lambda grad: seen.append(grad)), in_halves(CPU):
            learn(body, tokens)
        assert seen[0] == 1
        assert isinstance(seen[-1], torch.Tensor)
        assert not n_steps

    def test_adapters_keep_their_way(self, bert, n_steps):
        body, tokens = body_and_tokens(bert())
        body.adapt(2)
        body.let_learn(body.adapters())
        found, expected = learn_both_ways(body, tokens)
        assert not n_steps
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_groups_are_of_like_length_and_hold_each_row_once(lengths):
    ordered = torch.tensor(sorted(lengths))
    groups = _cut_by_area(torch.arange(len(lengths)), ordered)
    assert torch.equal(torch.cat(groups), torch.arange(len(lengths)))
    padded = sum(len(rows) * int(ordered[rows[-1]]) ** 2 for rows in groups)
    assert padded <= len(lengths) * max(lengths) ** 2
