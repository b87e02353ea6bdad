"""Damages word vectors, their sources and the notes of the cache, and looks words up.

Rows: ``word-vectors`` damages saved folders and tables of the cache, some of them while
a process has them open; ``vector-sources`` damages files of every format that is read;
``vector-notes`` damages what the cache holds beside its tables.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import resource
import shutil
import struct
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ledger import REFUSED, RIGHT, Answer, Ledger, in_child, parse

N_WORDS, WIDTH = 4000, 24
TEXTS = ["w1 w20 W300", "Ä17 酒店 w2999", "nothing known", "w3998 w3999 w1 w2"]
BOMB = 1 << 62


def main() -> None:
    rows = {"word-vectors": tables, "vector-sources": sources, "vector-notes": notes}
    options = parse(__doc__, list(rows))
    for name in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SKTRANSFER_CACHE"] = str(Path(folder, "cache"))
            rows[name](Path(folder), options.share)


def make_vectors() -> tuple[list[str], np.ndarray]:
    words = [f"w{n}" if n % 9 else f"ä{n}" for n in range(N_WORDS - 1)]
    matrix = np.random.default_rng(0).standard_normal((N_WORDS, WIDTH))
    return [*words, "酒店"], matrix.astype(np.float32)


def tables(folder: Path, share: float) -> None:
    """A saved folder on even tries, the cache's table of a text file on odd ones."""
    from sktransfer.words.vectors import WordVectors

    ledger = Ledger("word-vectors", "a saved folder or a table of the cache is damaged")
    vectors = WordVectors(*make_vectors())
    vectors.save(folder / "saved")
    # The other half looks like the table in all but its numbers.
    twin = WordVectors(vectors.words[::-1], vectors.matrix[::-1])
    twin.save(folder / "twin")
    vectors.save(folder / "toy.vec", format="word2vec")
    twin.save(folder / "twin.vec", format="word2vec")
    time.sleep(2.5)  # there are no notes on files that have just changed
    cache = folder / "cache"
    expected = in_child(use, folder / "saved", cache).value
    assert expected == in_child(use, folder / "toy.vec", cache).value
    found = WordVectors.load(folder / "toy.vec"), WordVectors.load(folder / "twin.vec")
    assert found[0].digest != found[1].digest
    ours, theirs = (table_of(cache, one.digest) for one in found)
    for number in range(round(300 * share)):
        draw = random.Random(number)
        place = fresh(folder / "try", folder, ["saved", "twin", "toy.vec", "cache"])
        cached = number % 2 == 1
        target = place / "cache" / ours if cached else place / "saved"
        other = place / "cache" / theirs if cached else place / "twin"
        source = folder / "toy.vec" if cached else place / "saved"
        change = functools.partial(damage, target, other, number)
        during = draw.random() < 0.35
        answer = in_child(use, source, place / "cache", change if during else None)
        if not during:
            change()
            answer = in_child(use, source, place / "cache")
        judge(ledger, number, answer, expected, [str(target), str(source)])
        if cached and not during and answer.kind == "error":
            ledger.note("lost", number, "the cache was not made again")
    ledger.write()


def table_of(cache: Path, digest: str) -> Path:
    for facts in cache.rglob("vectors.json"):
        if digest in facts.read_text():
            return facts.parent.relative_to(cache)
    raise AssertionError(digest)


