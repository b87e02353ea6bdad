"""Wrong arguments, files, streams, environments and signals for the command line."""

# ruff: noqa: E501, TID251 - a case is easier to read in one line
from __future__ import annotations

import csv
import dataclasses
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ledger
from ledger import Ledger, in_child, parse

NAME = "command line"
# A usage error has a box around it, two lines before it, and may have long paths.
_MOST_LINES = 12
_MOST_MEMORY = 12 << 30
# Cases that share a process.
_AT_ONCE = 24
_MAIN = "import sys; from sktransfer.cli import main; sys.exit(main())"
# What is imported once for all that run in forked children.
ledger._PRELOADED += ["sktransfer.cli.app", "sktransfer.comparison.comparing"]


@dataclasses.dataclass(frozen=True)
class Case:
    """A command, and what has to come of it.

    `code` is its exit code, and `says` what its standard error has to hold; `prints`
    the same for the standard output. `alone` is a process of its own, begun in
    `shell`'s way where that is given.
    """

    what: str
    arguments: tuple[str, ...]
    code: int = 2
    says: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)
    stdin: bytes | None = None
    alone: bool = False
    start: str = _MAIN
    shell: str = '"$@"'
    limits: tuple[tuple[int, int], ...] = ()


def predict(what: str, *arguments: str, **expected: Any) -> Case:
    return Case(what, ("predict", *arguments), **expected)


def compare(what: str, *arguments: str, **expected: Any) -> Case:
    return Case(what, ("compare", *arguments), **expected)


def encode(what: str, *arguments: str, **expected: Any) -> Case:
    return Case(what, ("encode", *arguments), **expected)


# Each is followed by what is wrong.
READ = ("model", "texts.csv")
CHEAP = ("reviews.csv", "--strategies", "nbsvm", "--folds", "3")


def usage_cases() -> Iterator[Case]:
    yield Case("a typing error", ("predcit",), says=("predcit", "predict"))
    yield Case("no command", ("nonsense",), says=("nonsense",))
    yield Case("an option in front", ("--jobs", "2"), says=("--jobs",))
    yield Case("an empty word", ("",), says=("No such command",))
    yield predict("nothing", says=("MODEL",))
    yield predict("one argument", "model", says=("FILE",))
    yield predict("an option's error", *READ, "--outptu", "x", says=("--output",))
    yield predict("an option without value", *READ, "--text", says=("--text",))
    yield predict("three arguments", *READ, "more", says=("more",))
    yield compare("nothing", says=("FILE",))
    yield encode("no output", "texts.csv", says=("--output",))


def model_cases() -> Iterator[Case]:
    names = {
        "nowhere": ("no folder", "nowhere"),
        "texts.csv": ("texts.csv", "folder"),
        "": ("folder",),
        ".": ("manifest.json",),
        "empty": ("empty", "manifest.json"),
        "numbers": ("numbers", "fitted on texts"),
        "featurizer": ("featurizer", "predicts nothing", "classifier"),
        "vectors": ("vectors", "manifest.json", "folder"),
        "fifo_model": ("fifo_model", "manifest.json", "ordinary file"),
        "zero_model": ("zero_model", "manifest.json", "ordinary file"),
        "list_model": ("list_model", "manifest.json"),
        "deep_model": ("deep_model", "manifest.json"),
        "binary_model": ("binary_model", "manifest.json"),
        "folder_model": ("folder_model", "manifest.json"),
        "a" * 300: ("name",),
        "\udcff": ("folder",),
    }
    for name, says in names.items():
        code = 2 if {"predicts nothing", "fitted on texts"} & {*says} else 1
        yield predict(f"model {name:.20}", name, "texts.csv", code=code, says=says)


