import numpy as np
import pytest
import torch
import transformers

from sktransfer.encoders.compute import loop as encoding
from sktransfer.encoders.compute.loop import PaddedEncoder, encode_rows
from sktransfer.encoders.tokens import TokenRows
from sktransfer.ragged import row_offsets

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
    "pad_token_id": 1,
}
ARCHITECTURES = {
    "Albert": {"embedding_size": 16},
    "Bert": {},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "Electra": {"embedding_size": 16},
    "MPNet": {},
    "ModernBert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "Roberta": {},
    "XLMRoberta": {},
}


def build(architecture: str) -> torch.nn.Module:
    config = getattr(transformers, f"{architecture}Config")
    kind = getattr(transformers, f"{architecture}Model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config(**SMALL | ARCHITECTURES[architecture])).eval()


@pytest.fixture
def rows():
    lengths = np.array([3, 9, 1, 17, 9, 30, 2])
    generator = np.random.default_rng(0)
    return TokenRows(
        ids=generator.integers(2, 50, lengths.sum()).astype(np.int32),
        offsets=row_offsets(lengths),
        text_of_row=np.arange(len(lengths)),
        weights=lengths.astype(np.float32),
        pad_id=1,
    )


def one_by_one(module, rows, layer=-1) -> np.ndarray:
    """Mean of the states of each row alone: the plainest way there is."""
    vectors = []
    with torch.no_grad():
        for begin, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
            ids = torch.from_numpy(rows.ids[begin:end].astype(np.int64))[None]
            hidden = module(input_ids=ids, output_hidden_states=True).hidden_states
            vectors.append(hidden[layer][0].mean(dim=0).numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_batches_give_what_each_row_gives_alone(architecture, batch_tokens, rows):
    module = build(architecture)
    vectors = encode_rows(PaddedEncoder(module), rows, batch_tokens=batch_tokens)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, one_by_one(module, rows), atol=1e-5)


def test_layers_are_averaged(rows):
    module = build("Bert")
    expected = (one_by_one(module, rows, 0) + one_by_one(module, rows, -1)) / 2
    np.testing.assert_allclose(
        encode_rows(PaddedEncoder(module), rows, layers=[(0, -1)]), expected, atol=1e-5
    )
    np.testing.assert_allclose(
        encode_rows(PaddedEncoder(module), rows, layers=[(1,)]),
        one_by_one(module, rows, 1),
        atol=1e-5,
    )


def test_progress_adds_up_to_the_rows(rows):
    done = []
    encode_rows(
        PaddedEncoder(build("Bert")), rows, batch_tokens=20, on_progress=done.append
    )
    assert len(done) > 1
    assert sum(done) == len(rows)


def test_no_rows_are_no_vectors(rows):
    assert encode_rows(
        PaddedEncoder(build("Bert")), rows.take([]), pooling=("cls", "max")
    ).shape == (
        0,
        32,
    )


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_batches_and_goes_on(rows, monkeypatch, error):
    module = build("Bert")
    expected = one_by_one(module, rows)
    usual, sizes = encoding.token_states, []

    def with_little_memory(module, input_ids, mask, layers):
        sizes.append(input_ids.numel())
        if input_ids.numel() > 40:
            raise error
        return usual(module, input_ids, mask, layers)

    monkeypatch.setattr(encoding, "token_states", with_little_memory)
    vectors = encode_rows(PaddedEncoder(module), rows, batch_tokens=128)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert max(sizes) > 40
    assert sizes[-1] <= 40


def test_a_row_that_does_not_fit_alone_is_an_error(rows, monkeypatch):
    def without_memory(*args):
        raise MemoryError

    monkeypatch.setattr(encoding, "token_states", without_memory)
    with pytest.raises(MemoryError):
        encode_rows(PaddedEncoder(build("Bert")), rows)


def test_other_errors_are_not_swallowed(rows, monkeypatch):
    def fail(*args):
        raise RuntimeError("index out of range")

    monkeypatch.setattr(encoding, "token_states", fail)
    with pytest.raises(RuntimeError, match="index out of range"):
        encode_rows(PaddedEncoder(build("Bert")), rows)


def test_tokens_are_sent_to_a_gpu_without_waiting(rows, monkeypatch):
    module, sent = build("Bert"), []
    usual = torch.Tensor.to

    def to(tensor, *args, **kwargs):
        if args == (torch.device("cuda"),):
            sent.append((getattr(tensor, "pinned", False), kwargs))
            return tensor
        return usual(tensor, *args, **kwargs)

    def pin(tensor):
        tensor.pinned = True
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    encoder = PaddedEncoder(module)
    encoder.device = torch.device("cuda")
    vectors = encode_rows(encoder, rows)
    np.testing.assert_allclose(vectors, one_by_one(module, rows), atol=1e-5)
    assert sent
    assert all(one == (True, {"non_blocking": True}) for one in sent)


def test_a_batch_is_fetched_from_the_device_once(rows, monkeypatch):
    fetched, usual = [], torch.Tensor.cpu

    def cpu(tensor):
        fetched.append(len(tensor))
        return usual(tensor)

    class OneByOne(PaddedEncoder):
        def run(self, rows, indices, layers):
            for index in indices:
                yield from super().run(rows, np.array([index]), layers)

    module = build("Bert")
    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    vectors = encode_rows(OneByOne(module), rows, batch_tokens=4096)
    assert fetched == [len(rows)]
    np.testing.assert_allclose(vectors, one_by_one(module, rows), atol=1e-5)
