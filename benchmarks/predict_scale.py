"""What a million rows take of time and memory on the command line, also after a kill.

Each run is a process of its own, as the peak of memory is one of a whole process. The
rows are sentences of reviews with a number put before them, so that no two are the
same. Writes the table beside this file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sklearn

from sktransfer import (
    TransferSentimentClassifier,
    WordVectorFeaturizer,
    fetch_reviews,
    save,
)
from sktransfer.baselines import tfidf_baseline

N_ROWS = 1_000_000
COMMAND = "import sys; from sktransfer.cli import main; sys.exit(main())"


def make_models(folder: Path) -> dict[str, Path]:
    movies = fetch_reviews("en", "movies")
    words = TransferSentimentClassifier(
        WordVectorFeaturizer(), hidden_layer_sizes=(), random_state=0
    )
    models = {
        "TF-IDF and logistic regression": tfidf_baseline(movies.data),
        "word vectors, frozen, linear head": words,
    }
    paths = {}
    for number, (name, model) in enumerate(models.items()):
        paths[name] = folder / f"model{number}"
        save(model.fit(movies.data, movies.target), paths[name])
    return paths


def make_rows(path: Path) -> None:
    texts = fetch_reviews("en").data
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "review"])
        writer.writerows((n, f"{n} {texts[n % len(texts)]}") for n in range(N_ROWS))


def start(model: Path, rows: Path, out: Path) -> subprocess.Popen[bytes]:
    arguments = ["predict", str(model), str(rows), "-t", "review", "-o", str(out)]
    return subprocess.Popen([sys.executable, "-c", COMMAND, *arguments])


def wait(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Exit code and peak of memory in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024


def run_through(model: Path, rows: Path, out: Path) -> tuple[float, int]:
    began = time.perf_counter()
    code, peak = wait(start(model, rows, out))
    if code:
        raise AssertionError(f"exit code {code}")
    return time.perf_counter() - began, peak


def run_with_a_kill(model: Path, rows: Path, out: Path) -> tuple[int, int]:
    """Kill at two fifths, go on; rows that were there, and the greater peak."""
    process = start(model, rows, out)
    state = out.with_name(out.name + ".state")
    while not state.exists() or json.loads(state.read_text())["n_rows"] < 0.4 * N_ROWS:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    first = wait(process)[1]
    n_before = json.loads(state.read_text())["n_rows"]
    _, second = run_through(model, rows, out)
    return n_before, max(first, second)


def check(out: Path) -> str:
    """Digest of the output, once each row is there, in order."""
    with out.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        for number, line in enumerate(lines):
            if int(line[0]) != number or len(line) != 5:
                raise AssertionError(f"row {number} is {line}")
    if number != N_ROWS - 1:
        raise AssertionError(f"{number + 1} rows")
    return hashlib.sha256(out.read_bytes()).hexdigest()


def main() -> None:
    lines = [
        "# What do a million rows take?",
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, Python "
        f"{platform.python_version()}, scikit-learn {sklearn.__version__}, load "
        f"average {os.getloadavg()[0]:.1f} at the start.",
        "",
        f"`sktransfer predict` on a CSV file of {N_ROWS:,} rows, every row checked "
        "against the input, and the file after a kill against the one without:",
        "",
        "| model | file, MB | seconds | rows a second | peak, GB "
        "| rows before the kill | peak with the kill, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "rows.csv"
        make_rows(rows)
        for title, model in make_models(folder).items():
            straight, killed = folder / "straight.csv", folder / "killed.csv"
            spent, peak = run_through(model, rows, straight)
            n_before, other_peak = run_with_a_kill(model, rows, killed)
            if check(straight) != check(killed):
                raise AssertionError("the kill changed the output")
            lines.append(
                f"| {title} | {rows.stat().st_size / 1e6:.0f} | {spent:.0f} "
                f"| {N_ROWS / spent:,.0f} | {peak / 1e9:.2f} | {n_before:,} "
                f"| {other_peak / 1e9:.2f} |"
            )
            print(lines[-1], flush=True)
    table = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
