import numpy as np
import pytest
import torch
import transformers

from sktransfer.encoders.checkpoints.checkpoint import Architecture
from sktransfer.encoders.checkpoints.weights import name_weights, read_weights
from sktransfer.encoders.compute.loop import encode_rows
from sktransfer.encoders.compute.packed import PackedEncoder, make_linear
from sktransfer.encoders.tokens import TokenRows
from sktransfer.ragged import row_offsets

CPU = torch.device("cpu")
SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
    "pad_token_id": 1,
}
RELATIVES = {
    "Bert": {},
    "Camembert": {},
    "DistilBert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "Electra": {"embedding_size": 8},
    "Roberta": {},
    "XLMRoberta": {},
}


def build(name: str, **overrides) -> torch.nn.Module:
    config = getattr(transformers, f"{name}Config")
    kind = getattr(transformers, f"{name}Model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = kind(config(**SMALL | RELATIVES.get(name, {}) | overrides)).eval()
    # Zeros and ones, as biases and norms begin, would hide what is left out.
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(
                torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter)
            )
    return module


def pack(module, dtype=torch.float32):
    architecture = Architecture(module.config.to_dict())
    weights = name_weights(module.state_dict(), architecture)
    return weights and PackedEncoder(weights, device=CPU, dtype=dtype)


@pytest.fixture
def rows():
    lengths = np.array([3, 9, 1, 17, 9, 30, 3, 3])
    ids = np.random.default_rng(0).integers(1, 50, lengths.sum()).astype(np.int32)
    return TokenRows(
        ids=ids,
        offsets=row_offsets(lengths),
        text_of_row=np.arange(len(lengths)),
        weights=lengths.astype(np.float32),
        pad_id=1,
    )


def one_by_one(module, rows, layer=-1) -> np.ndarray:
    vectors = []
    with torch.no_grad():
        for begin, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
            ids = torch.from_numpy(rows.ids[begin:end].astype(np.int64))[None]
            hidden = module(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                output_hidden_states=True,
            ).hidden_states
            vectors.append(hidden[layer][0].mean(dim=0).numpy())
    return np.stack(vectors)


# The padding's own token stands among the others: RoBERTa does not count it.
@pytest.mark.parametrize("name", RELATIVES)
@pytest.mark.parametrize("layer", [-1, -2, -4])
def test_relatives_of_bert_give_what_transformers_gives(name, layer, rows):
    module = build(name)
    expected = one_by_one(module, rows, layer)
    for batch_tokens in (1, 64):
        vectors = encode_rows(
            pack(module), rows, layers=[(layer,)], batch_tokens=batch_tokens
        )
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_layers_are_averaged_in_float32(rows):
    module = build("Bert")
    expected = (one_by_one(module, rows, -1) + one_by_one(module, rows, -3)) / 2
    vectors = encode_rows(pack(module), rows, layers=[(-1, -3)])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int8])
def test_shorter_formats_stay_close(rows, dtype):
    module = build("Bert")
    expected = one_by_one(module, rows)
    vectors = encode_rows(pack(module, dtype), rows)
    cosines = (vectors * expected).sum(axis=1) / (
        np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    )
    assert cosines.min() > 0.99


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("MPNet", {}),
        ("Albert", {"embedding_size": 16}),
        ("Bert", {"hidden_act": "relu"}),
        ("Bert", {"is_decoder": True}),
    ],
)
def test_what_computes_otherwise_is_left_to_transformers(name, overrides):
    assert pack(build(name, **overrides)) is None


def test_incomplete_or_damaged_files_are_left_to_transformers(tmp_path):
    module = build("Bert")
    module.save_pretrained(tmp_path)
    assert read_weights(tmp_path) is not None
    tensors = module.state_dict()
    del tensors["encoder.layer.1.output.dense.weight"]
    architecture = Architecture(module.config.to_dict())
    assert name_weights(tensors, architecture) is None
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    assert read_weights(tmp_path) is None


def test_a_head_above_the_encoder_is_passed_over(tmp_path):
    config = transformers.RobertaConfig(**SMALL)
    model = transformers.RobertaForMaskedLM(config)
    model.save_pretrained(tmp_path)
    weights = read_weights(tmp_path)
    assert weights.n_layers == 3
    assert weights.pad_id == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_maps_are_those_of_torch(dtype):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 32, generator=generator)
    bias = torch.randn(48, generator=generator)
    x = torch.randn(5, 32, generator=generator)
    linear = make_linear(weight, bias, dtype)
    expected = torch.nn.functional.linear(x, weight, bias)
    tolerance = {"atol": 1e-5} if dtype == torch.float32 else {"atol": 0.2}
    torch.testing.assert_close(
        linear(x.to(dtype)).float(), expected, **tolerance, rtol=0.02
    )
    expected = torch.nn.functional.gelu(expected)
    torch.testing.assert_close(
        linear(x.to(dtype), gelu=True).float(), expected, **tolerance, rtol=0.02
    )


@pytest.mark.parametrize("name", ["Bert", "Electra", "Roberta"])
def test_batches_are_filled_up_where_new_sizes_cost_time(rows, monkeypatch, name):
    module, vectors = build(name), []
    for multiple in (1, 64):
        monkeypatch.setattr("sktransfer.encoders.compute.packed._ROWS", multiple)
        vectors.append(encode_rows(pack(module, torch.bfloat16), rows))
    np.testing.assert_allclose(*vectors, atol=0.05)
