"""Folders of format 1 are read as ever, unless they are not as they were written."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np
import pytest

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files import old_tables
from sktransfer.words.files.vocabulary import pack_words
from sktransfer.words.vectors import WordVectors

WORDS = [f"w{n}" for n in range(40)]
MATRIX = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


def write_old(folder, dtype="float32", buckets=None):
    """What versions before wrote: arrays, and one digest over all of them."""
    folder.mkdir()
    packed, matrix = pack_words(WORDS), MATRIX.astype(dtype)
    for name, part in vars(packed).items():
        part.tofile(folder / f"{name}.bin")
    matrix.tofile(folder / "matrix.bin")
    facts = {"format": 1, "n_words": 40, "width": 6, "dtype": dtype}
    header, parts = f"(40, 6) {dtype}", [packed.letters, packed.offsets, matrix]
    if buckets is not None:
        facts["subwords"] = {"n_buckets": len(buckets), "shortest": 3, "longest": 6}
        header += f" {facts['subwords']}"
        buckets.tofile(folder / "buckets.bin")
        parts.append(buckets)
    digest = hashlib.sha256(header.encode())
    for part in parts:
        digest.update(part.tobytes())
    facts["digest"] = digest.hexdigest()
    (folder / "vectors.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_old(tmp_path / "old")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_they_hold_what_they_held(tmp_path, dtype):
    folder = write_old(tmp_path / "old", dtype)
    for _ in range(2):
        found = WordVectors.load(folder, dtype=dtype)
        assert list(found.words) == WORDS
        np.testing.assert_array_equal(found.matrix, MATRIX.astype(dtype))
        facts = json.loads((folder / "vectors.json").read_text())
        assert found.digest == facts["digest"]


def test_with_vectors_of_pieces_too(tmp_path):
    buckets = np.arange(30, dtype=np.float32).reshape(5, 6)
    folder = write_old(tmp_path / "old", buckets=buckets)
    found = WordVectors.load(folder)
    np.testing.assert_array_equal(found.subwords.buckets, buckets)
    facts = json.loads((folder / "vectors.json").read_text())
    assert found.digest == facts["digest"]
    facts["subwords"]["n_buckets"] = 4
    (folder / "vectors.json").write_text(json.dumps(facts))
    with pytest.raises(WordVectorsError, match=r"buckets\.bin is 120 bytes, but 96"):
        WordVectors.load(folder)


@pytest.mark.parametrize("limit", [1, 7, 39, 40, 99])
def test_a_limit_takes_the_first_words(folder, limit, monkeypatch):
    monkeypatch.setattr(old_tables, "WORDS_A_BLOCK", 7)
    found = WordVectors.load(folder, limit=limit)
    assert list(found.words) == WORDS[:limit]
    np.testing.assert_array_equal(found.matrix, MATRIX[:limit])


def test_new_ones_take_their_place(folder):
    saved = WordVectors(["a"], [[1.0]]).save(folder)
    assert saved.words == ("a",)


@pytest.mark.parametrize("name", ["letters.bin", "offsets.bin", "matrix.bin"])
def test_a_flipped_bit_is_found(folder, name):
    path = folder / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 15)):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data)
        for limit in (None, 1):
            with pytest.raises(WordVectorsError, match="old"):
                WordVectors.load(folder, limit=limit)


@pytest.mark.parametrize("size", [-1, 1])
@pytest.mark.parametrize("name", ["letters.bin", "offsets.bin", "matrix.bin"])
def test_so_is_another_size(folder, name, size):
    os.truncate(folder / name, (folder / name).stat().st_size + size)
    with pytest.raises(WordVectorsError, match=r"bytes are expected|is damaged"):
        WordVectors.load(folder)


def test_so_are_files_that_are_gone(folder):
    (folder / "matrix.bin").unlink()
    with pytest.raises(WordVectorsError, match=r"cannot be read .*matrix\.bin"):
        WordVectors.load(folder)


@pytest.mark.parametrize("n_letters", [-1, 2**62])
def test_letters_that_no_file_has(folder, n_letters):
    offsets = pack_words(WORDS).offsets.copy()
    offsets[-1] = n_letters
    offsets.tofile(folder / "offsets.bin")
    with pytest.raises(WordVectorsError, match=r"offsets\.bin has .* letters for 40"):
        WordVectors.load(folder)
