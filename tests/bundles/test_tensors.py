from __future__ import annotations

import io
import json

import numpy as np
import pytest
import safetensors.numpy

from sktransfer.bundles.tensors import read_tensors

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


def parse(data):
    file = io.BytesIO(data)
    return read_tensors(
        lambda n: np.frombuffer(bytearray(file.read(n)), np.uint8), len(data)
    )


def forge(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 4)])
def test_they_are_as_the_library_wrote_them(dtype, shape):
    rng = np.random.default_rng(0)
    arrays = {
        name: np.asarray(rng.integers(0, 2, shape)).astype(dtype) for name in "äb"
    }
    found = parse(safetensors.numpy.save(arrays, {"format": "np"}))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        forge(b""),
        forge(b"{"),
        forge([1]),
        forge({"a": ENTRY}, bytes(7)),
        forge({"a": ENTRY | {"shape": [3]}}, bytes(8)),
        forge({"a": ENTRY | {"shape": [-1]}}, bytes(8)),
        forge({"a": ENTRY | {"shape": [2**70]}}, bytes(8)),
        forge({"a": ENTRY | {"data_offsets": [-8, 0]}}, bytes(8)),
        forge({"a": ENTRY | {"data_offsets": [8, 0]}}, bytes(8)),
        forge({"a": ENTRY | {"data_offsets": [0.0, 8.0]}}, bytes(8)),
        forge({"a": ENTRY | {"data_offsets": [0, 7]}}, bytes(8)),
        forge({"a": ENTRY | {"dtype": "O"}}, bytes(8)),
        forge({"a": ENTRY | {"dtype": ["F32"]}}, bytes(8)),
        forge({"a": ENTRY, "b": ENTRY}, bytes(8)),
        forge({"a": ENTRY}, bytes(9)),
        forge({"a": {}}, bytes(8)),
        forge({"a": None}, bytes(8)),
    ],
)
def test_nonsense_is_an_error_of_pythons(data):
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        parse(data)


def test_a_truth_value_is_true_or_false():
    entry = {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}
    found = parse(forge({"a": entry}, b"\x00\x02\xff"))["a"]
    assert found.view(np.uint8).tolist() == [0, 1, 1]
