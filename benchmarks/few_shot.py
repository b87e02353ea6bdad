"""strategy="contrastive" against SetFit: accuracy with few labels, and time.

The same encoder, texts and splits on both sides, five draws of each. SetFit compares
20 + 20 drawn pairs for each text (``num_iterations=20``) and is otherwise at its
defaults, but that it saves no checkpoints; ours is at its defaults, and once more in
float32. Every cell is written to a journal as soon as it is known, so that a run that
was stopped goes on where it was. Accuracies first, then the table of times on a machine
that does nothing else:

    few_shot.py accuracy [setfit | ours | float32 ...]
    few_shot.py time
    few_shot.py table

Needs, in SKTRANSFER_BENCH_DATA, the set en_amazon. The recipe was chosen on other data:
tweets, news and reviews of kitchen ware.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np

DATA = Path(os.environ.get("SKTRANSFER_BENCH_DATA", "../shared/data"))
JOURNAL = Path(os.environ.get("FEW_SHOT_JOURNAL", "few_shot.jsonl"))
MODEL = "all-MiniLM-L6-v2"
LABELS_A_CLASS = (8, 32)
SEEDS = (0, 1, 2, 3, 4)
N_TEST = 1000
SYSTEMS = ("setfit", "ours", "float32")
# Tokens of a text that both sides read; None is what the checkpoint declares, 256.
DATA_SETS = {
    "movies": ("sentences of reviews, negative or positive", None),
    "products": ("sentences of reviews, negative, neutral or positive", None),
    "electronics": ("reviews, negative or positive, their first 64 tokens", 64),
}
TIMED = (("movies", 8), ("movies", 32))
N_ROUNDS = 3

Split = tuple[list[str], np.ndarray, list[str], np.ndarray]


def load(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts, labels and the groups that a split keeps whole."""
    if name != "electronics":
        from sktransfer import fetch_reviews

        kind = "three" if name == "products" else "binary"
        reviews = fetch_reviews("en", name, labels=kind)
        return reviews.data, reviews.target, reviews.groups
    texts: dict[str, int] = {}
    for label, side in enumerate(("negative", "positive")):
        path = DATA / "en_amazon" / name / f"review_{side}"
        lines = path.read_text("utf-8").split("\n")
        texts |= {line: label for line in lines if line}
    return (
        np.array(list(texts), object),
        np.array(list(texts.values())),
        np.arange(len(texts)),
    )


def split(name: str, labels_a_class: int, seed: int) -> Split:
    texts, y, groups = load(name)
    order = np.random.default_rng(seed).permutation(len(texts))
    train = np.concatenate(
        [order[y[order] == c][:labels_a_class] for c in np.unique(y)]
    )
    known = set(groups[train].tolist())
    test = [row for row in order if groups[row] not in known][:N_TEST]
    return texts[train].tolist(), y[train], texts[test].tolist(), y[test]


def fit_setfit(
    texts: list[str], y: np.ndarray, max_length: int | None, seed: int
) -> Callable[[list[str]], np.ndarray]:
    import setfit
    from datasets import Dataset
    from transformers.trainer_callback import ProgressCallback

    from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint

    model = setfit.SetFitModel.from_pretrained(str(find_checkpoint(MODEL).folder))
    with tempfile.TemporaryDirectory() as folder:
        arguments = setfit.TrainingArguments(
            output_dir=folder,
            num_iterations=20,
            max_length=max_length,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
            seed=seed,
        )
        rows = Dataset.from_dict({"text": texts, "label": y.tolist()})
        trainer = setfit.Trainer(model=model, args=arguments, train_dataset=rows)
        trainer.remove_callback(ProgressCallback)
        trainer.train()
    if max_length is not None:
        model.model_body.max_seq_length = max_length
    return lambda unseen: np.asarray(model.predict(unseen))


def fit_ours(
    texts: list[str],
    y: np.ndarray,
    max_length: int | None,
    seed: int,
    dtype: str = "auto",
) -> Callable[[list[str]], np.ndarray]:
    from sktransfer import BertFeaturizer, TransferSentimentClassifier

    # Nothing may come out of the cache that an earlier draw has put there.
    encoder = BertFeaturizer(MODEL, max_length=max_length, dtype=dtype, cache=None)
    model = TransferSentimentClassifier(
        encoder, "contrastive", dtype=dtype, random_state=seed
    )
    return model.fit(texts, y).predict


def fit(system: str, *arguments):
    if system == "setfit":
        return fit_setfit(*arguments)
    return fit_ours(*arguments, dtype="auto" if system == "ours" else system)


def read_journal() -> list[dict]:
    if not JOURNAL.exists():
        return []
    return [json.loads(line) for line in JOURNAL.read_text("utf-8").splitlines()]


def note(**cell) -> None:
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.write(json.dumps(cell) + "\n")
    print(cell, flush=True)


