import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback
from transformers import AlbertConfig, AlbertModel, AutoConfig

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.network.network import HeadLayout, TransferNetwork
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.parameters import FitOptions
from sktransfer.classifier.strategies.base import tuned_defaults
from sktransfer.classifier.strategies.registry import STRATEGIES as REGISTERED
from sktransfer.classifier.training.net import parameter_groups
from sktransfer.classifier.training.settings import (
    FROZEN,
    TUNED,
    TUNED_BY_FEW,
    TUNED_BY_PLENTY,
)
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import InvalidParameterError


@pytest.fixture
def network(bert):
    """The tiny BERT under a head of two hidden units."""
    encoder = bert().fit(["x"])
    body = TransformerBody(encoder.checkpoint_, pooling=encoder.pooling_)
    return TransferNetwork(HeadLayout(32, (2,), 1, "relu", 0.5), body)


def apply_strategy(network, strategy, **options):
    """What a fit under `strategy` does to the network before it learns."""
    model = TransferSentimentClassifier(strategy=strategy, **options)
    REGISTERED[strategy].apply(network, FitOptions.of(model))


def learnt(network, step=True):
    """Names of the parameters that a step of training changes."""
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    groups = parameter_groups(
        network, encoder_learning_rate=0.1, head_learning_rate=0.1, weight_decay=0.01
    )
    optimizer = torch.optim.AdamW(groups)
    network.train()
    ids = torch.arange(24).reshape(4, 6)
    network(input_ids=ids, attention_mask=torch.ones_like(ids)).sum().backward()
    optimizer.step()
    return {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}


def parts(names):
    """Which parts of the network the parameters belong to."""
    where = {
        "layer.0.": "bottom",
        "layer.1.": "top",
        "word_embeddings": "table",
        "embeddings.": "embeddings",
        "head.": "head",
    }
    return {next(part for key, part in where.items() if key in n) for n in names}


STRATEGIES = [
    ("feature_extraction", {}, {"head"}),
    ("partial", {"n_trainable_layers": 1}, {"head", "top"}),
    ("partial", {"n_trainable_layers": 2}, {"head", "top", "bottom"}),
    ("fine_tune", {}, {"head", "top", "bottom", "embeddings"}),
    (
        "fine_tune",
        {"train_embeddings": True},
        {"head", "top", "bottom", "embeddings", "table"},
    ),
]


@pytest.mark.parametrize(("strategy", "options", "expected"), STRATEGIES)
class TestWhatLearns:
    def test_a_step_changes_these_parts_and_no_others(
        self, network, strategy, options, expected
    ):
        apply_strategy(network, strategy, **options)
        names = learnt(network)
        assert parts(names) == expected
        assert names <= set(network.learning_tensors())
        assert set(network.body.tuned_tensors()) == {
            name.removeprefix("body.")
            for name in network.learning_tensors()
            if name.startswith("body.")
        }

    def test_what_does_not_learn_stays_in_evaluation_mode(
        self, network, strategy, options, expected
    ):
        apply_strategy(network, strategy, **options)
        network.train()
        layers = network.body.blocks()
        modes = {
            "bottom": any(part.training for part in layers[0].modules()),
            "top": any(part.training for part in layers[1].modules()),
            "head": network.head.training,
        }
        assert {part for part, training in modes.items() if training} == (
            expected & {"bottom", "top", "head"}
        )

    def test_another_strategy_undoes_the_last_one(
        self, network, strategy, options, expected
    ):
        apply_strategy(network, "fine_tune", train_embeddings=True)
        apply_strategy(network, strategy, **options)
        assert parts(learnt(network)) == expected


@pytest.mark.parametrize(("strategy", "options", "expected"), STRATEGIES[1:])
def test_a_fit_changes_these_parts_and_no_others(
    make, sentiment_texts, strategy, options, expected
):
    texts, labels = sentiment_texts
    model = make(strategy=strategy, encoder_learning_rate=1e-2, **options)
    model.fit(texts[:32], labels[:32])
    body = model.net_.module_.body
    pretrained = TransformerBody(body.checkpoint, pooling=("mean",))
    before = dict(pretrained.named_parameters())
    changed = [
        name
        for name, p in body.named_parameters()
        if not torch.equal(p.cpu(), before[name])
    ]
    assert parts(changed) == expected - {"head"}
    assert set(changed) <= set(body.tuned_tensors())


