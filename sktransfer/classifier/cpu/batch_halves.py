"""A batch in two halves, each computed by a thread of its own.

torch divides every operation of a batch over its threads, and waits for the slowest at
the end of each; forth and back these are hundreds. Two halves wait for one another once
a pass, and the half of shorter texts needs no padding up to the longest. Whole batches
of 16 sentences take all-MiniLM-L6-v2 1.23 times the processor's time on two cores and
1.14 times on one. On two idle cores halves, when they came, took ``fine_tune`` from 51
to 71 sentences a second.

No private names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from sktransfer.classifier.cpu.dropout import drawing_from
from sktransfer.classifier.cpu.packed_batch import PackedBatch
from sktransfer.classifier.cpu.switch import tricks_on
from sktransfer.encoders.compute.devices import count_cores, threads_with_cores

__all__ = [
    "MIN_ROWS",
    "cut_by_length",
    "encode_batch",
    "in_halves",
    "learn_packed",
    "learns_packed",
]

Encode = Callable[..., torch.Tensor]
# Rows that are computed together, and the tokens of the longest of them.
Half = list[tuple[torch.Tensor, int]]
Compute = Callable[[Half, int | None], torch.Tensor]

#: Fewer rows are not worth a thread.
MIN_ROWS = 4

# Tokens of padding that a further cut has to save: each part costs as much again for
# the weights that it brings into place, and for their gradients.
_WORTH_CUTTING = 128

# Whether a batch learns without padding in float32 too.
_IN_FLOAT32 = False


_current: ContextVar[_Halves | None] = ContextVar("halves", default=None)


@contextlib.contextmanager
def in_halves(device: torch.device) -> Iterator[None]:
    """Have batches on a CPU divided that are given to `encode_batch`.

    A GPU wants them whole.
    """
    n_cores = count_cores()
    if device.type != "cpu" or _current.get() is not None:
        yield
        return
    with contextlib.ExitStack() as stack:
        pool = None
        if n_cores > 1:
            pool = stack.enter_context(threads_with_cores(2, n_cores // 2))
        token = _current.set(_Halves(pool))
        try:
            yield
        finally:
            _current.reset(token)


def encode_batch(encode: Encode, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Compute `encode` of the rows of a batch, in halves where that has been asked for.

    `encode` gives features (n, w) of inputs (n, t, ...), its keyword arguments, padded
    on the right; ``attention_mask`` is 1 where there is no padding. A gradient adds to
    the parameters' ``grad`` what both halves give: two numbers, whose sum is the same
    in either order.
    """
    halves = _current.get()
    # Asked in this thread: those of the pool compute only while tricks are on.
    if halves is None or not tricks_on():
        return encode(**inputs)
    return halves.encode(encode, inputs)


def learns_packed() -> bool:
    """Whether a batch is to be given to `learn_packed` in this context.

    In float32, where products take nearly all the time, it brought nothing.
    """
    pays = torch.is_autocast_enabled("cpu") or _IN_FLOAT32
    return _current.get() is not None and pays and torch.is_grad_enabled()


def learn_packed(batch: PackedBatch) -> torch.Tensor:
    """Features of a batch without padding, whose gradient goes back in halves."""
    halves = _current.get()
    assert halves is not None
    return halves.learn_packed(batch)


