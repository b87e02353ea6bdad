"""Products in half precision: the same numbers in less memory."""

import copy

import pytest
import torch
from torch import nn

from sktransfer.classifier.cpu.half_precision import (
    Linear,
    multiply_each,
    replace_linear,
)


def half_precision():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def layers(bias=True):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(24, 40, bias=bias), nn.GELU(), nn.Linear(40, 8))
    quick = copy.deepcopy(plain)
    replace_linear(quick)
    return plain, quick


def saved_numbers(module, input):
    """Elements of what the backward pass keeps beside the parameters."""
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        with half_precision():
            output = module(input)
        held = sum(kept.values())
    return held, output


class TestLinear:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("shape", [(3, 11, 24), (32, 24), (1, 24)])
    def test_it_gives_what_torch_gives_and_so_do_its_gradients(self, shape, bias):
        found = []
        for module in layers(bias):
            torch.manual_seed(1)
            input = torch.randn(shape, requires_grad=True)
            with half_precision():
                output = module(input)
            assert output.dtype == torch.bfloat16
            output.float().square().sum().backward()
            found.append([output, input.grad, *(p.grad for p in module.parameters())])
        for expected, mine in zip(*found, strict=True):
            assert mine.dtype == expected.dtype
            size = float(expected.detach().abs().max())
            torch.testing.assert_close(mine, expected, rtol=0, atol=0.01 * size)

    def test_without_autocast_it_is_torchs(self):
        plain, quick = layers()
        input = torch.randn(5, 24)
        assert torch.equal(plain(input), quick(input))

    def test_no_copy_of_a_weight_is_kept(self):
        held = []
        for module in layers():
            input = torch.randn(1, 24, requires_grad=True)
            number, output = saved_numbers(module, input)
            held.append(number)
            output.sum().backward()
        of_weights = 24 * 40 + 40 * 8
        assert held[0] >= of_weights
        # Filled up to 32 rows: both inputs, and what enters GELU.
        assert held[1] <= 32 * (24 + 40 + 40)

    def test_layers_share_the_copy_of_their_input(self):
        wide = nn.ModuleList([Linear(512, 2) for _ in range(3)])

        class Three(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = wide

            def forward(self, input):
                return sum(layer(input) for layer in self.layers)

        number, _ = saved_numbers(Three(), torch.randn(32, 512))
        assert 32 * 512 <= number < 2 * 32 * 512

    def test_an_input_that_has_changed_is_converted_anew(self):
        layer = Linear(4, 4)
        input = torch.randn(2, 4)
        with half_precision():
            before = layer(input)
            input.mul_(2)
            after = layer(input)
        assert not torch.equal(before, after)

    def test_what_rests_gets_no_gradient(self):
        layer = Linear(4, 3)
        layer.weight.requires_grad_(False)
        input = torch.randn(2, 4, requires_grad=True)
        with half_precision():
            layer(input).sum().backward()
        assert layer.weight.grad is None
        assert input.grad is not None
        assert layer.bias.grad is not None


class TestReplaceLinear:
    def test_parameters_and_names_stay(self):
        plain, _ = layers()
        before = dict(plain.named_parameters())
        replace_linear(plain)
        assert all(type(plain[n]) is Linear for n in (0, 2))
        after = dict(plain.named_parameters())
        assert list(before) == list(after)
        assert all(after[name] is before[name] for name in before)


class TestMultiplyEach:
    @pytest.mark.parametrize("n", [1, 4, 7])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_it_is_the_product_of_each(self, n, dtype):
        torch.manual_seed(0)
        left = torch.randn(n, 2, 5, 3).to(dtype)
        right = torch.randn(n, 2, 6, 3).to(dtype).transpose(-1, -2)
        torch.testing.assert_close(multiply_each(left, right), left @ right)
