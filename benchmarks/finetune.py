"""How fast, how well and in how much memory encoders are tuned, beside their peers.

all-MiniLM-L6-v2 and, for memory, multilingual-e5-small, from the packages that carry
them; rated movie sentences. Both sides of a question run in turn in one process, except
for memory, where each has a process of its own. Run as ``finetune.py JOURNAL.json`` to
go on where a run was cut off; the table is written beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

BATCH, EPOCHS, RATE = 16, 3, 1e-4
N_TRAIN, N_TEST = 320, 600
SEEDS = (0, 1, 2)


def sentences(n: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    from sktransfer import fetch_reviews

    movies = fetch_reviews("en", "movies")
    order = np.random.default_rng(seed).permutation(len(movies.data))[:n]
    return [str(movies.data[index]) for index in order], movies.target[order]


def folder_of(model: str) -> str:
    from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint

    return str(find_checkpoint(model).folder)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def train_with_trainer(
    model: str,
    texts: list[str],
    labels: np.ndarray,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    table: bool = True,
    rate: float = RATE,
    **arguments: object,
) -> tuple[Any, float]:
    """A trained Trainer, and the seconds from texts to there, without loading."""
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainingArguments,
    )

    torch.manual_seed(seed)
    folder = folder_of(model)
    # The packaged E5 is kept in float16, in which a CPU trains neither well nor fast.
    network = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not table:
        network.get_input_embeddings().requires_grad_(False)
    start = time.perf_counter()
    encoded = tokenizer(texts, truncation=True, max_length=256)
    rows = Dataset.from_dict({**encoded, "labels": [int(label) for label in labels]})
    trainer = Trainer(
        model=network,
        args=TrainingArguments(
            output_dir=tempfile.mkdtemp(),
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=rate,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            logging_strategy="no",
            **arguments,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.train()
    return trainer, time.perf_counter() - start


def logits_of_trainer(trainer: Any, texts: list[str]) -> np.ndarray:
    tokenizer, network = trainer.processing_class, trainer.model.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), 64):
            part = texts[start : start + 64]
            inputs = tokenizer(
                part,
                truncation=True,
                max_length=256,
                padding=True,
                return_tensors="pt",
            )
            found.append(network(**inputs).logits.numpy())
    return np.concatenate(found)


def accuracy_of_trainer(trainer: Any, texts: list[str], labels: np.ndarray) -> float:
    found = logits_of_trainer(trainer, texts).argmax(axis=1)
    return float((found == labels).mean())


def ours(**parameters: Any) -> Any:
    from sktransfer import TransferSentimentClassifier

    defaults = {
        "strategy": "fine_tune",
        "batch_size": BATCH,
        "max_epochs": EPOCHS,
        "encoder_learning_rate": RATE,
        "early_stopping": False,
    }
    return TransferSentimentClassifier(**defaults | parameters)


def measure_trainer(table: bool, seed: int) -> dict[str, dict[str, float]]:
    """Seconds and accuracies of one seed, in turn."""
    texts, labels = sentences(N_TRAIN + N_TEST, seed)
    train = texts[:N_TRAIN], labels[:N_TRAIN]
    test = texts[N_TRAIN:], labels[N_TRAIN:]
    found: dict[str, dict[str, float]] = {}
    for name, arguments in {
        "Trainer": {},
        "Trainer(bf16=True)": {"bf16": True},
    }.items():
        start = time.process_time()
        trainer, spent = train_with_trainer(
            "all-MiniLM-L6-v2", *train, seed=seed, table=table, **arguments
        )
        found[name] = {"seconds": spent, "processor": time.process_time() - start}
        found[name]["accuracy"] = accuracy_of_trainer(trainer, *test)
    model = ours(train_embeddings=table, random_state=seed)
    start = time.process_time()
    spent = seconds(lambda: model.fit(*train))
    found["fine_tune"] = {"seconds": spent, "processor": time.process_time() - start}
    found["fine_tune"]["accuracy"] = float(model.score(*test))
    return found


def measure_linear(table: bool, seed: int) -> dict[str, float]:
    """The same with a linear head, which is what the Trainer's model has."""
    texts, labels = sentences(N_TRAIN + N_TEST, seed)
    model = ours(train_embeddings=table, random_state=seed, hidden_layer_sizes=())
    model.fit(texts[:N_TRAIN], labels[:N_TRAIN])
    return {"accuracy": float(model.score(texts[N_TRAIN:], labels[N_TRAIN:]))}


