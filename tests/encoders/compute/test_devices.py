import pytest
import torch

from sktransfer.encoders.compute import devices
from sktransfer.encoders.compute.devices import resolve_device, resolve_dtype
from sktransfer.exceptions import InvalidParameterError

CPU = torch.device("cpu")


def test_unknown_device_names_what_is_known():
    with pytest.raises(InvalidParameterError, match=r"device is 'gpu'.*'cuda'"):
        resolve_device("gpu")


def test_missing_card_is_an_error_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InvalidParameterError, match="torch sees 1 CUDA devices"):
        resolve_device("cuda:1")


def test_auto_takes_the_card_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"avx512_f": True, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_is_bfloat16_only_where_native(monkeypatch, flags, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    assert resolve_dtype("auto", CPU) == expected


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True)])
def test_cards_are_judged_by_compute_capability(monkeypatch, capability, native):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert devices.multiplies_bfloat16(torch.device("cuda")) is native


def test_other_devices_count_as_without():
    assert not devices.multiplies_bfloat16(torch.device("mps"))


def test_unknown_dtype_names_what_is_known():
    with pytest.raises(InvalidParameterError, match=r"dtype is 'int4'.*'float16'"):
        resolve_dtype("int4", CPU)


def test_int8_is_for_frozen_encoders_on_a_cpu():
    assert resolve_dtype("int8", CPU, integers=True) == torch.int8
    with pytest.raises(InvalidParameterError, match="dtype is 'int8', but one of"):
        resolve_dtype("int8", CPU)
    with pytest.raises(InvalidParameterError, match=r"for CPUs only.*mps"):
        resolve_dtype("int8", torch.device("mps"), integers=True)
