"""BERT's layers over rows without padding, by affine maps that suit the hardware.

`make_linear` chooses; all forms are callables of the same shape. Shapes: t tokens,
i inputs, o outputs.

All tokens of a batch stand one after another, so that the products with weights, nine
tenths of the work, see no padding; rows of equal length attend together, without a
mask. Shapes: t tokens of all rows, n rows of l tokens each in a group, w the width,
h heads of d.

Measured (benchmarks/encode.md): 1.6 to 2.4 times as many texts a second in float32 as
sentence-transformers, and 1.5 to 2.2 times as many in bfloat16.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sktransfer.encoders.checkpoints.weights import TABLE, BertWeights, look_up
from sktransfer.encoders.tokens import Ints, TokenRows, check_ids, send
from sktransfer.exceptions import CheckpointError
from sktransfer.ragged import gather

__all__ = ["Linear", "PackedEncoder", "make_linear"]

# oneDNN lays weights out for about as many rows; others work too.
_N_ROWS = 2048

# Numbers of 16 bits in a register of 512.
_LANES = 32
# Tokens of a batch are filled up to a multiple of this. For each number of rows that it
# has not seen oneDNN writes a program anew, which takes a third of a product's time,
# and keeps a thousand of them in memory.
_ROWS = 64


class Linear(Protocol):
    """What all forms do."""

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """Return the map of x (t, i), shape (t, o), through GELU if wanted."""


def make_linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Linear:
    """An affine map from (t, i) to (t, o) in the form that suits device and format.

    `weight` (o, i) and `bias` (o,) are on the device that shall compute. ``torch.int8``
    takes and gives float32 and multiplies in integers.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.compute.packed import make_linear
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