class _Halves:
    """Computes the halves of batches, and takes gradients back through both.

    Without a pool of two threads the halves are computed one after the other, with the
    same masks of dropout, so that a seed means the same on one core.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool
        # A module that draws from torch's generator by another way than ours would do
        # so in an order that nobody decides. The first batch tells; it is not divided.
        self._draws_apart = False

    def encode(self, encode: Encode, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """`encode_batch`, in halves."""
        learns = torch.is_grad_enabled()
        lengths = inputs["attention_mask"].sum(1)
        if len(lengths) < MIN_ROWS or (self._pool is None and not learns):
            return encode(**inputs)
        order, halves = cut_by_length(lengths)
        compute = _in_this_context(encode, inputs)
        if learns:
            outputs = self._learn(compute, halves)
        else:
            outputs = self._both(compute, halves, [None, None])
        if outputs[0].requires_grad:
            started = torch.empty(0, requires_grad=True)
            features: torch.Tensor = _Joined.apply(started, self._both, outputs, None)
        else:
            features = torch.cat(outputs)
        return features[torch.argsort(order)]

    def learn_packed(self, batch: PackedBatch) -> torch.Tensor:
        """`learn_packed`, by the threads that there are."""
        seeds = torch.randint(2**62, (2,)).tolist()

        def compute(number: int, seed: int) -> torch.Tensor:
            with (
                torch.enable_grad(),
                torch.autocast("cpu", enabled=False),
                drawing_from(seed),
            ):
                return batch.compute(number)

        def close() -> None:
            self._both(batch.close, batch.parts)
            batch.join()

        self._both(batch.refresh, batch.parts)
        outputs = self._both(compute, [0, 1], seeds)
        if outputs[0].requires_grad:
            started = torch.empty(0, requires_grad=True)
            features: torch.Tensor = _Joined.apply(started, self._both, outputs, close)
        else:
            features = torch.cat(outputs)
        return features[torch.argsort(batch.order)]

    def _learn(self, compute: Compute, halves: list[Half]) -> list[torch.Tensor]:
        seeds = torch.randint(2**62, (2,)).tolist()
        before = torch.get_rng_state()
        outputs = self._both(compute, halves, seeds, at_once=self._draws_apart)
        self._draws_apart = torch.equal(before, torch.get_rng_state())
        return outputs

    def _both(
        self, do: Callable[..., Any], *arguments: Iterable[Any], at_once: bool = True
    ) -> list[Any]:
        calls = zip(*arguments, strict=True)
        if self._pool is None or not at_once:
            return [do(*call) for call in calls]
        futures = [self._pool.submit(do, *call) for call in calls]
        return [future.result() for future in futures]


class _Joined(torch.autograd.Function):
    """The outputs of both halves as one tensor, whose gradient goes back into both."""

    @staticmethod
    def forward(
        ctx: Any,
        started: torch.Tensor,
        both: Callable[..., list[Any]],
        outputs: list[torch.Tensor],
        close: Callable[[], None] | None,
    ) -> torch.Tensor:
        ctx.both, ctx.outputs, ctx.close = both, outputs, close
        return torch.cat([output.detach() for output in outputs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[None, None, None, None]:
        grads = grad.split([len(output) for output in ctx.outputs])
        ctx.both(torch.autograd.backward, ctx.outputs, grads)
        ctx.outputs = None
        if ctx.close is not None:
            ctx.close()
        return None, None, None, None


def _in_this_context(encode: Encode, inputs: dict[str, torch.Tensor]) -> Compute:
    """`encode` of a half of the inputs, with the modes of the thread that asks now."""
    learns, infers = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    half_precision = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu")

    def compute(half: Half, seed: int | None) -> torch.Tensor:
        with (
            torch.inference_mode(infers),
            torch.set_grad_enabled(learns),
            # Threads would share, or not, what its cache holds.
            torch.autocast(
                "cpu", dtype=dtype, enabled=half_precision, cache_enabled=False
            ),
            drawing_from(seed),
        ):
            return torch.cat(
                [
                    encode(**{k: v[rows, :longest] for k, v in inputs.items()})
                    for rows, longest in half
                ]
            )

    return compute


def cut_by_length(lengths: torch.Tensor) -> tuple[torch.Tensor, list[Half]]:
    """Cut a batch of rows, at least two, into halves that cost about the same.

    First come the rows by length, as they stand in the halves. A half has two entries
    where that saves much padding, else one.
    """
    order = torch.argsort(lengths, stable=True)
    ordered = lengths[order]
    first, second = _cut(order, ordered, balanced=True)
    return order, [_cut_further(part, lengths) for part in (first, second)]


def _cut(
    order: torch.Tensor, ordered: torch.Tensor, *, balanced: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sides of the cut that has the least padded tokens, or the fairest share."""
    n_first = torch.arange(1, len(order))
    first, second = n_first * ordered[:-1], (len(order) - n_first) * ordered[-1]
    cost = torch.maximum(first, second) if balanced else first + second
    n = int(cost.argmin()) + 1
    return order[:n], order[n:]


def _cut_further(rows: torch.Tensor, lengths: torch.Tensor) -> Half:
    longest = int(lengths[rows[-1]])
    if len(rows) >= MIN_ROWS:
        parts = _cut(rows, lengths[rows], balanced=False)
        cut = [(part, int(lengths[part[-1]])) for part in parts]
        saved = len(rows) * longest - sum(len(part) * long for part, long in cut)
        if saved > _WORTH_CUTTING:
            return cut
    return [(rows, longest)]
