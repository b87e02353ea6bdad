"""SIGKILL at random moments of commands, which are then given again.

The second run, or the first one after two kills, must end with the bytes that a run
makes which nobody disturbs, and nothing else may lie in the folder. Of a comparison the
scores and predictions are compared, as its times are others each time.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger import Ledger, in_child, parse

N_TRIES = 60
# For a run that nobody kills, on a machine that does much else.
LONG = 900.0
WORDS = {
    "pos": ["good", "great", "lovely", "fine", "nice", "fun"],
    "neg": ["bad", "awful", "poor", "terrible", "boring", "broken"],
}
THINGS = ["film", "movie", "plot", "camera", "battery", "screen", "phone", "price"]
# A child is forked from what has imported these.
PRELOADED = [
    "sktransfer.persistence",
    "sktransfer.classifier.classifier",
    "sktransfer.encoders.featurizer",
    "sktransfer.comparison.comparing",
    "sktransfer.comparison.prediction_files",
    "sktransfer.report.writing",
    "sktransfer.baselines.tfidf",
    "sktransfer.cli.app",
]


def command(*arguments: str) -> tuple[int, str]:
    """Exit code of a command, and what it said."""
    from sktransfer.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        code = main(arguments)
    return code, said.getvalue()


def rows(n: int, seed: int = 0) -> list[tuple[str, str]]:
    drawn = random.Random(seed)
    labels = [("pos", "neg")[number % 2] for number in range(n)]
    return [
        (f"the {drawn.choice(THINGS)} {n} is {drawn.choice(WORDS[label])}", label)
        if n % 7
        else (f"a {drawn.choice(THINGS)} {n} it is", label)
        for n, label in enumerate(labels)
    ]


def write_table(path: Path, n: int, seed: int = 0) -> None:
    lines = [f'"{text}, as I said",{label}' for text, label in rows(n, seed)]
    path.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")


def make_model(folder: str) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from sktransfer.persistence import save

    texts, labels = zip(*rows(400), strict=True)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    save(model.fit(list(texts), list(labels)), folder)


def make_encoder(folder: str) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import build_tiny_bert

    build_tiny_bert(Path(folder))


Case = tuple[list[str], str, Callable[[Path], Any]]


def predict_case(place: Path, number: int) -> Case:
    end = ("csv", "jsonl", "parquet")[number % 3]
    out = f"out.{end}"
    arguments = ["predict", str(place / "model"), "table.csv", "-o", out]
    return arguments, out, lambda path: path.read_bytes()


def encode_case(place: Path, number: int) -> Case:
    arguments = ["encode", "table.csv", "-o", "out.npy", "--device", "cpu"]
    arguments += ["--encoder", str(place / "bert")]
    return arguments, "out.npy", lambda path: path.read_bytes()


def compare_case(place: Path, number: int) -> Case:
    arguments = ["compare", "small.csv", "--report", "out", "--jobs", "1"]
    arguments += ["--strategies", "majority,tfidf", "--folds", "3"]
    return arguments, "out", read_comparison


def read_comparison(folder: Path) -> Any:
    """What does not depend on the clock, and the names of all files."""
    import pandas as pd

    from sktransfer import load, load_predictions

    told = load_predictions(folder / "predictions.jsonl")
    folds = pd.read_csv(folder / "folds.csv")
    results = pd.read_csv(folder / "results.csv")
    kept = ["strategy", "train_size", "score", "status"]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    texts = [text for text, _ in rows(50)]
    return {
        "results": results[kept].to_csv(),
        "folds": folds[[*kept, "repeat", "fold"]].to_csv(),
        "predictions": {k: v.to_csv() for k, v in told["predictions"].items()},
        "model": load(folder / "model").predict_proba(texts).round(6).tolist(),
        "names": sorted(name for name in names if not name.endswith(".lock")),
    }


CASES = {
    "predict": (predict_case, "predict: kills at random moments, the same again"),
    "encode": (encode_case, "encode: kills at random moments, the same again"),
    "compare": (compare_case, "compare --report: kills at random moments, again"),
}


def go(folder: str, arguments: list[str]) -> tuple[int, str]:
    from sktransfer.cli import predict

    # More chunks than so few rows would make, so that there is more to go on with.
    predict.N_ROWS = 256
    os.chdir(folder)
    return command(*arguments)


def attack(name: str, share: float, place: Path) -> None:
    make_case, what = CASES[name]
    ledger = Ledger(name, what)
    undisturbed: dict[str, tuple[Any, float]] = {}

    def folder_with_tables(kind: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=kind, dir=place))
        for table in ("table.csv", "small.csv"):
            (folder / table).hardlink_to(place / table)
        return folder

    for number in range(max(1, round(N_TRIES * share))):
        arguments, out, _ = make_case(place, number)
        if out not in undisturbed:
            folder = folder_with_tables("whole")
            start = time.monotonic()
            answer = in_child(go, str(folder), arguments, seconds=LONG)
            seconds = time.monotonic() - start
            assert answer.kind == "value", answer
            assert answer.value[0] == 0, answer
            whole = in_child(read_for, str(folder), name, number).value
            undisturbed[out] = whole, seconds
        expected, seconds = undisturbed[out]
        drawn = random.Random(number)
        folder = folder_with_tables("killed")
        for _ in range(drawn.choice([1, 1, 2])):
            delay = drawn.uniform(0.02, 1.05) * seconds
            in_child(go, str(folder), arguments, seconds=delay)
        answer = in_child(go, str(folder), arguments, seconds=LONG)
        if answer.fault:
            ledger.note(answer.fault, number, f"{answer.name} {answer.text}")
            continue
        code, said = answer.value
        if not (folder / out).exists():
            ledger.note("lost", number, f"exit {code}: {said}")
            continue
        found = in_child(read_for, str(folder), name, number)
        left = {path.name for path in folder.iterdir()}
        left -= {"table.csv", "small.csv", out}
        if found.kind != "value" or found.value != expected:
            ledger.note(
                "wrong", number, f"exit {code}: {said} {differ(found.value, expected)}"
            )
        elif left:
            ledger.note("left over", number, f"exit {code}: {sorted(left)} {said}")
        elif code and "exists already" not in said:
            ledger.note("raw error", number, f"exit {code}: {said}")
        else:
            ledger.note("right", number)
    ledger.write()


def differ(found: Any, expected: Any) -> str:
    if isinstance(found, dict):
        keys = [key for key in expected if found[key] != expected[key]]
        return json.dumps([keys, [found[key] for key in keys]])[:200]
    return ""


def read_for(folder: str, name: str, number: int) -> Any:
    _, out, reader = CASES[name][0](Path(folder), number)
    return reader(Path(folder, out))


def main() -> None:
    chosen = parse(__doc__, list(CASES))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SKTRANSFER_CACHE"] = str(Path(folder, "cache"))
        place = Path(folder)
        write_table(place / "table.csv", 12_000)
        write_table(place / "small.csv", 200)
        for make, name in ((make_model, "model"), (make_encoder, "bert")):
            answer = in_child(make, str(place / name))
            assert answer.kind == "value", answer
        for name in chosen.rows:
            attack(name, chosen.share, place)


if __name__ == "__main__":
    main()
