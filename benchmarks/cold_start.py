"""What the packaged encoders cost: time to the first vector, memory, speed.

Each figure of time and memory is that of a new process, with all that it imports. The
first time ever is with an empty cache folder, in which packaged weights may have to be
unpacked. Texts are movie snippets, cut or joined to so many words; the table is written
beside this file.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from finetune import seconds, sentences

from sktransfer import BertFeaturizer, fetch_reviews
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.loaded_models import load_tokenizer

MODELS = ("all-MiniLM-L6-v2", "multilingual-e5-small")
N_TEXTS = 300
N_WORDS = {"sentences": 20, "reviews": 100}
N_COLD, N_ROUNDS = 3, 3
FIRST = (
    "from sktransfer import BertFeaturizer; "
    "BertFeaturizer({model!r}).fit_transform(['a text'])"
)


def texts_of(n_words: int) -> list[str]:
    """Texts of so many words each."""
    words = " ".join(map(str, fetch_reviews("en", "movies").data)).split()
    starts = range(0, N_TEXTS * n_words, n_words)
    return [" ".join(words[start : start + n_words]) for start in starts]


def run(code: str, cache: str | None = None, *arguments: str) -> tuple[float, str]:
    """Seconds of a new process, and what it has printed."""
    environment = os.environ | ({} if cache is None else {"SKTRANSFER_CACHE": cache})
    command = [sys.executable, "-W", "ignore", *(arguments or ("-c", code))]
    start = time.perf_counter()
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    return time.perf_counter() - start, out


def time_first_vectors(model: str) -> tuple[float, float]:
    """Seconds with an empty cache folder, and afterwards."""
    code = FIRST.format(model=model)
    with tempfile.TemporaryDirectory() as folder:
        first = run(code, folder)[0]
        time.sleep(2.5)  # digests of files that are just written are not noted
        run(code, folder)
        return first, statistics.median(run(code, folder)[0] for _ in range(N_COLD))


def peak_of(task: str, model: str) -> float:
    """MiB at most of a new process that does a task."""
    return float(run("", None, __file__, task, model)[1].splitlines()[-1])


def do_and_tell(task: str, model: str) -> None:
    if task == "fine_tune":
        from sktransfer import TransferSentimentClassifier

        encoder = BertFeaturizer(model)
        TransferSentimentClassifier(encoder, "fine_tune", random_state=0).fit(
            *sentences(N_TEXTS)
        )
    else:
        BertFeaturizer(model).fit_transform(texts_of(N_WORDS[task]))
    # Not ru_maxrss, which a process takes over from the larger one that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def measure_speed(kind: str) -> dict[str, dict[str, float]]:
    """Texts and layers' FLOP per second of both models, in turn."""
    # It imports sentence-transformers, which no process measured above shall hold.
    from encode import flops_of

    texts = texts_of(N_WORDS[kind])
    featurizers = {
        model: BertFeaturizer(model, cache=None).fit(texts) for model in MODELS
    }
    spent: dict[str, list[float]] = {model: [] for model in MODELS}
    for number in range(N_ROUNDS + 1):
        for model, featurizer in featurizers.items():
            once = seconds(lambda featurizer=featurizer: featurizer.transform(texts))
            if number:  # the first is to warm up
                spent[model].append(once)
    found: dict[str, dict[str, float]] = {}
    for model, featurizer in featurizers.items():
        checkpoint = featurizer.checkpoint_
        given = [featurizer.prefix_ + text for text in texts]
        encodings = load_tokenizer(checkpoint).encode_batch_fast(given)
        lengths = np.array([len(encoding.ids) for encoding in encodings])
        lengths = np.minimum(lengths, featurizer.max_length_)
        median = statistics.median(spent[model])
        found[model] = {
            "tokens": float(lengths.mean()),
            "texts": N_TEXTS / median,
            "flops": flops_of(lengths, 384, 1536, checkpoint.n_layers) / median,
        }
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    load = os.getloadavg()[0]
    cpu = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    lines = [
        "# What do the packaged encoders cost?",
        "",
        f"{torch.get_num_threads()} cores of {platform.machine()} ({cpu}), Python "
        f"{platform.python_version()}, torch {version('torch')}, transformers "
        f"{version('transformers')}, tokenizers {version('tokenizers')}, load average "
        f"{load:.1f} at the start. Whole processes, imports included; later starts are "
        f"medians of {N_COLD}, speeds of {N_ROUNDS} rounds in turn.",
        "",
        "## Time to the first vector, and peak memory",
        "",
        f"Of {N_TEXTS} texts: sentences of {N_WORDS['sentences']} words, reviews of "
        f"{N_WORDS['reviews']}. fine_tune has seed 0 and movie sentences.",
        "",
        "| encoder | first time ever, s | later, s | transform of sentences, MiB "
        "| of reviews, MiB | fine_tune, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        first, later = time_first_vectors(model)
        find_checkpoint(model)  # unpacked by now, wherever the cache is
        peaks = [peak_of(task, model) for task in (*N_WORDS, "fine_tune")]
        cells = " | ".join(f"{peak:.0f}" for peak in peaks)
        lines.append(f"| {model} | {first:.1f} | {later:.1f} | {cells} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        "## Speed",
        "",
        "Tokens with special ones and prefix; the layers' FLOP/s count neither the "
        "tokenizer nor the table.",
        "",
        "| texts | encoder | tokens | texts/s | layers' GFLOP/s | to the first |",
        "|---|---|---|---|---|---|",
    ]
    for kind in N_WORDS:
        found: dict[str, Any] = measure_speed(kind)
        for model, row in found.items():
            ratio = row["flops"] / found[MODELS[0]]["flops"]
            lines.append(
                f"| {kind} | {model} | {row['tokens']:.0f} | {row['texts']:.0f} "
                f"| {row['flops'] / 1e9:.0f} | {ratio:.2f} |"
            )
            print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        do_and_tell(*sys.argv[1:])
    else:
        main()
