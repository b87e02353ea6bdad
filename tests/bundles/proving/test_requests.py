"""Requests of metadata come back, whoever asks, and forged ones are refused."""

from __future__ import annotations

import json

import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from sktransfer.baselines.vader import VaderClassifier
from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.exceptions import ModelFolderError


def written(value):
    """What a folder would hold of a value: its JSON, objects, tensors and parts."""
    packer = Packer()
    packed, objects = json.loads(json.dumps([packer.pack(value), packer.objects]))
    return packed, objects, packer.tensors, packer.parts


def read(packed, objects, tensors, parts):
    return Unpacker(objects, tensors, parts).unpack(packed)


ASKING = {
    "estimator": lambda: LogisticRegression().set_fit_request(sample_weight=True),
    "with another name": lambda: StandardScaler().set_fit_request(sample_weight="w"),
    "ours": lambda: TransferSentimentClassifier().set_fit_request(X_val=True),
    "a baseline": lambda: VaderClassifier().set_score_request(sample_weight=False),
    "network": lambda: MLPClassifier().set_score_request(sample_weight=True),
    "scorer": lambda: make_scorer(f1_score).set_score_request(sample_weight=True),
    "splitter": lambda: GroupKFold(2).set_split_request(groups="shops"),
}


@pytest.mark.parametrize("name", ASKING)
def test_each_asks_for_the_same_again(name):
    with sklearn.config_context(enable_metadata_routing=True):
        value = ASKING[name]()
        again = read(*written(value))
        expected = value.get_metadata_routing()._serialize()
        assert again.get_metadata_routing()._serialize() == expected
        assert again._metadata_request._serialize() == expected


def test_who_never_asked_has_no_requests():
    assert not hasattr(read(*written(LogisticRegression())), "_metadata_request")


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"fit": ["sample_weight"]},
        {"__class__": {"is": "dict", "keys": ["a"], "values": [True]}},
        {"fit": {"sample_weight": 1}},
        {"fit": {"sample_weight": "no name"}},
        {"fit": {"sample weight": True}},
        {"fit": {"sample_weight": {"is": "dict"}}},
    ],
)
@pytest.mark.parametrize("name", ["estimator", "network", "scorer"])
def test_forged_requests_are_refused(name, forged):
    with sklearn.config_context(enable_metadata_routing=True):
        packed, objects, tensors, parts = written(ASKING[name]())
    (packed if packed["is"] == "skops" else objects[0])["requests"] = forged
    with pytest.raises(ModelFolderError, match="no requests of metadata"):
        read(packed, objects, tensors, parts)


@pytest.mark.parametrize("ours", [True, False])
def test_requests_do_not_stand_among_what_was_fitted(ours):
    model = TransferSentimentClassifier() if ours else LogisticRegression()
    packed, objects, *rest = written(model)
    values = {"is": "dict", "keys": ["_metadata_request"], "values": [1]}
    objects[0]["fields"]["fitted"] = values
    with pytest.raises(ModelFolderError, match="among what was fitted"):
        read(packed, objects, *rest)
