import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from transformers import AlbertConfig, AlbertModel, AutoConfig

from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.training.settings import (
    TUNED,
    RatesByStep,
    Settings,
    WarmupDecay,
)
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidParameterError


class WhatChanges(Callback):
    """Note after each epoch which parts of the network are no longer as before it."""

    def __init__(self):
        self.epochs = []
        self.training = []

    def on_train_begin(self, net, **kwargs):
        self.before = self.tensors(net)

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            blocks = net.module_.body.blocks()
            self.modes = [any(m.training for m in block.modules()) for block in blocks]

    def on_epoch_end(self, net, **kwargs):
        now = self.tensors(net)
        self.epochs.append(
            {part for part in now if not torch.equal(now[part], self.before[part])}
        )
        self.training.append(self.modes)
        self.before = now

    def tensors(self, net):
        body = net.module_.body
        bottom, top = body.blocks()
        positions = body.transformer.embeddings.position_embeddings.weight
        parts = {
            "head": net.module_.head.output.weight,
            "top": top.attention.output.dense.weight,
            "bottom": bottom.attention.output.dense.weight,
            "positions": positions,
            "table": body.token_table(),
        }
        return {part: tensor.detach().clone() for part, tensor in parts.items()}


EPOCHS = [
    {"head"},
    {"head", "top"},
    {"head", "top", "bottom", "positions"},
    {"head", "top", "bottom", "positions"},
]


@pytest.fixture
def fitted(make, sentiment_texts):
    """A model fitted by gradual unfreezing, and what changed in which epoch."""

    def fitted(n=32, **parameters):
        texts, labels = sentiment_texts
        watch = WhatChanges()
        options = {"strategy": "gradual", "max_epochs": 4, "callbacks": [watch]}
        model = make(**options | parameters).fit(texts[:n], labels[:n])
        return model, watch

    return fitted


class TestWhatLearns:
    def test_one_layer_more_each_epoch(self, fitted):
        model, watch = fitted()
        assert watch.epochs == EPOCHS
        assert model.history_[:, "n_trainable_layers"] == [0, 1, 2, 2]

    def test_resting_layers_stay_in_evaluation_mode(self, fitted):
        _, watch = fitted()
        modes = [[False, False], [False, True], [True, True], [True, True]]
        assert watch.training == modes

    def test_the_token_table_joins_with_the_lowest_layer(self, fitted):
        _, watch = fitted(train_embeddings=True)
        assert watch.epochs == [
            *EPOCHS[:2],
            *[epoch | {"table"} for epoch in EPOCHS[2:]],
        ]

    def test_in_the_end_as_many_learn_as_in_fine_tune(self, fitted):
        model, _ = fitted()
        other, _ = fitted(strategy="fine_tune")
        assert model.n_trainable_parameters_ == other.n_trainable_parameters_

    @pytest.mark.parametrize(("n_epochs", "learnt"), [(1, 0), (2, 1), (3, 2)])
    def test_with_few_epochs_the_lowest_layers_never_learn(
        self, fitted, n_epochs, learnt
    ):
        model, _ = fitted(max_epochs=n_epochs)
        body = model.net_.module_.body
        learning = [
            any(p.requires_grad for p in block.parameters()) for block in body.blocks()
        ]
        assert sum(learning) == learnt
        pretrained = dict(
            TransformerBody(body.checkpoint, pooling=("mean",)).named_parameters()
        )
        changed = {
            parameter.requires_grad
            for name, parameter in body.named_parameters()
            if not torch.equal(parameter, pretrained[name])
        }
        assert changed <= {True}
        head = sum(p.numel() for p in model.net_.module_.head.parameters())
        assert (model.n_trainable_parameters_ == head) == (learnt == 0)

    def test_a_pickle_predicts_the_same(self, fitted, sentiment_texts):
        model, _ = fitted()
        model.set_params(callbacks=None)
        copy = pickle.loads(pickle.dumps(model))
        texts, _ = sentiment_texts
        np.testing.assert_allclose(
            copy.decision_function(texts), model.decision_function(texts), atol=1e-6
        )


class TestBestEpoch:
    def test_layers_that_joined_after_it_are_as_they_were(
        self, fitted, sentiment_texts
    ):
        # Rates this high spoil everything as soon as the first layer joins.
        model, _ = fitted(
            n=96,
            early_stopping=True,
            n_iter_no_change=9,
            encoder_learning_rate=1.0,
            max_epochs=4,
        )
        losses = model.history_[:, "valid_loss"]
        best = int(np.argmin(losses))
        assert best < 3
        body = model.net_.module_.body
        pretrained = TransformerBody(body.checkpoint, pooling=("mean",))
        joined_later = pretrained.blocks()[: 2 - best]
        for ours, theirs in zip(body.blocks(), joined_later, strict=False):
            for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                assert torch.equal(one, other)

    def test_it_may_stop_before_all_have_joined(self, fitted):
        model, _ = fitted(
            n=96,
            early_stopping=True,
            n_iter_no_change=1,
            encoder_learning_rate=0.0,
            head_learning_rate=0.0,
        )
        assert model.history_[:, "n_trainable_layers"] == [0, 1]


