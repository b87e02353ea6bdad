"""How fast BERT-like encoders learn and predict without padding, beside the padded way.

Training is a whole ``fit`` of an epoch in bfloat16, by packed rows and by the padded
halves of before, in turn in one process. Prediction is that of a tuned network against
the vectors of the frozen encoder. Each line is a process of its own, as the number of
threads and OMP_WAIT_POLICY hold for one. The table is written beside this file.

    tuned_speed.py [short]

Short is on two threads, with OMP_WAIT_POLICY set.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ENCODERS = ("all-MiniLM-L6-v2", "multilingual-e5-small")
N_TRAIN, N_TEST, N_TURNS = 300, 400, 3


def in_turn(sides: dict[str, Callable[[], Any]]) -> dict[str, tuple[float, float]]:
    """Medians of seconds and of processor seconds, after a first call of each."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(N_TURNS + 1):
        for name, call in sides.items():
            clock, processor = time.perf_counter(), time.process_time()
            call()
            spent = time.perf_counter() - clock, time.process_time() - processor
            found[name].append(spent)
    return {
        name: tuple(map(statistics.median, zip(*spent[1:], strict=True)))  # type: ignore[misc]
        for name, spent in found.items()
    }


def measure(kind: str, encoder: str, dtype: str, threads: str) -> None:
    import torch
    from finetune import ours, sentences

    from sktransfer import BertFeaturizer
    from sktransfer.classifier.cpu.batch_halves import learns_packed
    from sktransfer.classifier.network import transformer

    torch.set_num_threads(int(threads))
    warnings.simplefilter("ignore")
    texts, labels = sentences(N_TRAIN if kind == "train" else N_TEST)
    frozen = BertFeaturizer(encoder, cache=None, dtype=dtype).fit(texts)
    model = ours(
        encoder=frozen, dtype=dtype, max_epochs=1, random_state=0, warm_start=True
    )
    model.fit(texts[:32], labels[:32])

    def train(packed: bool) -> None:
        transformer.learns_packed = learns_packed if packed else lambda: False
        model.fit(texts, labels)

    if kind == "train":
        sides = {"new": lambda: train(True), "old": lambda: train(False)}
    else:
        sides = {
            "new": lambda: model.predict(texts),
            "old": lambda: frozen.transform(texts),
        }
    found = in_turn(sides)
    (new, new_cpu), (old, old_cpu) = found["new"], found["old"]
    rates = f"{len(texts) / new:.1f} | {len(texts) / old:.1f} | {old / new:.2f}"
    print(f"{rates} | {old_cpu / new_cpu:.2f}")


def ask(policy: str | None, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, __file__, *arguments]
    out = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    return out.splitlines()[-1]


def main(threads_of: tuple[str, ...], policies: tuple[str | None, ...]) -> None:
    titles = {
        "train": "## Training in bfloat16: samples a second, packed and padded",
        "predict": "## Prediction: texts a second of a tuned and of the frozen encoder",
    }
    lines = [
        "# How fast do encoders learn and predict without padding?",
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, torch {version('torch')}, "
        f"transformers {version('transformers')}, load average "
        f"{os.getloadavg()[0]:.1f} at the start. {N_TRAIN} movie sentences to learn "
        f"from, {N_TEST} to predict; medians of {N_TURNS} turns after a first one.",
    ]
    for kind, title in titles.items():
        lines += ["", title, ""]
        lines.append(
            "| encoder | format | threads | OMP_WAIT_POLICY | this way | the other "
            "| ratio | of processor time |"
        )
        lines.append("|---|---|---|---|---|---|---|---|")
        for encoder in ENCODERS:
            for dtype in ("bfloat16",) if kind == "train" else ("float32", "bfloat16"):
                for threads in threads_of:
                    for policy in policies:
                        found = ask(policy, kind, encoder, dtype, threads)
                        where = f"{threads} | {policy or 'not set'}"
                        lines.append(f"| {encoder} | {dtype} | {where} | {found} |")
                        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["short"]:
        main(("2",), ("PASSIVE",))
    elif len(sys.argv) > 1:
        measure(*sys.argv[1:])
    else:
        main(("1", "2"), ("PASSIVE", None))
