"""Affine maps with frozen weights, each in the form that its hardware multiplies best.

`make_linear` chooses; all forms are callables of the same shape. Shapes: t tokens,
i inputs, o outputs.
"""

from __future__ import annotations

import warnings
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Linear", "make_linear"]

# oneDNN lays weights out for about as many rows; others work too.
_N_ROWS = 2048


class Linear(Protocol):
    """What all forms do."""

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """Return the map of x (t, i), shape (t, o), through GELU if wanted."""


def make_linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Linear:
    """Return an affine map in the form that suits device and number format.

    Parameters
    ----------
    weight : tensor of shape (o, i)
        On the device that shall compute.
    bias : tensor of shape (o,)
        On the same device.
    dtype : torch.dtype
        Number format of inputs and outputs; ``torch.int8`` takes and gives float32 and
        multiplies in integers.

    Returns
    -------
    linear : callable
        Gets x of shape (t, i) and returns shape (t, o).

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.linear import make_linear
    >>> double = make_linear(2 * torch.eye(2), torch.zeros(2), torch.float32)
    >>> double(torch.tensor([[1.0, 3.0]]))
    tensor([[2., 6.]])
    """
    if dtype == torch.int8:
        return _Int8Linear(weight, bias)
    weight, bias = weight.to(dtype), bias.to(dtype)
    if dtype == torch.bfloat16 and weight.device.type == "cpu":
        packed = _PackedLinear.make(weight, bias)
        if packed is not None:
            return packed
    return _PlainLinear(weight, bias)


class _PlainLinear:
    """A matrix product, as torch does it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y) if gelu else y


class _PackedLinear:
    """Weights laid out once as oneDNN reads them, with GELU in the same pass.

    Saves about a fifteenth of a layer's time. torch's compiler uses the same two
    functions, but they are no part of its documented interface, so that `make` asks for
    a proof that they work here.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _N_ROWS)
        self._bias = bias

    @classmethod
    def make(cls, weight: Tensor, bias: Tensor) -> _PackedLinear | None:
        """Return the map, or None where it does not give what a plain one gives."""
        try:
            packed = cls(weight, bias)
            x = torch.linspace(-1, 1, 2 * weight.shape[1], dtype=weight.dtype)
            x = x.view(2, -1)
            right = torch.allclose(
                packed(x, gelu=True).float(),
                F.gelu(F.linear(x.float(), weight.float(), bias.float())),
                rtol=0.05,
                atol=0.05 * float(weight.abs().max()),
            )
        except (AttributeError, RuntimeError, NotImplementedError, TypeError):
            return None
        return packed if right else None

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        # oneDNN's name of what is fused, its arguments, and how GELU is computed.
        post: tuple[str, list[float], str] = (
            ("gelu", [], "none") if gelu else ("none", [], "")
        )
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, *post
        )
        return result


class _Int8Linear:
    """Weights of 8 bits with a scale for each output; inputs are rounded as they come.

    Three times as fast as float32 on a CPU with AVX512-VNNI, and off by about a
    hundredth of an output's size.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        weight = weight.float()
        scales = weight.abs().amax(dim=1).double().clamp(min=1e-12) / 127
        centres = torch.zeros(len(scales), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch means to move quantised tensors elsewhere one day.
            warnings.filterwarnings("ignore", "torch.quantize_per", UserWarning)
            rounded = torch.quantize_per_channel(
                weight, scales, centres, 0, torch.qint8
            )
            self._packed = torch.ops.quantized.linear_prepack(rounded, bias.float())

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        y: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed, False)
        return F.gelu(y) if gelu else y
