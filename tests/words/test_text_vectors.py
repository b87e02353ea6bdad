from __future__ import annotations

import numpy as np
import pytest

from sktransfer.words import text_vectors
from sktransfer.words.text_vectors import POOLINGS, pool_words

MATRIX = np.array([[1, -2], [3, 4], [-5, 6]], np.float32)
WORDS = np.array([0, 1, 1, 2, 0])
OFFSETS = np.array([0, 3, 3, 4, 5, 5])
EXPECTED = {
    "mean": [[7 / 3, 2], [0, 0], [-5, 6], [1, -2], [0, 0]],
    "sum": [[7, 6], [0, 0], [-5, 6], [1, -2], [0, 0]],
    "max": [[3, 4], [0, 0], [-5, 6], [1, -2], [0, 0]],
    "min": [[1, -2], [0, 0], [-5, 6], [1, -2], [0, 0]],
}


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_gives_what_a_hand_computes(how):
    pooled = pool_words(WORDS, OFFSETS, MATRIX, how)
    np.testing.assert_allclose(pooled, EXPECTED[how], rtol=1e-6)
    assert pooled.dtype == np.float32


@pytest.mark.parametrize("how", POOLINGS)
def test_blocks_do_not_show(how, monkeypatch):
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, 9, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    words = generator.integers(0, 3, offsets[-1])
    whole = pool_words(words, offsets, MATRIX, how)
    monkeypatch.setattr(text_vectors, "_WORDS_A_BLOCK", 5)
    np.testing.assert_array_equal(pool_words(words, offsets, MATRIX, how), whole)


def test_a_mean_is_divided_by_the_shares():
    weights = np.array([1, 2, 4], np.float32)
    pooled = pool_words(WORDS, OFFSETS, MATRIX, "mean", weights, weights)
    np.testing.assert_allclose(pooled[0], (MATRIX[0] + 4 * MATRIX[1]) / 5, rtol=1e-6)
    pooled = pool_words(WORDS, OFFSETS, MATRIX, "mean", weights)
    np.testing.assert_allclose(pooled[0], (MATRIX[0] + 4 * MATRIX[1]) / 3, rtol=1e-6)


@pytest.mark.parametrize("how", ["max", "min"])
def test_extremes_are_taken_of_weighted_vectors(how):
    weights = np.array([10, 1, 1], np.float32)
    pooled = pool_words(WORDS, OFFSETS, MATRIX, how, weights)
    expected = {"max": [10, 4], "min": [3, -20]}
    np.testing.assert_array_equal(pooled[0], expected[how])


@pytest.mark.parametrize("how", POOLINGS)
def test_no_word_at_all_gives_zeros(how):
    nothing = np.zeros(0, np.int32)
    pooled = pool_words(nothing, np.zeros(4, np.int32), MATRIX[:0], how)
    np.testing.assert_array_equal(pooled, np.zeros((3, 2)))
