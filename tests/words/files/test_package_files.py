"""Arrays and words as packages carry them: what does not fit is an error."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.vectors import WordVectors


@pytest.fixture
def folder(tmp_path):
    write_words(tmp_path, ["good", "bad"])
    write_matrix(tmp_path, [[1.0, 2.0], [3.0, 4.0]])
    return tmp_path


def write_words(folder, words, name="index"):
    pq.write_table(pa.table({name: words}), folder / "toy_index.parquet")


def write_matrix(folder, matrix):
    np.save(folder / "toy_emb.npy", np.asarray(matrix))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_all_types_are_read(folder, dtype, order):
    write_matrix(folder, np.array([[1, 2], [3, 4]], dtype, order=order))
    assert WordVectors.load(folder).matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "matrix",
    [
        [1.0, 2.0],
        np.ones((2, 1, 1)),
        np.ones((2, 0)),
        np.ones((2, 2), complex),
        [["a", "b"], ["c", "d"]],
        np.ones((2, 2), "M8[s]"),
        np.ones((2, 2), bool),
    ],
)
def test_what_is_no_table_of_numbers(folder, matrix):
    write_matrix(folder, matrix)
    with pytest.raises(WordVectorsError, match=r"toy_emb\.npy holds an array of shape"):
        WordVectors.load(folder)


def test_numbers_that_are_too_large(folder):
    write_matrix(folder, [[1.0, 2.0], [3.0, 1e308]])
    with pytest.raises(WordVectorsError, match=r"'bad' .* has 1e\+308 as number 1"):
        WordVectors.load(folder)


@pytest.mark.parametrize(
    "shape", [b"(2000000000000, 2)", b"(-2, 2)", b"(2, 2**9)", b"()", b"(2, 2, 2**62)"]
)
def test_a_header_that_promises_something_else(folder, shape):
    path = folder / "toy_emb.npy"
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"(2, 2), }" + b" " * 20, b"%-29s" % (shape + b", }"))
    )
    assert path.read_bytes() != data
    with pytest.raises(WordVectorsError, match=r"toy_emb\.npy"):
        WordVectors.load(folder)


@pytest.mark.parametrize("size", [0, 5, 100, 130, 159, 161])
def test_a_file_that_was_cut_or_is_longer(folder, size):
    os.truncate(folder / "toy_emb.npy", size)
    with pytest.raises(WordVectorsError, match=r"toy_emb\.npy (begins with|has -?\d)"):
        WordVectors.load(folder)


@pytest.mark.parametrize("words", [[1, 2], ["good", None], [["a"], ["b"]]])
def test_words_that_are_none(folder, words):
    write_words(folder, words)
    with pytest.raises(WordVectorsError, match=r"in row \d, but a word is expected"):
        WordVectors.load(folder)


def test_words_under_another_name(folder):
    write_words(folder, ["good", "bad"], "words")
    with pytest.raises(WordVectorsError, match=r"parquet holds no words, as a column"):
        WordVectors.load(folder)


def test_a_damaged_file_of_words(folder):
    path = folder / "toy_index.parquet"
    data = path.read_bytes()
    for size in (0, 3, 40, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(WordVectorsError, match=r"parquet holds no words"):
            WordVectors.load(folder)
