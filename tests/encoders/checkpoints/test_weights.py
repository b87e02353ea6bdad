import json
import threading

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from sktransfer.encoders.checkpoints import weights
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.checkpoints.weights import TokenTable, look_up, share_table
from sktransfer.encoders.loaded_models import (
    copy_module,
    load_encoder,
    load_module,
    read_module,
)
from tests.conftest import build_tiny_bert
from tests.encoders.compute.test_packed import RELATIVES, SMALL, build

CPU = torch.device("cpu")
FILE = "model.safetensors"
IDS = torch.tensor([[3, 7, 1, 4], [9, 1, 1, 49]])


def share(folder):
    return share_table(folder.name, folder)


@pytest.fixture
def half_bert(tmp_path):
    build("Bert").half().save_pretrained(tmp_path)
    return tmp_path


def test_all_that_read_a_checkpoint_hold_one_table(tmp_path):
    checkpoint = find_checkpoint(build_tiny_bert(tmp_path, seed=7))
    table = share_table(checkpoint.digest, checkpoint.folder)
    for dtype in (torch.float32, torch.bfloat16, torch.int8):
        assert load_encoder(checkpoint, device=CPU, dtype=dtype)._words is table
    modules = [
        load_module(checkpoint, device=CPU, dtype=torch.bfloat16),
        copy_module(checkpoint),
        copy_module(checkpoint),
    ]
    for module in modules:
        weight = module.get_input_embeddings().weight
        assert weight.data_ptr() == table.data_ptr()
        assert not weight.requires_grad


def test_it_is_there_for_as_long_as_a_module_reads_it(half_bert):
    module = read_module(half_bert, torch.float32, share(half_bert))
    weight = module.get_input_embeddings().weight
    for number in range(20):  # others come and go
        address = share_table(str(number), half_bert).data_ptr()
        assert address not in weights._mapped
    assert share(half_bert).data_ptr() == weight.data_ptr()
    assert weight.data_ptr() in weights._mapped
    module.get_input_embeddings().own()
    assert share(half_bert).data_ptr() != weight.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_it_is_as_the_file_has_it(tmp_path, dtype):
    build("Bert").to(dtype).save_pretrained(tmp_path)
    table, tensors = share(tmp_path), load_file(tmp_path / FILE)
    assert table.dtype == dtype
    assert torch.equal(table, tensors["embeddings.word_embeddings.weight"])


def test_rows_are_the_same_after_pages_were_let_go_of(half_bert, monkeypatch):
    monkeypatch.setattr(weights, "_PATIENCE", 10)
    table = share(half_bert)
    expected = load_file(half_bert / FILE)["embeddings.word_embeddings.weight"][IDS]
    wrong = []

    def look() -> None:
        wrong.extend(
            i for i in range(50) if not torch.equal(look_up(IDS, table), expected)
        )

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", RELATIVES)
@pytest.mark.parametrize("saved", [torch.float32, torch.float16])
def test_a_module_with_it_gives_what_its_own_would_give(name, saved, tmp_path):
    build(name).to(saved).save_pretrained(tmp_path)
    own = read_module(tmp_path, torch.float32)
    shared = read_module(tmp_path, torch.float32, share(tmp_path))
    assert isinstance(shared.get_input_embeddings(), TokenTable)
    names = {name: tensor.shape for name, tensor in own.state_dict().items()}
    assert names == {name: t.shape for name, t in shared.state_dict().items()}
    assert shared.config.vocab_size == own.config.vocab_size
    mask = torch.ones_like(IDS)
    with torch.no_grad():
        given, expected = (
            module(input_ids=IDS, attention_mask=mask)[0] for module in (shared, own)
        )
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, expected, rtol=0, atol=0)


def test_it_is_found_below_a_head(tmp_path):
    model = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig(**SMALL))
    model.save_pretrained(tmp_path)
    module = read_module(tmp_path, torch.float32, share(tmp_path))
    expected = model.roberta.embeddings.word_embeddings.weight
    assert torch.equal(module.get_input_embeddings().weight, expected)
    for name, tensor in model.roberta.encoder.named_parameters():
        assert torch.equal(module.encoder.get_parameter(name), tensor)


def test_it_is_found_in_several_files(half_bert):
    whole = share_table("whole", half_bert).clone()
    tensors = load_file(half_bert / FILE)
    (half_bert / FILE).unlink()
    for number in range(2):
        part = {k: v for i, (k, v) in enumerate(tensors.items()) if i % 2 == number}
        path = half_bert / f"model-0000{number + 1}-of-00002.safetensors"
        save_file(part, path, metadata={"format": "pt"})
    assert torch.equal(share_table("parts", half_bert), whole)


def test_what_transformers_alone_can_read_shares_nothing(tmp_path):
    build("Albert", embedding_size=16).save_pretrained(tmp_path)
    assert share(tmp_path) is None
    (tmp_path / FILE).write_bytes(b"damaged")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    assert share_table("damaged", tmp_path) is None


class TestOwning:
    @pytest.fixture
    def table(self, half_bert):
        return share(half_bert)

    @pytest.fixture
    def layer(self, table):
        return TokenTable(table, padding_idx=1, dtype=torch.float32)

    def test_what_is_owned_may_change(self, layer, table):
        before, weight = table.clone(), layer.weight
        layer.own()
        assert layer.weight is weight
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, before.float(), rtol=0, atol=0)
        with torch.no_grad():
            weight.zero_()
        layer.own()
        assert not layer(IDS).any()
        assert torch.equal(table, before)

    def test_parameters_loaded_from_elsewhere_are_owned(self, layer, table):
        before = table.clone()
        layer.load_state_dict({"weight": torch.zeros(table.shape)})
        assert not layer(IDS).any()
        assert torch.equal(table, before)

    def test_parameters_of_others_leave_it_shared(self, layer, table):
        torch.nn.ModuleDict({"table": layer}).load_state_dict({}, strict=False)
        assert layer.weight.data_ptr() == table.data_ptr()

    def test_padding_has_no_gradient(self, layer):
        layer.own()
        layer.weight.requires_grad_(True)
        layer(IDS).sum().backward()
        rows = np.flatnonzero(layer.weight.grad.abs().sum(dim=1).numpy())
        assert rows.tolist() == [3, 4, 7, 9, 49]
