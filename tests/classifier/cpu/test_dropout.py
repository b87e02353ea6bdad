import pytest
import torch
from torch import nn

from sktransfer.classifier.cpu.dropout import (
    Dropout,
    draw_kept,
    drawing_from,
    replace_dropout,
)


class TestDrawKept:
    @pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
    def test_each_place_of_a_drawn_number_is_silenced_as_often(self, p):
        torch.manual_seed(0)
        kept = draw_kept((100, 4_000), p, torch.float32).view(-1, 4)
        # Five standard errors of a share among 100 000.
        torch.testing.assert_close(
            1 - kept.mean(0), torch.full((4,), p), atol=0.008, rtol=0
        )

    def test_places_are_silenced_independently_of_one_another(self):
        torch.manual_seed(0)
        kept = draw_kept((100_000, 4), 0.5, torch.float32)
        assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.02

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_there_are_zeros_and_ones_of_the_dtype_asked_for(self, dtype):
        kept = draw_kept((3, 5, 7), 0.5, dtype)
        assert kept.shape == (3, 5, 7)
        assert kept.dtype == dtype
        assert set(kept.flatten().tolist()) == {0.0, 1.0}

    def test_nothing_and_everything_can_be_silenced(self):
        assert draw_kept((2, 9), 0.0, torch.float32).all()
        assert not draw_kept((2, 9), 1.0, torch.float32).any()

    def test_the_global_seed_decides(self):
        torch.manual_seed(3)
        first = draw_kept((50,), 0.5, torch.float32)
        torch.manual_seed(3)
        assert torch.equal(first, draw_kept((50,), 0.5, torch.float32))


class TestDropout:
    def test_expectation_stays(self):
        torch.manual_seed(0)
        values = Dropout(0.2)(torch.ones(200_000))
        assert values.mean().item() == pytest.approx(1, abs=0.01)
        assert values.max().item() == pytest.approx(1.25)

    def test_the_gradient_is_silenced_with_the_values(self):
        inputs = torch.ones(100, requires_grad=True)
        outputs = Dropout(0.5)(inputs)
        outputs.sum().backward()
        assert torch.equal(inputs.grad, outputs.detach())

    def test_nothing_happens_in_evaluation(self):
        inputs = torch.rand(50)
        assert torch.equal(Dropout(0.5).eval()(inputs), inputs)

    def test_it_takes_the_place_of_others_at_any_depth(self):
        inner = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3))
        outer = nn.Sequential(inner, nn.Dropout(0.1)).eval()
        before = list(outer.state_dict())
        replace_dropout(outer)
        assert type(outer[1]) is type(inner[1]) is Dropout
        assert (outer[1].p, inner[1].p) == (0.1, 0.3)
        assert not inner[1].training
        assert list(outer.state_dict()) == before


def test_a_thread_may_draw_from_a_generator_of_its_own():
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        with drawing_from(5):
            found.append(draw_kept((50,), 0.5, torch.float32))
    assert torch.equal(*found)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(draw_kept((50,), 0.5, torch.float32), found[0])
    assert not torch.equal(torch.get_rng_state(), before)
