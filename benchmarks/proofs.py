"""What it costs to prove files before they are believed, beside a tree that does not.

    proofs.py --before FOLDER

FOLDER is a checkout of the package as it was before. Both trees save files of their
own and open them again and again in fresh processes, in turn; the table is written
beside this file. Rows that are done are kept in the user's cache, so that a stopped run
can be gone on with. Saved models and vectors are opened as another process of the same
user would: their digests are known to the machine after the first time, which has a
column of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np

from sktransfer.storage import cache_folder

N_RUNS = 3
N_CACHED, WIDTH = 100_000, 384
N_WORDS = 100_000
ROOT = Path(__file__).parents[1]
HERE = Path(__file__).resolve()
# Names of the rows, and how often their call is repeated in a process.
ROWS = {
    "load TF-IDF with logistic regression, 20,000 terms": 5,
    "load a stack of TF-IDF models in a grid search": 5,
    "load a tuned MiniLM, 90 MB": 3,
    "open GloVe, 400,000 words": 5,
    "open a saved folder of vectors, 100,000 words": 5,
    "2,000 texts to word vectors, GloVe": 5,
    "read 100,000 vectors of 384 numbers from the cache": 5,
    "read 1,000 of them": 20,
    "write 10,000 vectors to the cache": 3,
}
Call = Callable[[], object]


def texts(n: int, n_terms: int = 20_000) -> list[str]:
    """Texts of 20 made-up words each, in which every term comes up."""
    rng = np.random.default_rng(0)
    terms = [f"word{i}" for i in range(n_terms)]
    drawn = rng.integers(0, n_terms, size=(n, 20))
    drawn.ravel()[:n_terms] = np.arange(min(n_terms, drawn.size))
    return [" ".join(terms[i] for i in row) for row in drawn]


def save_files(folder: Path) -> None:
    """Write what is opened later, with the package that is imported."""
    from sklearn.ensemble import StackingClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    from sktransfer import (
        BertFeaturizer,
        TransferSentimentClassifier,
        WordVectors,
        save,
    )

    some = texts(2000)
    labels = np.arange(len(some)) % 2
    logistic = make_pipeline(TfidfVectorizer(), LogisticRegression())
    save(logistic.fit(some, labels), folder / "tfidf")
    small = make_pipeline(TfidfVectorizer(), TransferSentimentClassifier())
    save(small.fit(["good", "bad"] * 5, [1, 0] * 5), folder / "small")
    bayes = make_pipeline(TfidfVectorizer(), MultinomialNB())
    stack = StackingClassifier([("a", logistic), ("b", bayes)], cv=2)
    grid = {"stack_method": ["auto", "predict_proba"]}
    save(GridSearchCV(stack, grid, cv=2).fit(some, labels), folder / "stack")
    tuned = TransferSentimentClassifier(
        BertFeaturizer("all-MiniLM-L6-v2"),
        strategy="fine_tune",
        max_epochs=1,
        random_state=0,
    )
    save(tuned.fit(some[:16], labels[:16]), folder / "tuned")
    matrix = np.random.default_rng(1).normal(size=(N_WORDS, 100)).astype(np.float32)
    words = [f"word{i}" for i in range(N_WORDS)]
    WordVectors(words, matrix).save(folder / "vectors")
    WordVectors(["good"], [[1.0]]).save(folder / "small-vectors")
    _store(folder).put_many(*_vectors(N_CACHED))


def _store(folder: Path) -> Any:
    from sktransfer.encoders.cache.disk import DiskStore

    return DiskStore(folder / "cache")


def _vectors(n: int, seed: int = 2) -> tuple[list[bytes], Any]:
    rng = np.random.default_rng(seed)
    # Keys of one recipe begin alike.
    keys = [b"of one recipe..." + rng.bytes(16) for _ in range(n)]
    return keys, rng.normal(size=(n, WIDTH)).astype(np.float32)


def open_files(folder: Path, row: str) -> list[float]:
    """Seconds of each call of a row, in this process."""
    call = _calls(folder, row)
    seconds = []
    for _ in range(ROWS[row]):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def _calls(folder: Path, row: str) -> Call:
    import sktransfer

    _import_all(folder)
    saved = {"TF-IDF": "tfidf", "a stack": "stack", "a tuned": "tuned"}
    for begin, name in saved.items():
        if row.startswith(f"load {begin}"):
            return lambda: sktransfer.load(folder / name)
    if row.startswith("open GloVe"):
        return lambda: sktransfer.WordVectors.load("glove-6b-50d")
    if row.startswith("open a saved"):
        return lambda: sktransfer.WordVectors.load(folder / "vectors")
    if "to word vectors" in row:
        some = [f"{a} good bad film house water river sea sky {a}" for a in "abcde"]
        featurizer = sktransfer.WordVectorFeaturizer().fit(some)
        return lambda: featurizer.transform(some * 400)
    if row.startswith("write"):
        keys, vectors = _vectors(10_000, seed=3)
        with tempfile.TemporaryDirectory() as place:
            store = _store(Path(place))
        return lambda: (store.clear(), store.put_many(keys, vectors))
    n = N_CACHED if "100,000" in row else 1000
    keys, _ = _vectors(N_CACHED)
    out, store = np.empty((n, WIDTH), np.float32), _store(folder)

    def read() -> None:
        assert store.get_many(keys[:n], out).all()

    return read


def _import_all(folder: Path) -> None:
    """Open small files first: what opening imports is not what is measured."""
    import gensim.downloader  # noqa: F401
    from transformers import AutoTokenizer, BertModel  # noqa: F401

    import sktransfer

    sktransfer.load(folder / "small")
    sktransfer.WordVectors.load(folder / "small-vectors")


def run(tree: Path, folder: Path, row: str | None) -> list[float]:
    """Do it in a process of its own, with the package of a tree."""
    environment = os.environ | {
        "PYTHONPATH": str(tree),
        "SKTRANSFER_CACHE": str(folder / "user"),
    }
    command = [sys.executable, str(HERE), "--in", str(folder), "--row", row or ""]
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, cwd=folder
    )
    return list(json.loads(done.stdout or "[]"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", type=Path, help="a checkout of the package")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder is not None:
        if given.row:
            print(json.dumps(open_files(given.folder, given.row)))
        else:
            save_files(given.folder)
        return
    if given.before is None:
        parser.error("say --before and a checkout of the package")
    trees = {"before": given.before.resolve(), "now": ROOT}
    with tempfile.TemporaryDirectory() as place:
        folders = {name: Path(place, name) for name in trees}
        for name, tree in trees.items():
            folders[name].mkdir()
            run(tree, folders[name], None)
        lines = [_measure_once(row, trees, folders) for row in ROWS]
    table = "\n".join([*_head(), *lines]) + "\n"
    print(table)
    HERE.with_suffix(".md").write_text(table, encoding="utf-8")


def _measure_once(row: str, trees: dict[str, Path], folders: dict[str, Path]) -> str:
    """The line of a run that was stopped, or of this one."""
    kept = cache_folder("benchmarks") / "proofs.json"
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    key = f"{trees['before']} {N_RUNS} {row}"
    if key not in known:
        known[key] = _measure(row, trees, folders)
        kept.write_text(json.dumps(known), encoding="utf-8")
    return str(known[key])


def _measure(row: str, trees: dict[str, Path], folders: dict[str, Path]) -> str:
    """A line of the table: medians over processes, taken in turn."""
    first: dict[str, list[float]] = {name: [] for name in trees}
    later: dict[str, list[float]] = {name: [] for name in trees}
    at_first = {name: run(trees[name], folders[name], row)[0] for name in trees}
    # What has just been written is not noted as proved: within a tick of the clock
    # another write would leave the times as they are.
    time.sleep(3)
    for _ in range(N_RUNS):
        for name, tree in trees.items():
            seconds = run(tree, folders[name], row)
            first[name].append(seconds[0])
            later[name].append(statistics.median(seconds[1:]))
    cells = [f"{at_first['before'] * 1e3:.1f} / {at_first['now'] * 1e3:.1f}"]
    for found in (first, later):
        before, now = (statistics.median(found[name]) for name in ("before", "now"))
        cells += [f"{before * 1e3:.1f} / {now * 1e3:.1f}", f"{now / before:.2f}"]
    line = "| " + " | ".join([row, *cells]) + " |"
    print(line, file=sys.stderr, flush=True)
    return line


def _head() -> list[str]:
    return [
        "# What do proofs cost?",
        "",
        f"Milliseconds before / now. Medians over {N_RUNS} processes of each tree, in "
        f"turn (Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores). The very first time on a machine comes once; a new "
        "process comes with each run of a program; again is the same call later in it.",
        "",
        "| | the very first time | in a new process | ratio | again | ratio |",
        "|---|---|---|---|---|---|",
    ]


if __name__ == "__main__":
    main()