def fresh(place: Path, folder: Path, names: list[str]) -> Path:
    """A copy of some files and folders for one try, times included."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in names:
        path = folder / name
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, place / name)
    return place


def use(path: Path, cache: Path, change: Callable[[], None] | None = None) -> Any:
    """All that vectors are asked for; `change` happens while they are open."""
    os.environ["SKTRANSFER_CACHE"] = str(cache)
    warnings.simplefilter("ignore")
    from sktransfer.words.featurizer import WordVectorFeaturizer
    from sktransfer.words.vectors import WordVectors

    vectors = WordVectors.load(path)
    if change is not None:
        vectors.index_of(["w1"])
        change()
    rows = vectors.index_of([f"w{n}" for n in range(0, N_WORDS, 7)] + ["Ä17", "nil"])
    looked = vectors.lookup(rows)
    texts = WordVectorFeaturizer(vectors, weighting="sif").fit_transform(TEXTS)
    parts = [rows, looked, texts, vectors.matrix]
    return hash_of(parts), hash(tuple(vectors.words)) and list(vectors.words)[::500]


def hash_of(parts: list[np.ndarray]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def damage(folder: Path, other: Path, number: int) -> None:
    """One change to one of the files of a table, in place."""
    draw = random.Random(number + 1)
    names = sorted(path.name for path in folder.iterdir())
    path = folder / draw.choice(names)
    if path.suffix == ".json" and draw.random() < 0.7:
        edit_json(path, draw)
        return
    ways = [flip, flip, flip_pair, flip_pair, cut, cut, cut, extend, zero, remove]
    way = draw.choice([*ways, swap])
    if way is swap:
        two = draw.sample(names, 2)
        source = other / path.name if draw.random() < 0.7 else folder / two[0]
        swap(path if source.parent == other else folder / two[1], source)
        return
    way(path, draw)


def flip(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    overwrite(path, data)


def flip_pair(path: Path, draw: random.Random) -> None:
    """The same bit of two words of eight bytes, so that a sum would not change."""
    data = bytearray(path.read_bytes())
    bit, inner = draw.randrange(8), draw.randrange(8)
    for place in draw.sample(range(len(data) // 8), 2):
        data[8 * place + inner] ^= 1 << bit
    overwrite(path, data)


def cut(path: Path, draw: random.Random) -> None:
    size = path.stat().st_size
    os.truncate(path, draw.choice([0, 1, size // 2, size - 4, draw.randrange(size)]))


def extend(path: Path, draw: random.Random) -> None:
    with path.open("ab") as file:
        file.write(bytes(draw.choice([1, 4, 4096])))


def zero(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = draw.randrange(len(data))
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    overwrite(path, data)


def remove(path: Path, draw: random.Random) -> None:
    path.unlink()


def swap(path: Path, source: Path) -> None:
    overwrite(path, source.read_bytes())


def overwrite(path: Path, data: bytes | bytearray) -> None:
    """In place, as a process does that has the very file open."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


ODD: list[Any] = [None, True, -1, 0, 0.5, float("nan"), 2**31, 2**64, 10**30, "9", []]
ODD += [{}, "../../x", "/etc/passwd", "float64", "O", "|V8", ["<f4"], "\ud800", "x" * 9]


def edit_json(path: Path, draw: random.Random) -> None:
    way = draw.randrange(5)
    content = json.loads(path.read_text())
    key = draw.choice(sorted(content))
    if way == 0:
        del content[key]
    elif way == 1:
        content[key] = draw.choice(ODD)
    elif way == 2:
        number = next(one for one in ("n_words", "width", "state") if one in content)
        old = content[number]
        content[number] = draw.choice([*ODD, old, old])
        if isinstance(old, int):
            content[number] = draw.choice([old + 1, old * 2, old - 1, BOMB, -old])
    texts = {
        3: draw.choice(["[" * 10**5, "{" * 10, '{"a":' * 10**5, "null", "[1]", "NaN"]),
        4: draw.choice(["", "\ufeff{}", "9" * 5000, json.dumps(content) + "x", "\0"]),
    }
    text = texts.get(way, json.dumps(content))
    data = text.encode("utf-8", "surrogatepass")
    overwrite(path, data if draw.random() < 0.9 else b"\xff\xfe" + data)


def sources(folder: Path, share: float) -> None:
    """Files of all formats in turn; right is what is consistent in itself."""
    ledger = Ledger("vector-sources", "a file of vectors of some format is damaged")
    makers = [make_text, make_glove, make_binary, make_packed, make_fasttext]
    makers += [make_package, make_old_table]
    for number in range(round(150 * share)):
        draw = random.Random(number)
        place = folder / "try"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        maker = makers[number % len(makers)]
        path = maker(place, draw)
        answer = in_child(use_source, path, folder / "cache", seconds=60)
        if answer.kind == "error" and "memory" in answer.text:
            ledger.note("unclear", number, f"{maker.__name__}: {answer.text}")
            continue
        expected = answer.value if answer.kind == "value" else None
        judge(ledger, number, answer, expected, [str(place)], maker.__name__)
    ledger.write()


def use_source(path: Path, cache: Path) -> Any:
    os.environ["SKTRANSFER_CACHE"] = str(cache)
    warnings.simplefilter("ignore")
    from sktransfer.words.vectors import WordVectors

    used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
    vectors = WordVectors.load(path)
    matrix = np.array(vectors.matrix)
    if matrix.shape != (len(vectors.words), vectors.width):
        raise AssertionError(matrix.shape)
    if not np.isfinite(matrix).all():
        raise AssertionError("numbers that are not finite")
    if not all(type(word) is str for word in vectors.words):
        raise AssertionError("words that are no str")
    if (vectors.index_of(vectors.words) != np.arange(len(vectors))).any():
        raise AssertionError("words that are not found")
    if vectors.subwords is not None:
        vectors.subwords.vector("unheard")
    return len(vectors)


COUNTS = [-1, 0, 3, 2**31 - 1, 2**31, 2**40, BOMB, 10**25]


def lines_of(width: int) -> list[str]:
    rows = np.random.default_rng(1).standard_normal((200, width)).tolist()
    return [f"w{n} " + " ".join(f"{x:.4f}" for x in row) for n, row in enumerate(rows)]