def file_cases() -> Iterator[Case]:
    yield predict("a file nowhere", "model", "text.csv", says=("did you mean",))
    for name in ("fifo.csv", "zero.csv", "folder.csv", "null.csv", "socket.csv"):
        says = (name, "ordinary file") if name != "folder.csv" else (name, "folder")
        yield predict(name, "model", name, says=says)
    yield predict("no suffix", "model", "texts", says=(".csv", "name"))
    yield predict("a name too long", "model", "x" * 300 + ".csv", says=("no file",))
    yield predict("a NUL in the name", "model", "a\0b.csv", says=("no file",))
    yield predict("an empty name", "model", "", says=("--format",))
    contents = {
        "empty.csv": ("empty.csv is empty", "names of the columns"),
        "blank.csv": ("blank.csv", "names of the columns"),
        "twice.csv": ("'text' twice", "rename"),
        "wide.csv": ("wide.csv", "4 fields", "double quotes"),
        "nul.csv": (),
        "binary.csv": ("binary.csv",),
        "empty.jsonl": ("empty.jsonl is empty", "JSON lines"),
        "deep.jsonl": ("deep.jsonl, line 1", "nested", "one object a line"),
        "deep2.jsonl": ("deep2.jsonl, line 2", "nested", "one object a line"),
        "array.jsonl": ("array.jsonl, line 1", "one object a line"),
        "broken.jsonl": ("broken.jsonl, line 2", "one object a line"),
        "number.jsonl": ("number.jsonl, line 1", "int", "one object a line"),
        "digits.jsonl": ("digits.jsonl, line 1", "one object a line"),
        "latin.jsonl": ("latin.jsonl",),
        "false.parquet": ("false.parquet is no Parquet file",),
        "cut.parquet": ("cut.parquet is no Parquet file",),
    }
    for name, says in contents.items():
        code = 0 if name in ("nul.csv", "latin.jsonl") else 1
        code = 2 if name in ("binary.csv", "latin.jsonl") else code
        yield predict(name, "model", name, code=code, says=says)
    yield predict("no such column", *READ, "-t", "texxt", says=("mean 'text'",))
    yield predict("an empty column", *READ, "-t", "", says=("no column ''", "text"))
    yield predict("a column's clash", "model", "taken.csv", says=("--prefix",))
    yield predict(
        "the standard input is empty", "model", "-", code=1, says=("standard input",)
    )
    yield predict("no format", *READ, "--format", "xls", says=("'xls'", "parquet"))
    yield predict(
        "another format", *READ, "--format", "parquet", code=1, says=("no Parquet",)
    )
    for name in (
        "rot13", "base64", "hex", "zlib", "idna", "punycode", "undefined", "",
        "no such", "oem", "x" * 10_000, "a\0b", "utf-8-sig\udcff", "mbcs",
    ):  # fmt: skip
        yield predict(
            f"encoding {name!r:.20}", *READ, "--encoding", name,
            says=("--encoding", "utf-8", "gb18030"),
        )  # fmt: skip
    yield predict(
        "another encoding", *READ, "--encoding", "utf-16", code=1,
        says=("texts.csv", "--encoding"),
    )  # fmt: skip
    yield predict(
        "ASCII", "model", "chinese.csv", "--encoding", "ascii", code=1,
        says=("chinese.csv", "ascii", "--encoding"),
    )  # fmt: skip


