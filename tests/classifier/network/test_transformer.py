import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sktransfer.classifier.data.rows import TokenInput
from sktransfer.classifier.network import transformer as bodies
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.checkpoints.weights import share_table
from sktransfer.encoders.loaded_models import load_module
from sktransfer.exceptions import CheckpointError

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


@pytest.fixture(scope="session")
def half_bert(tiny_bert, tmp_path_factory):
    """The tiny BERT with its weights in float16."""
    folder = tmp_path_factory.mktemp("half") / "bert"
    shutil.copytree(tiny_bert, folder)
    tensors = load_file(folder / "model.safetensors")
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


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
        body = body_of(encoder)
        theirs = {p.data_ptr() for p in shared.parameters()}
        ours = {p.data_ptr() for p in body.parameters()}
        assert ours & theirs == {body.token_table().data_ptr()}

    @pytest.mark.parametrize("half", [False, True])
    @pytest.mark.parametrize("train_embeddings", [False, True])
    @pytest.mark.parametrize("strategy", ["fine_tune", "gradual", "contrastive"])
    def test_training_leaves_frozen_features_as_they_are(
        self, make, bert, sentiment_texts, half_bert, half, train_embeddings, strategy
    ):
        options = {"model": half_bert} if half else {}
        encoder = bert(cache=None, **options).fit(TEXTS)
        table = share_table(encoder.checkpoint_.digest, encoder.checkpoint_.folder)
        before, rows = encoder.transform(TEXTS), table.clone()
        model = make(
            strategy=strategy,
            encoder=encoder,
            encoder_learning_rate=0.1,
            train_embeddings=train_embeddings,
            max_epochs=4,
        ).fit(*sentiment_texts)
        np.testing.assert_array_equal(before, encoder.transform(TEXTS))
        assert torch.equal(table, rows)
        own = model.net_.module_.body.token_table()
        if train_embeddings:
            assert own.dtype == torch.float32
            assert not torch.equal(own, table.float())
        else:
            assert own.data_ptr() == table.data_ptr()
        copy = pickle.loads(pickle.dumps(model))
        assert (
            copy.net_.module_.body.token_table().data_ptr() == table.data_ptr()
        ) is not train_embeddings
        np.testing.assert_allclose(
            copy.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-6
        )

    @pytest.mark.parametrize("strategy", ["fine_tune", "partial", "lora"])
    def test_a_target_goes_on_from_a_table_that_learnt(
        self, make, bert, sentiment_texts, half_bert, strategy
    ):
        encoder = bert(model=half_bert)
        source = make(encoder=encoder, strategy="fine_tune", train_embeddings=True).fit(
            *sentiment_texts
        )
        learnt = source.net_.module_.body.token_table().detach().clone()
        target = make(
            encoder=encoder, strategy=strategy, init_from=source, l2_sp=0.1
        ).fit(*sentiment_texts)
        found = target.net_.module_.body.token_table()
        assert torch.equal(found, learnt)
        assert found.data_ptr() != source.net_.module_.body.token_table().data_ptr()
        table = share_table(
            target.encoder_.checkpoint_.digest, target.encoder_.checkpoint_.folder
        )
        assert not torch.equal(found, table.float())

    def test_a_pull_to_the_source_takes_the_table_in_any_format(
        self, make, bert, sentiment_texts, half_bert
    ):
        encoder, (texts, labels) = bert(model=half_bert), sentiment_texts
        options = {"encoder": encoder, "train_embeddings": True}
        source = make(**options, strategy="feature_extraction").fit(texts, labels)
        model = make(**options, strategy="fine_tune", init_from=source, l2_sp=0.1)
        model.partial_fit(texts, labels, classes=["neg", "pos"])
        model.partial_fit(texts, labels)
        assert model.net_.module_.body.token_table().dtype == torch.float32


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
