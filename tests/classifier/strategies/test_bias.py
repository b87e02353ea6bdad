import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from sktransfer import load, save
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.exceptions import InvalidParameterError


@pytest.fixture
def bias(make):
    """Classifiers whose biases learn, in a few long steps."""

    def bias(**parameters):
        defaults = {"strategy": "bias", "encoder_learning_rate": 1e-2}
        return make(**defaults | parameters)

    return bias


def changed(model):
    """Names of the encoder's parameters that are no longer as they were trained."""
    body = model.net_.module_.body
    before = TransformerBody(body.checkpoint, pooling=("mean",)).named_parameters()
    now = dict(body.named_parameters())
    return {name for name, p in before if not torch.equal(now[name].cpu(), p)}


def test_biases_and_head_learn_and_nothing_else(bias, sentiment_texts):
    texts, labels = sentiment_texts
    model = bias().fit(texts[:32], labels[:32])
    body = model.net_.module_.body
    biases = {n: p for n, p in body.named_parameters() if n.endswith("bias")}
    # That of the keys moves all of a word's attention alike, so that it has no slope.
    assert changed(model) <= set(biases)
    assert {n for n in set(biases) - changed(model) if "key" not in n} == set()
    assert body.tuned == set(biases)
    head = 32 * 4 + 4 + 4 + 1
    n_biases = sum(parameter.numel() for parameter in biases.values())
    assert n_biases == 2 * (4 * 32 + 64 + 32 + 2 * 32) + 32
    assert model.n_trainable_parameters_ == n_biases + head


def test_it_learns_what_a_frozen_encoder_leaves_open(bias, sentiment_texts):
    texts, labels = sentiment_texts
    losses = []
    for rate in (0.0, 3e-2):
        model = bias(
            encoder_learning_rate=rate, hidden_layer_sizes=(), max_epochs=20
        ).fit(texts, labels)
        of_label = model.predict_proba(texts)[range(96), (labels == "pos").astype(int)]
        losses.append(-np.log(of_label).mean())
    assert losses[1] < 0.9 * losses[0]


def test_auto_is_the_rate_of_adapters_whatever_the_size(make, sentiment_texts):
    texts, labels = sentiment_texts
    model = make(strategy="bias", max_epochs=1).fit(texts[:16], labels[:16])
    assert model.net_.rates["encoder_learning_rate"] == 1e-3


def test_a_saved_one_predicts_the_same_and_holds_biases_only(
    bias, sentiment_texts, tmp_path
):
    texts, labels = sentiment_texts
    model = bias().fit(texts[:32], labels[:32])
    save(model, tmp_path / "model")
    opened = load(tmp_path / "model")
    np.testing.assert_array_equal(
        opened.decision_function(texts), model.decision_function(texts)
    )
    assert changed(opened) == changed(model)
    # Biases, head and scale: one layer's weights alone would be more than that.
    sizes = [p.stat().st_size for p in (tmp_path / "model").rglob("*.safetensors")]
    assert 0 < sum(sizes) < 10_000


def test_updates_go_on(bias, sentiment_texts):
    texts, labels = sentiment_texts
    model = bias().partial_fit(texts[:32], labels[:32], classes=["neg", "pos"])
    first, optimizer = model.decision_function(texts), model.net_.optimizer_
    model.partial_fit(texts[32:], labels[32:])
    assert model.net_.optimizer_ is optimizer
    assert not np.array_equal(model.decision_function(texts), first)
    assert all(name.endswith("bias") for name in changed(model))


def test_the_head_can_go_first_and_a_source_before_it(bias, sentiment_texts):
    texts, labels = sentiment_texts
    source = bias(head_first=True).fit(texts[:32], labels[:32])
    assert [line["part"] for line in source.history_][-1] == "all"
    target = bias(init_from=FrozenEstimator(source), l2_sp=0.1)
    assert changed(target.fit(texts[32:], labels[32:])) == changed(source)


def test_encoders_without_biases_of_layers_are_refused(bias, words, sentiment_texts):
    with pytest.raises(InvalidParameterError, match="'bias' chooses among layers"):
        bias(encoder=words()).fit(*sentiment_texts)


def test_where_there_is_no_bias_at_all(bert, make):
    encoder = bert().fit(["x"])
    body = TransformerBody(encoder.checkpoint_, pooling=encoder.pooling_)
    for module in body.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None
    with pytest.raises(InvalidParameterError, match="this encoder has none"):
        STRATEGIES["bias"].choose(body, make())
