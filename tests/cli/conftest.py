"""Files and models for the command line, and a way to run it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from typer.testing import CliRunner

from sktransfer.cli.app import app
from sktransfer.persistence import save


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A terminal of 80 columns without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture(autouse=True)
def quick_speed(monkeypatch):
    """One text after a first one is enough."""
    monkeypatch.setattr("sktransfer.comparison.run.speed.SECONDS", 1e-6)


@pytest.fixture
def run():
    """Run a command in this process; the result has code, stdout and stderr."""

    def run(*arguments, stdin=None):
        return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)

    return run


@pytest.fixture
def command():
    """The command line as a process of its own."""
    # Tests that run in the background ignore Ctrl-C, and so would their children.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from sktransfer.cli import main; sys.exit(main())"
    )

    def command(*arguments, **options):
        whole = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.Popen(
            whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    return command


@pytest.fixture(scope="session")
def model(tmp_path_factory, sentiment_texts):
    """Folder of a bag of words."""
    texts, labels = sentiment_texts
    folder = tmp_path_factory.mktemp("models") / "words"
    save(
        make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels),
        folder,
    )
    return folder


@pytest.fixture
def labelled(tmp_path, sentiment_texts):
    """Path of a CSV file with the columns review and sentiment."""
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "sentiment"])
        writer.writerows(zip(*sentiment_texts, strict=True))
    return path


@pytest.fixture
def read_rows():
    """Rows of a table as dicts."""
    return _read_rows


def _read_rows(path):
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return list(csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter))