def output_cases() -> Iterator[Case]:
    for command in (("predict", *READ), ("encode", "texts.csv", "--encoder", "bert")):
        for name, says in {
            "folder": ("folder", "name a file"),
            "absent/out.csv": ("no folder", "absent"),
            "texts.csv/out.csv": ("no folder", "texts.csv"),
            "texts.csv": ("texts.csv", "lost"),
            "there.csv": ("there.csv", "--overwrite"),
            "null.csv": ("null.csv",),
            "fifo.csv": ("fifo.csv",),
            "/proc/out.csv": ("/proc", "written"),
            "": ("--output",),
            "x" * 300 + ".csv": ("xxx", "long"),
            "a\0b.csv": ("--output",),
        }.items():
            what = f"{command[0]} to {name:.20}"
            yield Case(what, (*command, "-o", name), says=says)
    yield predict(
        "a name without format", *READ, "-o", "out", says=("--output-format",)
    )
    yield predict(
        "Parquet to the output", *READ, "--output-format", "parquet",
        says=("standard output", "name a file"),
    )  # fmt: skip
    yield encode("the output", "texts.csv", "-o", "-", says=("-o vectors.npy",))
    for name, says in {
        "texts.csv": ("texts.csv", "folder"),
        "nowhere/report": (),
        "/proc/report": ("/proc", "written"),
        "foreign": ("report.html", "foreign"),
        "": ("--report",),
        "a\0b": ("--report",),
        "x" * 300: ("long",),
    }.items():
        code = 0 if name == "nowhere/report" else 2
        yield compare(f"report in {name:.20}", *CHEAP, "-r", name, code=code, says=says)
    for name, says in {
        "folder": ("folder", "name a file"),
        "absent/out.csv": ("no folder", "absent"),
        "/proc/out.csv": ("/proc", "written"),
        "reviews.csv": ("reviews.csv", "lost"),
        "": ("--suspects",),
    }.items():
        yield compare(f"suspects in {name}", *CHEAP, "--suspects", name, says=says)


def option_cases() -> Iterator[Case]:
    for value in ("0", "1", "-1", "2", "nan", "inf"):
        says = ("--abstain", "0.95")
        yield predict(f"abstain {value}", *READ, "--abstain", value, says=says)
    yield predict("abstain x", *READ, "--abstain", "x", says=("--abstain", "number"))
    yield predict(
        "abstain of what was not measured", *READ, "--abstain", "0.9",
        says=("how often", "save"),
    )  # fmt: skip
    options: dict[str, dict[str, tuple[str, ...]]] = {
        "--jobs": {
            "0": ("0", "at least 1"),
            "9999": ("9999", "equal to 1024"),
            "x": ("x", "integer"),
            "1.5": ("1.5", "integer"),
            "9" * 30: ("999", "equal to 1024"),
        },
        "--seed": {
            "-1": ("-1", "equal to 0"),
            "12345678901234": ("12345678901234", "4294967295"),
            "x": ("x", "integer"),
        },
        "--folds": {
            "0": ("0", "equal to 2"),
            "1": ("1", "equal to 2"),
            "1000000000": ("1000000000", "folds"),
            "x": ("x", "integer"),
        },
        "--repeats": {"0": ("equal to 1",), "-5": ("equal to 1",)},
        "--max-rows": {"1": ("equal to 10",)},
        "--max-source": {"0": ("equal to 2",)},
        "--scoring": {
            "acuracy": ("acuracy", "'accuracy'"),
            "": ("scoring",),
            "r2": ("r2",),
            "neg_mean_squared_error": ("neg_mean_squared_error",),
        },
        "--threshold": {"x": ("threshold", "'x'", "balanced"), "": ("balanced",)},
        "--strategies": {
            "tf-idf": ("tf-idf", "did you mean", "'tfidf'"),
            "finetune": ("finetune", "'fine_tune'"),
            "": ("strategies", "tfidf"),
            ",": ("strategies", "tfidf"),
            "nbsvm,nbsvm": ("'nbsvm' twice",),
            "source_only": ("source_only", "--source"),
            "x" * 1000: ("xxx", "tfidf"),
        },
        "--train-sizes": {
            "x": ("'x'", "number of texts"),
            "0": ("0", "train_sizes"),
            "-3": ("-3", "train_sizes"),
            "nan": ("nan",),
            "inf": ("inf",),
            "2.5": ("2.5",),
            "1": ("train_sizes",),
            "": ("train",),
            "²": ("'²'", "number of texts"),
            "9" * 5000: ("number of texts",),
        },
        "--budget": {
            "x": ("'x'", "90s"),
            "0": ("'0'", "90s"),
            "-5m": ("'-5m'", "90s"),
            "9" * 400: ("90s",),
            "٣m": ("90s",),
        },
        "--encoder": {
            "nowhere": ("nowhere",),
            "./nowhere": ("nowhere",),
            "": ("encoder",),
            "texts.csv": ("texts.csv",),
        },
        "--text": {"revew": ("mean 'review'",), "": ("no column",)},
        "--label": {"sentimen": ("mean 'sentiment'",), "review": ("review",)},
        "--group": {"x": ("no column 'x'",), "sentiment": ("group",)},
        "--source": {
            "nowhere.csv": ("no file 'nowhere.csv'",),
            "empty.csv": ("empty.csv is empty",),
            "one_class.csv": ("one_class.csv", "2 classes"),
            "other_labels.csv": ("other", "label"),
        },
    }
    for option, values in options.items():
        for value, says in values.items():
            arguments = (*CHEAP, option, value)
            code = 1 if value == "empty.csv" else 2
            yield compare(f"{option} {value:.20}", *arguments, code=code, says=says)
    for name, says in {
        "one_class.csv": ("one_class.csv", "1 class,", "2"),
        "two_rows.csv": ("two_rows.csv", "2 rows"),
        "unique.csv": ("which are no classes", "--label"),
        "header.csv": ("header.csv", "0"),
        "deep.jsonl": ("deep.jsonl, line 1",),
    }.items():
        code = 1 if name == "deep.jsonl" else 2
        yield compare(
            f"{name}", name, "-t", "text", "-l", "label", code=code, says=says
        )
    values = {
        "--encoder": {"nowhere": ("nowhere",), "texts.csv": ("texts.csv",)},
        "--pooling": {"x": ("pooling='x'", "mean")},
        "--device": {"x": ("device='x'", "cpu"), "cuda:99": ("cuda:99",)},
        "--dtype": {"float8": ("dtype='float8'", "float32")},
    }
    for option, wrong in values.items():
        for value, says in wrong.items():
            arguments = ("texts.csv", "-o", "new.npy", "--encoder", "bert")
            yield encode(
                f"encode {option} {value}", *arguments, option, value, code=1, says=says
            )


