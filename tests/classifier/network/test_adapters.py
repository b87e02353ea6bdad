import copy
import pickle
import sys

import numpy as np
import pytest
import torch
import transformers
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sktransfer.classifier.network.adapters import (
    add_adapters,
    choose_layers,
    is_adapter,
)
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.strategies.lora import LORA
from sktransfer.classifier.training.settings import Settings
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidParameterError, MissingExtraError

pytest.importorskip("peft")

LAYER = 4 * (32 + 32) + 2 * (32 + 64)  # rows and columns of a layer's six matrices


def body_of(encoder, **parameters):
    encoder.fit(["x"])
    return TransformerBody(encoder.checkpoint_, pooling=("mean",), **parameters).eval()


def features(body):
    ids = torch.arange(24).reshape(4, 6)
    with torch.no_grad():
        return body(input_ids=ids, attention_mask=torch.ones_like(ids))


def teach(body, seed=0):
    """Let adapters differ from nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in body.adapters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    body.let_learn(body.adapters())


@pytest.fixture
def body(bert):
    """The tiny BERT with adapters of rank 2 that have learnt something."""
    body = body_of(bert())
    body.adapt(2)
    teach(body)
    return body


class TestAdapters:
    def test_they_stand_beside_all_linear_layers_of_the_blocks(self, bert):
        body = body_of(bert())
        body.adapt(2)
        assert len(body.adaptation["targets"]) == 2 * 6
        assert body.adaptation["rank"] == 2
        assert sum(p.numel() for p in body.adapters()) == 2 * 2 * LAYER

    def test_new_ones_change_nothing(self, bert):
        body = body_of(bert())
        before = features(body)
        body.adapt(2)
        torch.testing.assert_close(features(body), before)

    def test_merged_ones_give_the_same(self, body):
        before = features(body)
        body.merge()
        calls = []
        adapter = body.transformer.encoder.layer[0].attention.self.query.lora_A.default
        adapter.register_forward_hook(lambda *_: calls.append(1))
        torch.testing.assert_close(features(body), before, atol=1e-5, rtol=1e-5)
        assert not calls

    def test_taking_them_up_again_gives_the_weights_back_to_the_bit(self, body):
        weight = body.transformer.encoder.layer[0].output.dense.base_layer.weight
        before = weight.detach().clone()
        body.merge()
        assert not torch.equal(weight, before)
        body.adapt(2)
        assert torch.equal(weight, before)

    def test_folded_ones_are_gone_and_give_the_same(self, body):
        before = features(body)
        body.fold()
        assert body.adaptation is None
        assert not any(is_adapter(name) for name, _ in body.named_parameters())
        torch.testing.assert_close(features(body), before, atol=1e-5, rtol=1e-5)
        assert len(body.tuned) == 12

    def test_another_rank_folds_what_was_learnt(self, body):
        before = features(body)
        body.adapt(3)
        assert body.adaptation["rank"] == 3
        torch.testing.assert_close(features(body), before, atol=1e-5, rtol=1e-5)

    def test_what_has_been_learnt_makes_a_new_body_give_the_same(self, body, bert):
        before = features(body)
        body.merge()
        other = body_of(bert(), adaptation=body.adaptation)
        other.take_tuned(body.tuned_tensors())
        torch.testing.assert_close(features(other), before, atol=1e-5, rtol=1e-5)
        assert all(is_adapter(name) for name in body.tuned_tensors())

    def test_so_do_weights_tuned_before_there_were_adapters(self, body, bert):
        body.fold()
        body.adapt(2)
        teach(body, seed=1)
        before = features(body)
        body.merge()
        tuned = body.tuned_tensors()
        assert len(tuned) == 12 + 24
        other = body_of(bert(), adaptation=body.adaptation)
        other.take_tuned(tuned)
        torch.testing.assert_close(features(other), before, atol=1e-5, rtol=1e-5)

    def test_merged_tensors_suit_a_body_without_adapters(self, body, bert):
        other = body_of(bert())
        other.take_tuned(body.merged_tensors())
        torch.testing.assert_close(
            features(other), features(body), atol=1e-5, rtol=1e-5
        )

    def test_building_them_again_draws_no_random_number(self, body, bert):
        state = torch.get_rng_state()
        body_of(bert(), adaptation=body.adaptation)
        pickle.loads(pickle.dumps(body))
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_model_without_linear_layers_is_refused(self):
        empty = torch.nn.Sequential(torch.nn.Embedding(3, 2))
        with pytest.raises(InvalidParameterError, match="Sequential has none"):
            choose_layers(empty, [empty], 2)

    def test_a_missing_package_names_the_extra(self, bert, monkeypatch):
        body = body_of(bert())
        adaptation = choose_layers(body.transformer, body.blocks(), 2)
        monkeypatch.setitem(sys.modules, "peft", None)
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name, *_: None if name == "peft" else 1
        )
        with pytest.raises(MissingExtraError, match=r"sktransfer\[lora\]"):
            add_adapters(body.transformer, adaptation)


class TestArchitectures:
    @pytest.mark.parametrize(
        ("config", "options", "n_layers"),
        [
            (transformers.RobertaConfig, {}, 12),
            (
                transformers.DistilBertConfig,
                {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
                12,
            ),
            (transformers.ElectraConfig, {"embedding_size": 16}, 12),
            (transformers.MPNetConfig, {}, 12),
            (transformers.DebertaV2Config, {"relative_attention": True}, 12),
            (transformers.ModernBertConfig, {"cls_token_id": 2, "sep_token_id": 3}, 8),
            # One set of weights for both layers, and what widens the embeddings.
            (transformers.AlbertConfig, {"embedding_size": 16}, 7),
        ],
    )
    def test_each_has_adapters_that_learn(
        self, save_encoder, make, sentiment_texts, config, options, n_layers
    ):
        texts, labels = sentiment_texts
        encoder = save_encoder(config, **options)
        model = make(encoder=encoder, strategy="lora", max_epochs=1)
        model.fit(texts[:32], labels[:32])
        body = model.net_.module_.body
        assert len(body.adaptation["targets"]) == n_layers
        learnt = body.tuned_tensors()
        assert all(t.abs().max() > 0 for name, t in learnt.items() if "lora_B" in name)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(
            copied.decision_function(texts), model.decision_function(texts), atol=1e-5
        )


class TestClassifier:
    @pytest.fixture
    def fitted(self, make, sentiment_texts):
        """A model with adapters that have learnt."""
        model = make(
            strategy="lora", encoder_learning_rate=1e-2, activation="tanh", dropout=0.0
        )
        return model.fit(*sentiment_texts)

    def test_adapters_and_head_learn_and_nothing_else(self, fitted, bert):
        body = fitted.net_.module_.body
        head = 32 * 4 + 4 + 4 + 1
        assert fitted.n_trainable_parameters_ == head + 2 * 8 * LAYER
        pretrained = dict(body_of(bert()).named_parameters())
        state = copy.deepcopy(body)
        state.adapt(8)  # gives the weights beside the adapters back
        for name, parameter in state._plain_parameters():
            if is_adapter(name):
                assert parameter.abs().max() > 0
            else:
                assert torch.equal(parameter, pretrained[name])

    def test_the_rank_decides_how_many(self, make, sentiment_texts):
        model = make(strategy="lora", lora_rank=3, max_epochs=1).fit(*sentiment_texts)
        learning = model.net_.module_.learning_tensors()
        assert sum(t.numel() for n, t in learning.items() if is_adapter(n)) == (
            2 * 3 * LAYER
        )

    def test_prediction_runs_no_adapters(self, fitted, sentiment_texts):
        body = fitted.net_.module_.body
        assert all(
            layer.merged
            for layer in body.modules()
            if hasattr(layer, "merged_adapters")
        )

    def test_a_pickle_holds_adapters_and_head(self, fitted, sentiment_texts):
        texts, _ = sentiment_texts
        learnt = sum(t.nbytes for t in fitted.net_.module_.learning_tensors().values())
        assert len(pickle.dumps(fitted.net_.module_)) < learnt + 12_000
        copied = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_allclose(
            copied.decision_function(texts), fitted.decision_function(texts), atol=1e-5
        )

    def test_the_same_seed_gives_the_same_model(self, fitted, sentiment_texts):
        again = clone(fitted).fit(*sentiment_texts)
        texts, _ = sentiment_texts
        np.testing.assert_array_equal(
            again.decision_function(texts), fitted.decision_function(texts)
        )

    def test_layers_learn_at_falling_rates(self, make, sentiment_texts):
        model = make(strategy="lora", layer_decay=0.5, max_epochs=1)
        model.fit(*sentiment_texts)
        groups = model.net_.optimizer_.param_groups
        assert {group["initial_lr"] for group in groups} == {1e-3, 5e-4, 5e-3}

    def test_the_best_epoch_is_restored(self, make, sentiment_texts):
        model = make(strategy="lora", early_stopping=True, max_epochs=3, calibrate=True)
        texts, labels = sentiment_texts
        model.fit(texts[:60], labels[:60], X_val=texts[60:], y_val=labels[60:])
        logits = model.decision_function(texts[60:])
        y = labels[60:] == "pos"
        loss = np.logaddexp(0, np.where(y, -logits, logits)).mean()
        assert loss == pytest.approx(min(model.history_[:, "valid_loss"]), rel=1e-3)

    def test_windows(self, make, bert, sentiment_texts):
        encoder = bert(max_length=5, long_text="window")
        model = make(encoder=encoder, strategy="lora").fit(*sentiment_texts)
        assert np.isfinite(model.decision_function(sentiment_texts[0])).all()

    def test_a_warm_start_goes_on_from_the_adapters(self, fitted, sentiment_texts):
        texts, labels = sentiment_texts
        before = fitted.decision_function(texts)
        fitted.set_params(
            warm_start=True, encoder_learning_rate=0.0, head_learning_rate=0.0
        )
        fitted.fit(texts, labels)
        np.testing.assert_allclose(fitted.decision_function(texts), before, atol=1e-5)

    @pytest.mark.parametrize(
        "changed",
        [
            {"strategy": "fine_tune"},
            {"strategy": "feature_extraction"},
            {"strategy": "partial", "n_trainable_layers": 1},
            {"lora_rank": 2},
        ],
    )
    def test_so_it_does_under_another_strategy(self, fitted, sentiment_texts, changed):
        texts, labels = sentiment_texts
        before = fitted.decision_function(texts)
        rates = {"encoder_learning_rate": 0.0, "head_learning_rate": 0.0}
        fitted.set_params(warm_start=True, **rates, **changed).fit(texts, labels)
        np.testing.assert_allclose(fitted.decision_function(texts), before, atol=1e-4)
        copied = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_allclose(copied.decision_function(texts), before, atol=1e-4)

    def test_partial_fit_goes_on_from_call_to_call(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        # Not so fast that all hidden units of the head fall silent for good.
        model = make(strategy="lora", encoder_learning_rate=1e-3)
        model.partial_fit(texts, labels, classes=["neg", "pos"])
        optimizer = model.net_.optimizer_
        before = model.decision_function(texts)
        model.partial_fit(texts, labels)
        assert model.net_.optimizer_ is optimizer
        assert np.abs(model.decision_function(texts) - before).max() > 1e-3
        adapter = model.net_.module_.body.adapters()[1]
        held = model.net_.module_.body.tuned_tensors()
        model.set_params(lora_rank=2).partial_fit(texts, labels)
        assert model.net_.optimizer_ is not optimizer
        now = model.net_.module_.body.adapters()
        assert adapter is not now[1]
        assert all(p.abs().max() > 0 for p in now)
        assert held

    @pytest.mark.parametrize(
        "target", ["lora", "fine_tune", "partial", "feature_extraction", "gradual"]
    )
    def test_a_target_starts_from_what_the_source_gives(
        self, fitted, make, sentiment_texts, target
    ):
        texts, labels = sentiment_texts
        before = fitted.decision_function(texts)
        model = make(
            strategy=target,
            activation="tanh",
            init_from=FrozenEstimator(fitted),
            encoder_learning_rate=0.0,
            head_learning_rate=0.0,
        ).fit(texts, labels)
        np.testing.assert_allclose(model.decision_function(texts), before, atol=1e-4)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_allclose(copied.decision_function(texts), before, atol=1e-4)
        np.testing.assert_allclose(fitted.decision_function(texts), before, atol=1e-6)

    def test_l2_sp_pulls_the_adapters_back_to_the_source(
        self, fitted, make, sentiment_texts
    ):
        texts, labels = sentiment_texts
        options = {
            "strategy": "lora",
            "activation": "tanh",
            "init_from": FrozenEstimator(fitted),
            "encoder_learning_rate": 1e-2,
        }
        sizes = []
        for strength in (0.0, 90.0):
            model = make(l2_sp=strength, **options).fit(texts, labels)
            learnt = model.net_.module_.body.tuned_tensors()
            sizes.append(sum(t.norm() for n, t in learnt.items() if "lora_B" in n))
        assert sizes[1] < 0.5 * sizes[0]

    def test_word_vectors_have_no_layers(self, make, words, sentiment_texts):
        model = make(encoder=words(), strategy="lora")
        with pytest.raises(InvalidParameterError, match="'lora' chooses among layers"):
            model.fit(*sentiment_texts)


def test_adapters_learn_at_a_rate_of_their_own():
    assert Settings.resolve(LORA, 100, 384).encoder_learning_rate == 1e-3


def test_unread_layers_have_no_adapters(bert):
    body = body_of(BertFeaturizer(bert().model, layers=1), layers=1)
    body.adapt(2)
    assert len(body.adaptation["targets"]) == 6