def skorch_net(frozen: bool, **parameters: Any) -> Any:
    """A transformer, tuned as skorch documents it, or frozen in the module."""
    from sklearn.pipeline import make_pipeline
    from skorch import NeuralNetClassifier
    from skorch.hf import HuggingfacePretrainedTokenizer
    from transformers import AutoModel, AutoModelForSequenceClassification

    folder = folder_of("all-MiniLM-L6-v2")

    class Tuned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=2
            )

        def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
            return self.network(**inputs).logits

    class Frozen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = AutoModel.from_pretrained(folder).requires_grad_(False)
            self.head = torch.nn.Sequential(
                torch.nn.Linear(384, 64),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.5),
                torch.nn.Linear(64, 32),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.5),
                torch.nn.Linear(32, 2),
            )

        def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                states = self.encoder.eval()(**inputs)[0]
            mask = inputs["attention_mask"][..., None]
            return self.head((states * mask).sum(1) / mask.sum(1))

    net = NeuralNetClassifier(
        Frozen if frozen else Tuned,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        train_split=None,
        verbose=0,
        **parameters,
    )
    return make_pipeline(HuggingfacePretrainedTokenizer(folder), net)


def measure_skorch(number: int) -> dict[str, float]:
    texts, labels = sentences(48, number)
    net = skorch_net(False, batch_size=BATCH, max_epochs=1, lr=RATE)
    model = ours(max_epochs=1, random_state=0)
    peer = seconds(lambda: net.fit(texts, labels))
    return {"skorch": peer, "fine_tune": seconds(lambda: model.fit(texts, labels))}


def measure_partial(number: int) -> dict[str, list[float]]:
    texts, labels = sentences(N_TRAIN)
    found = {}
    for strategy in ("fine_tune", "partial"):
        model = ours(strategy=strategy, max_epochs=4, random_state=number)
        found[strategy] = model.fit(texts, labels).history_[1:, "dur"]
    return found


def measure_frozen(number: int) -> dict[str, float]:
    from sktransfer import BertFeaturizer

    texts, labels = sentences(64, number)
    net = skorch_net(True, batch_size=32, max_epochs=20, lr=1e-3)
    model = ours(
        encoder=BertFeaturizer(cache=None),
        strategy="feature_extraction",
        batch_size=32,
        max_epochs=20,
        random_state=0,
    )
    model.fit(texts[:8], [0, 1] * 4)  # both have loaded their weights before
    peer = seconds(lambda: net.fit(texts, labels))
    return {
        "skorch": peer,
        "feature_extraction": seconds(lambda: model.fit(texts, labels)),
    }


def measure_memory(side: str) -> float:
    """Peak memory of a training in a process of its own, in MiB."""
    command = [sys.executable, "-W", "ignore", __file__, "--memory", side]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out.splitlines()[-1])


def train_and_tell(side: str) -> None:
    from sktransfer import BertFeaturizer

    texts, labels = sentences(48)
    if side == "Trainer":
        train_with_trainer("multilingual-e5-small", texts, labels, epochs=1)
    else:
        encoder = BertFeaturizer("multilingual-e5-small", cache=None)
        options = {"encoder": encoder, "max_epochs": 1, "random_state": 0}
        ours(train_embeddings=side == "table", **options).fit(texts, labels)
    # Not ru_maxrss, which a process takes over from the larger one that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def measure_grid(number: int) -> dict[str, float]:
    from sklearn.model_selection import GridSearchCV

    from sktransfer.classifier.strategies.registry import STRATEGIES

    texts, labels = sentences(60)
    grid = {
        "strategy": list(STRATEGIES),
        "hidden_layer_sizes": [(), (32,), (64, 32)],
    }
    model = ours(max_epochs=2, random_state=0, encoder_learning_rate="auto")
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise")
    spent = seconds(lambda: search.fit(texts, labels))
    results = search.cv_results_
    scores = {
        f"{parameters['strategy']} {parameters['hidden_layer_sizes']}": float(score)
        for parameters, score in zip(
            results["params"], results["mean_test_score"], strict=True
        )
    }
    return {"seconds": spent, **scores}


JOBS: dict[str, Callable[[], Any]] = {
    **{
        f"trainer, table {table}, seed {seed}": (
            lambda table=table, seed=seed: measure_trainer(table == "trained", seed)
        )
        for seed in SEEDS
        for table in ("frozen", "trained")
    },
    **{
        f"linear head, table {table}, seed {seed}": (
            lambda table=table, seed=seed: measure_linear(table == "trained", seed)
        )
        for seed in SEEDS
        for table in ("frozen", "trained")
    },
    **{f"skorch {n}": lambda n=n: measure_skorch(n) for n in range(3)},
    **{f"partial {n}": lambda n=n: measure_partial(n) for n in range(3)},
    **{f"frozen {n}": lambda n=n: measure_frozen(n) for n in range(3)},
    **{
        f"memory of {side}": lambda side=side: measure_memory(side)
        for side in ("Trainer", "default", "table")
    },
    "grid": lambda: measure_grid(0),
}


def main() -> None:
    warnings.simplefilter("ignore")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    journal = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found = {}
    if journal is not None and journal.exists():
        found = json.loads(journal.read_text(encoding="utf-8"))
    load = found.setdefault("load", os.getloadavg()[0])
    for name, job in JOBS.items():
        if name not in found:
            found[name] = job()
            print(name, found[name], flush=True)
            if journal is not None:
                journal.write_text(json.dumps(found), encoding="utf-8")
    table = "\n".join(describe(found, load)) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")
    print(table)