def stream_cases() -> Iterator[Case]:
    yield predict("| head", "model", "long.csv", code=1, alone=True,
                  shell='"$@" | head -1; exit ${PIPESTATUS[0]}', prints=("text",))  # fmt: skip
    yield predict(">&-", *READ, code=1, alone=True, shell='"$@" >&-',
                  says=("standard output",))  # fmt: skip
    yield predict("2>&-", *READ, code=0, alone=True, shell='"$@" 2>&-')
    yield predict("2>&- and an error", "nowhere", "texts.csv", code=1, alone=True,
                  shell='"$@" 2>&-')  # fmt: skip
    yield predict(">&- 2>&- <&-", *READ, code=1, alone=True, shell='"$@" >&- 2>&- <&-')
    yield predict("<&-", "model", "-", code=1, alone=True, shell='"$@" <&-',
                  says=("standard input",))  # fmt: skip
    yield predict("> /dev/full", *READ, code=1, alone=True, shell='"$@" > /dev/full',
                  says=("standard output", "No space left"))  # fmt: skip
    yield compare("> /dev/full", *CHEAP, code=1, alone=True, shell='"$@" > /dev/full',
                  says=("standard output", "No space left"))  # fmt: skip
    yield compare("| true", *CHEAP, code=0, alone=True,
                  shell='"$@" | true; exit ${PIPESTATUS[0]}')  # fmt: skip
    yield compare(">&-", *CHEAP, code=1, alone=True, shell='"$@" >&-',
                  says=("standard output",))  # fmt: skip
    yield Case("--help | true", ("--help",), 0, alone=True,
               shell='"$@" | true; exit ${PIPESTATUS[0]}')  # fmt: skip
    yield Case("--version >&-", ("--version",), 1, alone=True, shell='"$@" >&-',
               says=("standard output",))  # fmt: skip