def make_text(place: Path, draw: random.Random) -> Path:
    return make_header_text(place / "toy.vec", draw)


def make_header_text(path: Path, draw: random.Random) -> Path:
    counts = [200, 6]
    if draw.random() < 0.4:
        counts[draw.randrange(2)] = draw.choice([*COUNTS, 5, 7, "9" * 4000])
    lines = [" ".join(map(str, counts)), *lines_of(6)]
    path.write_bytes(spoil("\n".join(lines).encode(), draw))
    return path


def make_glove(place: Path, draw: random.Random) -> Path:
    lines = lines_of(6)
    place_of = draw.randrange(len(lines))
    odd = ["nan", "1e39", "inf", "x", "", "1 2", "\0" * 9, "9" * 400]
    if draw.random() < 0.6:
        lines[place_of] += draw.choice(["", " "]) + draw.choice(odd)
    if draw.random() < 0.1:
        lines = ["a" * 2**26]
    (place / "toy.txt").write_bytes(spoil("\n".join(lines).encode(), draw))
    return place / "toy.txt"


def make_binary(place: Path, draw: random.Random) -> Path:
    counts = [200, 6]
    if draw.random() < 0.5:
        counts[draw.randrange(2)] = draw.choice(COUNTS)
    numbers = np.random.default_rng(1).standard_normal((200, 6)).astype("<f4")
    if draw.random() < 0.2:
        numbers[3, 2] = draw.choice([np.nan, np.inf, -np.inf])
    body = b"".join(b"w%d " % n + row.tobytes() for n, row in enumerate(numbers))
    data = f"{counts[0]} {counts[1]}\n".encode() + body
    (place / "toy.bin").write_bytes(spoil(data, draw))
    return place / "toy.bin"


def make_packed(place: Path, draw: random.Random) -> Path:
    path = make_header_text(place / "plain", draw)
    data = gzip.compress(path.read_bytes())
    if draw.random() < 0.1:
        data = gzip.compress(bytes(2**27))
    (place / "toy.gz").write_bytes(spoil(data, draw))
    return place / "toy.gz"


def make_fasttext(place: Path, draw: random.Random) -> Path:
    """Header, words and matrices as fastText writes them."""
    n_words, width, n_buckets = 20, 6, 30
    header = [793712314, 12, width, 5, 5, 1, 5, 1, 1, 2, n_buckets, 3, 6, 100]
    counts = [n_words, n_words, 0]
    shape = [n_words + n_buckets, width]
    more = [99, -1]
    if draw.random() < 0.7:
        chosen = draw.choice([header, header, counts, counts, shape, more])
        at = draw.randrange(2 if chosen is header else 0, len(chosen))
        wide = chosen in (shape, more)
        odd = [-1, 0, 1, 7, 2**20, 2**31 - 1, -(2**31)]
        chosen[at] = draw.choice([*odd, 2**40, BOMB, -BOMB] if wide else odd)
    words = [f"w{n}".encode() for n in range(n_words)]
    entries = b"".join(w + b"\0" + struct.pack("<qb", 5, 0) for w in words)
    if draw.random() < 0.1:
        entries = entries.replace(b"\0", b"\1")
    numbers = np.random.default_rng(1).standard_normal((50, width)).astype("<f4")
    if draw.random() < 0.1:
        numbers[draw.randrange(50), 0] = draw.choice([np.nan, np.inf])
    matrix = struct.pack("<?2q", False, *shape) + numbers.tobytes()
    hidden = np.zeros((n_words, width), "<f4").tobytes()
    data = struct.pack("<14id", *header, 1e-4) + struct.pack("<3i2q", *counts, *more)
    data += entries + matrix + struct.pack("<?2q", False, n_words, width) + hidden
    (place / "toy.bin").write_bytes(spoil(data, draw))
    return place / "toy.bin"


def make_package(place: Path, draw: random.Random) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    words: list[Any] = [f"w{n}" for n in range(200)]
    matrix = np.random.default_rng(1).standard_normal((200, 6))
    if draw.random() < 0.1:
        words = list(range(200))
    if draw.random() < 0.1:
        words[7] = None
    if draw.random() < 0.1:
        matrix[5, 2] = draw.choice([np.nan, 1e308, np.inf])
    pq.write_table(pa.table({"index": words}), place / "toy_index.parquet")
    kind = draw.choice(["f4", "f8", "f2", "c8", "i4", "S4", "O", "M8[s]"])
    if draw.random() < 0.7:
        kind = "f4"
    with warnings.catch_warnings(action="ignore"):
        np.save(place / "toy_emb.npy", matrix.astype(kind), allow_pickle=True)
    path = draw.choice([place / "toy_emb.npy", place / "toy_index.parquet"])
    data = path.read_bytes()
    if draw.random() < 0.4:
        wanted = draw.choice([b"(2000000000000, 6)", b"(-1, 6)", b"(200, 2**9)", b"()"])
        data = data.replace(b"(200, 6), }         ", b"%-20s" % (wanted + b", }"))
    path.write_bytes(spoil(data, draw))
    return place