class TestOnNumbersAndWords:
    def test_word_vectors_learn_under_fine_tune(self, make, words, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(encoder=words(), strategy="fine_tune").fit(texts, labels)
        table = model.net_.module_.body.table.weight
        vocabulary = model._input.vocabulary
        vectors = torch.from_numpy(model.encoder_.vectors_[["good", "bad"]])
        now = table[[vocabulary["good"], vocabulary["bad"]]]
        assert not torch.allclose(now, vectors, atol=1e-3)
        assert model.n_trainable_parameters_ == model.n_parameters_

    def test_features_leave_the_head_to_learn(self, make, words, sentiment_texts):
        for encoder in (words(), None):
            texts, labels = sentiment_texts
            X = texts if encoder else [[float(len(text))] * 8 for text in texts]
            model = make(encoder=encoder).fit(X, labels)
            assert model.net_.module_.body is None
            assert model.n_trainable_parameters_ == 8 * 4 + 4 + 4 + 1

    @pytest.mark.parametrize(("strategy", "options", "expected"), STRATEGIES)
    def test_the_parameters_that_learn_are_counted(
        self, make, sentiment_texts, strategy, options, expected
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, max_epochs=1, **options)
        model.fit(texts[:16], labels[:16])
        layer = 4 * (32 * 32 + 32) + (32 * 64 + 64) + (64 * 32 + 32) + 4 * 32
        table = model.net_.module_.body
        table = table.token_table().numel() if table else 0
        sizes = {
            "head": 32 * 4 + 4 + 4 + 1,
            "top": layer,
            "bottom": layer,
            "embeddings": 64 * 32 + 2 * 32 + 2 * 32,
            "table": table,
        }
        assert model.n_trainable_parameters_ == sum(sizes[part] for part in expected)
        if table:
            assert model.n_parameters_ == sum(sizes.values())


class TestRefusals:
    @pytest.mark.parametrize(
        "strategy", sorted(set(REGISTERED) - {"feature_extraction"})
    )
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_numbers_have_no_encoder_to_tune(self, make, numbers, strategy, method):
        model = make(strategy=strategy)
        options = {"classes": ["neg", "pos"]} if method == "partial_fit" else {}
        with pytest.raises(
            InvalidParameterError,
            match=f"strategy='{strategy}' trains an encoder, but X is numbers.*"
            rf"\['passthrough'\], 'classifier__strategy': \['{strategy}'\]",
        ):
            getattr(model, method)(*numbers, **options)
        assert not hasattr(model, "net_")

    def test_a_grid_over_strategies_behind_a_featurizer_says_so(
        self, make, bert, sentiment_texts
    ):
        texts, labels = sentiment_texts
        pipe = Pipeline([("featurizer", bert()), ("classifier", make(encoder=None))])
        grid = {"classifier__strategy": ["fine_tune"]}
        search = GridSearchCV(pipe, grid, cv=2, error_score="raise")
        with pytest.raises(InvalidParameterError, match="'passthrough'"):
            search.fit(texts[:20], labels[:20])

    def test_more_layers_than_there_are(self, make, sentiment_texts):
        model = make(strategy="partial", n_trainable_layers=3)
        with pytest.raises(
            InvalidParameterError, match=r"n_trainable_layers=3, but .* has 2 layers"
        ):
            model.fit(*sentiment_texts)

    def test_word_vectors_have_one_layer_only(self, make, words, sentiment_texts):
        model = make(strategy="partial", encoder=words())
        with pytest.raises(
            InvalidParameterError, match="use strategy='fine_tune', 'con"
        ):
            model.fit(*sentiment_texts)

    @pytest.mark.parametrize("strategy", ["partial", "fine_tune"])
    def test_an_encoder_that_cannot_learn(self, sentiment_texts, strategy):
        from sklearn.feature_extraction.text import TfidfVectorizer

        model = TransferSentimentClassifier(TfidfVectorizer(), strategy=strategy)
        with pytest.raises(
            InvalidParameterError, match="which a TfidfVectorizer does not offer"
        ):
            model.fit(*sentiment_texts)

    def test_layers_that_share_their_weights(self, network):
        network.body.transformer.encoder.layer = torch.nn.ModuleList()
        with pytest.raises(InvalidParameterError, match="one set of weights for all"):
            apply_strategy(network, "partial")


class TestGroups:
    def groups(self, network, **options):
        rates = {
            "encoder_learning_rate": 1.0,
            "head_learning_rate": 5.0,
            "weight_decay": 0.25,
        }
        return parameter_groups(network, **rates | options)

    def rate_of(self, groups, parameter):
        (rate,) = [g["lr"] for g in groups for p in g["params"] if p is parameter]
        return rate

    def test_each_learning_parameter_is_in_one_group(self, network):
        apply_strategy(network, "partial", n_trainable_layers=1)
        held = [p for g in self.groups(network) for p in g["params"]]
        learning = [p for p in network.parameters() if p.requires_grad]
        assert {id(p) for p in held} == {id(p) for p in learning}
        assert len(held) == len(learning)

    def test_rates_fall_from_layer_to_layer(self, network):
        apply_strategy(network, "fine_tune", train_embeddings=True)
        groups = self.groups(network, layer_decay=0.5)
        bottom, top = network.body.blocks()
        assert self.rate_of(groups, network.head.output.weight) == 5
        assert {self.rate_of(groups, p) for p in top.parameters()} == {1.0}
        assert {self.rate_of(groups, p) for p in bottom.parameters()} == {0.5}
        embeddings = network.body.transformer.embeddings.parameters()
        assert {self.rate_of(groups, p) for p in embeddings} == {0.25}

    def test_layers_may_join_one_by_one(self, network):
        apply_strategy(network, "gradual")
        groups = self.groups(network, layer_decay=0.5, one_by_one=True)
        joins = {
            (part, group["joins"], group["lr"])
            for group in groups
            for name, p in network.named_parameters()
            if any(p is member for member in group["params"])
            for part in parts([name])
        }
        assert joins == {
            ("head", 0, 5.0),
            ("top", 1, 1.0),
            ("bottom", 2, 0.5),
            ("embeddings", 2, 0.25),
        }
        assert {group["joins"] for group in self.groups(network)} == {0}

    def test_biases_and_norms_do_not_decay(self, network):
        apply_strategy(network, "fine_tune")
        for group in self.groups(network):
            decayed = {p.ndim > 1 for p in group["params"]}
            assert decayed == {group["weight_decay"] == 0.25}
            assert group["weight_decay"] in (0, 0.25)


class TestUnusualEncoders:
    def test_layers_above_the_one_that_is_read_rest(self, tiny_bert, sentiment_texts):
        texts, labels = sentiment_texts
        for strategy in ("partial", "fine_tune"):
            model = TransferSentimentClassifier(
                BertFeaturizer(tiny_bert, layers=1),
                strategy,
                n_trainable_layers=1,
                max_epochs=1,
                random_state=0,
            ).fit(texts, labels)
            bottom, top = model.net_.module_.body._all_blocks()
            assert all(p.requires_grad for p in bottom.parameters())
            assert not any(p.requires_grad for p in top.parameters())

    def test_shared_layers_are_tuned_together_or_not_at_all(
        self, tmp_path, tiny_bert, sentiment_texts
    ):
        texts, labels = sentiment_texts
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
        encoder = BertFeaturizer(str(tmp_path))
        model = TransferSentimentClassifier(encoder, "fine_tune", max_epochs=1)
        model.fit(texts, labels)
        assert model.n_trainable_parameters_ > 0
        with pytest.raises(InvalidParameterError, match="one set of weights for all"):
            clone(model).set_params(strategy="partial").fit(texts, labels)


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(63, TUNED_BY_FEW), (64, TUNED), (199, TUNED), (200, TUNED_BY_PLENTY)],
)
def test_few_rows_a_class_have_rates_and_lengths_of_their_own(n_rows, expected):
    class Layers:
        is_table = False

    assert tuned_defaults(Layers(), n_rows, 2) == expected


class StepsOfEachTraining(Callback):
    """How many steps each training took, in their order."""

    def initialize(self):
        self.steps = getattr(self, "steps", [])
        return self

    def on_train_begin(self, net, **kwargs):
        self.steps.append(0)

    def on_batch_end(self, net, training, **kwargs):
        self.steps[-1] += training


def test_heads_that_find_the_temperature_learn_for_as_long_as_the_last(
    make, numbers, monkeypatch
):
    short = replace(FROZEN, min_steps=12, min_epochs=1)
    monkeypatch.setattr("sktransfer.classifier.strategies.base.FROZEN", short)
    # Without the last fold these rows are one batch, and with it two.
    X, y = numbers[0][:40], numbers[1][:40]
    watch = StepsOfEachTraining()
    options = {"max_epochs": "auto", "calibrate": True, "callbacks": [watch]}
    make(encoder=None, **options).fit(X, y)
    assert watch.steps == [12] * 6
