"""What each quick way of classifier/cpu brings: steps of tuning with and without it.

A step is a batch of 16 film sentences through the packaged encoders and back, in
bfloat16, with dropout. All quick ways are on, one at a time is turned off; steps with
and without are in turn, in one process. What is told are medians of processor seconds,
which other programs disturb less than seconds by the clock. Peaks of memory are of
processes of their own. The table is written beside this file.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

N_TURNS = 12
MINILM, E5 = "all-MiniLM-L6-v2", "multilingual-e5-small"
FOLDER = "sktransfer.classifier."

#: Modules in which a question of the switch is answered with no.
TRICKS = {
    "attention": [FOLDER + "cpu.attention"],
    "dropout": [FOLDER + "cpu.dropout"],
    "half_precision": [FOLDER + "cpu.half_precision"],
    "batch_halves": [FOLDER + "cpu.batch_halves"],
    "sparse_gradient": [FOLDER + "cpu.sparse_gradient"],
    "frozen_prefix": [FOLDER + "network.transformer"],
}
# They go another way than attention, dropout, half_precision and batch_halves, each of
# which is therefore asked about without them.
PACKED = FOLDER + "network.transformer"
TRICKS["all"] = [module for modules in TRICKS.values() for module in modules]

#: (encoder, cores, what is turned off, what learns)
QUESTIONS = [
    (MINILM, 1, "packed", "layers"),
    (MINILM, 2, "packed", "layers"),
    (E5, 1, "packed", "layers"),
    (MINILM, 1, "attention", "layers"),
    (MINILM, 1, "dropout", "layers"),
    (MINILM, 1, "half_precision", "layers"),
    (MINILM, 1, "batch_halves", "layers"),
    (MINILM, 2, "batch_halves", "layers"),
    (MINILM, 1, "sparse_gradient", "everything"),
    (E5, 1, "sparse_gradient", "everything"),
    (MINILM, 1, "frozen_prefix", "two layers"),
    (MINILM, 1, "all", "layers"),
    (MINILM, 2, "all", "layers"),
    (MINILM, 1, "all", "two layers"),
]


class Tuning:
    """An encoder, and batches of tokens from which it learns."""

    def __init__(self, encoder: str, learning: str) -> None:
        import numpy as np
        import torch
        from finetune import sentences

        from sktransfer import BertFeaturizer
        from sktransfer.classifier.data.rows import LabelledRows, TokenInput
        from sktransfer.classifier.network.transformer import TransformerBody
        from sktransfer.classifier.training.frozen_prefix import keep_states

        texts, labels = sentences(160)
        featurizer = BertFeaturizer(encoder, device="cpu").fit(texts)
        self.body = TransformerBody(
            featurizer.checkpoint_, pooling=featurizer.pooling_
        ).train()
        table = self.body.token_table()
        if learning == "two layers":
            blocks = self.body.blocks()[-2:]
            self.body.let_learn(p for block in blocks for p in block.parameters())
        else:
            self.body.let_learn(
                p
                for p in self.body.parameters()
                if learning == "everything" or p is not table
            )
        self.table = self.body.transformer.get_input_embeddings()
        rows: Any = TokenInput(featurizer).rows(texts)
        if learning == "two layers":
            data = LabelledRows(rows, np.array(labels))
            rows = keep_states(self.body, data, torch.device("cpu"), torch.bfloat16)
            rows = rows.rows
            self.body.train()
        self.batches = [rows.batch(np.arange(i, i + 16)) for i in range(0, 160, 16)]

    def step(self, number: int) -> None:
        """Forwards and backwards through one of the batches."""
        import torch

        from sktransfer.classifier.cpu.sparse_gradient import (
            dense_gradients,
            sparse_gradient,
        )

        self.body.zero_grad()
        with sparse_gradient(self.table):
            with torch.autocast("cpu", torch.bfloat16):
                features = self.body(**self.batches[number % len(self.batches)])
            features.float().square().sum().backward()
            dense_gradients(self.body.parameters())


def timed(call: Callable[[], object]) -> tuple[float, float]:
    before = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - before[0], time.perf_counter() - before[1]


def turn(name: str, on: bool) -> None:
    """Turn a quick way on or off."""
    from sktransfer.classifier.cpu.batch_halves import learns_packed
    from sktransfer.classifier.cpu.switch import tricks_on

    packs = name in ("packed", "all") and on
    import_module(PACKED).learns_packed = learns_packed if packs else lambda: False  # type: ignore[attr-defined]
    for module in TRICKS.get(name, []):
        import_module(module).tricks_on = tricks_on if on else lambda: False  # type: ignore[attr-defined]


def measure_time(encoder: str, name: str, learning: str) -> None:
    import torch

    from sktransfer.classifier.cpu.batch_halves import in_halves

    tuning = Tuning(encoder, learning)
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with in_halves(torch.device("cpu")):
        for number in range(-2, N_TURNS):
            for on in (True, False):
                turn(name, on)
                took = timed(lambda number=number: tuning.step(number))
                if number >= 0:  # the first ones write programs for their shapes
                    found[on].append(took)
    for kind in (0, 1):
        on, off = ([took[kind] for took in found[way]] for way in (True, False))
        ratios = sorted(b / a for a, b in zip(on, off, strict=True))
        quarter = len(ratios) // 4
        print(
            *(statistics.median(times) for times in (off, on, ratios)),
            *(ratios[quarter], ratios[-1 - quarter]),
        )


def measure_memory(encoder: str, name: str) -> None:
    """Print MiB beyond what there was before the first step."""
    import torch

    from sktransfer.classifier.cpu.batch_halves import in_halves

    tuning = Tuning(encoder, "layers")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if name != "none":
        turn(name, False)
    with in_halves(torch.device("cpu")):
        for number in range(6):
            tuning.step(number)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def ask(cores: int, *arguments: str) -> list[list[float]]:
    bound = sorted(os.sched_getaffinity(0))[:cores]
    command = ["taskset", "-c", ",".join(map(str, bound)), sys.executable, __file__]
    out = subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True
    ).stdout
    lines = out.splitlines()[-2:]
    return [[float(number) for number in line.split()] for line in lines]


def main() -> None:
    lines = [
        "# What does each quick way of tuning on a CPU bring?",
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, torch {version('torch')}, "
        f"transformers {version('transformers')}. A "
        f"step, forwards and backwards, of 16 film sentences in bfloat16; {N_TURNS} "
        "steps with and without in turn, medians of processor time, and the "
        "quartiles of the ratios.",
        "",
        "| without | encoder | learns | cores | ms without / with | ratio "
        "| by the clock |",
        "|---|---|---|---|---|---|---|",
    ]
    for encoder, cores, name, learning in QUESTIONS:
        cpu, clock = ask(cores, "time", encoder, name, learning)
        lines.append(
            f"| {name} | {encoder} | {learning} | {cores} "
            f"| {1000 * cpu[0]:.0f} / {1000 * cpu[1]:.0f} "
            f"| {cpu[2]:.2f} ({cpu[3]:.2f} to {cpu[4]:.2f}) "
            f"| {clock[2]:.2f} ({clock[3]:.2f} to {clock[4]:.2f}) |"
        )
        print(lines[-1], flush=True)
    lines += ["", "MiB that six steps of tuning all layers add at most:", ""]
    lines += [
        "| encoder | all on | without half_precision | none |",
        "|---|---|---|---|",
    ]
    for encoder in (MINILM, E5):
        found = [
            statistics.median(ask(1, "memory", encoder, name)[-1][0] for _ in range(3))
            for name in ("none", "half_precision", "all")
        ]
        lines.append("| " + " | ".join([encoder, *(f"{n:.0f}" for n in found)]) + " |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["time", encoder, name, learning]:
            measure_time(encoder, name, learning)
        case ["memory", encoder, name]:
            measure_memory(encoder, name)
        case _:
            main()
