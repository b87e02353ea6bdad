import pytest
import torch

from sktransfer.encoders.compute.loop import pool

STATES = torch.tensor([[[1.0, -5.0], [3.0, -1.0], [99.0, 99.0]]])
MASK = torch.tensor([[1, 1, 0]])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (("mean",), [2, -3]),
        (("cls",), [1, -5]),
        (("max",), [3, -1]),
        (("max", "mean", "cls"), [3, -1, 2, -3, 1, -5]),
    ],
)
def test_padding_does_not_count(pooling, expected):
    assert pool(STATES, MASK, pooling).tolist() == [expected]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_a_row_without_tokens_is_zeros(pooling):
    vectors = pool(STATES, torch.zeros_like(MASK), (pooling,))
    assert vectors.tolist() == [[0, 0]]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_half_precision_is_pooled_in_float32(pooling):
    states = torch.full((1, 1000, 1), 1.0, dtype=torch.bfloat16)
    vectors = pool(states, torch.ones(1, 1000, dtype=torch.int64), (pooling,))
    assert vectors.dtype == torch.float32
    # Summed in bfloat16 the thousand ones would have stopped growing at 256.
    assert vectors.tolist() == [[1.0]]
