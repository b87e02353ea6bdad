"""Random numbers of one training, apart from everybody else's.

Dropout draws from torch's global generator. It is lent to one training at a time, under
a lock, and given back as it was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["draw_seed", "private_randomness"]

_ONE_TRAINING = threading.RLock()


def draw_seed(random_state: np.random.RandomState) -> int:
    """Seed for a training, from 0 to 2**31 - 2."""
    return int(random_state.randint(np.iinfo(np.int32).max))


@contextlib.contextmanager
def private_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for a block and restore them after it.

    They are the CPU's and that of `device`. The block holds the process's lock on
    training.
    """
    on_gpu, on_mps = device.type == "cuda", device.type == "mps"
    with _ONE_TRAINING, torch.random.fork_rng(devices=[device] if on_gpu else []):
        # Not torch.manual_seed, which also reaches devices outside of the fork.
        torch.default_generator.manual_seed(seed)
        before = torch.mps.get_rng_state() if on_mps else None
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif on_mps:
            torch.mps.manual_seed(seed)
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)
