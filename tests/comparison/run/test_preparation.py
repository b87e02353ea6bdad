import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.comparison.run.preparation import (
    EncodingCosts,
    share_vectors,
    unshare_vectors,
)
from sktransfer.comparison.setup.candidates import Candidate, cost_of
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer

TEXTS = ["a good film", "a bad film", "good", "bad plot"]


class OwnFeaturizer(BertFeaturizer):
    """As users write them."""


@pytest.fixture(params=[BertFeaturizer, OwnFeaturizer])
def frozen(request, tiny_bert):
    memory_store().clear()
    encoder = request.param(tiny_bert, device="cpu", dtype="float32")
    return make_pipeline(encoder, LogisticRegression())


def test_a_subclass_costs_what_its_class_does(frozen):
    assert cost_of(Candidate("own", "given", frozen)) == 30


def test_vectors_are_made_once_for_all_and_charged_to_each(frozen):
    costs = EncodingCosts(TEXTS)
    before = n_texts_encoded()
    charges = [costs.charge(frozen) for _ in range(2)]
    assert n_texts_encoded() - before == len(TEXTS)
    assert charges[0] == charges[1]
    assert charges[0].train == charges[0].test > 0
    assert costs.find_encoder([LogisticRegression(), frozen]) is frozen[0]


def test_workers_share_a_folder_that_is_forgotten(frozen, tmp_path):
    (sharing,) = share_vectors([Candidate("own", "given", frozen)], tmp_path)
    assert sharing.estimator[0].cache == tmp_path
    assert frozen[0].cache == "memory"
    fitted = sharing.estimator.fit(TEXTS, np.array([1, 0, 1, 0]))
    assert any(tmp_path.iterdir())
    assert unshare_vectors(fitted, tmp_path)[0].cache == "memory"
