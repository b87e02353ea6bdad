"""Every layout of layers and poolings of a set's vectors, from one forward pass a text.

They are kept in half precision in the cache's folder of benchmarks: 14 KB a text.
"""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import torch
from labelled_sets import Array, LabelledSet

from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.compute.devices import resolve_dtype
from sktransfer.encoders.compute.loop import choose_batch_tokens, encode_rows
from sktransfer.encoders.loaded_models import load_encoder, load_tokenizer
from sktransfer.encoders.tokens import tokenize
from sktransfer.storage import cache_folder

ENCODERS = {"MiniLM": "all-MiniLM-L6-v2", "E5": "multilingual-e5-small"}
LAYERS: dict[str, tuple[int, ...]] = {
    "last": (-1,),
    "second last": (-2,),
    "last two": (-1, -2),
    "last three": (-1, -2, -3),
    "last four": (-1, -2, -3, -4),
    "last six": (-1, -2, -3, -4, -5, -6),
}
POOLINGS = ("mean", "cls", "max")
# Means over tokens are linear, so that those of single layers follow from averages.
SINGLE = {
    "third last": ("last three", "last two"),
    "fourth last": ("last four", "last three"),
}
# Layers, and poolings side by side.
LAYOUTS = [(layers, ("mean",)) for layers in (*LAYERS, *SINGLE)]
LAYOUTS += [("last", ("cls",)), ("last", ("max",)), ("last", ("mean", "max"))]
LAYOUTS += [("last three", ("mean", "max")), ("last four", ("mean", "max"))]

FOLDER = cache_folder("benchmarks", "layouts")


def name_of(layout: tuple[str, tuple[str, ...]]) -> str:
    """How tables call a layout."""
    return f"{layout[0]}, {' and '.join(layout[1])}"


class Vectors:
    """All layouts of a set's vectors.

    Parameters
    ----------
    encoder : str
        A key of `ENCODERS`.
    texts : LabelledSet
        What is encoded where it was not before.
    """

    def __init__(self, encoder: str, texts: LabelledSet) -> None:
        path = FOLDER / f"{encoder}-{texts.name}.npy"
        if not path.exists():
            began = time.perf_counter()
            vectors = _encode(ENCODERS[encoder], texts.texts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".part").open("wb") as file:
                np.save(file, vectors)
            path.with_suffix(".part").replace(path)
            seconds = time.perf_counter() - began
            print(f"{encoder}, {texts.name}: {len(vectors) / seconds:.0f} texts/s")
        self._parts = np.load(path)

    def take(self, layout: tuple[str, tuple[str, ...]]) -> Array:
        """Vectors (n, width) of a layout."""
        if layout[0] in SINGLE:
            more, fewer = SINGLE[layout[0]]
            n = len(LAYERS[more])
            return n * self.take((more, layout[1])) - (n - 1) * self.take(
                (fewer, layout[1])
            )
        layers = list(LAYERS).index(layout[0])
        columns = [layers * len(POOLINGS) + POOLINGS.index(p) for p in layout[1]]
        chosen = self._parts[:, columns].astype(np.float32)
        return chosen.reshape(len(chosen), -1)


def _encode(model: str, texts: list[str]) -> Array:
    """Vectors (n, parts, width) of each layers and pooling."""
    checkpoint = find_checkpoint(model, local_files_only=True)
    device = torch.device("cpu")
    encoder = load_encoder(
        checkpoint, device=device, dtype=resolve_dtype("auto", device)
    )
    rows = tokenize(
        load_tokenizer(checkpoint),
        texts,
        prefix=checkpoint.prefix,
        max_length=checkpoint.max_length,
        long_text="truncate",
        pad_id=checkpoint.pad_id,
    )
    vectors = encode_rows(
        encoder,
        rows,
        layers=list(LAYERS.values()),
        pooling=POOLINGS,
        batch_tokens=choose_batch_tokens(device, checkpoint.hidden_size),
    )
    n_parts = len(list(product(LAYERS, POOLINGS)))
    return vectors.reshape(len(texts), n_parts, -1).astype(np.float16)