def environment_cases() -> Iterator[Case]:
    def answers(
        what: str, prints: str = "predicted", file: str = "texts.csv", **other: str
    ) -> Case:
        environment = {name: value or None for name, value in other.items()}
        return predict(
            what, "model", file, code=0, alone=True,
            prints=(prints,), environment=environment,
        )  # fmt: skip

    yield answers("LC_ALL=C", "很好", "chinese.csv", LC_ALL="C", PYTHONUTF8="0")
    yield answers("ASCII streams", "很好", "chinese.csv", PYTHONIOENCODING="ascii")
    yield answers("latin streams", "很好", "chinese.csv", PYTHONIOENCODING="latin-1")
    yield answers("no HOME", HOME="")
    yield answers("HOME unwritable", HOME="/proc")
    yield answers("TMPDIR nowhere", TMPDIR="/nowhere")
    yield answers("the cache is a file", SKTRANSFER_CACHE="texts.csv")
    yield answers("the cache is unwritable", SKTRANSFER_CACHE="/proc/cache")
    yield answers("TERM=dumb", TERM="dumb")
    yield answers("warnings are errors", PYTHONWARNINGS="error")
    yield answers("optimized", PYTHONOPTIMIZE="2")
    yield answers("development mode", PYTHONDEVMODE="1")
    for name, value in {
        "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "COLUMNS": "20", "TERM": "dumb",
        "NO_COLOR": "1", "HOME": "", "PYTHONWARNINGS": "error",
        "SKTRANSFER_CACHE": "/proc/cache", "TMPDIR": "/nowhere",
    }.items():  # fmt: skip
        yield compare(
            f"emoji, {name}={value}", "emoji.csv", *CHEAP[1:], code=0, alone=True,
            prints=("tfidf",), environment={name: value or None},
        )  # fmt: skip
    for columns in ("0", "1", "-5", "x", "100000"):
        yield compare(f"COLUMNS={columns}", *CHEAP, code=0, prints=("tfidf",),
                      environment={"COLUMNS": columns})  # fmt: skip
    yield encode(
        "the cache is a file", "texts.csv", "-o", "cached.npy", "--encoder", "bert",
        code=0, alone=True, environment={"SKTRANSFER_CACHE": "texts.csv"},
    )  # fmt: skip
    yield predict("no folder to work in", "model", "texts.csv", code=1, alone=True,
                  shell='mkdir gone; cd gone; rmdir ../gone; "$@"', says=("model",))  # fmt: skip
    for module, command, extra in (
        ("typer", ("--help",), "sktransfer[cli]"),
        ("rich", ("--help",), "sktransfer[cli]"),
        ("pandas", ("compare", *CHEAP), "sktransfer[compare]"),
        ("pyarrow", ("predict", "model", "false.parquet"), "sktransfer[cli]"),
        ("jinja2", ("compare", *CHEAP, "-r", "no_jinja"), "sktransfer[plot]"),
        ("matplotlib", ("compare", *CHEAP, "-r", "no_pictures"), "sktransfer[plot]"),
        ("snownlp", ("compare", *CHEAP[:2], "snownlp"), "sktransfer[baselines]"),
    ):
        start = f"import sys; sys.modules[{module!r}] = None\n{_MAIN}"
        yield Case(
            f"without {module}", command, 1, (module, extra), alone=True, start=start
        )
    yield predict("memory for half the imports", *READ, code=1, alone=True,
                  says=("memory",), limits=((resource.RLIMIT_AS, 400 << 20),))  # fmt: skip
    yield predict("memory", "model", "huge.csv", code=1, alone=True, says=("memory",),
                  limits=((resource.RLIMIT_AS, 1100 << 20),))  # fmt: skip
    yield predict("a full disk", "model", "long.csv", "-o", "full.csv", code=1,
                  alone=True, says=("full.csv", "large"),
                  limits=((resource.RLIMIT_FSIZE, 20_000),))  # fmt: skip
    yield encode("a full disk", "long.csv", "-o", "full.npy", "--encoder", "bert",
                 code=1, alone=True, says=("full.npy", "large"),
                 limits=((resource.RLIMIT_FSIZE, 200_000),))  # fmt: skip
    yield predict("few open files", *READ, code=1, alone=True,
                  says=("open files",), limits=((resource.RLIMIT_NOFILE, 5),))  # fmt: skip
    yield predict("an error of our own", *READ, code=1, alone=True,
                  says=("SKTRANSFER_TRACEBACK=1", "ZeroDivisionError"),
                  start="import sktransfer.cli.predict as p; p.predict_file = lambda *a, **b: 1 / 0\n" + _MAIN)  # fmt: skip


