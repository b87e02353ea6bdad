"""Which device computes, and in which number format.

Knows torch and the hardware, and nothing of checkpoints or texts.
"""

from __future__ import annotations

import warnings

import torch

from sktransfer.exceptions import InvalidParameterError, TransferWarning

__all__ = [
    "DTYPES",
    "INT8",
    "available_device",
    "multiplies_bfloat16",
    "resolve_device",
    "resolve_dtype",
]

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# For frozen encoders on a CPU only.
INT8 = "int8"


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
        warnings.warn(
            f"the model was saved with device={device!r}, which this machine does not "
            "have: it is loaded with device='auto'.",
            TransferWarning,
            stacklevel=2,
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
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        flags = torch.cpu.get_capabilities()
        return any(flags.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    # Before torch 2.10 the flags were to be had one by one only.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)
