"""Damages, kills and cuts what the encoders keep on disk: vectors, parts, checkpoints.

A try that reads a damaged file is right if it gives the vectors of the undamaged one,
be they read or computed again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import struct
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from ledger import RIGHT, Answer, Ledger, in_child, parse

from conftest import WORDS, build_tiny_bert

RECIPES = ["ab" * 32, "cd" * 32]
WIDTH, N_KEYS = 24, 3000
TEXTS = [f"the {word} film number {i}" for i, word in enumerate(WORDS.split() * 4)]
BLOCK = 64
# Seconds of a try on a busy machine.
PATIENCE = 600.0


# Cached vectors.


def keys_of(start: int, stop: int, recipe: str = RECIPES[0]) -> list[bytes]:
    from sktransfer.encoders.encoding import hash_texts

    return hash_texts(map(str, range(start, stop)), recipe)


def vectors_of(keys: list[bytes]) -> np.ndarray:
    """Vectors that follow from the keys alone, (n, width)."""
    seeds = np.frombuffer(b"".join(keys), "<u8").reshape(len(keys), 4)
    columns = np.arange(1, WIDTH + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (seeds[:, :1] ^ seeds[:, 3:]) * columns
    return (mixed >> np.uint64(40)).astype(np.float32) / 2**23 - 1


def fill_cache(folder: Path) -> None:
    from sktransfer.encoders.cache.disk import DiskStore

    store = DiskStore(folder)
    for recipe in RECIPES:
        for start in (0, N_KEYS // 2):
            keys = keys_of(start, start + N_KEYS // 2, recipe)
            store.put_many(keys, vectors_of(keys))


def read_cache(folder: str, seed: int, how: str) -> bool:
    """Whether all vectors are right, some of them computed again."""
    from sktransfer.encoders.cache.disk import DiskStore
    from sktransfer.encoders.encoding import look_up

    warnings.simplefilter("ignore")
    store, chance = DiskStore(Path(folder)), random.Random(seed)
    files = sorted(Path(folder).rglob("*.vec"))
    if how == "while open":
        for recipe in RECIPES:
            store.get_many(keys_of(0, 5, recipe), np.empty((5, WIDTH), np.float32))
        os.truncate(chance.choice(files), chance.randrange(100_000))
    if how == "while read":
        threading.Thread(target=cut_and_grow, args=(files, seed), daemon=True).start()
    for _ in range(10 if how == "while read" else 1):
        for recipe in RECIPES:
            keys = keys_of(0, N_KEYS, recipe)
            right = vectors_of(keys)

            def compute(indices: list[int], right: np.ndarray = right) -> Any:
                yield indices, right[indices]

            if not (look_up(store, keys, WIDTH, compute) == right).all():
                return False
    return True


def cut_and_grow(files: list[Path], seed: int) -> None:
    chance = random.Random(seed)
    while True:
        path = chance.choice(files)
        try:
            size = path.stat().st_size
            os.truncate(path, chance.randrange(size))
            os.truncate(path, size)
        except (OSError, ValueError):
            files = [path for path in files if path.exists()] or files
            time.sleep(0.001)


def mutate_segment(folder: Path, number: int) -> str:
    """Damage one file or two in a way of its own; returns how to read them."""
    chance = random.Random(number)
    files = sorted(folder.rglob("*.vec"))
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    size = len(content)
    body = size - N_KEYS // 2 * WIDTH * 4
    row = 4 * WIDTH
    n_rows = N_KEYS // 2

    def at(index: int) -> int:
        return body + row * index

    kind = number % 12
    bit = 1 << chance.randrange(8)
    one, two = chance.sample(range(n_rows), 2)
    place = chance.randrange(row)
    if kind == 0:
        content[chance.randrange(size)] ^= bit
    elif kind == 1:  # the same bit of two words of a vector, the highest among them
        bit = 0x80 if chance.random() < 0.5 else bit
        for word in chance.sample(range(WIDTH // 2), 2):
            content[at(one) + 8 * word + (7 if bit == 0x80 else place % 8)] ^= bit
    elif kind == 2:  # the same bit of two vectors
        for index in (one, two):
            content[at(index) + place] ^= bit
    elif kind == 3:
        del content[chance.randrange(size) :]
    elif kind == 4:
        return "while open"
    elif kind == 5:
        first, second = at(one), at(two)
        content[first : first + row], content[second : second + row] = (
            content[second : second + row],
            content[first : first + row],
        )
    elif kind == 6:
        other = chance.choice([file for file in files if file != path])
        path.rename(path.with_suffix(".tmp"))
        other.rename(path)
        path.with_suffix(".tmp").rename(other)
        return "plainly"
    elif kind == 7:
        begin = chance.randrange(size)
        end = min(size, begin + chance.choice([8, 512, 4096, size]))
        content[begin:end] = bytes(end - begin)
    elif kind == 8:
        begin = 8 * chance.randrange(7)
        values = [0, 1, 2**63, 2**64 - 1, n_rows - 1, n_rows + 1, WIDTH * 2]
        content[begin : begin + 8] = struct.pack("<Q", chance.choice(values))
    elif kind == 9:
        content += bytes(chance.randrange(1, 5000))
    elif kind == 10:
        return "while read"
    else:  # a page of another place of the file
        begin, end = (4096 * chance.randrange(size // 4096) for _ in range(2))
        content[begin : begin + 4096] = content[end : end + 4096]
    path.write_bytes(content)
    return "plainly"


def cache_mutations(n: int, root: Path) -> Ledger:
    ledger = Ledger("cache-mutations", "cached vectors: flips, pairs of them, cuts")
    fill_cache(root / "whole")
    for number in range(n):
        folder = root / "damaged"
        shutil.copytree(root / "whole", folder)
        how = mutate_segment(folder, number)
        judge(
            ledger,
            number,
            in_child(read_cache, str(folder), number, how, seconds=PATIENCE),
        )
        shutil.rmtree(folder)
    return ledger


# Killed writers of a cache.


def write_on(folder: str, seed: int) -> None:
    from sktransfer.encoders.cache import disk

    disk._MANY = 6  # so that they also merge
    store, chance = disk.DiskStore(Path(folder)), random.Random(seed)
    while True:
        start = chance.randrange(20_000)
        keys = keys_of(start, start + chance.choice([10, 300, 3000]))
        for part in store.lock(keys):
            chosen = [keys[position] for position in part]
            store.put_many(chosen, vectors_of(chosen))


def read_after(folder: str, seed: int) -> list[str]:
    """Faults: vectors that are wrong, and files that are left over."""
    from sktransfer.encoders.cache.disk import DiskStore

    warnings.simplefilter("error")
    store = DiskStore(Path(folder))
    keys = keys_of(0, 23_000)
    out = np.empty((len(keys), WIDTH), np.float32)
    found = store.get_many(keys, out)
    faults = [] if (out[found] == vectors_of(keys)[found]).all() else ["wrong"]
    store.put_many(keys[:1], vectors_of(keys[:1]))
    known = {".vec", ".lock"}
    left = [path for path in Path(folder).rglob("*") if path.is_file()]
    left = [path for path in left if path.name[0] == "." or path.suffix not in known]
    return faults + ["left over"] * bool(left)


def cache_kills(n: int, root: Path) -> Ledger:
    ledger = Ledger("cache-kills", "writers of one folder of vectors, each killed")
    context = multiprocessing.get_context("forkserver")
    chance = random.Random(0)
    for start in range(0, n, 10):
        folder = root / str(start)
        folder.mkdir()

        def begin(seed: int, folder: Path = folder) -> Any:
            writer = context.Process(target=write_on, args=(str(folder), seed))
            writer.start()
            return writer

        writers = [begin(start + seed) for seed in range(3)]
        time.sleep(0.3)
        for number in range(start, min(n, start + 10)):
            time.sleep(chance.random() * 0.15)
            writers[number % 3].kill()
            writers[number % 3].join()
            writers[number % 3] = begin(number + 1000)
        for writer in writers:
            writer.kill()
            writer.join()
        time.sleep(1.1)  # files younger than a second are nobody's to remove
        answer = in_child(read_after, str(folder), start)
        faults = [answer.fault or answer.text] if answer.kind != "value" else []
        for number, outcome in enumerate(faults or answer.value, start):
            ledger.note(outcome, number, str(answer))
        for number in range(start + len(faults or answer.value), min(n, start + 10)):
            ledger.note(RIGHT, number)
        shutil.rmtree(folder)
    return ledger


# Parts of files of vectors.


@cache
def tiny_bert(root: Path) -> str:
    return str(build_tiny_bert(root / "tiny"))


def write_vectors(model: str, path: str, wait: float, n_texts: int) -> None:
    from sktransfer.encoders import array_files
    from sktransfer.encoders.featurizer import BertFeaturizer

    warnings.simplefilter("ignore")
    array_files._BLOCK = BLOCK

    def texts() -> Any:
        for text in TEXTS[:n_texts]:
            time.sleep(wait)
            yield text

    featurizer = BertFeaturizer(model, cache=None, device="cpu", dtype="float32")
    featurizer.fit(TEXTS).transform_to(texts(), path, n_texts=len(TEXTS))


def judge_vectors(ledger: Ledger, number: int, answer: Answer, path: Path) -> None:
    right = np.load(path.parent.parent / "right.npy")
    if answer.kind == "value":
        same = path.exists() and np.load(path).shape == right.shape
        same = same and np.allclose(np.load(path), right, atol=1e-5)
        names = {entry.name for entry in path.parent.iterdir()}
        left = names - {path.name, "somebody's.txt"}
        answer = Answer("value", "left over" if same and left else bool(same))
    judge(ledger, number, answer, place=path.name)


def transform_kills(n: int, root: Path) -> Ledger:
    ledger = Ledger("transform-to-kills", "transform_to, killed and called again")
    write_vectors(tiny_bert(root), str(root / "right.npy"), 0, len(TEXTS))
    context = multiprocessing.get_context("forkserver")
    for number in range(n):
        folder = root / "kills"
        folder.mkdir()
        arguments = (tiny_bert(root), str(folder / "vectors.npy"))
        for again in range(2):
            child = context.Process(
                target=write_vectors, args=(*arguments, 0.001, len(TEXTS))
            )
            child.start()
            time.sleep(random.Random(10 * number + again).random() * 1.5)
            child.kill()
            child.join()
        answer = in_child(write_vectors, *arguments, 0, len(TEXTS), seconds=PATIENCE)
        judge_vectors(ledger, number, answer, folder / "vectors.npy")
        shutil.rmtree(folder)
    return ledger


def mutate_part(folder: Path, number: int) -> None:
    chance = random.Random(number)
    part, notes = folder / "vectors.npy.part", folder / "vectors.npy.part.json"
    content = bytearray(part.read_bytes())
    said = json.loads(notes.read_text())
    size, kind = len(content), number % 15
    if kind in (0, 1):
        content[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif kind in (2, 3):
        del content[chance.randrange(size) :]
    elif kind == 4:
        content.extend(bytes(content))
    elif kind == 5:
        begin = chance.randrange(size)
        content[begin : begin + 4096] = bytes(len(content[begin : begin + 4096]))
    elif kind == 6:  # two blocks of vectors
        block = BLOCK * 32 * 4
        one, two = 128, 128 + block
        content[one:two], content[two : two + block] = (
            content[two : two + block],
            content[one:two],
        )
    elif kind == 7:
        content[: chance.randrange(128)] = b""
    elif kind == 8:
        said["blocks"] = said["blocks"][::-1]
    elif kind == 9:
        said["blocks"] += said["blocks"]
    elif kind == 10:
        said["blocks"] = chance.choice([None, 7, {}, [[]], [None], "abc", [1.5]])
    elif kind == 11:
        said[chance.choice(["digest", "shape"])] = chance.choice([None, [], "x", 3])
    part.write_bytes(content)
    notes.write_text(json.dumps(said))
    text = bytearray(notes.read_bytes())
    if kind == 12:
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
    elif kind == 13:
        del text[chance.randrange(len(text)) :]
    elif kind == 14:
        text = bytearray(chance.choice([b"[" * 200_000, b"", b"\xff", b"null", b"{}"]))
    notes.write_bytes(text)


def part_mutations(n: int, root: Path) -> Ledger:
    ledger = Ledger("transform-to-mutations", "parts of transform_to and their notes")
    write_vectors(tiny_bert(root), str(root / "right.npy"), 0, len(TEXTS))
    (root / "begun").mkdir()
    arguments = (tiny_bert(root), str(root / "begun" / "vectors.npy"), 0, 3 * BLOCK)
    in_child(write_vectors, *arguments, seconds=PATIENCE)
    for number in range(n):
        folder = root / "damaged-part"
        shutil.copytree(root / "begun", folder)
        mutate_part(folder, number)
        path = folder / "vectors.npy"
        arguments = (arguments[0], str(path), 0, len(TEXTS))
        answer = in_child(write_vectors, *arguments, seconds=PATIENCE)
        judge_vectors(ledger, number, answer, path)
        shutil.rmtree(folder)
    return ledger


# Folders of checkpoints.

NUMBERS = [-1, 0, 1, 2**31, 2**63, 10**30, 1.5, "7", None, True, [], {}, [3], 1e308]


def encode_with(model: str) -> bool:
    from sktransfer.encoders.featurizer import BertFeaturizer

    warnings.simplefilter("ignore")
    featurizer = BertFeaturizer(model, cache=None, device="cpu", dtype="float32")
    return featurizer.fit_transform(TEXTS[:20]).dtype == np.float32


def mutate_checkpoint(folder: Path, number: int) -> None:
    chance = random.Random(number)
    kind = number % 10
    names = ["config.json", "tokenizer.json", "tokenizer_config.json", "modules.json"]
    names += ["1_Pooling/config.json", "sentence_bert_config.json"]
    path = folder / chance.choice(names)
    weights = folder / "model.safetensors"
    if kind == 0:
        flip(path, chance)
    elif kind == 1:
        path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
    elif kind == 2:
        others = [b"", b"null", b"3", b"[]", b"[[]]", b'"x"', b"[" * 200_000, b"\xff"]
        path.write_bytes(chance.choice(others))
    elif kind in (3, 4, 5):  # a value of another kind or size
        path = folder / "config.json" if kind == 3 else path
        content = json.loads(path.read_text())
        forge(content, chance)
        path.write_text(json.dumps(content))
    elif kind == 6:
        flip(weights, chance, begin=0, end=2000)
    elif kind == 7:
        size = weights.stat().st_size
        os.truncate(weights, chance.choice([0, 7, 8, 100, size // 2, size - 1]))
    elif kind == 8:  # sizes in the head of the tensors
        content = weights.read_bytes()
        (n_bytes,) = struct.unpack("<Q", content[:8])
        head = json.loads(content[8 : 8 + n_bytes])
        forge(head, chance)
        said = json.dumps(head).encode()
        size = len(said) if chance.random() < 0.8 else chance.choice([0, 2**40, 2**63])
        weights.write_bytes(struct.pack("<Q", size) + said + content[8 + n_bytes :])
    else:  # tokens that the table has no rows for
        path = folder / "tokenizer.json"
        content = json.loads(path.read_text())
        vocabulary = content["model"]["vocab"]
        for word in chance.sample(sorted(vocabulary), 20):
            vocabulary[word] = chance.choice([10_000, 2**31 - 1, 2**31, 2**32 - 1])
        path.write_text(json.dumps(content))


def flip(path: Path, chance: random.Random, begin: int = 0, end: int = 10**9) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 4])):
        place = chance.randrange(begin, min(end, len(content)))
        content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def forge(content: Any, chance: random.Random) -> None:
    """Change, at some depth, one value of JSON."""
    keys = list(content) if isinstance(content, dict) else range(len(content))
    key = chance.choice(list(keys))
    inner = content[key]
    if isinstance(inner, (dict, list)) and inner and chance.random() < 0.8:
        forge(inner, chance)
    elif isinstance(content, dict) and chance.random() < 0.2:
        del content[key]
    else:
        content[key] = chance.choice(NUMBERS)


def checkpoint_mutations(n: int, root: Path) -> Ledger:
    ledger = Ledger("checkpoint-mutations", "folders of a small BERT")
    whole = Path(tiny_bert(root))
    kinds = ("Transformer", "Pooling")
    modules = [{"path": "", "type": f"models.{kinds[0]}"}]
    modules += [{"path": "1_Pooling", "type": f"models.{kinds[1]}"}]
    (whole / "1_Pooling").mkdir()
    for name, content in {
        "modules.json": modules,
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 40},
    }.items():
        (whole / name).write_text(json.dumps(content))
    for number in range(n):
        folder = root / "damaged-checkpoint"
        shutil.copytree(whole, folder)
        mutate_checkpoint(folder, number)
        answer = in_child(encode_with, str(folder), seconds=PATIENCE)
        judge(ledger, number, answer, place=folder.name)
        shutil.rmtree(folder)
    return ledger


def judge(ledger: Ledger, number: int, answer: Answer, place: str = "") -> None:
    """Note what came: true is right, text is the fault that it names."""
    if answer.fault:
        detail = f"{answer.name}: {answer.text}" if answer.text else answer.name
        ledger.note(answer.fault, number, detail)
    elif answer.kind == "error":
        # Declared lengths are told of by the parameter that overrules them.
        clear = place in answer.text or "max_length" in answer.text
        ledger.note("refused" if clear else "unclear", number, answer.text)
    else:
        right = answer.value is None or answer.value is True
        ledger.note(RIGHT if right else answer.value or "wrong", number)


ROWS: dict[str, tuple[int, Callable[[int, Path], Ledger]]] = {
    "cache-mutations": (300, cache_mutations),
    "cache-kills": (300, cache_kills),
    "transform-to-kills": (60, transform_kills),
    "transform-to-mutations": (75, part_mutations),
    "checkpoint-mutations": (150, checkpoint_mutations),
}


def main() -> None:
    arguments = parse(__doc__, list(ROWS))
    for name in arguments.rows:
        n_tries, attack = ROWS[name]
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SKTRANSFER_CACHE"] = str(Path(folder, "cache"))
            attack(max(1, round(n_tries * arguments.share)), Path(folder)).write()


if __name__ == "__main__":
    main()