def make_cases() -> list[Case]:
    parts = (
        usage_cases, model_cases, file_cases, output_cases, option_cases,
        stream_cases, environment_cases,
    )  # fmt: skip
    return [case for part in parts for case in part()]


def make_world(folder: Path) -> None:
    """Files and models, good and bad, that the cases name."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import build_tiny_bert
    from sktransfer import WordVectorFeaturizer, WordVectors, save

    good, bad = ["good", "great", "lovely", "fun"], ["bad", "awful", "poor", "broken"]
    things = ["film", "plot", "camera", "battery", "phone", "price"]
    texts = [f"the {thing} is {word}" for thing in things for word in good + bad]
    labels = ["pos"] * 4 + ["neg"] * 4
    labels *= len(things)

    def write(name: str, head: list[str], rows: Any) -> None:
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows])

    write("reviews.csv", ["review", "sentiment"], zip(texts, labels, strict=True))
    emoji = ["👍好" if label == "pos" else "👎坏" for label in labels]
    write("emoji.csv", ["review", "sentiment"], zip(texts, emoji, strict=True))
    write("texts.csv", ["text"], [[text] for text in texts])
    write("chinese.csv", ["text"], [["很好 👍"], ["不好"]])
    write("long.csv", ["text"], [[text] for text in texts] * 1000)
    write("huge.csv", ["text"], [["good bad " * 5_000_000]] * 3)
    write("there.csv", ["text"], [["mine"]])
    write("taken.csv", ["text", "predicted"], [["good", "pos"]])
    write("twice.csv", ["text", "text"], [["good", "bad"]])
    write("wide.csv", ["text"], [["good"], ["a", "b", "c", "d"]])
    write("header.csv", ["text", "label"], [])
    write("one_class.csv", ["text", "label"], [[text, "pos"] for text in texts])
    write("one_class.csv", ["review", "sentiment", "text", "label"],
          [[text, "pos", text, "pos"] for text in texts])  # fmt: skip
    write("other_labels.csv", ["review", "sentiment"],
          [[f"no {t}", f"other {n % 2}"] for n, t in enumerate(texts)])  # fmt: skip
    write("two_rows.csv", ["text", "label"], [["good", "pos"], ["bad", "neg"]])
    write("unique.csv", ["text", "label"], [[t, f"l{n}"] for n, t in enumerate(texts)])
    for name, content in {
        "texts": b"text\ngood\n",
        "empty.csv": b"",
        "blank.csv": b"\n\n\n",
        "nul.csv": b"text\ngo\0od\n",
        "binary.csv": bytes(range(256)) * 100,
        "empty.jsonl": b"",
        "deep.jsonl": b'{"text": ' + b"[" * 100_000 + b"\n",
        "deep2.jsonl": b'{"text": "good"}\n' + b"[" * 100_000 + b"\n",
        "array.jsonl": b'[{"text": "good"}]\n',
        "broken.jsonl": b'{"text": "good"}\n{"text": \n',
        "number.jsonl": b"17\n",
        "digits.jsonl": b'{"text": ' + b"9" * 5000 + b"}\n",
        "latin.jsonl": b'{"t\xe9xt": "good"}\n',
        "false.parquet": b"text\ngood\n",
        "cut.parquet": b"PAR1" + b"\0" * 20,
        "socket.csv": None,
    }.items():
        if content is not None:
            (folder / name).write_bytes(content)
    os.mknod(folder / "socket.csv", 0o600 | stat.S_IFSOCK)
    os.mkfifo(folder / "fifo.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "null.csv").symlink_to("/dev/null")
    for name in ("folder", "folder.csv", "empty", "foreign"):
        (folder / name).mkdir()
    (folder / "foreign" / "report.html").write_text("mine")
    words = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels)
    save(words, folder / "model")
    matrix = CountVectorizer().fit_transform(texts).toarray()
    save(LogisticRegression().fit(matrix, labels), folder / "numbers")
    known = ["good", "bad", "film"]
    vectors = WordVectors(known, np.eye(3, dtype=np.float32))
    vectors.save(folder / "vectors")
    featurizer = WordVectorFeaturizer(vectors)
    save(featurizer.fit(texts), folder / "featurizer")
    build_tiny_bert(folder / "bert")
    (folder / "bert").rename(folder / "_bert")
    (folder / "bert").symlink_to("_bert")
    for kind in ("fifo", "zero", "list", "deep", "binary", "folder"):
        made = folder / f"{kind}_model"
        made.mkdir()
        manifest = made / "manifest.json"
        if kind == "fifo":
            os.mkfifo(manifest)
        elif kind == "zero":
            manifest.symlink_to("/dev/zero")
        elif kind == "folder":
            manifest.mkdir()
        else:
            content = {"list": b"[]", "deep": b"[" * 100_000, "binary": b"\xff\0"}[kind]
            manifest.write_bytes(content)


def call_in_child(folder: str, cases: list[Case]) -> list[tuple[int, str, str]]:
    """Run commands in this process, which serves no other purpose."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    return [_call(folder, case) for case in cases]


