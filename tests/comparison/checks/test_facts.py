from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.comparison.checks.facts import gather, number_values
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate, Source
from sktransfer.encoders.featurizer import BertFeaturizer


@pytest.fixture
def data():
    labels = np.array(["neg", "pos"])
    scoring = Scoring.resolve("accuracy")
    return Data(["a", "b"], labels, labels, np.arange(2), [], [], scoring, 7)


def test_it_holds_what_the_comparison_knows(data):
    source = Source(["c"], np.array(["pos"]))
    found = gather(data, groups=["g", "g"], source=source)
    assert found.texts == ["a", "b"]
    assert found.groups.tolist() == [0, 0]
    assert found.source == ["c"]
    assert (found.scoring, found.seed) == ("accuracy", 7)
    assert found.predictions is None


def test_an_encoder_is_named_once_with_all_that_read_it(data):
    def candidate(name, **options):
        encoder = BertFeaturizer("some/model", **options)
        return Candidate(name, "given", make_pipeline(encoder, LogisticRegression()))

    candidates = [
        candidate("one"),
        candidate("two", pooling="cls"),
        candidate("windows", long_text="window"),
        Candidate("none", "given", LogisticRegression()),
    ]
    readings = gather(data, candidates=candidates).readings
    assert [reading.strategies for reading in readings] == [
        ("one", "two"),
        ("windows",),
    ]


def test_values_are_numbered_as_they_come():
    assert number_values(["b", None, "b", "a"]).tolist() == [0, 1, 0, 2]
