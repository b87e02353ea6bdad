"""What computes: which device, in which number format, and with how many cores.

It also says whether torch may compute in this process at all: not after a fork. Knows
torch and the hardware, and nothing of checkpoints or texts.

torch keeps the number of cores for each thread, and one more for threads to come: the
last that any thread has set. Two threads that set it for a while and then back, each to
what it found, can leave themselves and all threads to come with the lower number for
ever. What is set here holds for one thread; for threads to come the number stays what
it was.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from sktransfer._compat import cpu_multiplies_bfloat16
from sktransfer.exceptions import (
    ForkedProcessError,
    InvalidParameterError,
    TransferWarning,
    warn,
)

__all__ = [
    "DTYPES",
    "INT8",
    "available_device",
    "count_cores",
    "ensure_not_forked",
    "limited_cores",
    "multiplies_bfloat16",
    "on_one_core",
    "resolve_device",
    "resolve_dtype",
    "threads_with_cores",
]

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# For frozen encoders on a CPU only.
INT8 = "int8"

Result = TypeVar("Result")

# Held while the number of threads to come is another for some microseconds.
_setting = threading.Lock()

_first_process: int | None = None


def resolve_device(device: str) -> torch.device:
    """The device of that name, as torch has it; "auto" is a GPU where there is one.

    Examples
    --------
    >>> from sktransfer.encoders.compute.devices import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InvalidParameterError(
            f"device is {device!r}, which torch does not know: pass 'auto', 'cpu', "
            "'cuda', 'cuda:1' or the like."
        ) from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InvalidParameterError(
            f"device is {device!r}, but torch sees {torch.cuda.device_count()} CUDA "
            "devices here: pass 'auto' or 'cpu'."
        )
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise InvalidParameterError(
            f"device is {device!r}, but this machine has no such device: pass 'auto' "
            "or 'cpu'."
        )
    return resolved


def available_device(device: str) -> str:
    """`device` where this machine has it; else "auto", with a warning."""
    try:
        resolve_device(device)
    except InvalidParameterError:
        warn(
            f"the model was saved with device={device!r}, which this machine does not "
            "have: it is loaded with device='auto'.",
            TransferWarning,
        )
        return "auto"
    return device


def resolve_dtype(
    dtype: str, device: torch.device, *, integers: bool = False
) -> torch.dtype:
    """The number format of that name; "auto" is the fastest that is safe.

    "auto" takes bfloat16 only where the hardware multiplies it natively: with emulation
    it is several times slower than float32. `integers` says whether "int8" will do:
    nothing can be trained in it.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.compute.devices import resolve_dtype
    >>> resolve_dtype("float32", torch.device("cpu"))
    torch.float32
    """
    if dtype == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    if dtype == INT8 and integers:
        if device.type != "cpu":
            raise InvalidParameterError(
                f"dtype is 'int8', which is for CPUs only, but the device is {device}: "
                "pass device='cpu', or dtype='auto'."
            )
        return torch.int8
    if dtype not in DTYPES:
        raise InvalidParameterError(
            f"dtype is {dtype!r}, but one of 'auto', {', '.join(map(repr, DTYPES))} is "
            "expected."
        )
    return DTYPES[dtype]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether `device` has instructions that multiply bfloat16 matrices.

    CPUs are judged by their capability flags (AVX512-BF16, AMX-BF16), NVIDIA GPUs by
    their compute capability (8 and above); all others count as without.
    """
    if device.type == "cuda":
        # AMD's builds of torch answer to "cuda" too, with numbers of another meaning.
        if torch.version.hip is not None:
            return bool(torch.cuda.is_bf16_supported())
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and cpu_multiplies_bfloat16()


def ensure_not_forked() -> None:
    """Raise in a process that was forked after its parent had computed with torch.

    Its threads are not there after a fork, and the first parallel operation would wait
    for them for ever. Call it before each computation: the first call takes note of the
    process.
    """
    global _first_process
    process = os.getpid()
    if _first_process is None:
        _first_process = process
    # With one thread there is nobody to wait for.
    elif _first_process != process and torch.get_num_threads() > 1:
        raise ForkedProcessError(
            f"Process {process} was forked from process {_first_process} after a model "
            "had run there, and torch would wait for ever for threads that the fork "
            "left behind. Start workers by 'spawn' or 'forkserver' or through joblib's "
            "default backend, fork before the first text is encoded, or call "
            "torch.set_num_threads(1) first in the worker."
        )


def count_cores() -> int:
    """The cores that torch has for an operation of this thread.

    Who computes asks before all else. A thread takes over the number of threads to come
    at its first question or operation, and must not do so while that is another.
    """
    with _setting:
        return torch.get_num_threads()


@contextlib.contextmanager
def limited_cores(n_cores: int) -> Iterator[None]:
    """Have torch compute with so many cores in this thread, and in no other."""
    before = count_cores()
    try:
        _set_cores(n_cores)
        yield
    finally:
        _set_cores(before)


@contextlib.contextmanager
def threads_with_cores(n_threads: int, n_cores: int) -> Iterator[ThreadPoolExecutor]:
    """Make threads in which torch computes with some of the cores."""
    everyone = threading.Barrier(n_threads + 1)

    def begin() -> None:
        # A thread adopts the last setting at its first question: ask before setting.
        torch.get_num_threads()
        torch.set_num_threads(n_cores)
        with contextlib.suppress(threading.BrokenBarrierError):  # an interrupt
            everyone.wait()

    with ThreadPoolExecutor(n_threads, initializer=begin) as pool:
        try:
            with _same_for_threads_to_come():
                for _ in range(n_threads):
                    pool.submit(int)
                everyone.wait()
        except BaseException:
            everyone.abort()
            raise
        yield pool


def on_one_core(compute: Callable[[], Result]) -> Result:
    """Call a function where torch computes with one core.

    That is another thread, unless this one has only one core itself. It lives on, so
    that a call costs some tens of microseconds; and as it never waits for threads of
    torch's own, it can also compute in a process that was forked. The function sets
    torch's modes, such as ``torch.inference_mode``, by itself.

    Examples
    --------
    >>> import torch
    >>> from sktransfer.encoders.compute.devices import on_one_core
    >>> on_one_core(torch.get_num_threads)
    1
    """
    if count_cores() == 1:
        return compute()
    return _alone.pool().submit(_compute_alone, compute).result()


class _Alone:
    """Threads with one core each, made when they are first needed."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self.of_thread = threading.local()

    def pool(self) -> ThreadPoolExecutor:
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(os.cpu_count(), "sktransfer-one-core")
            return self._pool


_alone = _Alone()


def _compute_alone(compute: Callable[[], Result]) -> Result:
    # Not as the pool's initializer: if that fails once, the pool is of no more use.
    if not hasattr(_alone.of_thread, "is_set"):
        _set_cores(1)
        _alone.of_thread.is_set = True
    return compute()


def _set_cores(n_cores: int) -> None:
    """``torch.set_num_threads`` for this thread alone."""
    if count_cores() != n_cores:
        with _same_for_threads_to_come():
            torch.set_num_threads(n_cores)


@contextlib.contextmanager
def _same_for_threads_to_come() -> Iterator[None]:
    # A new thread knows the number, and can set it without a change to anybody's own.
    with _setting, ThreadPoolExecutor(1) as other:
        n_cores = other.submit(torch.get_num_threads).result()
        try:
            yield
        finally:
            other.submit(torch.set_num_threads, n_cores).result()


def _forget_other_threads() -> None:
    """After a fork the threads that held locks and computed are not there any more."""
    global _setting, _alone
    _setting, _alone = threading.Lock(), _Alone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
