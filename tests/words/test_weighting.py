from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from sktransfer.exceptions import InvalidParameterError
from sktransfer.words.weighting import (
    common_components,
    idf_weights,
    remove_components,
    sif_weights,
    weigh_words,
)

TEXTS = ["good film", "bad film film", "bad plot"]
WORDS = ["good", "film", "bad", "plot"]
NUMBERS = np.array([0, 1, 2, 1, 1, 2, 3])
OFFSETS = np.array([0, 2, 5, 7])


def test_idf_is_that_of_scikit_learn():
    weights = weigh_words(NUMBERS, OFFSETS, WORDS, "idf")
    peer = TfidfVectorizer().fit(TEXTS)
    for word, column in peer.vocabulary_.items():
        assert weights.known[word] == pytest.approx(peer.idf_[column])
    assert weights.unseen == pytest.approx(np.log(4) + 1)
    assert weights.shared


def test_sif_gives_what_a_hand_computes():
    weights = weigh_words(NUMBERS, OFFSETS, WORDS, "sif")
    assert weights.known["film"] == pytest.approx(1e-3 / (1e-3 + 3 / 7))
    assert weights.known["good"] == pytest.approx(1e-3 / (1e-3 + 1 / 7))
    assert weights.unseen == 1
    assert not weights.shared


def test_weigh_knows_unseen_words():
    weights = weigh_words(NUMBERS, OFFSETS, WORDS, "idf").weigh(["film", "other"])
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [np.log(4 / 3) + 1, np.log(4) + 1], rtol=1e-6)


def test_nothing_counted_gives_usable_weights():
    assert sif_weights(np.zeros(2, np.int64)).tolist() == [1, 1]
    assert idf_weights(np.zeros(1, np.int64), 0).tolist() == [1]


def test_common_components_are_the_first_singular_vectors():
    vectors = np.random.default_rng(0).normal(2, 1, (40, 5)).astype(np.float32)
    components = common_components(vectors, 2)
    _, _, expected = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    for found, direction in zip(components, expected, strict=False):
        assert abs(found @ direction) == pytest.approx(1, abs=1e-5)
        assert found[np.abs(found).argmax()] > 0
    rest = remove_components(vectors, components)
    np.testing.assert_allclose(rest @ components.T, 0, atol=1e-4)
    assert rest.dtype == np.float32


def test_too_many_components_are_refused():
    with pytest.raises(InvalidParameterError, match="=3, but 2 texts of 4 features"):
        common_components(np.zeros((2, 4), np.float32), 3)
