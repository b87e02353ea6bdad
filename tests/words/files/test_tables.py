"""Folders of vectors that are damaged give an error or the right answer."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files import tables
from sktransfer.words.files.gensim_files import source_of_keyed_vectors
from sktransfer.words.files.proofs import seal
from sktransfer.words.files.tables import build_table, digest_table, gather_table
from sktransfer.words.vectors import WordVectors

WORDS = [f"w{n}" if n % 3 else f"ü{n}" * 4 for n in range(1500)]
MATRIX = np.random.default_rng(0).standard_normal((1500, 6)).astype(np.float32)
FILES = ["vectors.json", "proofs.bin", "matrix.bin", "letters.bin", "offsets.bin"]
FILES += ["hashes.bin", "order.bin"]


NOWHERE = "an error without a place"


@pytest.fixture
def folder(tmp_path):
    WordVectors(WORDS, MATRIX).save(tmp_path / "toy")
    assert sorted(os.listdir(tmp_path / "toy")) == sorted(FILES)  # noqa: PTH208
    return tmp_path / "toy"


def use(folder):
    """What the error of damaged vectors says; empty where all is right."""
    try:
        vectors = WordVectors.load(folder)
        rows = vectors.index_of([*WORDS[::5], "nil"])
        assert rows.tolist() == [*range(0, 1500, 5), -1]
        np.testing.assert_array_equal(vectors.lookup(rows[:-1]), MATRIX[::5])
        assert list(vectors.words) == WORDS
        np.testing.assert_array_equal(vectors.matrix, MATRIX)
    except WordVectorsError as error:
        return str(error) if str(folder) in str(error) else NOWHERE
    return ""


def change_facts(folder, **changes):
    """What somebody writes who knows how facts are sealed."""
    path = folder / "vectors.json"
    facts = json.loads(path.read_text()) | changes
    facts = {key: value for key, value in facts.items() if value != "left out"}
    path.write_text(json.dumps(facts | {"seal": seal(facts)}))


def change_array(folder, name, change):
    """What somebody writes who knows how arrays are proved."""
    dtype = {"offsets": np.int64, "hashes": np.uint32, "order": np.int32}
    path = folder / f"{name}.bin"
    array = np.fromfile(path, dtype.get(name, np.uint8))
    change(array)
    array.tofile(path)
    facts = json.loads((folder / "vectors.json").read_text())
    change_facts(folder, **tables._write_proofs(folder, facts, None))


def test_the_digest_is_that_of_the_vectors_in_memory(folder):
    found = json.loads((folder / "vectors.json").read_text())["digest"]
    assert found == digest_table(build_table(WORDS, MATRIX))
    assert found == WordVectors.load(folder).digest
    # That of earlier versions, which saved models hold.
    few = WordVectors(["good", "bad"], [[1.0, 0.5], [-1.0, 0.5]])
    assert few.digest[:16] == "c5065fb1690b4056"


def test_so_it_is_with_subwords(tmp_path):
    from gensim.models import FastText

    texts = [["good", "film"]] * 9
    model = FastText(texts, vector_size=4, min_count=1, bucket=9, seed=1, workers=1)
    table = gather_table(source_of_keyed_vectors(model.wv, None, "It"))
    saved = WordVectors.from_gensim(model).save(tmp_path / "toy")
    assert saved.digest == digest_table(table) == digest_table(saved._table)


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_bit_is_found(folder, name):
    draw = np.random.default_rng(len(name))
    path = folder / name
    whole = path.read_bytes()
    for _ in range(12):
        data = np.frombuffer(whole, np.uint8).copy()
        data[draw.integers(len(data))] ^= 1 << draw.integers(8)
        path.write_bytes(data.tobytes())
        said = use(folder)
        assert said != NOWHERE
        # A space in JSON may be another one.
        assert said or json.loads(path.read_text()) == json.loads(whole)
    path.write_bytes(whole)
    assert use(folder) == ""


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", ["cut", "longer", "empty", "gone", "zeros", "folder"])
def test_so_is_a_file_of_another_size_or_none(folder, name, way):
    path = folder / name
    size = path.stat().st_size
    if way in {"gone", "folder"}:
        path.unlink()
    if way == "folder":
        path.mkdir()
    elif way == "zeros":
        path.write_bytes(bytes(size))
    elif way != "gone":
        os.truncate(path, {"cut": size - 2, "longer": size + 4, "empty": 0}[way])
    assert use(folder) not in {"", NOWHERE}


@pytest.mark.parametrize("name", FILES)
def test_so_is_a_file_of_other_vectors_of_the_same_size(folder, tmp_path, name):
    WordVectors(WORDS[::-1], MATRIX[::-1]).save(tmp_path / "other")
    before = (folder / name).read_bytes()
    shutil.copy(tmp_path / "other" / name, folder / name)
    assert (use(folder) == "") == ((folder / name).read_bytes() == before)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_while_it_is_open_ends_no_process(folder, name):
    vectors = WordVectors.load(folder)
    vectors.index_of(["w1"])
    os.truncate(folder / name, 0)
    if name == "matrix.bin":  # the others are in memory already
        with pytest.raises(WordVectorsError, match=r"matrix\.bin is damaged"):
            vectors.words, vectors.matrix  # noqa: B018
    else:
        assert vectors.index_of(WORDS).tolist() == list(range(1500))
        assert list(vectors.words) == WORDS
        np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.index_of(["w1"]).tolist() == [1]


ODD = [None, True, -1, 0, 0.5, 2**31, 2**64, -(10**30), "9", [], {}, "left out"]


class TestForgedFacts:
    @pytest.mark.parametrize("value", ODD)
    @pytest.mark.parametrize("key", ["format", "n_words", "width", "n_letters"])
    def test_counts(self, folder, key, value):
        change_facts(folder, **{key: value})
        assert "expected" in use(folder) or "reads formats" in use(folder)

    @pytest.mark.parametrize("value", [*ODD, "O", "|V8", "float64", ["<f4"]])
    def test_types(self, folder, value):
        change_facts(folder, dtype=value)
        assert "float32 or float16 is expected" in use(folder)

    @pytest.mark.parametrize("value", [*ODD, "0" * 33, "g" * 32, "\ud800"])
    def test_proofs(self, folder, value):
        change_facts(folder, proofs=value)
        assert "expected" in use(folder)

    @pytest.mark.parametrize("key", ["n_buckets", "shortest", "longest"])
    @pytest.mark.parametrize("value", [*ODD[:3], *ODD[4:]])
    def test_pieces_of_words(self, folder, key, value):
        pieces = {"n_buckets": 1, "shortest": 3, "longest": 6, key: value}
        (folder / "buckets.bin").write_bytes(bytes(24))
        change_facts(folder, subwords=pieces)
        assert "expected" in use(folder)

    @pytest.mark.parametrize("value", [None, 3, [], "x", True])
    def test_pieces_that_are_none(self, folder, value):
        change_facts(folder, subwords=value)
        assert "'subwords', has n_buckets=None" in use(folder)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "[1]",
            "NaN",
            "[" * 10**5,
            '{"a":' * 10**5,
            "9" * 5000,
            "\ufeff{}",
        ],
    )
    def test_other_json(self, folder, text):
        (folder / "vectors.json").write_text(text, "utf-8")
        assert "vectors.json" in use(folder) or "has format None" in use(folder)

    def test_a_file_without_end(self, folder):
        with (folder / "vectors.json").open("ab") as file:
            file.truncate(2**40)
        assert "vectors.json is 1099511627776 bytes long" in use(folder)


class TestForgedArrays:
    @pytest.mark.parametrize("value", [-1, 2**40, -(2**62), 10**4])
    @pytest.mark.parametrize("place", [0, 5, 700, -1])
    def test_offsets_beyond_the_letters(self, folder, place, value):
        change_array(folder, "offsets", lambda array: array.put(place, value))
        assert "ends that ascend from 0" in use(folder)

    @pytest.mark.parametrize("value", [-1, 1500, 2**31 - 1, -(2**31), 3])
    def test_words_that_there_are_not(self, folder, value):
        change_array(folder, "order", lambda array: array.put(700, value))
        assert "one for each of the 1500 words" in use(folder)

    def test_hashes_that_do_not_ascend(self, folder):
        change_array(folder, "hashes", lambda array: array[:].sort() or array.put(9, 0))
        assert "hashes that descend" in use(folder)

    def test_letters_that_are_none(self, folder):
        change_array(folder, "letters", lambda array: array.put(1, 0xFF))
        with pytest.raises(WordVectorsError, match="toy has a word that is no UTF-8"):
            _ = WordVectors.load(folder).words


@pytest.mark.parametrize("value", [1e30, np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numbers_that_do_not_fit_are_none(tmp_path, value, dtype):
    path = tmp_path / "toy.txt"
    path.write_text(f"a 1 2\nb 3 {value}\n")
    if dtype == "float32" and value == 1e30:
        assert WordVectors.load(path, dtype=dtype)["b"][1] == np.float32(value)
        return
    with pytest.raises(WordVectorsError, match=f"as number 1, but finite .* {dtype}"):
        WordVectors.load(path, dtype=dtype)
