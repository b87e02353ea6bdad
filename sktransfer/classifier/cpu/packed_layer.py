"""A layer of BERT that learns from rows without padding, forwards and backwards.

All tokens of some texts stand one after another, and what a layer does to them is
written out: one product for queries, keys and values, weights that are brought into
half precision once a step, sums written where they are needed. Products with weights
run at the speed of the hardware; this saves most of what stands between them. Only
attention sees padding, within a group of texts of like length.

What a step adds to a weight's gradient is one product over the rows of the whole
batch. So both halves leave their rows in one place, a `StepOfAffine`, and the products
are computed at the end. Shapes: n tokens, filled up with rows that nobody reads; w the
width, i and o the sizes of a product.

Private names: ``torch.ops.aten``, whose functions take a place for their result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sktransfer.classifier.cpu.attention import attention_gradients, compute_attention
from sktransfer.classifier.cpu.dropout import draw_kept

__all__ = ["Affine", "Group", "Layer", "Norm", "PackedRows", "StepOfAffine"]


@dataclass(frozen=True)
class Group:
    """Texts of like length, whose attention is computed together.

    Attributes
    ----------
    rows : slice
        Where their tokens stand among those of the half.
    n_texts, length : int
        Texts, and the places of each once they are padded.
    places : torch.Tensor of shape (n,)
        Place of each token among the ``n_texts * length`` padded ones.
    attended : torch.Tensor or None
        False at padding, (n_texts, 1, 1, length); None where there is none.
    """

    rows: slice
    n_texts: int
    length: int
    places: Tensor
    attended: Tensor | None

    def pad(self, packed: Tensor) -> Tensor:
        """Padded (n_texts, length, w) of the half's packed rows, 0 at padding."""
        padded = packed.new_zeros(self.n_texts * self.length, packed.shape[1])
        padded = padded.index_copy(0, self.places, packed[self.rows])
        return padded.view(self.n_texts, self.length, -1)


