"""A grid search over a frozen encoder: 12 candidates, 5 folds, 1 000 texts.

Four values of C of LogisticRegression and three poolings. A pipeline around one of the
peers encodes all texts anew for each fit, so that all sixty cost the same: three of
them (one for each pooling) are run and counted twenty times. sktransfer runs all sixty,
the refit too, and again in a new process with a folder as its cache. With our own heads
in place of LogisticRegression the candidates are two heads, two rates of dropout and
the three poolings.
"""

from __future__ import annotations

import json
import os
import platform
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
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sktransfer import BertFeaturizer, TransferSentimentClassifier, fetch_reviews
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.encoding import n_texts_encoded

POOLINGS = ("mean", "cls", "max")
CS = [0.01, 0.1, 1.0, 10.0]
HEADS = {"hidden_layer_sizes": [(), (64, 32)], "dropout": [0.2, 0.5]}
N_TEXTS = 1000
N_FOLDS = 5
# Rounds of the comparison with a precomputed matrix.
N_ROUNDS = 3


class SentenceTransformerFeatures(TransformerMixin, BaseEstimator):
    """What users write around sentence-transformers, loaded once for all copies."""

    loaded: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, pooling: str = "mean") -> None:
        self.pooling = pooling

    def fit(self, X: Any, y: Any = None) -> SentenceTransformerFeatures:
        """Learn nothing."""
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode as one would without thinking of folds."""
        return load_peer(self.pooling).encode(list(X))


def load_peer(pooling: str) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    loaded = SentenceTransformerFeatures.loaded
    if pooling not in loaded:
        folder = str(find_checkpoint("all-MiniLM-L6-v2").folder)
        body = modules.Transformer(folder, max_seq_length=256)
        pool = modules.Pooling(body.get_embedding_dimension(), pooling_mode=pooling)
        loaded[pooling] = SentenceTransformer(modules=[body, pool], device="cpu")
    return loaded[pooling]


class EmbetterFeatures(SentenceTransformerFeatures):
    """embetter's encoder, which holds a SentenceTransformer."""

    def transform(self, X: Any) -> np.ndarray:
        """Let embetter encode with the shared weights."""
        from embetter.text import SentenceEncoder

        encoder = SentenceEncoder.__new__(SentenceEncoder)
        encoder.tfm = load_peer(self.pooling)
        return SentenceEncoder.transform(encoder, list(X))


def skrub_features() -> Any:
    """Return skrub's encoder, which has one pooling: the checkpoint's."""
    from skrub import TextEncoder

    folder = str(find_checkpoint("all-MiniLM-L6-v2").folder)
    return TextEncoder(model_name=folder, n_components=None, device="cpu")


def reviews() -> tuple[list[str], np.ndarray]:
    data = fetch_reviews()
    triples = zip(data.data, data.domains, data.target, strict=True)
    chosen = {t: y for t, domain, y in triples if domain == "movies"}
    texts = list(chosen)
    order = np.random.default_rng(0).permutation(len(texts))[:N_TEXTS]
    return [texts[i] for i in order], np.array([chosen[texts[i]] for i in order])


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def search(features: Any, name: str, grid: dict[str, list[Any]]) -> GridSearchCV:
    pipe = make_pipeline(features, LogisticRegression(max_iter=2000))
    grid = {f"{name}__{key}": values for key, values in grid.items()}
    return GridSearchCV(
        pipe, grid | {"logisticregression__C": CS}, cv=N_FOLDS, error_score="raise"
    )


def run_ours(folder: str, n_jobs: int = 1) -> tuple[float, int, float]:
    """Seconds, texts encoded by this process, and best score of our grid."""
    texts, labels = reviews()
    before = n_texts_encoded()
    cache = folder if folder == "memory" else Path(folder)
    features = BertFeaturizer(device="cpu", share="poolings", cache=cache)
    found = search(features, "bertfeaturizer", {"pooling": list(POOLINGS)})
    spent = seconds(lambda: found.set_params(n_jobs=n_jobs).fit(texts, labels))
    return spent, n_texts_encoded() - before, float(found.best_score_)


def run_heads() -> tuple[float, float]:
    """Seconds of encoding all texts, and of the whole grid over our heads."""
    texts, labels = reviews()
    features = BertFeaturizer(device="cpu", share="poolings")
    encoding = seconds(lambda: features.fit_transform(texts))
    head = TransferSentimentClassifier(device="cpu", random_state=0)
    pipe = make_pipeline(features, head)
    grid = {f"transfersentimentclassifier__{key}": HEADS[key] for key in HEADS}
    grid["bertfeaturizer__pooling"] = list(POOLINGS)
    found = GridSearchCV(pipe, grid, cv=N_FOLDS, error_score="raise")
    return encoding, encoding + seconds(lambda: found.fit(texts, labels))


