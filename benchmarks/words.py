"""How fast word vectors open, and how fast texts become vectors.

Each peer has the same vocabulary and the same matrix, and all run in turn in one
process tree, so that a busy moment of the machine hits all of them alike. Needs the
extra ``bench`` and, in SKTRANSFER_BENCH_DATA, the sets en_amazon and zh_shopping.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sktransfer.words.dictionaries import bilingual_pairs
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

DATA = Path(os.environ.get("SKTRANSFER_BENCH_DATA", "../shared/data"))
N_TEXTS = 12_000
N_ROUNDS = 3
N_OPENINGS = 2
PACKAGES = ("gensim", "model2vec", "tokenizers", "jieba", "rjieba", "scikit-learn")

# Runs in a fresh interpreter: seconds and megabytes of one way to open vectors.
OPENING = """
import json, sys, time
from pathlib import Path
{imports}
def resident():
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index("VmRSS:") + 1]) / 1024
before, start = resident(), time.perf_counter()
vectors = {opening}
vectors["the"]
print(json.dumps([time.perf_counter() - start, resident() - before]))
"""


def english_texts() -> list[str]:
    """Amazon reviews of four domains."""
    texts = []
    for domain in ("books", "dvd", "electronics", "kitchen"):
        for side in ("negative", "positive"):
            path = DATA / "en_amazon" / domain / f"review_{side}"
            texts += [line for line in path.read_text("utf-8").split("\n") if line]
    return texts[:: len(texts) // N_TEXTS][:N_TEXTS]


def chinese_texts() -> list[str]:
    """Shopping reviews of ten domains."""
    archive = DATA / "zh_shopping" / "online_shopping_10_cats.zip"
    with zipfile.ZipFile(archive) as files, files.open(files.namelist()[0]) as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, "utf-8"))
        texts = [row["review"] for row in rows if row["review"]]
    return texts[:: len(texts) // N_TEXTS][:N_TEXTS]


def gensim_of(vectors: WordVectors):
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(vectors.width)
    keyed.add_vectors(list(vectors.words), np.array(vectors.matrix))
    return keyed


def loop_of_gensim(keyed, cut: Callable[[str], list[str]]):
    """The usual loop: gensim's own mean of each text's known words."""

    def encode(texts: list[str]) -> np.ndarray:
        result = np.zeros((len(texts), keyed.vector_size), np.float32)
        for row, text in enumerate(texts):
            words = [word for word in cut(text) if word in keyed]
            if words:
                result[row] = keyed.get_mean_vector(words, pre_normalize=False)
        return result

    return encode


def loop_of_numpy(keyed, cut: Callable[[str], list[str]]):
    """Do as zeugma does: a list of vectors a text, and numpy's mean of it."""

    def encode(texts: list[str]) -> np.ndarray:
        result = np.zeros((len(texts), keyed.vector_size), np.float32)
        for row, text in enumerate(texts):
            found = [keyed[word] for word in cut(text) if word in keyed]
            if found:
                result[row] = np.mean(found, axis=0)
        return result

    return encode


def ours(vectors: WordVectors, remembered: list[str]) -> Callable[[], Callable]:
    """Make a fresh featurizer that has seen `remembered` and nothing else."""

    def prepare() -> Callable:
        featurizer = WordVectorFeaturizer(vectors).fit(["any"])
        featurizer.transform(["any", *remembered])
        return featurizer.transform

    return prepare


