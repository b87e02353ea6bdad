"""Weights that are a pickle: what a caller may name, and a saved model may not.

PyTorch opens pickled weights with ``weights_only``, which makes nothing but tensors and
runs no code; transformers asks for no other way. That is good enough for what a caller
names. A model's folder may be a stranger's, so what it names is no pickle at all.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path

from sktransfer.storage import read_json

__all__ = ["find_pickle"]

_PLAIN = {"model.safetensors", "model.safetensors.index.json"}
# transformers opens this one where the configuration names it, or an adapter's does.
_ADAPTER = "adapter_model.bin"


def find_pickle(folder: Path) -> str | None:
    """Name of a file of weights that might be unpickled.

    Parameters
    ----------
    folder : pathlib.Path
        The weights' folder.

    Returns
    -------
    name : str or None
        None where safetensors are all that can be opened.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    if _ADAPTER in names:
        return _ADAPTER
    for name in fnmatch.filter(names, "*.safetensors.index.json"):
        for shard in read_json(folder / name)["weight_map"].values():
            if not shard.endswith(".safetensors"):
                return str(shard)
    if _PLAIN.isdisjoint(names):
        return next(iter(fnmatch.filter(names, "pytorch_model*.bin*")), None)
    return None
