import pytest
import torch
import transformers
from packaging.version import Version
from torch.nn.functional import scaled_dot_product_attention

from sktransfer.classifier.cpu.attention import (
    ATTENTION,
    Attention,
    attend,
    use_quick_attention,
)
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint


def draw(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(len(shape))
    parts = [torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(3)]
    return [part.requires_grad_() for part in parts]


def last_keys_hidden(n, t, n_hidden):
    attended = torch.ones(n, 1, 1, t, dtype=torch.bool)
    attended[..., t - n_hidden :] = False
    return attended


class TestAttention:
    @pytest.mark.parametrize("n_hidden", [0, 3])
    def test_gradients_are_those_of_finite_differences(self, n_hidden):
        attended = last_keys_hidden(2, 5, n_hidden)
        assert torch.autograd.gradcheck(
            lambda *parts: Attention.apply(*parts, attended, 0.0, 0.4), draw(2, 3, 5, 4)
        )

    def test_gradients_under_dropout_are_those_of_finite_differences(self):
        def seeded(*parts):
            torch.manual_seed(0)
            return Attention.apply(*parts, None, 0.4, 0.4)

        assert torch.autograd.gradcheck(seeded, draw(2, 3, 5, 4))

    @pytest.mark.parametrize(
        ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)]
    )
    def test_it_agrees_with_torch(self, dtype, tolerance):
        attended = last_keys_hidden(2, 9, 2)
        ours, theirs = draw(2, 3, 9, 8, dtype=dtype), draw(2, 3, 9, 8, dtype=dtype)
        output = Attention.apply(*ours, attended, 0.0, 8**-0.5)
        expected = scaled_dot_product_attention(*theirs, attn_mask=attended)
        close = {"atol": tolerance, "rtol": tolerance}
        torch.testing.assert_close(output, expected, **close)
        for tensor in (output, expected):
            tensor.square().sum().backward()
        for own, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(own.grad, other.grad, atol=4 * tolerance, rtol=0)

    def test_half_precision_keeps_the_gradients_of_keys_that_are_much_alike(self):
        # As states of transformers are: most of each is the same in all of a text.
        common = 3 * draw(1, 12, 1, 32)[0].detach()
        exact = [(part.detach() + common) for part in draw(4, 12, 30, 32)]
        sent = torch.randn(4, 12, 30, 32, generator=torch.Generator().manual_seed(0))
        gradients = {}
        for dtype in (torch.float64, torch.bfloat16):
            parts = [part.to(dtype, copy=True).requires_grad_() for part in exact]
            output = Attention.apply(*parts, None, 0.0, 0.05)
            output.backward(sent.to(dtype))
            gradients[dtype] = [part.grad.double() for part in parts]
        # Softmax's own gradient is less exact there: 0.083 was seen with torch 2.5.
        most = 0.1 if Version(torch.__version__) < Version("2.13") else 0.05
        for true, found in zip(*gradients.values(), strict=True):
            assert (found - true).norm() < most * true.norm()

    def test_dropout_keeps_the_expectation(self):
        torch.manual_seed(0)
        parts = draw(1, 1, 6, 4)
        outputs = [Attention.apply(*parts, None, 0.3, 0.5) for _ in range(4_000)]
        expected = Attention.apply(*parts, None, 0.0, 0.5)
        assert (torch.stack(outputs).mean(0) - expected).abs().max() < 0.06


class TestAttend:
    def test_hidden_keys_are_not_seen(self):
        attended = last_keys_hidden(1, 4, 1)
        query, key, value = draw(1, 2, 4, 8, dtype=torch.float32)
        moved = value.detach().clone()
        moved[:, :, -1] += 100
        first, _ = attend(torch.nn.Identity(), query, key, value, attended)
        second, _ = attend(torch.nn.Identity(), query, key, moved, attended)
        assert torch.equal(first, second)

    def test_without_gradients_it_is_the_kernel_of_torch(self, monkeypatch):
        monkeypatch.setattr(Attention, "apply", None)
        with torch.no_grad():
            output, _ = attend(
                torch.nn.Identity(), *draw(1, 2, 4, 8, dtype=torch.float32), None
            )
        assert output.shape == (1, 4, 2, 8)


SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
DISTILLED = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("albert", {"embedding_size": 16}),
        ("bert", {}),
        ("deberta-v2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
        ("distilbert", DISTILLED),
        ("electra", {"embedding_size": 16}),
        ("mpnet", {}),
        ("modernbert", {"global_attn_every_n_layers": 2, "local_attention": 4}),
        ("roberta", {}),
        ("xlm-roberta", {}),
    ],
)
def test_any_architecture_has_the_gradients_that_it_has_without(kind, options):
    config = transformers.AutoConfig.for_model(kind, **SMALL | options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config).eval()
    ids = torch.arange(5, 25).view(2, 10)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    gradients = []
    for prepare in (lambda _: None, use_quick_attention):
        prepare(model)
        model.zero_grad()
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        # What stands in the place of padding is nobody's business.
        (
            states[mask.bool()] * torch.linspace(0, 1, 17 * 16).view(17, 16)
        ).sum().backward()
        gradients.append(
            {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        )
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)


def test_a_model_has_the_gradients_that_it_has_without(tiny_bert):
    checkpoint = find_checkpoint(str(tiny_bert))
    bodies = [TransformerBody(checkpoint, pooling=("mean",)).eval() for _ in range(2)]
    assert bodies[0].transformer.config._attn_implementation == ATTENTION
    bodies[1].transformer.config._attn_implementation = "sdpa"
    ids = torch.arange(5, 17).view(2, 6)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    for body in bodies:
        body(ids, mask).square().sum().backward()
    pairs = zip(
        *(dict(body.named_parameters()).items() for body in bodies), strict=True
    )
    for (name, own), (_, other) in pairs:
        assert (own.grad is None) == (other.grad is None), name
        if own.grad is not None:
            torch.testing.assert_close(own.grad, other.grad, atol=1e-5, rtol=1e-4)
