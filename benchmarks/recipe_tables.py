"""The tables of the study of recipes."""

from __future__ import annotations

import numpy as np
from labelled_sets import Array


def decided(logits: Array) -> Array:
    """Class numbers of logits (n, k)."""
    return (logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else logits.argmax(1)


def accuracies(found: dict[str, Array]) -> dict[str, float]:
    """Accuracy on the test texts of each variant."""
    return {
        key.removesuffix("/test"): round(float(np.mean(decided(v) == found["z"])), 3)
        for key, v in found.items()
        if key.endswith("/test") and "C=3/" in key
    }
