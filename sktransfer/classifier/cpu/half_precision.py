"""Products with weights that learn, in half precision on a CPU, in little memory.

Under autocast torch keeps a copy of each weight in half precision for the backward
pass, one for each time that the layer is called, and one of the input for each layer
that reads it. Here a weight is converted again when the gradient of its input is asked
for, and layers share the copy of their input. Without that, six steps of tuning add
518 MiB for multilingual-e5-small, and 399 with it (346 and 275 for all-MiniLM-L6-v2, 16
sentences, one core); a step takes 2 % longer.

Private names: ``torch.Tensor._version``, without which inputs are not shared.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sktransfer.classifier.cpu.switch import tricks_on

__all__ = ["Linear", "multiply_each", "replace_linear"]

# For each shape of a product that it has not seen oneDNN writes a program anew, and
# keeps the last thousand of them, of half a megabyte each. So tokens are filled up to a
# multiple of this.
_ROWS = 32
# For the same reason, texts whose attention is computed together; the rest go alone.
_TOGETHER = 4


class Linear(nn.Linear):
    """`torch.nn.Linear` that needs less memory under autocast on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the affine map of the input (..., i), of shape (..., o)."""
        ours = input.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if not ours or not tricks_on():
            return super().forward(input)
        rows = _rows_of(input, torch.get_autocast_dtype("cpu"))
        output: Tensor = _Product.apply(input, rows, self.weight, self.bias)
        return output


def replace_linear(module: nn.Module) -> None:
    """Put `Linear` in the place of each linear layer inside of a module.

    Parameters and their names stay as they are.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                with torch.device("meta"):
                    linear = Linear(child.in_features, child.out_features)
                linear.weight, linear.bias = child.weight, child.bias
                setattr(parent, name, linear.train(child.training))


class _Product(torch.autograd.Function):
    """The affine map of an input (..., i), whose numbers are given as `rows` (n, i)."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, rows: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        small = None if bias is None else bias.to(rows.dtype)
        output = nn.functional.linear(rows, weight.to(rows.dtype), small)
        ctx.n, ctx.dtype = input.shape[:-1].numel(), input.dtype
        ctx.save_for_backward(rows if ctx.needs_input_grad[2] else None, weight)
        return output[: ctx.n].view(*input.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        of_input, _, of_weight, of_bias = ctx.needs_input_grad
        filled = _fill_up(grad, grad.dtype)
        grads: list[Tensor | None] = [None] * 4
        if of_input:
            back = filled @ weight.to(grad.dtype)
            grads[0] = back[: ctx.n].view(*grad.shape[:-1], -1).to(ctx.dtype)
        if of_weight:
            grads[2] = (filled.t() @ rows).to(weight.dtype)
        if of_bias:
            grads[3] = filled.sum(0).to(weight.dtype)
        return tuple(grads)


def multiply_each(left: Tensor, right: Tensor) -> Tensor:
    """Matrix products (n, h, a, c) of (n, h, a, b) with (n, h, b, c).

    In half precision they are computed for few different numbers of rows n. Both are of
    one dtype, with n and h as a contiguous tensor has them.
    """
    if left.dtype == torch.float32:
        return left @ right
    products = left.new_empty(*left.shape[:-1], right.shape[-1])
    n, start = len(left), 0
    while start < n:
        end = start + (_TOGETHER if n - start >= _TOGETHER else 1)
        parts = (whole[start:end].flatten(0, 1) for whole in (left, right, products))
        first, second, out = parts
        torch.bmm(first, second, out=out)
        start = end
    return products


def _rows_of(input: Tensor, dtype: torch.dtype) -> Tensor:
    """The input's rows in half precision; those who read the same input share them."""
    if not torch.is_grad_enabled() or input.is_inference():
        return _fill_up(input, dtype)
    version: int | None = getattr(input, "_version", None)
    made: tuple[int | None, Tensor] | None = getattr(input, "_rows", None)
    stale = made is None or made[0] != version or made[1].dtype != dtype
    if made is None or stale or version is None:
        with torch.no_grad():
            made = version, _fill_up(input, dtype)
        input._rows = made  # type: ignore[attr-defined]
    return made[1]


def _fill_up(input: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers (..., i) as rows, with rows of zeros up to a multiple."""
    flat = input.reshape(-1, input.shape[-1])
    n = len(flat)
    filled = torch.empty(-(-n // _ROWS) * _ROWS, flat.shape[1], dtype=dtype)
    filled[:n].copy_(flat)
    filled[n:].zero_()
    return filled