class Chosen(TransformerMixin, BaseEstimator):
    """One of three matrices side by side that were computed before."""

    def __init__(self, pooling: str = "mean") -> None:
        self.pooling = pooling

    def fit(self, X: Any, y: Any = None) -> Chosen:
        """Learn nothing."""
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Cut one matrix out."""
        width = X.shape[1] // len(POOLINGS)
        start = POOLINGS.index(self.pooling) * width
        return X[:, start : start + width]


def run_precomputed(folder: str) -> float:
    texts, labels = reviews()
    features = BertFeaturizer(device="cpu", pooling=POOLINGS, cache=Path(folder))
    matrix = features.fit_transform(texts)
    found = search(Chosen(), "chosen", {"pooling": list(POOLINGS)})
    return seconds(lambda: found.fit(matrix, labels))


def fit_once(features: Any, X: Any, labels: np.ndarray) -> None:
    """One fit of the sixty: four fifths to train, a fifth to score."""
    cut = len(labels) - len(labels) // N_FOLDS
    pipe = make_pipeline(features, LogisticRegression(max_iter=2000))
    pipe.fit(X[:cut], labels[:cut]).score(X[cut:], labels[cut:])


def in_new_process(call: str) -> Any:
    code = f"import json, grid_search; print(json.dumps(grid_search.{call}))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    here = Path(__file__).parent
    answer = subprocess.run(
        command, cwd=here, check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def main() -> None:
    warnings.simplefilter("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    texts, labels = reviews()
    peers: dict[str, list[tuple[Any, Any]]] = {
        "sentence-transformers": [
            (SentenceTransformerFeatures(name), texts) for name in POOLINGS
        ],
        "embetter": [(EmbetterFeatures(name), texts) for name in POOLINGS],
        "skrub": [(skrub_features(), pd.Series(texts))] * len(POOLINGS),
    }
    load_peer("mean").encode(texts[:8])
    n_fits = len(POOLINGS) * len(CS) * N_FOLDS
    memory: list[Any] = []
    spent: dict[str, float] = {}
    for name, runs in peers.items():
        # In turn, so that a busy moment of the machine hits both.
        memory.append(in_new_process("run_ours('memory')"))
        spent[name] = sum(
            seconds(lambda run=run: fit_once(*run, labels)) for run in runs
        )
    ours = sorted(once for once, *_ in memory)[len(memory) // 2]
    rows = []
    for name, runs in peers.items():
        total = spent[name] / len(runs) * n_fits
        rows.append(f"| {name} {version(name)} | {total:.0f} | {total / ours:.0f} |")
    lines = [
        "# What does a grid search over a frozen encoder cost?",
        "",
        f"{__doc__.partition(chr(10))[2].strip()}",
        "",
        f"all-MiniLM-L6-v2 at each package's defaults, {N_TEXTS} short reviews, "
        f"{torch.get_num_threads()} cores of {platform.machine()} "
        f"({torch.cpu.get_capabilities().get('cpu_name', platform.processor())}), "
        f"Python {platform.python_version()}, torch {version('torch')}, load average "
        f"{os.getloadavg()[0]:.1f}.",
        "",
        "| pipeline around | seconds for 60 fits | times as long as sktransfer |",
        "|---|---|---|",
        *rows,
        f"| sktransfer, an empty cache (median of {len(memory)}; "
        f"{memory[0][1]} texts encoded) | {ours:.2f} | 1 |",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        first = in_new_process(f"run_ours({folder!r})")
        again, matrix = [], []
        for _ in range(N_ROUNDS):
            again.append(in_new_process(f"run_ours({folder!r})"))
            matrix.append(in_new_process(f"run_precomputed({folder!r})"))
    with tempfile.TemporaryDirectory() as folder:
        in_new_process(f"run_ours({folder!r}, n_jobs=2)")
        stored = BertFeaturizer(cache=Path(folder)).cache_info().n_vectors
    encoding, heads = in_new_process("run_heads()")
    warm = sorted(spent for spent, *_ in again)[N_ROUNDS // 2]
    plain = sorted(matrix)[N_ROUNDS // 2]
    lines += [
        "| with a folder as the cache | seconds | texts encoded |",
        "|---|---|---|",
        f"| first process | {first[0]:.2f} | {first[1]} |",
        f"| a new process (median of {N_ROUNDS}) | {warm:.2f} | {again[0][1]} |",
        f"| the same grid on a precomputed matrix | {plain:.2f} | 0 |",
        "",
        f"A new process takes {warm / plain:.2f} times what the matrix takes. With "
        f"n_jobs=2 and a new folder, {stored // len(POOLINGS)} texts were stored.",
        "",
        f"With TransferSentimentClassifier on the features, {n_fits} fits and the "
        f"refit take {heads:.1f} s, of which encoding is {encoding:.1f} s "
        f"({encoding / heads:.0%}): training the heads is the rest.",
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
