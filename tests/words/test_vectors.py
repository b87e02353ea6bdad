from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors


@pytest.fixture
def vectors(toy_words, toy_matrix):
    return WordVectors(toy_words, toy_matrix)


def test_words_and_rows_belong_together(vectors, toy_words, toy_matrix):
    assert len(vectors) == len(toy_words)
    assert vectors.width == 8
    assert list(vectors) == toy_words
    np.testing.assert_array_equal(vectors.matrix, toy_matrix)
    np.testing.assert_array_equal(vectors["good"], vectors[["bad", "good"]][1])
    assert "good" in vectors
    assert "ugly" not in vectors
    assert 3 not in vectors


def test_a_missing_word_is_a_key_error(vectors):
    with pytest.raises(KeyError, match="'ugly' is none of the"):
        vectors[["good", "ugly"]]


def test_lookup_gives_zeros_for_minus_one(vectors):
    found = vectors.lookup(vectors.index_of(["good", "ugly"]))
    np.testing.assert_array_equal(found, [vectors["good"], np.zeros(8)])


def test_nothing_can_be_changed(vectors):
    with pytest.raises(AttributeError, match="never change"):
        vectors.matrix = None
    with pytest.raises(ValueError, match="read-only"):
        vectors.matrix[0] = 0


def test_what_was_given_may_change_afterwards(toy_words, toy_matrix):
    matrix = toy_matrix.copy()
    vectors = WordVectors(toy_words, matrix)
    matrix[:] = 0
    np.testing.assert_array_equal(vectors.matrix, toy_matrix)


def test_copies_and_clones_are_the_same_object(vectors):
    assert copy.copy(vectors) is vectors
    assert copy.deepcopy(vectors) is vectors
    assert clone(WordVectorFeaturizer(vectors)).vectors is vectors


@pytest.mark.parametrize(
    ("words", "matrix", "message"),
    [
        (["a"], [[1.0], [2.0]], r"shape \(2, 1\), but a row for each of the 1 words"),
        (["a"], [1.0], r"shape \(1,\)"),
        ([], np.zeros((0, 3)), r"shape \(0, 3\)"),
        (["a"], [[]], r"shape \(1, 0\)"),
        (["a", 3], [[1.0], [2.0]], r"words\[1\] is 3 of type int"),
        (["a", "b", "a"], np.ones((3, 1)), "'a' comes more than once"),
        (
            ["a", "b"],
            [[1.0], [np.nan]],
            "vector of 'b' has a number that is not finite",
        ),
        (["a"], [[1e39]], "vector of 'a' has a number that is not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_words_and_matrix_that_do_not_fit(words, matrix, message):
    with pytest.raises(WordVectorsError, match=message):
        WordVectors(words, matrix)


def test_digest_follows_the_content(vectors, toy_words, toy_matrix):
    same = WordVectors(toy_words, toy_matrix)
    other = WordVectors(toy_words, toy_matrix + 1)
    renamed = WordVectors([*toy_words[:-1], "renamed"], toy_matrix)
    assert vectors.digest == same.digest
    assert len({vectors.digest, other.digest, renamed.digest}) == 3


def test_saved_vectors_are_the_same(vectors, tmp_path):
    saved = vectors.save(tmp_path / "toy")
    assert saved.words == vectors.words
    assert saved.digest == vectors.digest
    np.testing.assert_array_equal(saved.matrix, vectors.matrix)
    assert not saved.matrix.flags.writeable
    assert repr(saved).endswith(f"from {str(tmp_path / 'toy')!r})")


def test_vectors_in_memory_pickle_by_value(vectors):
    again = pickle.loads(pickle.dumps(vectors))
    assert again.words == vectors.words
    assert again.digest == vectors.digest


def test_vectors_from_a_file_pickle_by_path(vectors, tmp_path, monkeypatch):
    vectors.save(tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    saved = WordVectors.load("./toy")
    pickled = pickle.dumps(saved)
    assert len(pickled) < 500
    monkeypatch.chdir(Path(__file__).parent)
    assert pickle.loads(pickled).digest == vectors.digest


def test_a_pickle_notices_other_vectors_at_its_path(vectors, tmp_path):
    pickled = pickle.dumps(vectors.save(tmp_path / "toy"))
    WordVectors(["a"], [[1.0]]).save(tmp_path / "toy")
    with pytest.raises(WordVectorsError, match="holds other vectors than when"):
        pickle.loads(pickled)


@pytest.mark.slow
def test_reading_vectors_loads_neither_torch_nor_gensim(vectors, tmp_path):
    vectors.save(tmp_path / "toy")
    vectors.save(tmp_path / "toy.txt", format="word2vec")
    code = f"""
import sys
from sktransfer import WordVectorFeaturizer, WordVectors
for name in ("toy", "toy.txt"):
    vectors = WordVectors.load({str(tmp_path)!r} + "/" + name)
    WordVectorFeaturizer(vectors, weighting="sif").fit_transform(["good 酒店"])
print(sorted({{"torch", "transformers", "gensim", "skorch"}} & set(sys.modules)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "[]\n"


@pytest.mark.real
def test_packaged_glove_is_read_as_it_is_needed():
    vectors = WordVectors.load("glove-6b-50d")
    assert (len(vectors), vectors.width) == (400_000, 50)
    assert vectors._table.rows._missing.all()
    assert vectors["good"].any()
    assert vectors._table.rows._missing.sum() == 4882
    assert vectors.index_of(["the", ",", "n't", "don't"]).tolist()[:2] == [0, 1]
    assert "n't" in vectors
    assert len(pickle.dumps(vectors)) < 500
    near = vectors[["good", "great", "table"]]
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    assert near[0] @ near[1] > near[0] @ near[2]
