"""What fastText's file promises is proved before gensim reads it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files import fasttext_proofs
from sktransfer.words.vectors import WordVectors

N_WORDS, WIDTH, N_BUCKETS = 20, 6, 30
MATRIX = np.random.default_rng(1).standard_normal((50, WIDTH)).astype("<f4")


def write(path, *, matrix=MATRIX, quantised=False, **changes):
    """fastText's layout, with some of the numbers changed."""
    facts = {"width": WIDTH, "buckets": N_BUCKETS, "shortest": 3, "longest": 6}
    facts |= {"entries": N_WORDS, "words": N_WORDS, "labels": 0, "pruned": -1}
    facts |= {"rows": N_WORDS + N_BUCKETS, "columns": WIDTH}
    assert changes.keys() <= facts.keys()
    value = facts | changes
    header = [793712314, 12, value["width"], 5, 5, 1, 5, 1, 1, 2, value["buckets"]]
    header += [value["shortest"], value["longest"], 100]
    counts = [value["entries"], value["words"], value["labels"], 99, value["pruned"]]
    entry = struct.pack("<qb", 5, 0)
    words = b"".join(b"w%d\0" % n + entry for n in range(N_WORDS))
    shape = struct.pack("<?2q", quantised, value["rows"], value["columns"])
    data = struct.pack("<14id", *header, 1e-4) + struct.pack("<3i2q", *counts) + words
    path.write_bytes(data + shape + matrix.tobytes())
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.bin"


@pytest.mark.parametrize("at_once", [1 << 22, 30])
def test_what_fits_is_read(path, monkeypatch, at_once):
    monkeypatch.setattr(fasttext_proofs, "_BYTES_A_READ", at_once)
    found = WordVectors.load(write(path))
    assert found.words == tuple(f"w{n}" for n in range(N_WORDS))
    np.testing.assert_array_equal(found.subwords.buckets, MATRIX[N_WORDS:])
    assert found.subwords.vector("unheard").any()


def test_a_file_without_pieces_is_read(path):
    nothing = {"buckets": 0, "rows": N_WORDS, "shortest": 0, "longest": 0}
    found = WordVectors.load(write(path, matrix=MATRIX[:N_WORDS], **nothing))
    np.testing.assert_array_equal(found.matrix, MATRIX[:N_WORDS])
    assert not found.subwords.vector("unheard").any()


@pytest.mark.parametrize("value", [-1, 0, 7, 2**20, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("name", ["width", "buckets", "entries", "words"])
def test_counts_that_do_not_fit(path, name, value):
    with pytest.raises(WordVectorsError, match=r"toy\.bin .*expected"):
        WordVectors.load(write(path, **{name: value}))


@pytest.mark.parametrize("value", [-1, 2**20, 2**31 - 1])
@pytest.mark.parametrize("name", ["shortest", "longest"])
def test_pieces_that_no_word_has(path, name, value):
    with pytest.raises(WordVectorsError, match=rf"the {name} piece={value}, but"):
        WordVectors.load(write(path, **{name: value}))


@pytest.mark.parametrize("value", [-1, 0, 7, 2**40, 2**62, -(2**62)])
@pytest.mark.parametrize("name", ["rows", "columns"])
def test_a_matrix_of_another_shape(path, name, value):
    with pytest.raises(WordVectorsError, match=r"but 50 x 6 are expected"):
        WordVectors.load(write(path, **{name: value}))


def test_a_classifier_and_a_quantised_model(path):
    for changes in ({"labels": 3}, {"pruned": 9}):
        with pytest.raises(WordVectorsError, match="a model of words alone is"):
            WordVectors.load(write(path, **changes))
    with pytest.raises(WordVectorsError, match="not quantised"):
        WordVectors.load(write(path, quantised=True))


def test_wherever_it_is_cut(path):
    data = write(path).read_bytes()
    for size in [*range(4, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(WordVectorsError, match=r"toy\.bin"):
            WordVectors.load(path)


@pytest.mark.parametrize("row", [3, 40])
def test_numbers_that_are_not_finite(path, row):
    matrix = MATRIX.copy()
    matrix[row, 2] = np.nan
    with pytest.raises(WordVectorsError, match=r"not finite|finite numbers"):
        WordVectors.load(write(path, matrix=matrix))