def _call(folder: str, case: Case) -> tuple[int, str, str]:
    os.chdir(folder)
    for name, value in ({"COLUMNS": "400"} | case.environment).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with tempfile.TemporaryFile() as given:
            given.write(case.stdin or b"")
            given.seek(0)
            os.dup2(given.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        from sktransfer.cli import main

        code = main(case.arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        return code, _read(out), _read(err)


def _read(file: Any) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def start(
    folder: Path, arguments: tuple[str, ...], case: Case | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a command as a process with a group of its own."""
    case = case or Case("", arguments)
    environment = os.environ | {
        "COLUMNS": "400",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    for name, value in case.environment.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value

    def limit() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for what, most in case.limits:
            resource.setrlimit(what, (most, most))

    command = ["bash", "-c", case.shell, "bash", sys.executable, "-c", case.start]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder, env=environment, preexec_fn=limit, start_new_session=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )  # fmt: skip


def judge(case: Case, code: int, out: str, err: str) -> tuple[str, str]:
    """Outcome of a case, and what was wrong."""
    if VERBOSE:
        print(f"--- {case.what}: {code}\n{err}", flush=True)
    told = " ".join(re.sub("[│╭╮╰╯─]", " ", err).split())
    detail = f"{case.what}: exit code {code}, not {case.code}: {told}"
    if "Traceback" in err + out or "Exception ignored" in err:
        return "raw error", f"{case.what}: {told[-250:]}"
    # Wrong usage, or found out by the work: both are failures.
    if code != case.code and (code, case.code) != (1, 2):
        return "wrong", detail
    missing = [word for word in case.says if word.lower() not in told.lower()]
    if missing or any(word not in out for word in case.prints):
        return "unclear", f"{case.what}: lacks {missing or case.prints}: {told}"
    if len(err.splitlines()) > _MOST_LINES and code:
        return "unclear", f"{case.what}: {len(err.splitlines())} lines: {told}"
    if case.code == 0:
        return "right", detail
    return ("refused" if told or "2>&-" in case.shell else "unclear"), detail


def try_cases(folder: Path, cases: list[Case]) -> list[tuple[str, str]]:
    """Run commands in one process, or each in one of its own where one ends early."""
    answer = in_child(call_in_child, str(folder), cases, seconds=60 + 20 * len(cases))
    if answer.kind == "value":
        told = zip(cases, answer.value, strict=True)
        return [judge(case, *found) for case, found in told]
    if len(cases) > 1:
        return [found for case in cases for found in try_cases(folder, [case])]
    outcome = answer.fault or "raw error"
    return [(outcome, f"{cases[0].what}: {answer.name}: {answer.text}")]


def try_alone(folder: Path, case: Case) -> tuple[str, str]:
    process = start(folder, case.arguments, case)
    try:
        told = process.communicate(case.stdin, timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return "hung", case.what
    out, err = (part.decode("utf-8", "replace") for part in told)
    return judge(case, process.returncode, out, err)


# What is interrupted, and after how many seconds.
LONG = {
    "predict": ("predict", "model", "endless.csv", "-o", "interrupted.csv", "--fresh"),
    "compare": ("compare", "reviews.csv", "--encoder", "./bert", "--strategies",
                "nbsvm,frozen,fine_tune", "--repeats", "500", "--jobs", "1"),
    "workers": ("compare", "reviews.csv", "--encoder", "./bert", "--strategies",
                "nbsvm,frozen,fine_tune", "--repeats", "500", "--jobs", "2"),
}  # fmt: skip
SIGNALS = [
    (signal.SIGINT, name, seconds)
    for name in LONG
    for seconds in (0.2, 0.6, 1.2, 2.0, 3.0, 4.5, 7.0, 11.0)
]
SIGNALS += [
    (sent, name, seconds)
    for sent in (signal.SIGTERM, signal.SIGKILL)
    for name in LONG
    for seconds in (2.0, 6.0, 10.0)
]


def try_signal(
    folder: Path, sent: signal.Signals, name: str, seconds: float
) -> tuple[str, str]:
    """Interrupt a command after a while, as a terminal does, with all its children."""
    what = f"{sent.name} to {name} after {seconds} s"
    process = start(folder, LONG[name], Case("", (), shell='exec "$@"'))
    time.sleep(seconds)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return "hung", what
    time.sleep(1.0)
    left = _list_group(process.pid)
    if left:
        os.killpg(process.pid, signal.SIGKILL)
    _, told = process.communicate()
    err = told.decode("utf-8", "replace")
    if VERBOSE:
        print(f"--- {what}: {process.returncode}\n{err}")
    if left:
        return "left over", f"{what}: processes {left}"
    if "Traceback" in err or "Exception ignored" in err:
        # The interpreter's own, before the package is there to be asked.
        return "raw error", f"{what}: {err[-250:]}"
    wanted = {signal.SIGINT: (130,), signal.SIGTERM: (143, -15), signal.SIGKILL: (-9,)}
    if process.returncode not in wanted[sent]:
        return "wrong", f"{what}: exit code {process.returncode}: {err[-200:]}"
    if sent == signal.SIGINT and "Interrupted." not in err:
        return "unclear", f"{what}: {err[-200:]}"
    return "right", what


def _list_group(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def attack(share: float) -> None:
    book = Ledger(NAME, "wrong arguments, files, streams, environments; signals")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ |= {"SKTRANSFER_CACHE": str(folder / "cache"), "TERM": "dumb"}
        (folder / "cache").mkdir()
        make_world(folder)
        with (folder / "endless.csv").open("w") as file:
            file.write("text\n" + "the film is good\n" * 3_000_000)
        cases = make_cases()
        print(f"{len(cases)} cases and {len(SIGNALS)} signals")
        everything = range(0, len(cases) + len(SIGNALS), max(1, round(1 / share)))
        numbers = ONLY or [*everything]
        together = [n for n in numbers if n < len(cases) and not cases[n].alone]
        for first in range(0, len(together), _AT_ONCE):
            some = together[first : first + _AT_ONCE]
            answers = try_cases(folder, [cases[n] for n in some])
            for number, answer in zip(some, answers, strict=True):
                book.note(answer[0], number, answer[1])
        for number in numbers:
            if number >= len(cases):
                answer = try_signal(folder, *SIGNALS[number - len(cases)])
            elif cases[number].alone:
                answer = try_alone(folder, cases[number])
            else:
                continue
            book.note(answer[0], number, answer[1])
    if not ONLY:
        book.write()


ONLY = [int(number) for number in os.environ.get("ONLY", "").split(",") if number]
VERBOSE = bool(os.environ.get("VERBOSE"))

if __name__ == "__main__":
    found = parse(__doc__, [NAME])
    attack(found.share)
