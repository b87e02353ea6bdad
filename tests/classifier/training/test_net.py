import pytest
import torch

from sktransfer.classifier.data.rows import Targets
from sktransfer.classifier.training.net import WeightedLoss


class TestLoss:
    classes = torch.tensor([0, 1, 1])
    weight = torch.tensor([1.0, 2.0, 0.0])

    def test_one_logit_is_binary_cross_entropy(self):
        logits = torch.tensor([[0.5], [-1.0], [9.0]])
        loss = WeightedLoss()(logits, Targets(self.classes, self.weight))
        each = torch.nn.functional.softplus(torch.tensor([0.5, 1.0]))
        torch.testing.assert_close(loss, (each[0] + 2 * each[1]) / 3)

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_one_logit_and_two_say_the_same(self, smoothing):
        logits = torch.tensor([[0.5], [-1.0], [9.0]])
        two = torch.cat([torch.zeros(3, 1), logits], dim=1)
        targets = Targets(self.classes, self.weight)
        loss = WeightedLoss(smoothing)
        torch.testing.assert_close(loss(logits, targets), loss(two, targets))