class TestRates:
    def optimizer(self):
        groups = [
            {"params": [torch.zeros(1, requires_grad=True)], "lr": 1.0, "joins": joins}
            for joins in (0, 1, 2)
        ]
        return torch.optim.AdamW(groups)

    def rates(self, n_epochs, steps_an_epoch=10):
        optimizer = self.optimizer()
        n_steps = n_epochs * steps_an_epoch
        schedule = RatesByStep(
            optimizer,
            n_steps=n_steps,
            steps_an_epoch=steps_an_epoch,
            warmup_fraction=0.1,
        )
        found = []
        for _ in range(n_steps):
            found.append([group["lr"] for group in optimizer.param_groups])
            optimizer.step()
            schedule.step()
        return np.array(found).T

    def test_a_group_warms_up_when_it_joins(self):
        head, top, bottom = self.rates(4)
        np.testing.assert_allclose(head[:6], [0.25, 0.5, 0.75, 1, 1, 1])
        assert (top[:10] == 0).all()
        np.testing.assert_allclose(top[10:14], [1 / 3, 2 / 3, 1, 1])
        assert (bottom[:20] == 0).all()
        np.testing.assert_allclose(bottom[20:23], [0.5, 1, 1])

    def test_all_fall_once_the_last_has_joined(self):
        head, top, bottom = self.rates(4)
        assert (head[4:23] == 1).all()
        np.testing.assert_allclose(head[22:], top[22:])
        np.testing.assert_allclose(head[22:], bottom[22:])
        assert (np.diff(head[22:]) < 0).all()
        assert head[-1] < 0.1

    def test_those_whose_turn_never_comes_count_for_nothing(self):
        head, top, bottom = self.rates(2)
        assert (bottom == 0).all()
        assert head[-1] < 0.2
        assert top.max() == 1

    def test_where_all_join_at_once_it_is_the_usual_schedule(self):
        usual = [WarmupDecay(40, 0.1)(step) for step in range(40)]
        optimizer = torch.optim.AdamW(
            [{"params": [torch.zeros(1, requires_grad=True)], "lr": 1.0, "joins": 0}]
        )
        schedule = RatesByStep(
            optimizer, n_steps=40, steps_an_epoch=10, warmup_fraction=0.1
        )
        found = [schedule.lr_lambdas[0](step) for step in range(40)]
        assert found == usual


class TestLength:
    @pytest.mark.parametrize(("n_rows", "epochs"), [(3200, 9), (300, 9), (100, 15)])
    def test_auto_leaves_three_epochs_for_all_layers(self, n_rows, epochs):
        assert Settings.resolve(TUNED, n_rows, 384, n_stages=6).max_epochs == epochs


class TestOtherCalls:
    def test_a_warm_start_begins_with_the_head_again(self, fitted, sentiment_texts):
        model, _ = fitted()
        texts, labels = sentiment_texts
        watch = WhatChanges()
        model.set_params(warm_start=True, callbacks=[watch], max_epochs=3)
        model.fit(texts, labels)
        assert watch.epochs == EPOCHS[:3]
        assert model.history_[:, "n_trainable_layers"][-3:] == [0, 1, 2]

    def test_one_pass_of_partial_fit_trains_all_layers(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        watch = WhatChanges()
        model = make(strategy="gradual", callbacks=[watch])
        model.partial_fit(texts, labels, classes=["neg", "pos"])
        assert watch.epochs == [EPOCHS[-1]]

    def test_layers_that_share_their_weights(self, tmp_path, tiny_bert, make):
        config = AlbertConfig(
            vocab_size=AutoConfig.from_pretrained(tiny_bert).vocab_size,
            embedding_size=16,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        AlbertModel(config).save_pretrained(tmp_path)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Path(tiny_bert, name), tmp_path)
        model = make(encoder=BertFeaturizer(str(tmp_path)), strategy="gradual")
        with pytest.raises(InvalidParameterError, match="'gradual' chooses among"):
            model.fit(["good", "bad"], [1, 0])

    def test_word_vectors_have_one_layer_only(self, make, words, sentiment_texts):
        model = make(encoder=words(), strategy="gradual")
        with pytest.raises(InvalidParameterError, match="'gradual' chooses among"):
            model.fit(*sentiment_texts)
