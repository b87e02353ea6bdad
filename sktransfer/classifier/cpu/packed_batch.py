"""A batch of texts through BERT's layers that learn, in halves and without padding.

`find_layers` says whether a module of transformers is one whose layers can be written
out, as `packed_layer` does. In bfloat16 padded halves take 1.3 times the processor's
time for a step forwards and backwards (16 film sentences, all-MiniLM-L6-v2 and
multilingual-e5-small), and 1.1 times for a whole fit of one epoch; six steps add 27 and
35 MiB more memory.

Private names: the hooks of ``torch.Tensor``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sktransfer.classifier.cpu.dropout import Dropout
from sktransfer.classifier.cpu.packed_layer import (
    Affine,
    Group,
    Layer,
    Norm,
    PackedRows,
    StepOfAffine,
)

__all__ = ["PackedBatch", "PackedLayers", "find_layers"]

# For each shape of a product that it has not seen oneDNN writes a program anew.
_ROWS = 32
_LENGTH = 8

# More rows of a batch do not wait for the other half: their gradients would take more
# memory than a second product for each weight costs time.
_MOST_TOGETHER = 1536

# Padded places of attention, for each head, that a further group of texts has to save.
_WORTH_CUTTING = 2**14

_PARTS = {
    "attention.self.query": nn.Linear,
    "attention.self.key": nn.Linear,
    "attention.self.value": nn.Linear,
    "attention.self.dropout": nn.Dropout,
    "attention.output.dense": nn.Linear,
    "attention.output.dropout": nn.Dropout,
    "attention.output.LayerNorm": nn.LayerNorm,
    "intermediate.dense": nn.Linear,
    "output.dense": nn.Linear,
    "output.dropout": nn.Dropout,
    "output.LayerNorm": nn.LayerNorm,
}
_OF_EMBEDDINGS = (
    "word_embeddings",
    "position_embeddings",
    "token_type_embeddings",
    "LayerNorm",
    "dropout",
)


def find_layers(
    transformer: Any, blocks: Sequence[nn.Module], *, pad_id: int | None
) -> PackedLayers | None:
    """Layers of a module that computes what BERT does; None where a part is missing.

    `pad_id` is the padding's id where positions are counted from there on.
    """
    n_heads = getattr(transformer.config, "num_attention_heads", None)
    embeddings: Any = getattr(transformer, "embeddings", None)
    if not blocks or not isinstance(n_heads, int):
        return None
    if any(not hasattr(embeddings, name) for name in _OF_EMBEDDINGS):
        return None
    # Another one would draw from the generator of the process.
    if type(embeddings.dropout) is not Dropout:
        return None
    layers = [_layer_of(block, n_heads) for block in blocks]
    if any(layer is None for layer in layers):
        return None
    known = [layer for layer in layers if layer is not None]
    return PackedLayers(transformer, known, pad_id)


def _layer_of(block: nn.Module, n_heads: int) -> Layer | None:
    modules = dict(block.named_modules())
    parts = [modules.get(name) for name in _PARTS]
    fits = zip(parts, _PARTS.values(), strict=True)
    if not all(isinstance(part, kind) for part, kind in fits):
        return None
    found: Mapping[str, Any] = modules
    affines = ("attention.output.dense", "intermediate.dense", "output.dense")
    projected = (f"attention.self.{name}" for name in ("query", "key", "value"))
    linears = [found[name] for name in (*projected, *affines)]
    if any(linear.bias is None for linear in linears):
        return None
    query, key, value, merge, widen, narrow = (
        (linear.weight, linear.bias) for linear in linears
    )
    dropouts = [found[n] for n in ("attention.output.dropout", "output.dropout")]
    inside = found["attention.self"]

    def rates() -> tuple[float, float, float]:
        of_weights = inside.dropout.p if inside.training else 0.0
        first, second = (d.p if d.training else 0.0 for d in dropouts)
        return of_weights, first, second

    norms = (found[n] for n in ("attention.output.LayerNorm", "output.LayerNorm"))
    first, second = (Norm(norm.weight, norm.bias, norm.eps) for norm in norms)
    return Layer(
        Affine(query, key, value),
        Affine(merge),
        Affine(widen),
        Affine(narrow),
        first,
        second,
        n_heads,
        rates,
    )


class PackedLayers:
    """Embeddings and layers of a module, written out."""

    def __init__(
        self, transformer: Any, layers: list[Layer], pad_id: int | None
    ) -> None:
        self._transformer = transformer
        self._layers = layers
        self._pad_id = pad_id

    def are_watched(self) -> bool:
        """Whether anybody wants to see the gradients of parameters as they come."""
        return any(
            parameter._backward_hooks or parameter._post_accumulate_grad_hooks
            for layer in self._layers
            for parameter in layer.parameters()
        )

    def begin(
        self,
        inputs: Mapping[str, Tensor],
        depths: tuple[int, ...],
        finish: Callable[[Tensor, Tensor], Tensor],
        dtype: torch.dtype,
        *,
        n_passed: int = 0,
    ) -> PackedBatch:
        """Begin a batch of inputs (b, t, ...), padded on the right.

        Where there are ``states`` among the inputs, they are what `n_passed` layers
        give. `finish` makes features of padded states, averaged over `depths`, and of
        their mask; `dtype` is that of products.
        """
        return PackedBatch(
            self._transformer,
            self._layers[n_passed : max(depths)],
            dict(inputs),
            tuple(depth - n_passed for depth in depths),
            finish,
            dtype,
            self._pad_id,
        )


class PackedBatch:
    """One step of a batch.

    First `refresh` for each of `parts`, then `compute` for each of `halves`; `join` is
    to be called when gradients went back through both, and `close` for each part.

    Attributes
    ----------
    order : torch.Tensor of shape (b,)
        Rows of the batch, as they stand in the halves.
    halves : list of PackedRows
        Two.
    parts : list of lists of Affine
        Two, that cost about the same.
    """

    def __init__(
        self,
        transformer: Any,
        layers: list[Layer],
        inputs: dict[str, Tensor],
        depths: tuple[int, ...],
        finish: Callable[[Tensor, Tensor], Tensor],
        dtype: torch.dtype,
        pad_id: int | None,
    ) -> None:
        self._transformer = transformer
        self._layers = layers
        self._depths = depths
        self._finish = finish
        self._dtype = dtype
        self._pad_id = pad_id
        self._inputs = inputs
        self._mask = inputs["attention_mask"].bool()
        lengths = self._mask.sum(1)
        self.order = torch.argsort(lengths, stable=True)
        self._steps: dict[Affine, StepOfAffine] = {}
        self.halves, self._texts = self._cut(lengths)
        affines = [affine for layer in layers for affine in layer.affines()]
        self.parts = [affines[::2], affines[1::2]]

    def _cut(self, lengths: Tensor) -> tuple[list[PackedRows], list[list[Tensor]]]:
        ordered = lengths[self.order]
        sums = ordered.cumsum(0)
        first = int(torch.maximum(sums[:-1], sums[-1] - sums[:-1]).argmin()) + 1
        texts = [
            _cut_by_area(part, lengths)
            for part in (self.order[:first], self.order[first:])
        ]
        counts = [
            -(-sum(int(lengths[rows].sum()) for rows in half) // _ROWS) * _ROWS
            for half in texts
        ]
        together = sum(counts) <= _MOST_TOGETHER
        halves, start = [], 0
        for half, n in zip(texts, counts, strict=True):
            steps = self._steps if together else {}
            within = slice(start, start + n)
            groups = list(self._groups(half, lengths))
            halves.append(PackedRows(groups, within, steps, closes=not together))
            start += n if together else 0
        self._n_rows = sum(counts) if together else None
        return halves, texts

    def _groups(self, texts: list[Tensor], lengths: Tensor) -> Iterator[Group]:
        start = 0
        for rows in texts:
            longest = int(lengths[rows].max())
            multiple = _LENGTH if self._dtype != torch.float32 else 1
            length = -(-longest // multiple) * multiple
            present = torch.arange(length) < lengths[rows, None]
            places = present.view(-1).nonzero()[:, 0]
            whole = len(places) == present.numel()
            yield Group(
                slice(start, start + len(places)),
                len(rows),
                length,
                places,
                None if whole else present[:, None, None],
            )
            start += len(places)

    def refresh(self, part: list[Affine]) -> None:
        """Bring weights into place, and make room for what their gradients need."""
        for affine in part:
            affine.refresh(self._dtype)
            if self._n_rows is not None and affine.learns():
                step = StepOfAffine(affine, self._n_rows, self._dtype)
                self._steps[affine] = step

    def compute(self, number: int) -> Tensor:
        """Features of the texts of a half, in their order."""
        rows, texts = self.halves[number], self._texts[number]
        n_rows = rows.within.stop - rows.within.start
        if self._n_rows is None:
            for layer in self._layers:
                for affine in filter(Affine.learns, layer.affines()):
                    rows.steps[affine] = StepOfAffine(affine, n_rows, self._dtype)
        states = self._enter(torch.cat(texts), n_rows)
        kept = {0: states}
        for depth, layer in enumerate(self._layers, start=1):
            states = layer(states, rows)
            if depth in self._depths:
                kept[depth] = states
        read = [kept[depth] for depth in self._depths]
        states = read[0] if len(read) == 1 else torch.stack(read).mean(dim=0)
        found = []
        for group, chosen in zip(rows.groups, texts, strict=True):
            lengths = self._mask[chosen].sum(1)
            mask = (torch.arange(group.length) < lengths[:, None]).long()
            found.append(self._finish(group.pad(states), mask))
        return torch.cat(found)

    def _enter(self, texts: Tensor, n_rows: int) -> Tensor:
        """What the lowest of the layers reads (n, w)."""
        present = self._mask[texts]
        more = n_rows - int(present.sum())
        if "states" in self._inputs:
            states = self._inputs["states"][texts][present]
            return nn.functional.pad(states.float(), (0, 0, 0, more))
        ids = self._inputs["input_ids"][texts]
        if self._pad_id is None:
            places = torch.arange(ids.shape[1]).expand_as(ids)
        else:
            # A text may contain the padding's own token, which is not counted.
            counted = (ids != self._pad_id).long()
            places = counted.cumsum(1) * counted + self._pad_id
        ids, places = (
            nn.functional.pad(part[present], (0, more)) for part in (ids, places)
        )
        embeddings = self._transformer.embeddings
        states = embeddings.word_embeddings(ids)
        states = states + embeddings.token_type_embeddings.weight[0]
        states = states + embeddings.position_embeddings(places)
        states = embeddings.dropout(embeddings.LayerNorm(states))
        if hasattr(self._transformer, "embeddings_project"):
            states = self._transformer.embeddings_project(states)
        entered: Tensor = states
        return entered

    def close(self, part: list[Affine]) -> None:
        """Add to gradients what both halves have left."""
        for affine in part:
            step = self._steps.pop(affine, None)
            if step is not None:
                step.close()

    def join(self) -> None:
        """Add to gradients what each half has summed up."""
        for rows in self.halves:
            for parameter, found in rows.sums:
                if parameter.grad is None:
                    parameter.grad = found
                else:
                    parameter.grad += found
            rows.sums.clear()


def _cut_by_area(rows: Tensor, lengths: Tensor) -> list[Tensor]:
    """Cut rows, ordered by length, where that saves much of attention's padding."""
    longest = int(lengths[rows[-1]])
    if len(rows) < 2:
        return [rows]
    n_first = torch.arange(1, len(rows))
    area = n_first * lengths[rows[:-1]] ** 2 + (len(rows) - n_first) * longest**2
    first = int(area.argmin()) + 1
    if len(rows) * longest**2 - int(area.min()) < _WORTH_CUTTING:
        return [rows]
    parts = (rows[:first], rows[first:])
    return [piece for part in parts for piece in _cut_by_area(part, lengths)]
