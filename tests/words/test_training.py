from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    StaleFitError,
    TrainingError,
)
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.training import WordVectorTrainer
from sktransfer.words.vectors import WordVectors

TEXTS = ["a good film", "a bad film", "the good plot", "the bad plot", "don't!"] * 6


def learn(**parameters):
    parameters = {"vector_size": 6, "epochs": 2, "random_state": 0} | parameters
    return WordVectorTrainer(**parameters).learn(TEXTS)


class TestEstimator:
    """A trainer stands alone, too, as scikit-learn's estimators do."""

    def test_fit_keeps_what_learn_gives(self):
        trainer = WordVectorTrainer(vector_size=6, epochs=2, random_state=0)
        with pytest.raises(NotFittedError):
            check_is_fitted(trainer)
        assert trainer.fit(text for text in TEXTS) is trainer
        check_is_fitted(trainer)
        assert trainer.vectors_.digest == learn().digest

    def test_a_featurizer_leaves_it_as_it_is(self):
        trainer = WordVectorTrainer(vector_size=6, epochs=2, random_state=0)
        featurizer = WordVectorFeaturizer(trainer).fit(TEXTS)
        assert not hasattr(trainer, "vectors_")
        assert featurizer.vectors_.digest == learn().digest

    def test_it_is_saved_with_what_it_has_learnt(self, tmp_path):
        trainer = WordVectorTrainer(vector_size=6, epochs=1, random_state=0).fit(TEXTS)
        save(trainer, tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert loaded.vectors_.digest == trainer.vectors_.digest
        assert loaded.get_params() == trainer.get_params()


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
class TestBothAlgorithms:
    def test_vectors_of_all_frequent_words(self, algorithm):
        vectors = learn(algorithm=algorithm)
        assert {"good", "bad", "don't", "!"} <= set(vectors.words)
        assert vectors.width == 6
        assert (vectors.subwords is not None) == (algorithm == "fasttext")

    def test_the_same_seed_gives_the_same_vectors(self, algorithm):
        one, same = learn(algorithm=algorithm), learn(algorithm=algorithm)
        assert one.digest == same.digest
        assert one.digest != learn(algorithm=algorithm, random_state=1).digest

    @pytest.mark.slow
    def test_parameters_reach_gensim(self, algorithm):
        base = learn(algorithm=algorithm).digest
        for change in (
            {"window": 1},
            {"skip_gram": False},
            {"negative": 2},
            {"epochs": 3},
            {"learning_rate": 0.1},
        ):
            assert learn(algorithm=algorithm, **change).digest != base, change
        assert len(learn(algorithm=algorithm, min_count=7)) < len(learn())


@pytest.mark.slow
def test_the_same_seed_gives_the_same_vectors_in_another_process():
    code = f"""
from sktransfer import WordVectorTrainer
trainer = WordVectorTrainer(vector_size=6, epochs=2, random_state=0)
print(trainer.learn({TEXTS!r}).digest)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == learn().digest


def test_a_featurizer_learns_from_the_texts_of_fit():
    trainer = WordVectorTrainer(vector_size=6, epochs=2, random_state=0)
    featurizer = WordVectorFeaturizer(trainer)
    vectors = featurizer.fit_transform(TEXTS)
    assert featurizer.vectors_.digest == learn().digest
    assert vectors.shape == (len(TEXTS), 6)
    assert not hasattr(trainer, "vectors_")
    again = pickle.loads(pickle.dumps(featurizer))
    np.testing.assert_array_equal(again.transform(TEXTS), vectors)
    assert not hasattr(clone(featurizer), "vectors_")


def test_a_featurizer_learns_from_words_of_its_own_tokenizer():
    trainer = WordVectorTrainer(vector_size=6, min_count=1, random_state=0)
    featurizer = WordVectorFeaturizer(trainer, tokenizer=list).fit(["ab", "ba"])
    assert sorted(featurizer.vectors_.words) == ["a", "b"]


def test_fasttext_gives_vectors_to_unseen_words():
    trainer = WordVectorTrainer("fasttext", vector_size=6, random_state=0)
    featurizer = WordVectorFeaturizer(trainer, oov="subword").fit(TEXTS)
    assert np.abs(featurizer.transform(["goodly"])).sum() > 0


def test_a_grid_reaches_the_trainer(sentiment_texts):
    texts, labels = sentiment_texts
    trainer = WordVectorTrainer(epochs=2, random_state=0)
    pipeline = make_pipeline(WordVectorFeaturizer(trainer), LogisticRegression())
    grid = {"wordvectorfeaturizer__vectors__vector_size": [4, 7]}
    search = GridSearchCV(pipeline, grid, cv=2, refit=False).fit(texts, labels)
    assert len(search.cv_results_["params"]) == 2
    pipeline.set_params(wordvectorfeaturizer__vectors__vector_size=7).fit(texts, labels)
    assert pipeline[0].vectors_.width == 7


def test_a_parameter_of_the_trainer_changed_after_fit_makes_it_void():
    trainer = WordVectorTrainer(vector_size=6, epochs=2, random_state=0)
    featurizer = WordVectorFeaturizer(trainer).fit(TEXTS)
    featurizer.set_params(vectors__epochs=3)
    with pytest.raises(StaleFitError, match=r"vectors was .* fit again"):
        featurizer.transform(TEXTS)


class TestStartFrom:
    START = WordVectors(
        ["good", "bad", "never"], np.random.default_rng(0).normal(size=(3, 6))
    )

    def test_known_words_start_there_and_the_others_stay(self):
        gentle = learn(start_from=self.START, vector_size=None, learning_rate=1e-6)
        np.testing.assert_allclose(gentle["good"], self.START["good"], atol=1e-3)
        np.testing.assert_array_equal(gentle["never"], self.START["never"])
        assert "film" in gentle
        adapted = learn(start_from=self.START, learning_rate=0.1, epochs=20)
        assert not np.allclose(adapted["good"], self.START["good"], atol=1e-3)

    def test_a_path_will_do(self, tmp_path):
        self.START.save(tmp_path / "start")
        from_file = learn(start_from=tmp_path / "start")
        assert from_file.digest == learn(start_from=self.START).digest

    def test_another_size_is_refused(self):
        with pytest.raises(InvalidParameterError, match="start_from has vectors of 6"):
            learn(start_from=self.START, vector_size=7)

    def test_fasttext_is_refused(self):
        with pytest.raises(InvalidParameterError, match="needs algorithm='word2vec'"):
            learn(start_from=self.START, algorithm="fasttext")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"algorithm": "glove"}, r"algorithm='glove', but one of \['word2vec', 'fas"),
        ({"vector_size": 0}, "vector_size=0, but a whole number, at least 1"),
        ({"window": 2.5}, r"window=2\.5"),
        ({"epochs": True}, "epochs=True"),
        ({"min_count": None}, "min_count=None"),
        ({"learning_rate": 0}, "learning_rate=0, but a number above 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(InvalidParameterError, match=message):
        learn(**parameters)


def test_words_that_are_all_too_rare():
    with pytest.raises(
        TrainingError, match="No word comes min_count=99 times in the 30"
    ):
        learn(min_count=99)
    with pytest.raises(TrainingError, match="No word comes"):
        WordVectorTrainer().learn([""])


def test_a_bare_str_is_no_list_of_texts():
    with pytest.raises(InvalidInputError, match="texts is a single str"):
        WordVectorTrainer().learn("good film")


def test_progress_is_shown(capsys):
    learn(verbose=1)
    assert "Learning word vectors" in capsys.readouterr().err
    learn()
    assert capsys.readouterr().err == ""
