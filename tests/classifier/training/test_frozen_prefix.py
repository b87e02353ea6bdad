import numpy as np
import pytest
import torch
import transformers
from sklearn.frozen import FrozenEstimator

from sktransfer.classifier.data.rows import LabelledRows, TokenInput
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.strategies import base as phases
from sktransfer.classifier.training import frozen_prefix as prefix
from sktransfer.classifier.training.frozen_prefix import KeptTexts, keep_states

TEXTS = ["good", "the plot is bad and boring", "", "awful camera ! " * 9]
CPU = torch.device("cpu")


def body_with(encoder, n_learning=1):
    """A body whose top layers learn, and labelled rows for it."""
    encoder.fit(TEXTS)
    body = TransformerBody(
        encoder.checkpoint_, pooling=encoder.pooling_, layers=encoder.layers
    ).eval()
    blocks = body.blocks()[-n_learning:] if n_learning else []
    body.let_learn(p for block in blocks for p in block.parameters())
    texts = TokenInput(encoder).rows(TEXTS)
    return body, LabelledRows(texts, np.zeros(len(TEXTS), np.int64))


def kept(body, data, dtype=torch.float32):
    """What `keep_states` made of the rows."""
    return keep_states(body, data, CPU, dtype).rows


class TestStates:
    @pytest.mark.parametrize("parameters", [{}, {"pooling": ("cls", "max")}])
    def test_they_lead_to_the_features_of_the_whole_body(self, bert, parameters):
        body, data = body_with(bert(**parameters))
        rows = kept(body, data)
        assert isinstance(rows, KeptTexts)
        assert len(rows.states) == len(data.rows.tokens.ids)
        for indices in ([0, 1, 2, 3], [3, 0], [2]):
            inputs = rows.batch(np.array(indices))
            with torch.no_grad():
                found = body(**inputs)
                expected = body(inputs["input_ids"], inputs["attention_mask"])
            torch.testing.assert_close(found, expected)

    def test_rows_may_be_taken(self, bert):
        body, data = body_with(bert())
        rows = kept(body, data)
        some = rows.take(np.array([3, 1]))
        assert len(some) == 2
        torch.testing.assert_close(
            some.batch(np.array([1]))["states"], rows.batch(np.array([1]))["states"]
        )

    def test_windows_have_states_each(self, bert):
        body, data = body_with(bert(max_length=6, long_text="window"))
        rows = kept(body, data)
        inputs = rows.batch(np.array([3, 0]))
        assert len(inputs["states"]) == len(inputs["text_of_row"]) > 2

    def test_frozen_layers_are_passed_over(self, bert):
        body, data = body_with(bert())
        rows = kept(body, data)
        passes = []
        body.blocks()[0].attention.register_forward_hook(lambda *_: passes.append(0))
        body.blocks()[1].attention.register_forward_hook(lambda *_: passes.append(1))
        body(**rows.batch(np.arange(4)))
        assert passes == [1]

    def test_half_precision_takes_half_the_memory(self, bert):
        body, data = body_with(bert())
        rows = kept(body, data, torch.bfloat16)
        assert rows.states.dtype == torch.float16
        inputs = rows.batch(np.arange(4))
        exact = kept(body, data).batch(np.arange(4))["states"]
        with torch.autocast("cpu", torch.bfloat16):
            found = body(**inputs)
            expected = body(inputs["input_ids"], inputs["attention_mask"])
        torch.testing.assert_close(found, expected, atol=0.03, rtol=0)
        torch.testing.assert_close(inputs["states"], exact, atol=0.05, rtol=0)