class PackedEncoder:
    """A frozen BERT-like encoder that computes nothing for padding.

    `weights` are copied where the format differs, but the token embeddings on a CPU,
    which others may share, never are. With ``torch.int8`` the weights of products are
    integers and all else is float32.
    """

    def __init__(
        self, weights: BertWeights, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device = device
        tensors = weights.tensors
        plain = _format_of_states(dtype)

        def place(name: str) -> Tensor:
            return tensors[name].to(device=device, dtype=plain)

        # One type for all tokens: its embedding is a part of each position's.
        positions = tensors["embeddings.position_embeddings.weight"].float()
        types = tensors.get("embeddings.token_type_embeddings.weight")
        if types is not None:
            positions = positions + types[0].float()
        self._positions = positions.to(device=device, dtype=plain)
        self._words = tensors[TABLE] if device.type == "cpu" else place(TABLE)
        self._plain = plain
        self._norm = (
            place("embeddings.LayerNorm.weight"),
            place("embeddings.LayerNorm.bias"),
        )
        self._eps = weights.eps
        self._pad_id = weights.pad_id
        self._fills_up = dtype == torch.bfloat16 and device.type == "cpu"
        self._project = (
            make_linear(
                tensors["embeddings_project.weight"].to(device),
                tensors["embeddings_project.bias"].to(device),
                dtype,
            )
            if "embeddings_project.weight" in tensors
            else None
        )
        self._layers = [
            _Layer(weights, layer, device, dtype) for layer in range(weights.n_layers)
        ]
        last = f"encoder.layer.{weights.n_layers - 1}.output.dense.bias"
        self.width = int(tensors[last].shape[0])

    def run(
        self, rows: TokenRows, indices: Ints, layers: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[Ints, list[Tensor], None]]:
        """Yield groups of rows of equal length, and the states of their tokens.

        Parameters
        ----------
        rows : TokenRows
            Where the rows are.
        indices : int64 array of shape (b,)
            Which of them to read.
        layers : sequence of tuples of int
            Hidden states to average, counted from the last, -1; each tuple is a result
            of the same pass.

        Yields
        ------
        group : int64 array of shape (n,)
            Some of `indices`.
        states : list of tensors of shape (n, l, w)
            One for each of `layers`.
        mask : None
            All of it is tokens.
        """
        lengths = rows.lengths[indices]
        order = np.argsort(lengths, kind="stable")
        indices, lengths = indices[order], lengths[order]
        ids = gather(rows.ids, rows.offsets[indices], lengths)
        check_ids(ids, len(self._words))
        self._check_length(int(lengths.max(initial=0)))
        if self._fills_up:
            ids = np.pad(ids, (0, -len(ids) % _ROWS))
        sizes, counts = np.unique(lengths, return_counts=True)
        groups = list(zip(counts.tolist(), sizes.tolist(), strict=True))
        states = self._states(send(torch.from_numpy(ids), self.device), groups, layers)
        first_row = first_token = 0
        for n_rows, length in groups:
            last_token = first_token + n_rows * length
            parts = [
                part[first_token:last_token].view(n_rows, length, -1) for part in states
            ]
            yield indices[first_row : first_row + n_rows], parts, None
            first_row, first_token = first_row + n_rows, last_token

    def _check_length(self, length: int) -> None:
        """Refuse rows that the table of positions has no room for."""
        room = len(self._positions) - (0 if self._pad_id is None else self._pad_id + 1)
        if length > room:
            raise CheckpointError(
                f"A text has {length} tokens, but the weights have positions for "
                f"{room}: the configuration says more, or max_length does; pass "
                f"max_length={room}."
            )

    def _states(
        self,
        ids: Tensor,
        groups: list[tuple[int, int]],
        layers: Sequence[tuple[int, ...]],
    ) -> list[Tensor]:
        """States of all tokens (t, w), each averaged over its layers."""
        top = len(self._layers) + 1
        depths = [tuple(layer + top for layer in chosen) for chosen in layers]
        x = self._embed(ids, groups)
        kept = {0: x}
        # Layers above the highest that is asked for are not computed.
        for depth, layer in enumerate(self._layers[: max(map(max, depths))], start=1):
            x = layer(x, groups)
            if any(depth in chosen for chosen in depths):
                kept[depth] = x
        return [
            kept[chosen[0]]
            if len(chosen) == 1
            else torch.stack([kept[depth].float() for depth in chosen]).mean(dim=0)
            for chosen in depths
        ]

    def _embed(self, ids: Tensor, groups: list[tuple[int, int]]) -> Tensor:
        positions = [self._count(part) for part in _split(ids.unsqueeze(1), groups)]
        x = look_up(ids, self._words).to(self._plain)
        at = torch.cat(positions)
        x[: len(at)] += F.embedding(at, self._positions)
        x = F.layer_norm(x, x.shape[1:], *self._norm, self._eps)
        return x if self._project is None else self._project(x)

    def _count(self, part: Tensor) -> Tensor:
        """Positions of the tokens (n, l, 1) of a group, shape (n * l,)."""
        n_rows, length, _ = part.shape
        if self._pad_id is None:
            return torch.arange(length, device=part.device).repeat(n_rows)
        # A text may contain the padding's own token, which is not counted.
        counted = (part[:, :, 0] != self._pad_id).long()
        return (counted.cumsum(dim=1) * counted + self._pad_id).view(-1)


class _Layer:
    """Attention and two products, a norm after each."""

    def __init__(
        self,
        weights: BertWeights,
        layer: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        tensors = {
            name.removeprefix(f"encoder.layer.{layer}."): tensor.to(device)
            for name, tensor in weights.tensors.items()
            if name.startswith(f"encoder.layer.{layer}.")
        }
        names = [f"attention.self.{name}" for name in ("query", "key", "value")]
        # One product gives queries, keys and values.
        self._project = make_linear(
            torch.cat([tensors[f"{name}.weight"] for name in names]),
            torch.cat([tensors[f"{name}.bias"] for name in names]),
            dtype,
        )
        self._merge, self._widen, self._narrow = (
            make_linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"], dtype)
            for name in ("attention.output.dense", "intermediate.dense", "output.dense")
        )
        plain = _format_of_states(dtype)
        self._norms = [
            (tensors[f"{name}.weight"].to(plain), tensors[f"{name}.bias"].to(plain))
            for name in ("attention.output.LayerNorm", "output.LayerNorm")
        ]
        self._eps = weights.eps
        self._n_heads = weights.n_heads
        # Measured on a CPU: in bfloat16 two plain products beat the fused kernel, whose
        # cost for each head of each short row is larger than the row's own.
        simple = dtype == torch.bfloat16 and device.type == "cpu"
        self._attend = _attend_plainly if simple else F.scaled_dot_product_attention

    def __call__(self, x: Tensor, groups: list[tuple[int, int]]) -> Tensor:
        mixed = torch.zeros_like(x)  # what the batch is filled up with stays finite
        parts = zip(
            _split(self._project(x), groups), _split(mixed, groups), strict=True
        )
        for part, target in parts:
            n_rows, length, _ = part.shape
            heads = part.view(n_rows, length, 3, self._n_heads, -1)
            queries, keys, values = heads.permute(2, 0, 3, 1, 4)
            result = self._attend(queries, keys, values)
            target.view(n_rows, length, self._n_heads, -1).copy_(result.transpose(1, 2))
        x = self._merge(mixed).add_(x)
        x = F.layer_norm(x, x.shape[1:], *self._norms[0], self._eps)
        y = self._narrow(self._widen(x, gelu=True)).add_(x)
        return F.layer_norm(y, y.shape[1:], *self._norms[1], self._eps)


def _format_of_states(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype == torch.int8 else dtype


def _attend_plainly(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Mix values by the similarity of queries and keys, all of shape (n, h, l, d)."""
    n_rows, n_heads, length, size = queries.shape
    queries, keys, values = (
        part.reshape(n_rows * n_heads, length, size) for part in (queries, keys, values)
    )
    # Measured: torch's softmax takes up to three times as long where the rows do not
    # fill its registers, so that they are filled up with what gets no weight.
    full = -(-length // _LANES) * _LANES if length >= _LANES // 2 else length
    scores = queries.new_full((len(queries), length, full), float("-inf"))
    scores[:, :, :length].baddbmm_(
        queries, keys.transpose(1, 2), beta=0, alpha=size**-0.5
    )
    mixed = torch.bmm(scores.softmax(dim=-1)[:, :, :length], values)
    return mixed.view(n_rows, n_heads, length, size)


def _split(x: Tensor, groups: list[tuple[int, int]]) -> Iterator[Tensor]:
    """Views (n, l, width) of the groups of tokens in x (t, width)."""
    start = 0
    for n_rows, length in groups:
        end = start + n_rows * length
        yield x[start:end].view(n_rows, length, -1)
        start = end
