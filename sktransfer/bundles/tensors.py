"""Arrays in the format of safetensors, out of a file that is read once.

The library would read it a second time, and it may be another one by then.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_tensors"]

_START = 8
_DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
}


def read_tensors(
    read: Callable[[int], NDArray[np.uint8]], size: int
) -> dict[str, NDArray[np.generic]]:
    """Arrays by their names, each with memory of its own, out of a file of `size`.

    `read` gives so many of the next bytes. Raises one of ValueError, TypeError,
    LookupError and AttributeError if they are not what the format has.
    """
    length = int.from_bytes(read(_START).tobytes(), "little")
    left = size - _START - length
    if length < 1 or left < 0:
        raise ValueError(f"the tensors' header has {length} of {size} bytes")
    header = json.loads(read(length).tobytes())
    header.pop("__metadata__", None)
    arrays, start = {}, 0
    for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
        first, last = header[name]["data_offsets"]
        if first != start or not first <= last <= left:
            raise ValueError(f"the tensor {name!r:.80} is not where it should be")
        arrays[name], start = _shape(read(last - first), header[name]), last
    if start != left:
        raise ValueError(f"{left - start} bytes after the last tensor are of none")
    return {name: arrays[name] for name in header}


def _shape(content: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[np.generic]:
    dtype = _DTYPES[str(entry["dtype"])]
    if min(entry["shape"], default=0) < 0:
        raise ValueError(f"a tensor has the shape {entry['shape']}")
    # Bytes other than 0 and 1 are no truth values that numpy knows what to do with.
    flat = content != 0 if dtype.kind == "b" else content.view(dtype)
    return flat.astype(dtype.newbyteorder("="), copy=False).reshape(entry["shape"])
