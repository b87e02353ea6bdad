import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sktransfer.encoders.checkpoints import find_checkpoint, load_module
from sktransfer.exceptions import CheckpointError
from sktransfer.finetune import bodies
from sktransfer.finetune.bodies import TransformerBody
from sktransfer.finetune.inputs import TokenInput

TEXTS = ["good", "the plot is bad and boring", "", "awful camera !"]


def body_of(encoder):
    return TransformerBody(
        encoder.checkpoint_,
        pooling=encoder.pooling_,
        layers=encoder.layers,
        normalize=encoder.normalize,
    )


def features(body, encoder):
    rows = TokenInput(encoder).rows(TEXTS)
    with torch.no_grad():
        return body.eval()(**rows.batch(np.arange(len(TEXTS)))).numpy()


class TestAgreement:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"pooling": ("cls", "max", "mean")},
            {"normalize": True},
            {"layers": 1},
            {"layers": 2},
            {"layers": np.int64(-2)},
            {"layers": (-1, 0)},
            {"layers": [1, 2]},
            {"prefix": "not ", "max_length": 5},
            {"max_length": 5, "long_text": "head_tail"},
        ],
    )
    def test_an_untrained_body_gives_what_the_featurizer_gives(self, bert, parameters):
        encoder = bert(**parameters).fit(TEXTS)
        np.testing.assert_allclose(
            features(body_of(encoder), encoder), encoder.transform(TEXTS), atol=1e-5
        )


class TestOwnership:
    def test_a_twin_has_its_parameters_and_none_of_its_modules(self, bert):
        encoder = bert().fit(TEXTS)
        body = body_of(encoder).train()
        twin = body.twin()
        ours, theirs = dict(body.named_parameters()), dict(twin.named_parameters())
        assert ours.keys() == theirs.keys()
        assert all(theirs[name] is parameter for name, parameter in ours.items())
        assert not {*map(id, body.modules())} & {*map(id, twin.modules())}
        assert body.training
        assert not any(part.training for part in twin.modules())
        np.testing.assert_array_equal(features(twin, encoder), features(body, encoder))

    def test_a_body_is_a_copy(self, bert):
        encoder = bert().fit(TEXTS)
        shared = load_module(
            encoder.checkpoint_, device=torch.device("cpu"), dtype=torch.float32
        )
        theirs = {p.data_ptr() for p in shared.parameters()}
        ours = {p.data_ptr() for p in body_of(encoder).parameters()}
        assert not ours & theirs

    def test_training_leaves_frozen_features_as_they_are(
        self, make, bert, sentiment_texts
    ):
        before = bert(cache=None).fit_transform(TEXTS)
        make(strategy="fine_tune", encoder_learning_rate=0.1).fit(*sentiment_texts)
        after = bert(cache=None).fit_transform(TEXTS)
        np.testing.assert_array_equal(before, after)


class TestPickles:
    @pytest.fixture
    def folder(self, tiny_bert, tmp_path):
        return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))

    @pytest.fixture
    def body(self, bert, folder):
        body = body_of(bert(model=folder).fit(TEXTS))
        body.let_learn(body.blocks()[-1].parameters())
        with torch.no_grad():
            for parameter in body.blocks()[-1].parameters():
                parameter += 0.1
        return body

    def test_they_hold_what_was_tuned_and_nothing_else(self, body):
        tuned = sum(tensor.nbytes for tensor in body.tuned_tensors().values())
        assert tuned < len(pickle.dumps(body)) < tuned + 10_000

    def test_a_copy_gives_the_same(self, body, bert, folder):
        encoder = bert(model=folder).fit(TEXTS)
        copy = pickle.loads(pickle.dumps(body))
        np.testing.assert_array_equal(features(copy, encoder), features(body, encoder))
        assert copy.tuned == body.tuned

    def test_other_weights_in_the_folder_are_refused(
        self, body, folder, other_tiny_bert
    ):
        stored = pickle.dumps(body)
        shutil.copy(Path(other_tiny_bert, "model.safetensors"), folder)
        assert find_checkpoint(folder).digest != body.checkpoint.digest
        with pytest.raises(
            CheckpointError, match="not those that this model was tuned"
        ):
            pickle.loads(stored)

    def test_the_revision_is_asked_for_again(self, body, monkeypatch):
        asked = []

        def find(name, **options):
            asked.append((name, options))
            return body.checkpoint

        monkeypatch.setattr(bodies, "find_checkpoint", find)
        body.checkpoint = dataclasses.replace(body.checkpoint, revision="v2")
        pickle.loads(pickle.dumps(body))
        assert asked == [(body.checkpoint.name, {"revision": "v2"})]

    def test_weights_that_are_gone_are_named(self, body, folder):
        stored = pickle.dumps(body)
        shutil.rmtree(folder)
        with pytest.raises(CheckpointError, match="bert"):
            pickle.loads(stored)

    def test_opening_one_draws_no_random_number(self, body):
        stored, state = pickle.dumps(body), torch.get_rng_state()
        pickle.loads(stored)
        assert torch.equal(torch.get_rng_state(), state)
