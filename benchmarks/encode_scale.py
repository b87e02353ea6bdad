"""What the store reads in a second, and what a million texts take of memory."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sktransfer.encoders.cache.disk import DiskStore
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.encoding import hash_texts

WIDTH = 384
N_VECTORS = 100_000
N_ROUNDS = 5
N_TEXTS = 1_000_000
N_DISTINCT = 5_000
# What a million distinct texts go through: an hour with MiniLM's six layers on two
# cores, minutes with one of them. Memory depends on the vectors' width, not on layers.
N_LAYERS = 1

# Runs in a fresh interpreter, as the peak of memory is one of a whole process.
MILLION = f"""
import json, resource, sys, time
from sktransfer import BertFeaturizer
kind, n_distinct, model, path = sys.argv[1:]
n_distinct = int(n_distinct)
texts = [f"Film {{n % n_distinct}} was fine" for n in range({N_TEXTS})]
featurizer = BertFeaturizer(model, device="cpu").fit(["text"])
start = time.perf_counter()
if kind == "transform":
    vectors = featurizer.transform(texts)
else:
    vectors = featurizer.transform_to(iter(texts), path, n_texts={N_TEXTS})
spent = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([spent, peak, vectors.nbytes]))
"""


def read_store(lines: list[str]) -> None:
    keys = hash_texts(map(str, range(N_VECTORS)), "ab" * 32)
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(N_VECTORS, WIDTH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        writer = DiskStore(Path(folder))
        start = time.perf_counter()
        for first in range(0, N_VECTORS, 8192):
            writer.put_many(keys[first : first + 8192], vectors[first : first + 8192])
        written = time.perf_counter() - start
        out = np.empty_like(vectors)
        order = generator.permutation(N_VECTORS)
        shuffled = [keys[index] for index in order]
        spent = []
        for _ in range(N_ROUNDS):
            start = time.perf_counter()
            found = DiskStore(Path(folder)).get_many(shuffled, out)
            spent.append(time.perf_counter() - start)
        if not found.all() or not np.array_equal(out, vectors[order]):
            raise AssertionError("the store gave other vectors")
    lines += [
        f"Reading {N_VECTORS} vectors of {WIDTH} floats from a folder, shuffled, each "
        f"proved by its checksum, opening included: "
        f"{N_VECTORS / statistics.median(spent):,.0f} a second (median of {N_ROUNDS}); "
        f"writing in blocks of 8192, each flushed to the disk: "
        f"{N_VECTORS / written:,.0f} a second.",
        "",
    ]


def shorten(folder: Path) -> str:
    """Write MiniLM with its first layers only, and return the folder."""
    from sktransfer.encoders.loaded_models import copy_module

    checkpoint = find_checkpoint("all-MiniLM-L6-v2")
    shutil.copytree(checkpoint.folder, folder)
    module = copy_module(checkpoint)
    module.encoder.layer = module.encoder.layer[:N_LAYERS]
    module.config.num_hidden_layers = N_LAYERS
    module.save_pretrained(folder)
    return str(folder)


def take_a_million(lines: list[str]) -> None:
    lines += [
        f"{N_TEXTS:,} short texts. The distinct ones go through the first "
        f"{N_LAYERS} of the layers only, which makes them faster but no smaller.",
        "",
        "| texts | call | seconds | result, GB | peak of the process, GB "
        "| beyond the result |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        short = shorten(Path(folder, "model"))
        models = {N_DISTINCT: "all-MiniLM-L6-v2", N_TEXTS: short}
        for n_distinct, model in models.items():
            for kind in ("transform", "transform_to"):
                path = str(Path(folder, f"{n_distinct}.npy"))
                answer = subprocess.run(
                    [sys.executable, "-c", MILLION, kind, str(n_distinct), model, path],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                spent, peak, result = json.loads(answer.stdout.splitlines()[-1])
                lines.append(
                    f"| {n_distinct:,} distinct | {kind} | {spent:.0f} "
                    f"| {result / 1e9:.2f} | {peak / 1e9:.2f} "
                    f"| {(peak - result) / 1e9:.2f} |"
                )
                print(lines[-1], flush=True)


def main() -> None:
    lines = [
        "# What do many texts take?",
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, load average "
        f"{os.getloadavg()[0]:.1f} at the start.",
        "",
    ]
    read_store(lines)
    print(lines[-2], flush=True)
    take_a_million(lines)
    table = "\n".join(lines) + "\n"
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