class Affine:
    """An affine map of one weight, or of several whose outputs stand side by side."""

    def __init__(self, *parts: tuple[nn.Parameter, nn.Parameter]) -> None:
        self.weights = [weight for weight, _ in parts]
        self.biases = [bias for _, bias in parts]
        self.weight = torch.empty(0)
        self.bias = torch.empty(0)

    def learns(self) -> bool:
        """Whether a step changes it."""
        return any(p.requires_grad for p in (*self.weights, *self.biases))

    def refresh(self, dtype: torch.dtype) -> None:
        """Take over the numbers that the parameters have now."""
        self.weight = _stacked(self.weights, self.weight, dtype)
        self.bias = _stacked(self.biases, self.bias, dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        """Outputs (n, o) of inputs (n, i)."""
        return nn.functional.linear(rows, self.weight, self.bias)


def _stacked(parts: list[nn.Parameter], into: Tensor, dtype: torch.dtype) -> Tensor:
    if len(parts) == 1 and parts[0].dtype == dtype:
        return parts[0].detach()
    n_rows = sum(len(part) for part in parts)
    if into.dtype != dtype or len(into) != n_rows:
        into = torch.empty(n_rows, *parts[0].shape[1:], dtype=dtype)
    start = 0
    for part in parts:
        into[start : start + len(part)].copy_(part.detach())
        start += len(part)
    return into


class StepOfAffine:
    """What an affine map reads in a step, and the gradients of what it gives.

    What a step adds to a weight's gradient is a product of both. Halves that have their
    rows here write to different ones.
    """

    def __init__(self, affine: Affine, n_rows: int, dtype: torch.dtype) -> None:
        self._affine = affine
        n_out, n_in = affine.weight.shape
        self.inputs = torch.empty(n_rows, n_in, dtype=dtype)
        self.grads = torch.empty(n_rows, n_out, dtype=dtype)

    def close(self) -> None:
        """Add to the gradients of weights and biases, and let go of the rows."""
        weights, biases = self._affine.weights, self._affine.biases
        if any(weight.requires_grad for weight in weights):
            _give(weights, self.grads.t() @ self.inputs)
        if any(bias.requires_grad for bias in biases):
            _give(biases, self.grads.sum(0))
        del self.inputs, self.grads


def _give(parameters: list[nn.Parameter], total: Tensor) -> None:
    """Add to the gradients of parameters what is stacked in `total`."""
    parts = total.split([len(parameter) for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        if not parameter.requires_grad:
            continue
        if parameter.grad is not None:
            parameter.grad += part
        else:
            # A view would keep all that it is a part of.
            parameter.grad = part.to(parameter.dtype, copy=len(parts) > 1)


class PackedRows:
    """How the tokens of a half stand, and where its steps leave what they read.

    Attributes
    ----------
    groups : list of Group
        One after another.
    within : slice
        Where the half stands among the rows of each of `steps`.
    steps : dict of Affine to StepOfAffine
        Of what learns.
    closes : bool
        Whether the half alone writes there, and closes them.
    sums : list of (parameter, tensor)
        What the half adds to the gradients of other parameters.
    """

    def __init__(
        self,
        groups: list[Group],
        within: slice,
        steps: dict[Affine, StepOfAffine],
        *,
        closes: bool,
    ) -> None:
        self.groups = groups
        self.within = within
        self.steps = steps
        self.closes = closes
        self.sums: Sums = []

    def inputs(self, affine: Affine) -> Tensor:
        """Where to write what the map reads (n, i)."""
        step = self.steps.get(affine)
        if step is not None:
            return step.inputs[self.within]
        n_rows = self.within.stop - self.within.start
        return affine.weight.new_empty(n_rows, affine.weight.shape[1])

    def grads(self, affine: Affine) -> Tensor:
        """Where to write the gradients of what the map gives (n, o)."""
        step = self.steps.get(affine)
        if step is not None:
            return step.grads[self.within]
        n_rows = self.within.stop - self.within.start
        return affine.weight.new_empty(n_rows, affine.weight.shape[0])

    def close(self, affine: Affine) -> None:
        """Say that the gradients are written."""
        if self.closes and affine in self.steps:
            with _adding:
                self.steps.pop(affine).close()


# Parameters and what a half adds to their gradients.
Sums = list[tuple[nn.Parameter, Tensor]]

# Held while a half adds to gradients, as the other may be about to.
_adding = threading.Lock()


@dataclass(frozen=True)
class Norm:
    """Gain and shift of a normalisation."""

    weight: nn.Parameter
    bias: nn.Parameter
    eps: float

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised rows (n, w), and mean and reciprocal deviation of each row."""
        return torch.native_layer_norm(
            rows, rows.shape[1:], self.weight, self.bias, self.eps
        )

    def gradients(
        self, grad: Tensor, rows: Tensor, mean: Tensor, rstd: Tensor, sums: Sums
    ) -> Tensor:
        """Gradient of the rows (n, w); those of the parameters go to `sums`."""
        learns = self.weight.requires_grad, self.bias.requires_grad
        back: Tensor
        back, of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
            grad,
            rows,
            rows.shape[1:],
            mean,
            rstd,
            self.weight.detach(),
            self.bias.detach(),
            [True, *learns],
        )
        sums += [
            (parameter, found)
            for parameter, found in ((self.weight, of_weight), (self.bias, of_bias))
            if parameter.requires_grad
        ]
        return back


@dataclass(frozen=True)
class Layer:
    """Attention and two products, a norm after each.

    `rates` gives the shares that dropout silences at the moment: of the weights of
    attention, of what it gives, and of what the two products give.
    """

    project: Affine
    merge: Affine
    widen: Affine
    narrow: Affine
    first: Norm
    second: Norm
    n_heads: int
    rates: Callable[[], tuple[float, float, float]]

    def affines(self) -> tuple[Affine, Affine, Affine, Affine]:
        """The products with weights."""
        return self.project, self.merge, self.widen, self.narrow

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""
        for affine in self.affines():
            yield from (*affine.weights, *affine.biases)
        for norm in (self.first, self.second):
            yield from (norm.weight, norm.bias)

    def learns(self) -> bool:
        """Whether a step changes any of its parameters."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def __call__(self, states: Tensor, rows: PackedRows) -> Tensor:
        """States (n, w) of the states below.

        A backward pass leaves with the rows what is to be added to gradients.
        """
        started = torch.empty(0, requires_grad=self.learns())
        after: Tensor = _Step.apply(states, started, self, rows)
        return after


class _Step(torch.autograd.Function):
    """A layer on packed rows."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        started: Tensor,
        layer: Layer,
        rows: PackedRows,
    ) -> Tensor:
        of_weights, of_attention, of_output = layer.rates()
        read = rows.inputs(layer.project).copy_(states)
        projected = layer.project(read)
        mixed = rows.inputs(layer.merge)
        attentions = _attend(layer, projected, mixed, rows.groups, of_weights)
        merged, kept_first = _drop(layer.merge(mixed), of_attention)
        first = states + merged
        middle, *of_first = layer.first(first)
        small = rows.inputs(layer.widen).copy_(middle)
        wide = layer.widen(small)
        active = rows.inputs(layer.narrow)
        torch.ops.aten.gelu.out(wide, out=active)
        narrowed, kept_second = _drop(layer.narrow(active), of_output)
        second = middle + narrowed
        after, *of_second = layer.second(second)
        ctx.save_for_backward(
            first, *of_first, wide, second, *of_second, kept_first, kept_second
        )
        ctx.attentions, ctx.layer, ctx.rows = attentions, layer, rows
        return after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layer: Layer = ctx.layer
        rows: PackedRows = ctx.rows
        first, mean1, rstd1, wide, second, mean2, rstd2, *kept = ctx.saved_tensors
        kept_first, kept_second = kept
        back = layer.second.gradients(grad, second, mean2, rstd2, rows.sums)
        narrowed = rows.grads(layer.narrow).copy_(back)
        if kept_second is not None:
            narrowed.mul_(kept_second)
        widened = rows.grads(layer.widen)
        torch.ops.aten.gelu_backward.grad_input(
            narrowed @ layer.narrow.weight, wide, grad_input=widened
        )
        rows.close(layer.narrow)
        back += widened @ layer.widen.weight
        rows.close(layer.widen)
        back = layer.first.gradients(back, first, mean1, rstd1, rows.sums)
        merged = rows.grads(layer.merge).copy_(back)
        if kept_first is not None:
            merged.mul_(kept_first)
        projected = rows.grads(layer.project)
        _attend_back(
            layer, merged @ layer.merge.weight, projected, rows.groups, ctx.attentions
        )
        rows.close(layer.merge)
        ctx.attentions = None
        if ctx.needs_input_grad[0]:
            back += projected @ layer.project.weight
        rows.close(layer.project)
        return back if ctx.needs_input_grad[0] else None, None, None, None


def _drop(rows: Tensor, p: float) -> tuple[Tensor, Tensor | None]:
    """Rows after dropout, in place, and what they were multiplied by."""
    if not p:
        return rows, None
    kept = draw_kept(rows.shape, p, rows.dtype).mul_(1 / (1 - p))
    return rows.mul_(kept), kept


def _attend(
    layer: Layer, projected: Tensor, mixed: Tensor, groups: list[Group], p: float
) -> list[Any]:
    """Write what texts make of their values to `mixed` (n, w), 0 where none stands."""
    attentions = []
    scale = (mixed.shape[1] // layer.n_heads) ** -0.5
    for group in groups:
        heads = group.pad(projected).view(
            group.n_texts, group.length, 3, layer.n_heads, -1
        )
        query, key, value = heads.permute(2, 0, 3, 1, 4).contiguous()
        output, saved = compute_attention(query, key, value, group.attended, p, scale)
        attentions.append(saved)
        flat = output.transpose(1, 2).reshape(-1, mixed.shape[1])
        torch.index_select(flat, 0, group.places, out=mixed[group.rows])
    mixed[groups[-1].rows.stop :].zero_()
    return attentions


def _attend_back(
    layer: Layer,
    grad: Tensor,
    projected: Tensor,
    groups: list[Group],
    attentions: list[Any],
) -> None:
    """Write the gradients of queries, keys and values to `projected` (n, 3 w)."""
    width = grad.shape[1]
    scale = (width // layer.n_heads) ** -0.5
    for group, saved in zip(groups, attentions, strict=True):
        heads = group.pad(grad).view(group.n_texts, group.length, layer.n_heads, -1)
        found = attention_gradients(saved, heads.transpose(1, 2).contiguous(), scale)
        padded = torch.stack([part.transpose(1, 2) for part in found], dim=2)
        flat = padded.view(-1, 3 * width)
        torch.index_select(flat, 0, group.places, out=projected[group.rows])
    projected[groups[-1].rows.stop :].zero_()