ARCHITECTURES = {
    "roberta": (transformers.RobertaConfig, {}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    ),
    "electra": (transformers.ElectraConfig, {"embedding_size": 16}),
    "mpnet": (transformers.MPNetConfig, {}),
    "deberta": (
        transformers.DebertaV2Config,
        {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    ),
    "deberta, convolution": (transformers.DebertaV2Config, {"conv_kernel_size": 3}),
    "modernbert": (
        transformers.ModernBertConfig,
        {"cls_token_id": 2, "sep_token_id": 3},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures_give_what_they_gave(save_encoder, name):
    config, options = ARCHITECTURES[name]
    body, data = body_with(save_encoder(config, **options))
    rows = kept(body, data)
    assert isinstance(rows, KeptTexts)
    inputs = rows.batch(np.arange(4))
    with torch.no_grad():
        found = body(**inputs)
        expected = body(inputs["input_ids"], inputs["attention_mask"])
    torch.testing.assert_close(found, expected)


def test_layers_below_those_that_are_read_are_kept(save_encoder):
    encoder = save_encoder(transformers.BertConfig, num_hidden_layers=4)
    body, data = body_with(encoder.set_params(layers=(-1, -2)))
    assert body.n_resting() == 2  # the third rests, too, and its states are read
    inputs = kept(body, data).batch(np.arange(4))
    with torch.no_grad():
        found = body(**inputs)
        expected = body(inputs["input_ids"], inputs["attention_mask"])
    torch.testing.assert_close(found, expected)


class TestWhatIsNotKept:
    def test_nothing_where_all_layers_learn(self, bert):
        body, data = body_with(bert(), n_learning=2)
        assert kept(body, data) is data.rows

    def test_nothing_where_what_embeds_learns(self, bert):
        body, data = body_with(bert())
        body.transformer.embeddings.requires_grad_(True)
        assert kept(body, data) is data.rows

    @pytest.mark.parametrize("layers", [(-1, -2), (0, 2)])
    def test_nothing_where_a_frozen_layer_is_read(self, bert, layers):
        body, data = body_with(bert(layers=layers))
        assert kept(body, data) is data.rows

    def test_nothing_where_the_lowest_layer_is_the_one_that_is_read(self, bert):
        body, data = body_with(bert(layers=1))
        assert kept(body, data) is data.rows

    def test_nothing_beyond_the_memory(self, bert, monkeypatch):
        body, data = body_with(bert())
        n_tokens = len(data.rows.tokens.ids)
        monkeypatch.setattr(prefix, "MEMORY_LIMIT", n_tokens * 32 * 2)
        assert kept(body, data) is data.rows
        assert isinstance(kept(body, data, torch.bfloat16), KeptTexts)

    def test_nothing_where_layers_hand_on_more_than_states(self, bert):
        body, data = body_with(bert())
        bottom, top = body.blocks()
        handed_on = []
        bottom.attention.register_forward_hook(lambda *_: handed_on.append(None))
        top.register_forward_pre_hook(lambda *_: handed_on.pop())
        assert kept(body, data) is data.rows

    def test_nothing_where_the_features_would_be_others(self, bert):
        body, data = body_with(bert())
        top = body.blocks()[1]
        forward, calls = top.forward, []

        def counting(*args, **kwargs):
            calls.append(0)
            return forward(*args, **kwargs) * len(calls)

        top.forward = counting
        assert kept(body, data) is data.rows

    def test_nothing_where_float16_is_too_narrow(self, bert):
        body, data = body_with(bert())
        with torch.no_grad():
            body.blocks()[0].output.LayerNorm.weight.mul_(1e6)
        assert kept(body, data, torch.bfloat16) is data.rows
        assert isinstance(kept(body, data), KeptTexts)


class TestTraining:
    @pytest.fixture
    def both(self, make, sentiment_texts, monkeypatch):
        """Logits of a fit with kept states and of one without, and both models."""

        def both(n=40, train=None, **parameters):
            texts, labels = sentiment_texts
            options = {"strategy": "partial", "n_trainable_layers": 1, "max_epochs": 3}
            if train is None:

                def train(model):
                    return model.fit(texts[:n], labels[:n])

            used = []

            def noting(*args):
                used.append(keep_states(*args))
                return used[-1]

            found = []
            for limit in (2**30, 0):
                monkeypatch.setattr(prefix, "MEMORY_LIMIT", limit)
                monkeypatch.setattr(phases, "keep_states", noting)
                model = train(make(**options | parameters))
                found.append(model.decision_function(texts))
                assert all(
                    isinstance(data.rows, KeptTexts) == (limit > 0) for data in used
                )
                assert used
                used.clear()
            return found

        return both

    @pytest.mark.slow
    def test_a_fit_is_what_it_is_without(self, both):
        kept, recomputed = both(encoder_learning_rate=1e-3)
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    @pytest.mark.slow
    def test_so_it_is_with_windows(self, both, bert):
        encoder = bert(max_length=5, long_text="window")
        kept, recomputed = both(encoder=encoder)
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    @pytest.mark.slow
    def test_so_it_is_with_validation_rows_and_a_temperature(self, both):
        kept, recomputed = both(n=96, early_stopping=True, calibrate=True)
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    @pytest.mark.slow
    def test_so_it_is_with_given_validation_rows(self, both, sentiment_texts):
        texts, labels = sentiment_texts

        def train(model):
            model.set_params(early_stopping=True)
            return model.fit(
                texts[:40], labels[:40], X_val=texts[40:60], y_val=labels[40:60]
            )

        kept, recomputed = both(train=train)
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    @pytest.mark.slow
    def test_a_warm_start_reads_the_layers_as_they_are_by_then(
        self, both, sentiment_texts
    ):
        texts, labels = sentiment_texts

        def train(model):
            model.set_params(strategy="fine_tune", encoder_learning_rate=1e-3)
            model.partial_fit(texts[:40], labels[:40], classes=["neg", "pos"])
            model.set_params(strategy="partial", warm_start=True)
            return model.fit(texts[:40], labels[:40])

        kept, recomputed = both(train=train)
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    @pytest.mark.slow
    def test_it_starts_from_a_tuned_source(self, both, make, sentiment_texts):
        source = make(strategy="fine_tune", encoder_learning_rate=1e-2)
        source.fit(*sentiment_texts)
        kept, recomputed = both(init_from=FrozenEstimator(source))
        np.testing.assert_allclose(kept, recomputed, atol=1e-4)

    def test_one_epoch_keeps_nothing(self, make, sentiment_texts, monkeypatch):
        def never(*_):
            raise AssertionError

        monkeypatch.setattr(phases, "keep_states", never)
        make(strategy="partial", max_epochs=1).fit(*sentiment_texts)


class Named(torch.nn.Module):
    """A layer that takes its states by a name that nobody has heard of."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, *, given, others, **options):
        return self.layer(given, *others, **options)


class Calling(torch.nn.Module):
    def __init__(self, named):
        super().__init__()
        self.named = named

    def forward(self, hidden_states, *others, **options):
        return self.named(given=hidden_states, others=others, **options)


def test_layers_that_call_their_states_otherwise_all_run(bert, monkeypatch):
    body, data = body_with(bert())
    layers = body.transformer.encoder.layer
    for number, layer in enumerate(layers):
        layers[number] = Calling(Named(layer))
    monkeypatch.setattr(body, "blocks", lambda: [each.named for each in layers])
    assert body.n_resting() == 1
    assert kept(body, data) is data.rows
