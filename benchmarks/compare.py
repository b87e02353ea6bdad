"""What a comparison takes on the command line, also after a kill; makes the example.

300 sentences of product reviews, with sentences of movie reviews as the source. The
command runs in a process of its own, once straight through and once killed half-way and
started again; the scores of both runs must be the same. Writes the table beside this
file, and the page with its pictures into docs/example.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import torch
import transformers
from sklearn.model_selection import GroupShuffleSplit

from sktransfer import fetch_reviews

N_TEXTS = 300
EXAMPLE = Path(__file__).parent.parent / "docs" / "example"
OPTIONS = ["--source", "movies.csv", "--group", "review", "--report", "out"]
# The command, and how many texts went through a transformer in its process.
COMMAND = """
import atexit, pathlib, sys
from sktransfer.cli import main
from sktransfer.encoders.encoding import n_texts_encoded
atexit.register(lambda: pathlib.Path("encoded").write_text(str(n_texts_encoded())))
sys.exit(main())
"""
# Columns of results that are measured with a clock.
CLOCKS = ["fit_seconds", "predict_seconds", "load_seconds"]
CLOCKS += ["texts_per_second", "fit_peak_mib"]


def make_files(folder: Path) -> int:
    """Write products.csv and movies.csv; how many distinct texts there are to read."""
    products, movies = fetch_reviews("en", "products"), fetch_reviews("en", "movies")
    halves = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=0)
    half, _ = next(halves.split(products.data, groups=products.groups))
    mine = np.random.default_rng(0).permutation(half)[:N_TEXTS]
    names = np.array(products.target_names)
    table = pd.DataFrame(
        {
            "review": products.groups[mine],
            "text": products.data[mine],
            "label": names[products.target[mine]],
        }
    )
    table.to_csv(folder / "products.csv", index=False)
    source = {"text": movies.data, "label": names[movies.target]}
    pd.DataFrame(source).to_csv(folder / "movies.csv", index=False)
    return int(table["text"].nunique())


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Run the command in `folder`, with a cache of its own."""
    command = [sys.executable, "-c", COMMAND, "compare", "products.csv", *OPTIONS]
    environment = {
        **os.environ,
        "SKTRANSFER_CACHE": str(folder / "cache"),
        "COLUMNS": "80",
    }
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=(folder / "printed").open("wb"),
        stderr=subprocess.DEVNULL,
    )


def finish(process: subprocess.Popen[bytes]) -> float:
    """Seconds until it has ended well."""
    began = time.perf_counter()
    if process.wait():
        raise AssertionError(f"exit code {process.returncode}")
    return time.perf_counter() - began


def folds_of(folder: Path) -> list[dict[str, Any]]:
    """Folds in the journal, a line torn by a kill left out."""
    journal = folder / "out" / "journal" / "journal.jsonl"
    if not journal.exists():
        return []
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    # Each line begins with its checksum.
    entries = [json.loads(line[17:]) for line in lines if line.endswith("\n")]
    return [entry for entry in entries if entry.get("entry") == "fold"]


def kill_half_way(folder: Path, n_folds: int) -> int:
    """Kill the command, its workers too, once half of its folds are there."""
    process = start(folder)
    while len(folds_of(folder)) < n_folds / 2:
        time.sleep(0.05)
        if process.poll() is not None:
            raise AssertionError("it ended before it was killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(folds_of(folder))


def scores_of(folder: Path) -> pd.DataFrame:
    """The table of results without what a clock has measured."""
    return pd.read_csv(folder / "out" / "results.csv").drop(columns=CLOCKS)


def keep_example(folder: Path) -> None:
    """Copy the page, its pictures and tables, and what the terminal showed."""
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    EXAMPLE.mkdir()
    for path in sorted((folder / "out").iterdir()):
        # Texts of the reviews stay where they come from.
        if path.suffix in {".html", ".png", ".csv"} and path.name != "suspects.csv":
            shutil.copy(path, EXAMPLE)
    shutil.copy(folder / "printed", EXAMPLE / "terminal.txt")


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        straight, killed = Path(name, "straight"), Path(name, "killed")
        for folder in (straight, killed):
            folder.mkdir()
            make_files(folder)
        spent = finish(start(straight))
        folds = folds_of(straight)
        keep_example(straight)
        print(f"straight through: {spent:.0f} s", flush=True)
        n_before = kill_half_way(killed, len(folds))
        rest = finish(start(killed))
        n_again = len(folds_of(killed)) - len(folds)
        pd.testing.assert_frame_equal(scores_of(straight), scores_of(killed))
        encoded = [int((f / "encoded").read_text()) for f in (straight, killed)]
    results = pd.read_csv(EXAMPLE / "results.csv")
    seconds = results.set_index("strategy")["fit_seconds"]
    lines = [
        "# What does a comparison take?",
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, Python "
        f"{platform.python_version()}, scikit-learn {sklearn.__version__}, torch "
        f"{torch.__version__}, transformers {transformers.__version__}, load average "
        f"{load:.1f} at the start.",
        "",
        f"`sktransfer compare products.csv {' '.join(OPTIONS)}`: {N_TEXTS} sentences "
        f"of product reviews, 500 of movies, {len(results)} strategies in five folds, "
        "the best one fitted on everything and saved, the page written.",
        "",
        "| run | seconds | folds there before | folds run twice "
        "| texts through encoders, those that measure speed too |",
        "|---|---|---|---|---|",
        f"| straight through | {spent:.0f} | 0 | 0 | {encoded[0]} |",
        f"| killed half-way (kill -9), started again | {rest:.0f} after the kill "
        f"| {n_before} of {len(folds)} | {n_again} | {encoded[1]} after the kill |",
        "",
        "Both tables of results are the same, but for what a clock has measured. One "
        f"training takes {statistics.median(seconds):.1f} s in the median over "
        f"strategies and {seconds.max():.0f} s at most.",
    ]
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
