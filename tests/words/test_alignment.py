from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.words.alignment import (
    align_word_vectors,
    mutual_neighbors,
    nearest,
    translation_precision,
)
from sktransfer.words.vectors import WordVectors

N_WORDS, WIDTH = 200, 12
ENGLISH = [f"e{number}" for number in range(N_WORDS)]
CHINESE = [f"c{number}" for number in range(N_WORDS)]
PAIRS = list(zip(CHINESE, ENGLISH, strict=True))


@pytest.fixture
def target():
    return WordVectors(ENGLISH, np.random.default_rng(0).normal(size=(N_WORDS, WIDTH)))


def turn(vectors: WordVectors, noise: float = 0.0) -> WordVectors:
    """The same vectors under other names: rotated, shifted, scaled, made noisy."""
    generator = np.random.default_rng(1)
    rotation = ortho_group.rvs(WIDTH, random_state=2)
    matrix = 3 * vectors.matrix @ rotation + 5
    return WordVectors(CHINESE, matrix + noise * generator.normal(size=matrix.shape))


def test_a_turned_space_is_turned_back(target):
    aligned = align_word_vectors(turn(target), target, PAIRS[:60])
    assert aligned.words == tuple(CHINESE)
    np.testing.assert_allclose(aligned.matrix, target.matrix, atol=1e-4)


def test_distances_stay_without_scaling(target):
    source = turn(target, noise=1.0)
    aligned = align_word_vectors(source, target, PAIRS, scale=False)
    for one, other in [(0, 1), (5, 77)]:
        before = np.linalg.norm(source.matrix[one] - source.matrix[other])
        after = np.linalg.norm(aligned.matrix[one] - aligned.matrix[other])
        assert after == pytest.approx(before, rel=1e-4)


def test_without_centring_the_origin_stays(target):
    source = WordVectors(
        [*CHINESE, "zero"], np.vstack([turn(target).matrix, [0] * WIDTH])
    )
    aligned = align_word_vectors(source, target, PAIRS, center=False)
    np.testing.assert_allclose(aligned["zero"], 0, atol=1e-6)


def test_widths_may_differ(target):
    source = WordVectors(CHINESE, target.matrix[:, :5])
    aligned = align_word_vectors(source, target, PAIRS)
    assert aligned.width == WIDTH


def test_domains_are_aligned_by_the_words_they_share(target):
    words = [*ENGLISH[:100], *CHINESE[100:]]
    source = WordVectors(words, turn(target).matrix)
    aligned = align_word_vectors(source, target)
    np.testing.assert_allclose(aligned.matrix, target.matrix, atol=1e-4)


def test_pairs_without_vectors_are_left_out(target):
    pairs = [("nowhere", "e0"), ("c0", "nowhere"), *PAIRS]
    aligned = align_word_vectors(turn(target), target, pairs)
    np.testing.assert_allclose(aligned.matrix, target.matrix, atol=1e-4)


@pytest.mark.parametrize("pairs", [[], [("e0", "c0")], [("x", "y")]])
def test_no_usable_pair(target, pairs):
    with pytest.raises(InvalidInputError, match=f"None of the {len(pairs)} pairs has"):
        align_word_vectors(turn(target), target, pairs)


@pytest.mark.parametrize("parameters", [{"n_refinements": -1}, {"n_frequent": 0}])
def test_parameters_out_of_range(target, parameters):
    with pytest.raises(InvalidParameterError, match="but a whole number, at least"):
        align_word_vectors(turn(target), target, PAIRS, **parameters)


def test_refinement_helps_where_pairs_are_few(target):
    source = turn(target, noise=1.8)
    few, held_out = PAIRS[:14], PAIRS[14:]
    rough = align_word_vectors(source, target, few)
    fine = align_word_vectors(source, target, few, n_refinements=4)
    rough_score = translation_precision(rough, target, held_out)
    fine_score = translation_precision(fine, target, held_out)
    assert fine_score[1] > rough_score[1] + 0.05
    assert rough_score[5] > rough_score[1]


def test_precision_counts_any_translation_once():
    english = WordVectors(["good", "fine", "bad"], [[1, 0], [0.9, 0.1], [-1, 0]])
    chinese = WordVectors(["好", "差"], [[1, 0.05], [-1, 0]])
    pairs = [("好", "fine"), ("好", "good"), ("差", "bad"), ("差", "nowhere")]
    assert translation_precision(chinese, english, pairs) == {1: 1.0, 5: 1.0}
    wrong = [("好", "bad"), ("差", "bad")]
    assert translation_precision(chinese, english, wrong, at=[1]) == {1: 0.5}


def test_nearest_is_csls_computed_by_hand(monkeypatch):
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(30, 4)), generator.normal(size=(25, 4))
    units = [
        side / np.linalg.norm(side, axis=1, keepdims=True) for side in (one, other)
    ]
    cosines = units[0] @ units[1].T
    crowding = np.sort(cosines, axis=0)[-10:].mean(axis=0)
    expected = np.argsort(-(2 * cosines - crowding), axis=1)[:, :3]
    np.testing.assert_array_equal(nearest(one, other, 3), expected)
    monkeypatch.setattr("sktransfer.words.alignment._ROWS_A_BLOCK", 7)
    np.testing.assert_array_equal(nearest(one, other, 3), expected)
    assert nearest(one, other[:2], 5).shape == (30, 2)


def test_mutual_neighbors_choose_each_other():
    pairs = mutual_neighbors(np.array([[1, 0], [0.9, 0.1], [0, 1]]), np.eye(2))
    assert pairs.T.tolist() == [[0, 0], [2, 1]]


@pytest.mark.parametrize("given", ["glove-6b-50d", "./toy.vec", None, np.eye(2)])
def test_names_and_paths_are_opened_by_the_caller(given):
    vectors = WordVectors(["a"], [[1.0]])
    for one, other in ((given, vectors), (vectors, given)):
        with pytest.raises(InvalidParameterError, match=r"of WordVectors\.load"):
            align_word_vectors(one, other)
