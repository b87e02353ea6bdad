import pytest
import torch
from torch import nn

from sktransfer.classifier.cpu.skipping import catching_input, replacing_input, skipping


class Doubled(nn.Module):
    """A layer as transformers has them."""

    def forward(self, hidden_states, mask=None):
        return hidden_states * 2


@pytest.fixture
def layer():
    return Doubled()


ONES = torch.ones(2, 3, 4)


class TestSkipping:
    def test_layers_pass_on_what_they_are_given(self, layer):
        with skipping([layer]):
            assert torch.equal(layer(ONES, None), ONES)
            assert torch.equal(layer(hidden_states=ONES, mask=None), ONES)
        assert torch.equal(layer(ONES), ONES * 2)

    def test_in_a_tuple_if_they_give_one(self, layer):
        with skipping([layer], n_extra=2):
            states, *extra = layer(ONES)
        assert torch.equal(states, ONES)
        assert extra == [None, None]

    def test_an_error_brings_them_back(self, layer):
        with pytest.raises(KeyError), skipping([layer]):
            raise KeyError
        assert torch.equal(layer(ONES), ONES * 2)


class TestInputs:
    def test_they_are_replaced(self, layer):
        with replacing_input(layer) as replacement:
            replacement.states = ONES * 5
            assert torch.equal(layer(ONES, None), ONES * 10)
            assert torch.equal(layer(hidden_states=ONES), ONES * 10)
        assert torch.equal(layer(ONES), ONES * 2)

    def test_they_are_caught(self, layer):
        with catching_input(layer) as caught:
            layer(ONES, None)
            layer(hidden_states=ONES * 3)
        layer(ONES)
        assert [float(states.mean()) for states in caught] == [1, 3]

    def test_states_without_a_name_that_is_known_are_not_caught(self):
        class Named(nn.Module):
            def forward(self, given):
                return given

        layer = Named()
        with catching_input(layer) as caught:
            layer(given=ONES)
        assert caught == []
