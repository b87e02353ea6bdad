"""How much memory a piece of work takes: by how much the process grows at its highest.

Linux counts the highest resident memory of a process, and the count can be set back to
what it holds now. Elsewhere, and where the system forbids it, there is no number. The
count is the whole process's: a thread that works at the same time counts, too, and a
process that the work starts does not, nor does the memory of a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from pathlib import Path

__all__ = ["PeakMemory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """Counts from when it is made.

    What the process has freed is given back to the system first. The allocator keeps
    it otherwise, and a fit that finds it there seems to need less than the one before.

    Examples
    --------
    >>> from sktransfer.comparison.run.peak_memory import PeakMemory
    >>> memory = PeakMemory()
    >>> held = bytes(range(256)) * 2**18
    >>> memory.rise() > 60 or memory.rise() != memory.rise()  # NaN where unknown
    True
    """

    def __init__(self) -> None:
        self._before = math.nan
        if not _RESET.exists():
            return
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # glibc's
        with contextlib.suppress(OSError):
            _RESET.write_text(_RESET_PEAK)
            self._before = _read_peak()

    def rise(self) -> float:
        """MiB that the process held at most since then, over what it held; or NaN."""
        if math.isnan(self._before):
            return math.nan
        return max(_read_peak() - self._before, 0.0)


def _read_peak() -> float:
    """Highest resident memory since the last reset, in MiB; NaN where nobody knows."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return math.nan