def make_old_table(place: Path, draw: random.Random) -> Path:
    """A folder as it was before blocks had digests."""
    import hashlib
    import zlib

    words = [f"w{n}".encode() for n in range(200)]
    crcs = np.array(list(map(zlib.crc32, words)), np.uint32)
    order = np.argsort(crcs, kind="stable").astype(np.int32)
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
    matrix = np.random.default_rng(1).standard_normal((200, 6)).astype(np.float32)
    digest = hashlib.sha256(b"(200, 6) float32")
    for part in (b"".join(words), offsets.tobytes(), matrix.tobytes()):
        digest.update(part)
    facts = {"format": 1, "n_words": 200, "width": 6, "dtype": "float32"}
    facts["digest"] = digest.hexdigest()
    folder = place / "toy"
    folder.mkdir()
    (folder / "letters.bin").write_bytes(b"".join(words))
    offsets.tofile(folder / "offsets.bin")
    crcs[order].tofile(folder / "hashes.bin")
    order.tofile(folder / "order.bin")
    matrix.tofile(folder / "matrix.bin")
    (folder / "vectors.json").write_text(json.dumps(facts))
    damage(folder, folder, draw.randrange(10**6))
    return folder


def spoil(data: bytes, draw: random.Random) -> bytes:
    """Half of the files also lose their end, or have bytes changed anywhere."""
    way = draw.randrange(6)
    if way == 0:
        return data[: draw.randrange(len(data))]
    changed = bytearray(data)
    if way == 1:
        for _ in range(draw.choice([1, 3, 30])):
            changed[draw.randrange(min(len(data), 5000))] = draw.randrange(256)
    elif way == 2:
        start = draw.randrange(len(data))
        changed[start : start + 64] = draw.randbytes(64)
    return bytes(changed)


def notes(folder: Path, share: float) -> None:
    """The sources are whole, so that every answer must be right."""
    from sktransfer.words.vectors import WordVectors

    ledger = Ledger("vector-notes", "notes of the cache beside its tables are damaged")
    vectors = WordVectors(*make_vectors())
    vectors.save(folder / "toy.vec", format="word2vec")
    twin = WordVectors(vectors.words[::-1], vectors.matrix[::-1])
    twin.save(folder / "twin.vec", format="word2vec")
    time.sleep(2.5)  # there are no notes on files that have just changed
    cache = folder / "cache"
    assert in_child(use, folder / "twin.vec", cache).kind == "value"
    expected = in_child(use, folder / "toy.vec", cache).value
    for number in range(round(75 * share)):
        draw = random.Random(number)
        place = fresh(folder / "try", folder, ["cache"])
        found = sorted((place / "cache/vectors/sources").iterdir())
        found += sorted((place / "cache").glob("digests/*"))
        path, other = draw.sample(found, 2)
        way = draw.randrange(8)
        if way < 3 and path.suffix == ".json":
            edit_json(path, draw)
        elif way < 5:
            draw.choice([flip, flip_pair, cut, extend, zero, remove])(path, draw)
        elif way == 5:
            swap(path, other)
        else:
            path.unlink()
            make_odd_file(path, draw)
        answer = in_child(use, folder / "toy.vec", place / "cache")
        judge(ledger, number, answer, expected, [], path.parent.name)
        if answer.kind == "error" and answer.is_ours:
            ledger.note("lost", number, answer.text)
    ledger.write()


def make_odd_file(path: Path, draw: random.Random) -> None:
    way = draw.randrange(4)
    if way == 0:
        path.mkdir()
        (path / "within").touch()
    elif way == 1:
        path.symlink_to("/dev/zero")
    elif way == 2:
        path.symlink_to("nowhere")
    else:
        path.write_bytes(draw.randbytes(10**6))


def judge(
    ledger: Ledger,
    number: int,
    answer: Answer,
    expected: Any,
    places: list[str],
    what: str = "",
) -> None:
    """Count a try; an error of ours says one of the places and a remedy."""
    said = f"{what} {answer.kind} {answer.name} {answer.text}"
    if fault := answer.fault:
        ledger.note(fault, number, said)
    elif answer.kind == "value":
        ledger.note(RIGHT if answer.value == expected else "wrong", number, said)
    else:
        clear = any(place in answer.text for place in places) and ":" in answer.text
        ledger.note(REFUSED if clear else "unclear", number, said)


if __name__ == "__main__":
    main()
