import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.run.journal import (
    Journal,
    check_candidates,
    describe_estimator,
    digest_of,
    digest_texts,
)
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidParameterError


def shout(text):
    return text.upper()


def digest(estimator, **options):
    return digest_of(describe_estimator(estimator, **options))


def pipeline(**parameters):
    return make_pipeline(TfidfVectorizer(**parameters), LogisticRegression())


class TestDigestOfTexts:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ((["ab"],), (["a", "b"],)),
            ((["a"], ["b"]), (["a", "b"], [])),
            ((["a"], None), (["a"], [])),
            (([1],), (["1"],)),
            (([True],), ([1],)),
        ],
    )
    def test_what_differs_has_another_digest(self, one, other):
        assert digest_texts(*one) != digest_texts(*other)

    def test_lone_surrogates_are_texts_too(self):
        assert len(digest_texts(["\ud800"])) == 64


class TestDescription:
    @pytest.mark.parametrize(
        "other",
        [
            pipeline(ngram_range=(1, 2)),
            pipeline(preprocessor=shout),
            make_pipeline(TfidfVectorizer(), LogisticRegression(C=2)),
            TfidfVectorizer(),
        ],
    )
    def test_every_parameter_counts(self, other):
        assert digest(pipeline()) != digest(other)

    def test_grid_and_use_count(self):
        grid = {"logisticregression__C": [1, 2]}
        assert digest(pipeline()) != digest(pipeline(), grid=grid)
        assert digest(pipeline()) != digest(pipeline(), use="joint")

    def test_caches_and_threads_do_not(self, tmp_path):
        one = TransferSentimentClassifier(BertFeaturizer(), verbose=0)
        other = TransferSentimentClassifier(BertFeaturizer(cache=tmp_path), verbose=2)
        assert digest(one) == digest(other)

    def test_what_a_frozen_source_has_learnt_counts(self, network):
        texts, labels = ["good film", "bad film"] * 4, ["pos", "neg"] * 4
        sources = [network(random_state=seed).fit(texts, labels) for seed in (0, 0, 1)]
        digests = [
            digest(network(init_from=FrozenEstimator(source))) for source in sources
        ]
        assert digests[0] == digests[1] != digests[2]

    @pytest.mark.slow
    def test_it_is_the_same_in_another_process(self):
        code = (
            "from sklearn.pipeline import make_pipeline\n"
            "from sklearn.linear_model import LogisticRegression\n"
            "from sklearn.feature_extraction.text import TfidfVectorizer\n"
            "from sktransfer.comparison.run.journal import *\n"
            "made = make_pipeline(TfidfVectorizer(stop_words=['b', 'a'], "
            "dtype='float32', token_pattern=None, tokenizer=str.split), "
            "LogisticRegression())\n"
            "print(digest_of(describe_estimator(made)))"
        )
        command = [sys.executable, "-c", code]
        prints = {
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for _ in range(2)
        }
        assert len(prints) == 1

    def test_containers_arrays_and_paths_are_described_by_what_they_hold(self):
        weights = LogisticRegression(class_weight={"a": 1.0, "b": np.float64(2)})
        assert digest(weights) == digest(weights)
        vocabulary = [{"b", "a"}, frozenset("ab"), np.array(["a", "b"]), Path("a")]
        made = [digest(TfidfVectorizer(vocabulary=value)) for value in vocabulary]
        assert len(set(made)) == 3


class TestJournalOfCandidates:
    def test_the_same_may_go_on_and_others_may_join(self):
        journal = Journal()
        check_candidates([Candidate("a", "given", pipeline())], journal)
        both = [Candidate(name, "given", pipeline()) for name in "ab"]
        check_candidates(both, journal)
        assert [e["strategy"] for e in journal.of_kind("strategy")] == ["a", "b"]

    def test_other_parameters_under_one_name_are_refused(self):
        journal = Journal()
        check_candidates([Candidate("a", "given", pipeline())], journal)
        other = Candidate("a", "given", pipeline(ngram_range=(1, 2)))
        message = (
            r"'a' with other parameters: tfidfvectorizer__ngram_range was \[1, 1\]"
        )
        with pytest.raises(InvalidParameterError, match=message):
            check_candidates([other], journal)
