"""Arrays in the format of safetensors, out of bytes that were read already.

The library would read the file a second time, which may be another one by then.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["parse_tensors"]

_START = 8
_DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
}


def parse_tensors(content: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    """Arrays by their names, each with memory of its own.

    Raises one of ValueError, TypeError and LookupError if the bytes are not what the
    format has.
    """
    end = _START + int.from_bytes(content[:_START].tobytes(), "little")
    if not _START < end <= len(content):
        raise ValueError(f"the tensors' header ends at {end} of {len(content)} bytes")
    header = json.loads(content[_START:end].tobytes())
    header.pop("__metadata__", None)
    return {name: _parse(entry, content[end:]) for name, entry in header.items()}


def _parse(entry: dict[str, Any], data: NDArray[np.uint8]) -> NDArray[np.generic]:
    first, last = entry["data_offsets"]
    if not 0 <= first <= last <= len(data) or min(entry["shape"], default=0) < 0:
        raise ValueError(f"a tensor of {entry} is not within {len(data)} bytes")
    dtype, part = _DTYPES[str(entry["dtype"])], data[first:last].copy()
    # Bytes other than 0 and 1 are no truth values that numpy knows what to do with.
    flat = part != 0 if dtype.kind == "b" else part.view(dtype)
    return flat.astype(dtype.newbyteorder("="), copy=False).reshape(entry["shape"])