def describe(found: dict[str, Any], load: float) -> list[str]:
    """Lines of the table."""
    cpu = torch.cpu.get_capabilities().get("cpu_name", platform.processor())
    lines = [
        "# How fast are encoders tuned, how well, in how much memory?",
        "",
        f"{torch.get_num_threads()} cores of {platform.machine()} ({cpu}), Python "
        f"{platform.python_version()}, torch {version('torch')}, transformers "
        f"{version('transformers')}, skorch {version('skorch')}, load average "
        f"{load:.1f} at the start, OMP_WAIT_POLICY "
        f"{os.environ.get('OMP_WAIT_POLICY', 'not set')}. Medians; both sides in turn.",
        "",
        f"## Against transformers' Trainer: {N_TRAIN} movie sentences, {EPOCHS} "
        f"epochs, batches of {BATCH}, rate {RATE:g}",
        "",
        "Ratios are to fine_tune, medians of those of each draw; processor time is "
        "disturbed less by other programs. Ours is a whole `fit`, weights read and "
        "features scaled; the Trainer's time is tokenising and training. Accuracy on "
        f"{N_TEST} unseen sentences, mean and range of {len(SEEDS)} draws.",
        "",
        "| token table | who | samples/s | ratio | of processor time | accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for kind in ("frozen", "trained"):
        runs = [found[f"trainer, table {kind}, seed {seed}"] for seed in SEEDS]
        linear = "fine_tune, linear head"
        for run, seed in zip(runs, SEEDS, strict=True):
            run[linear] = found[f"linear head, table {kind}, seed {seed}"]
        for who in ("Trainer", "Trainer(bf16=True)", "fine_tune", linear):
            scores = [run[who]["accuracy"] for run in runs]
            speed = "| | | "
            if who != linear:  # its speed is that of the other head
                spent = statistics.median(run[who]["seconds"] for run in runs)
                wall, processor = (
                    statistics.median(
                        run[who][unit] / run["fine_tune"][unit] for run in runs
                    )
                    for unit in ("seconds", "processor")
                )
                speed = (
                    f"| {N_TRAIN * EPOCHS / spent:.1f} | {wall:.2f} | {processor:.2f} "
                )
            lines.append(
                f"| {kind} | {who} {speed}"
                f"| {np.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}) |"
            )
    lines += ["", "## Other comparisons", "", "| question | peer | ours | ratio |"]
    lines.append("|---|---|---|---|")

    def row(question: str, peer: list[float], own: list[float], unit: str) -> None:
        one, other = statistics.median(peer), statistics.median(own)
        numbers = f"{one:.2f} {unit} | {other:.2f} {unit} | {one / other:.2f}"
        lines.append(f"| {question} | {numbers} |")

    def each(job: str, who: str) -> list[float]:
        return np.ravel([found[f"{job} {n}"][who] for n in range(3)]).tolist()

    row(
        "fine_tune, an epoch of 48 sentences, against skorch with its "
        "HuggingfacePretrainedTokenizer",
        each("skorch", "skorch"),
        each("skorch", "fine_tune"),
        "s",
    )
    row(
        f"partial (2 of 6 layers), an epoch of {N_TRAIN} after the first, against one "
        "of fine_tune",
        each("partial", "fine_tune"),
        each("partial", "partial"),
        "s",
    )
    row(
        "feature_extraction, 20 epochs of 64 sentences, against skorch with the "
        "frozen encoder in its module",
        each("frozen", "skorch"),
        each("frozen", "feature_extraction"),
        "s",
    )
    peaks = {
        side: found[f"memory of {side}"] for side in ("Trainer", "default", "table")
    }
    lines += [
        "",
        "## Peak memory of fine_tune on multilingual-e5-small",
        "",
        "The whole process with weights and libraries; one epoch of 48 sentences.",
        "",
        "| who | MiB | share |",
        "|---|---|---|",
        f"| Trainer | {peaks['Trainer']:.0f} | 1 |",
        f"| ours | {peaks['default']:.0f} "
        f"| {peaks['default'] / peaks['Trainer']:.2f} |",
        f"| ours, token table trained | {peaks['table']:.0f} "
        f"| {peaks['table'] / peaks['Trainer']:.2f} |",
        "",
        "## Every strategy and three heads in one GridSearchCV(n_jobs=2)",
        "",
        f"60 sentences, 2 epochs, 2 folds: {found['grid']['seconds']:.0f} s. Scores of "
        "such short trainings say only that each candidate ran.",
        "",
        "| candidate | score |",
        "|---|---|",
    ]
    scores = {k: v for k, v in found["grid"].items() if k != "seconds"}
    best = max(scores, key=lambda name: scores[name])
    for name, score in scores.items():
        lines.append(f"| {name}{' (best)' if name == best else ''} | {score:.3f} |")
    return lines


if __name__ == "__main__":
    if "--memory" in sys.argv:
        train_and_tell(sys.argv[-1])
    else:
        main()