def cells_of_accuracy(systems: list[str]) -> None:
    done = {
        (cell["system"], cell["data"], cell["labels"], cell["seed"])
        for cell in read_journal()
        if "accuracy" in cell
    }
    for labels_a_class in LABELS_A_CLASS:
        for seed in SEEDS:
            for name, (_, max_length) in DATA_SETS.items():
                for system in systems:
                    if (system, name, labels_a_class, seed) in done:
                        continue
                    texts, y, unseen, y_unseen = split(name, labels_a_class, seed)
                    began = time.perf_counter()
                    predict = fit(system, texts, y, max_length, seed)
                    seconds = time.perf_counter() - began
                    note(
                        system=system,
                        data=name,
                        labels=labels_a_class,
                        seed=seed,
                        accuracy=float((predict(unseen) == y_unseen).mean()),
                        busy_seconds=round(seconds, 2),
                    )


def cells_of_time() -> None:
    """Seconds of a fit, all sides in turn; what was measured before is not again."""
    texts, y, _, _ = split("movies", 2, 0)
    for system in SYSTEMS:
        # What is imported and loaded at the first fit is not counted.
        fit(system, texts, y, None, 0)
    done = [
        (c["data"], c["labels"], c["round"]) for c in read_journal() if "round" in c
    ]
    for number in range(N_ROUNDS):
        for name, labels_a_class in TIMED:
            if (name, labels_a_class, number) in done:
                continue
            texts, y, _, _ = split(name, labels_a_class, number)
            seconds = {}
            for system in SYSTEMS:
                began = time.perf_counter()
                fit(system, texts, y, DATA_SETS[name][1], number)
                seconds[system] = round(time.perf_counter() - began, 2)
            note(data=name, labels=labels_a_class, round=number, seconds=seconds)


def table() -> str:
    journal = read_journal()
    found = {
        (cell["system"], cell["data"], cell["labels"], cell["seed"]): cell["accuracy"]
        for cell in journal
        if "accuracy" in cell
    }
    lines = [
        "# Few labels: contrastive against SetFit",
        "",
        f"`python benchmarks/few_shot.py`; {MODEL} on both sides, mean accuracy on "
        f"{N_TEST:,} unseen texts over draws of the training texts, and "
        "the mean of the paired differences to SetFit with its standard error, in "
        "points.",
        "",
        "| texts | labels a class | draws | SetFit | ours | ours, float32 | "
        "ours - SetFit | float32 - SetFit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    everything: dict[str, list[float]] = {"ours": [], "float32": []}

    def difference(values: list[float]) -> str:
        error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        return f"{100 * mean(values):+.1f} ± {100 * error:.1f}"

    for name, (words, _) in DATA_SETS.items():
        for labels_a_class in LABELS_A_CLASS:
            draws = [
                [found.get((system, name, labels_a_class, seed)) for system in SYSTEMS]
                for seed in SEEDS
            ]
            draws = [draw for draw in draws if None not in draw]
            if not draws:
                continue
            peer, ours, exact = (list(column) for column in zip(*draws, strict=True))
            pairs = {"ours": ours, "float32": exact}
            differences = {
                system: [own - other for own, other in zip(values, peer, strict=True)]
                for system, values in pairs.items()
            }
            for system, values in differences.items():
                everything[system] += values
            lines.append(
                f"| {name}: {words} | {labels_a_class} | {len(draws)} | "
                f"{mean(peer):.3f} | {mean(ours):.3f} | {mean(exact):.3f} | "
                f"{difference(differences['ours'])} | "
                f"{difference(differences['float32'])} |"
            )
    if everything["ours"]:
        lines.append(
            f"| all {len(everything['ours'])} pairs | | | | | | "
            f"{difference(everything['ours'])} | {difference(everything['float32'])} |"
        )
    timed: dict[tuple[str, int], list[dict[str, float]]] = {}
    for cell in journal:
        if "seconds" in cell:
            rounds = timed.setdefault((cell["data"], cell["labels"]), [])
            rounds.append(cell["seconds"])
    if timed:
        lines += [
            "",
            "## Seconds of a fit",
            "",
            "Medians over draws, all sides in turn in one process; the shares are the "
            "medians of each draw's share of SetFit's seconds.",
            "",
            "| texts | labels a class | draws | SetFit | ours | share | float32 "
            "| share |",
            "|---|---|---|---|---|---|---|---|",
        ]
    for (name, labels_a_class), rounds in timed.items():
        peer, ours, exact = (median(r[system] for r in rounds) for system in SYSTEMS)
        shares = [
            median(r[system] / r["setfit"] for r in rounds) for system in SYSTEMS[1:]
        ]
        lines.append(
            f"| {name} | {labels_a_class} | {len(rounds)} | {peer:.1f} | {ours:.2f} | "
            f"{shares[0]:.2f} | {exact:.2f} | {shares[1]:.2f} |"
        )
    import setfit
    import torch
    import transformers

    lines += [
        "",
        f"SetFit {setfit.__version__} (`num_iterations=20`, no checkpoints saved), "
        f"transformers {transformers.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores with bfloat16. SetFit "
        "trains the token table as well; ours leaves it alone. The recipe was chosen "
        "on tweets, news and reviews of kitchen ware.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    what, *names = sys.argv[1:] or ["table"]
    if what == "accuracy":
        cells_of_accuracy(names or list(SYSTEMS))
    elif what == "time":
        cells_of_time()
    else:
        text = table()
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
        print(text)
