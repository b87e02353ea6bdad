from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import FunctionTransformer

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import sif_weights

WORDS = ["good", "bad", "film", "plot"]
TABLE = np.random.default_rng(0).normal(3, 1, (4, 6))


def encoder():
    """Anything with `transform`: each word has a row of TABLE."""
    return FunctionTransformer(lambda words: TABLE[[WORDS.index(w) for w in words]])


def test_each_word_gets_the_vector_of_its_text():
    vectors = WordVectors.distill(encoder(), WORDS)
    np.testing.assert_allclose(vectors.matrix, TABLE, rtol=1e-6)
    assert vectors.words == tuple(WORDS)
    assert vectors.matrix.dtype == np.float32


def test_sparse_answers_will_do():
    vectors = WordVectors.distill(CountVectorizer(analyzer="char"), WORDS)
    assert vectors["bad"].sum() == 3


def test_what_is_fitted_is_not_fitted_again():
    letters = CountVectorizer(analyzer="char").fit(["xyz"])
    assert WordVectors.distill(letters, ["xx"]).matrix.tolist() == [[2, 0, 0]]
    unfitted = CountVectorizer(analyzer="char")
    WordVectors.distill(unfitted, ["xx"])
    assert not hasattr(unfitted, "vocabulary_")


def test_centring():
    vectors = WordVectors.distill(encoder(), WORDS, center=True)
    np.testing.assert_allclose(vectors.matrix.mean(axis=0), 0, atol=1e-6)


def test_principal_components_keep_distances():
    vectors = WordVectors.distill(encoder(), WORDS, center=True, n_components=3)
    assert vectors.width == 3
    for one, other in [(0, 1), (2, 3)]:
        found = np.linalg.norm(vectors.matrix[one] - vectors.matrix[other])
        assert found == pytest.approx(
            np.linalg.norm(TABLE[one] - TABLE[other]), rel=1e-5
        )
    spread = vectors.matrix.var(axis=0)
    assert (np.diff(spread) <= 0).all()


def test_counts_weigh_as_sif_does():
    counts = [99, 1, 0, 10]
    vectors = WordVectors.distill(encoder(), WORDS, counts=counts)
    expected = TABLE * sif_weights(np.array(counts))[:, None]
    np.testing.assert_allclose(vectors.matrix, expected, rtol=1e-5)


def test_distilled_vectors_are_ordinary_ones(tmp_path):
    saved = WordVectors.distill(encoder(), WORDS).save(tmp_path / "distilled")
    texts = WordVectorFeaturizer(saved).fit_transform(["good film"])
    np.testing.assert_allclose(texts[0], (TABLE[0] + TABLE[2]) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components=0, but None or a whole number, at least"),
        ({"n_components": 5}, "n_components=5, but 1 to 4 are possible with 4 words"),
        ({"counts": [1, 2]}, r"counts has shape \(2,\), but one number"),
        ({"counts": [1, 2, 3, -1]}, "at least 0, for each of the 4 words"),
    ],
)
def test_parameters_that_do_not_fit(parameters, message):
    with pytest.raises(InvalidParameterError, match=message):
        WordVectors.distill(encoder(), WORDS, **parameters)


@pytest.mark.parametrize("words", [[], ["good", 3]])
def test_words_that_are_none(words):
    with pytest.raises(InvalidInputError, match="words"):
        WordVectors.distill(encoder(), words)