def english_peers(vectors: WordVectors) -> dict[str, Callable]:
    from model2vec import StaticModel
    from sklearn.feature_extraction.text import CountVectorizer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    rows = {word: row for row, word in enumerate(vectors.words)}
    tokenizer = Tokenizer(models.WordLevel(rows, unk_token="unk"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    static = StaticModel(np.array(vectors.matrix), tokenizer, max_length=None)
    keyed = gensim_of(vectors)
    pattern = re.compile(r"\w+|[^\w\s]+")
    counter = CountVectorizer(vocabulary=rows, token_pattern=pattern.pattern)

    def cut(text: str) -> list[str]:
        return pattern.findall(text.lower())

    def count(texts: list[str]) -> np.ndarray:
        counts = counter.transform(texts)
        sums = counts @ vectors.matrix
        return sums / np.maximum(counts.sum(axis=1), 1)

    return {
        "model2vec `encode` (2 threads)": static.encode,
        "gensim `get_mean_vector` loop": loop_of_gensim(keyed, cut),
        "zeugma-style loop": loop_of_numpy(keyed, cut),
        "CountVectorizer @ matrix": count,
    }


def chinese_peers(vectors: WordVectors) -> dict[str, Callable]:
    import jieba

    jieba.lcut("开始")  # its dictionary is loaded at the first call
    keyed = gensim_of(vectors)
    return {"jieba + gensim loop": loop_of_gensim(keyed, jieba.lcut)}


def measure(candidates: dict[str, Callable], texts: list[str]) -> dict[str, float]:
    """Median texts per second; what candidates prepare is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(N_ROUNDS):
        for name, prepare in candidates.items():
            encode = prepare()
            start = time.perf_counter()
            encode(texts)
            speeds[name].append(len(texts) / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in speeds.items()}


def table_of_speeds(title: str, vectors: WordVectors, texts: list[str], peers) -> str:
    candidates = {
        "sktransfer, nothing seen before": ours(vectors, []),
        "sktransfer, other texts seen before": ours(vectors, texts[1::2]),
        "sktransfer, the same texts again": ours(vectors, texts),
        **{name: (lambda peer=peer: peer) for name, peer in peers.items()},
    }
    half = texts[::2]
    speeds = measure(candidates, half)
    first, second, third, *others = speeds
    letters = sum(map(len, texts)) / len(texts)
    lines = [
        f"## {title}",
        "",
        f"{len(half)} texts of {letters:.0f} characters on average, {len(vectors)} "
        f"words x {vectors.width}. The ratios are those of the three lines of "
        "sktransfer to the peer: it remembers the pieces of text that it has cut.",
        "",
        "| | texts per second | ratio |",
        "|---|---|---|",
        *(f"| {name} | {speeds[name]:,.0f} | |" for name in (first, second, third)),
    ]
    for name in others:
        ratios = [speeds[own] / speeds[name] for own in (first, second, third)]
        shown = " / ".join(f"{ratio:.1f}" for ratio in ratios)
        lines.append(f"| {name} | {speeds[name]:,.0f} | {shown} |")
    return "\n".join(lines)


def table_of_openings(vectors: WordVectors) -> str:
    with tempfile.TemporaryDirectory() as folder:
        text, binary = f"{folder}/glove.txt", f"{folder}/glove.bin"
        vectors.save(text, format="word2vec")
        vectors.save(binary, format="word2vec-binary")
        (Path(folder) / "once.txt").write_bytes(Path(text).read_bytes() + b"\n")
        # A cache of its own, or an earlier run would have parsed the same bytes.
        code = OPENING.format(
            imports="from sktransfer import WordVectors",
            opening=f"WordVectors.load('{folder}/once.txt')",
        )
        answer = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"SKTRANSFER_CACHE": f"{folder}/cache"},
        )
        first = json.loads(answer.stdout)[0]
        own = "from sktransfer import WordVectors"
        peer = "from gensim.models import KeyedVectors"
        load = "KeyedVectors.load_word2vec_format"
        programs = {
            "sktransfer, text, second time": (own, f"WordVectors.load({text!r})"),
            "sktransfer, binary, second time": (own, f"WordVectors.load({binary!r})"),
            "gensim, text": (peer, f"{load}({text!r})"),
            "gensim, binary": (peer, f"{load}({binary!r}, binary=True)"),
        }
        found: dict[str, list[list[float]]] = {name: [] for name in programs}
        for _ in range(N_OPENINGS):
            for name, (imports, opening) in programs.items():
                code = OPENING.format(imports=imports, opening=opening)
                answer = subprocess.run(
                    [sys.executable, "-c", code],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found[name].append(json.loads(answer.stdout))
    medians = {
        name: [statistics.median(column) for column in zip(*values, strict=True)]
        for name, values in found.items()
    }
    fastest = medians["sktransfer, text, second time"]
    lines = [
        f"## Opening {len(vectors)} x {vectors.width}",
        "",
        "Seconds until the first vector is there, in a fresh process after its "
        "imports, and how much its resident memory grew; ratios to the first line. "
        f"The first time, sktransfer parsed the text in {first:.1f} s.",
        "",
        "| | seconds | MB | ratio of seconds | ratio of memory |",
        "|---|---|---|---|---|",
    ]
    for name, (seconds, megabytes) in medians.items():
        ratio = seconds / fastest[0]
        memory = megabytes / fastest[1]
        lines.append(
            f"| {name} | {seconds:.4f} | {megabytes:.1f} | {ratio:,.1f} "
            f"| {memory:,.1f} |"
        )
    return "\n".join(lines)


def chinese_vectors() -> WordVectors:
    """Random numbers for the words of CC-CEDICT: speed does not depend on them."""
    words = dict.fromkeys(chinese for chinese, _ in bilingual_pairs("zh", "en"))
    matrix = np.random.default_rng(0).normal(size=(len(words), 50))
    return WordVectors(words, matrix)


def main() -> None:
    glove, chinese = WordVectors.load("glove-6b-50d"), chinese_vectors()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        "# How fast are word vectors?",
        f"Medians of {N_ROUNDS} rounds ({N_OPENINGS} for opening), all in turn. Python "
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; "
        f"{versions}.",
        table_of_speeds(
            "English reviews", glove, english_texts(), english_peers(glove)
        ),
        table_of_speeds(
            "Chinese reviews, segmentation included",
            chinese,
            chinese_texts(),
            chinese_peers(chinese),
        ),
        table_of_openings(glove),
    ]
    table = "\n\n".join(parts) + "\n"
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
