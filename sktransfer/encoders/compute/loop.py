"""Rows of tokens through a model: the one place where a frozen encoder computes.

Shapes: b texts, t tokens, w the width of a state.

`encode_rows` is the loop of forward passes that all vectors come out of. What one pass
does is an `Encoder`'s business: `PackedEncoder` for BERT and its relatives, and
`PaddedEncoder` around a module of transformers for every other architecture.

torch divides every single operation over its threads and waits at the end of each for
the slowest; a forward pass has a hundred operations. Whole batches divided over threads
wait once, which on a busy machine is half as fast again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sktransfer.encoders.compute.devices import count_cores, threads_with_cores
from sktransfer.encoders.tokens import (
    Ints,
    TokenRows,
    batches_by_length,
    check_ids,
    send,
)

__all__ = [
    "POOLINGS",
    "Encoder",
    "PaddedEncoder",
    "choose_batch_tokens",
    "do_each",
    "encode_rows",
    "pool",
    "token_states",
]

Item = TypeVar("Item")

# Tokens from which on it pays to divide a single batch over threads.
_WORTH_SHARING = 512


def pool(states: Tensor, mask: Tensor | None, pooling: tuple[str, ...]) -> Tensor:
    """Pool token states into vectors, one pooling beside the other, in float32.

    `mask` (b, t) is 1 at tokens and 0 at padding, which stands at the end of a row;
    None where all are tokens, and their states are read without a copy. A row without
    tokens is zeros.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.compute.loop import pool
    >>> states = torch.tensor([[[1.0, 5.0], [3.0, 1.0], [9.0, 9.0]]])
    >>> pool(states, torch.tensor([[1, 1, 0]]), ("mean", "max"))
    tensor([[2., 3., 3., 5.]])
    """
    parts = [POOLINGS[name](states, mask) for name in pooling]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _mean(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.mean(dim=1, dtype=torch.float32)
    # A product per text adds up the tokens in float32 without a masked copy.
    weights = mask.to(torch.float32).unsqueeze(1)
    sums = torch.bmm(weights, states.to(torch.float32)).squeeze(1)
    return sums / weights.sum(dim=2).clamp(min=1)


def _cls(states: Tensor, mask: Tensor | None) -> Tensor:
    first = states[:, 0].to(torch.float32)
    return first if mask is None else first * mask[:, :1]


def _max(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.amax(dim=1).to(torch.float32)
    hidden = (mask == 0).unsqueeze(2)
    highest = states.masked_fill(hidden, float("-inf")).amax(dim=1).to(torch.float32)
    return highest.masked_fill(hidden.all(dim=1), 0.0)


POOLINGS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "max": _max,
}


class Encoder(Protocol):
    """What can run rows of tokens.

    Attributes
    ----------
    device : torch.device
        Where it computes.
    width : int
        Length of a token's state.
    """

    device: torch.device
    width: int

    def run(
        self, rows: TokenRows, indices: Ints, layers: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[Ints, list[Tensor], Tensor | None]]:
        """Yield some of `indices`, states (b, t, w), and a mask (b, t) if padded."""


class PaddedEncoder:
    """A transformers encoder in eval mode, which reads rows padded to the longest."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self.device = next(module.parameters()).device
        self.width = int(module.config.hidden_size)  # type: ignore[union-attr, arg-type]
        find_table = getattr(module, "get_input_embeddings", lambda: None)
        self._n_words: int | None = getattr(find_table(), "num_embeddings", None)

    def run(
        self, rows: TokenRows, indices: Ints, layers: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[Ints, list[Tensor], Tensor | None]]:
        """Yield all rows at once: states (b, t, w) for each of `layers`."""
        if self._n_words is not None:
            check_ids(rows.ids, self._n_words)
        input_ids, mask = (send(part, self.device) for part in rows.pad(indices))
        if len(layers) == 1:
            yield (
                indices,
                [token_states(self._module, input_ids, mask, layers[0])],
                mask,
            )
            return
        hidden = self._module(
            input_ids=input_ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        yield indices, [_average(hidden, chosen) for chosen in layers], mask


def encode_rows(
    encoder: Encoder,
    rows: TokenRows,
    *,
    layers: Sequence[tuple[int, ...]] = ((-1,),),
    pooling: tuple[str, ...] = ("mean",),
    batch_tokens: int = 4096,
    on_progress: Callable[[int], object] | None = None,
) -> NDArray[np.float32]:
    """Run rows of tokens through an encoder and pool its states, without gradients.

    Each tuple of `layers` is averaged and is one result of the same forward pass,
    pooled by each of `pooling`. Where the memory does not suffice for `batch_tokens`,
    padding included, they are halved until it does. `on_progress` gets the number of
    rows done after each forward pass.

    Returns vectors of shape (n_rows, len(layers) * len(pooling) * w).
    """
    width = len(layers) * len(pooling) * encoder.width
    vectors = np.empty((len(rows), width), dtype=np.float32)
    waiting = np.arange(len(rows))
    lengths = rows.lengths
    reporting = threading.Lock()
    n_workers = count_cores() if encoder.device.type == "cpu" else 1
    if lengths.sum() <= _WORTH_SHARING:
        n_workers = 1

    def encode(indices: Ints) -> bool:
        if not _fits(encoder, rows, indices, layers, pooling, vectors):
            return False
        if on_progress is not None:
            with reporting:
                on_progress(len(indices))
        return True

    while len(waiting):
        batches = batches_by_length(lengths[waiting], batch_tokens, n_workers)
        left = do_each(encode, [waiting[batch] for batch in batches], n_workers)
        waiting = np.concatenate(left) if left else waiting[:0]
        batch_tokens = max(1, batch_tokens // 2)
    return vectors


def _fits(
    encoder: Encoder,
    rows: TokenRows,
    indices: Ints,
    layers: Sequence[tuple[int, ...]],
    pooling: tuple[str, ...],
    vectors: NDArray[np.float32],
) -> bool:
    """Fill in the vectors of one batch; False if the memory did not suffice."""
    try:
        groups, pooled = [], []
        for group, states, mask in encoder.run(rows, indices, layers):
            parts = [pool(part, mask, pooling) for part in states]
            groups.append(group)
            pooled.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
        # One copy for all groups: each would have the CPU wait for a GPU.
        vectors[np.concatenate(groups)] = torch.cat(pooled).cpu().numpy()
    except (RuntimeError, MemoryError) as error:
        # One row alone cannot be made smaller; then it is the caller's to know.
        if len(indices) == 1 or not _ran_out_of_memory(error):
            raise
        if encoder.device.type == "cuda":
            torch.cuda.empty_cache()
        return False
    return True


def token_states(
    module: torch.nn.Module, input_ids: Tensor, mask: Tensor, layers: tuple[int, ...]
) -> Tensor:
    """The states (b, t, w) of the chosen layers, averaged in float32.

    0 is the embeddings, -1 the last layer. Gradients flow where they are wanted, so
    that training can use it too.
    """
    if layers == (-1,):
        states: Tensor = module(input_ids=input_ids, attention_mask=mask)[0]
        return states
    hidden = module(
        input_ids=input_ids, attention_mask=mask, output_hidden_states=True
    ).hidden_states
    return _average(hidden, layers)


def _average(hidden: Sequence[Tensor], layers: tuple[int, ...]) -> Tensor:
    if len(layers) == 1:
        return hidden[layers[0]]
    return torch.stack([hidden[layer].float() for layer in layers]).mean(dim=0)


def _ran_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # On the CPU and on Apple's GPUs torch raises a plain RuntimeError.
    message = str(error).lower()
    return "not enough memory" in message or "out of memory" in message


def choose_batch_tokens(device: torch.device, width: int) -> int:
    """Padded tokens of one forward pass that keep `device` busy.

    On a CPU 1024 to 4096 were equally fast with 384-wide layers, 512 and 8192 slower by
    a tenth; the fewer, the better they divide over its cores, whose caches wider layers
    fill sooner. On a GPU as many as keep it busy.
    """
    if device.type == "cpu":
        return max(256, 1024 * 384 // max(384, width))
    return 32768


def do_each(
    do: Callable[[Item], bool], items: Sequence[Item], n_workers: int
) -> list[Item]:
    """Call a function on each item, until one call says that it could not.

    Several threads call it at once, under ``torch.inference_mode``; with one worker it
    is the calling thread, with all cores that torch has. Returns the items that were
    not done: none, or the one that could not be and those after. An error is raised
    here once all threads have stopped.

    Examples
    --------
    >>> from sktransfer.encoders.compute.loop import do_each
    >>> do_each(lambda item: item < 3, [1, 2, 3, 4], n_workers=1)
    [3, 4]
    """
    work = _Work(do, items)
    if min(n_workers, len(items)) <= 1:
        work.go_through()
    else:
        _share(work, min(n_workers, len(items)))
    if work.error is not None:
        raise work.error
    return [item for item, done in zip(items, work.done, strict=True) if not done]


class _Work:
    """Items, which of them are done, and whether to go on."""

    def __init__(self, do: Callable[[Item], bool], items: Sequence[Item]) -> None:
        self._do = do
        self._items = items
        self._next = iter(range(len(items)))
        self._taking = threading.Lock()
        self.done = [False] * len(items)
        self.stopped = False
        self.error: BaseException | None = None

    def go_through(self) -> None:
        """Take items until none is left, or until anyone stops."""
        try:
            with torch.inference_mode():
                while not self.stopped:
                    with self._taking:
                        position = next(self._next, None)
                    if position is None:
                        return
                    self.done[position] = self._do(self._items[position])
                    self.stopped |= not self.done[position]
        except BaseException as error:
            self.stopped = True
            self.error = error


def _share(work: _Work, n_workers: int) -> None:
    """Let threads with one core each go through the work."""
    with threads_with_cores(n_workers, n_cores=1) as pool:
        try:
            wait([pool.submit(work.go_through) for _ in range(n_workers)])
        finally:
            # Ctrl-C: what is being computed is finished, and nothing more is begun.
            work.stopped = True
