import itertools
from types import SimpleNamespace

import pytest
import torch
from skorch.history import History

from sktransfer.classifier.data.rows import Targets
from sktransfer.classifier.training.net import WeightedLoss, WeightedLosses
from sktransfer.classifier.training.skorch_rows import LabelledBatch
from sktransfer.exceptions import TrainingError


class TestLoss:
    classes = torch.tensor([0, 1, 1])
    weight = torch.tensor([1.0, 3.0, 0.0])

    def test_one_logit_is_binary_cross_entropy(self):
        logits = torch.tensor([[0.5], [-1.0], [9.0]])
        loss = WeightedLoss()(logits, Targets(self.classes, self.weight))
        each = torch.nn.functional.softplus(torch.tensor([0.5, 1.0]))
        torch.testing.assert_close(loss, (each[0] + 3 * each[1]) / 3)

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_one_logit_and_two_say_the_same(self, smoothing):
        logits = torch.tensor([[0.5], [-1.0], [9.0]])
        two = torch.cat([torch.zeros(3, 1), logits], dim=1)
        targets = Targets(self.classes, self.weight)
        loss = WeightedLoss(smoothing)
        torch.testing.assert_close(loss(logits, targets), loss(two, targets))

    def test_batches_are_the_whole_on_average(self):
        logits = torch.tensor([[0.5], [-1.0], [2.0], [0.1]])
        classes, weight = torch.tensor([0, 1, 1, 0]), torch.tensor([0.2, 3.0, 0.5, 0.3])
        loss = WeightedLoss()
        batches = [
            loss(logits[[i, j]], Targets(classes[[i, j]], weight[[i, j]]))
            for i, j in itertools.combinations(range(4), 2)
        ]
        whole = loss(logits, Targets(classes, weight))
        torch.testing.assert_close(torch.stack(batches).mean(), whole)


class TestLosses:
    def run(self, *batches):
        net, losses = SimpleNamespace(history=History()), WeightedLosses().initialize()
        net.history.new_epoch()
        losses.on_epoch_begin(net)
        for value, weight, training in batches:
            targets = Targets(torch.zeros(len(weight)), torch.tensor(weight))
            batch = LabelledBatch({}, len(weight), targets)
            logits = torch.arange(float(len(weight)))[:, None]
            losses.on_batch_end(
                net,
                batch=(batch, None),
                training=training,
                loss=torch.tensor(value),
                y_pred=logits,
            )
        losses.on_epoch_end(net)
        return net.history[-1]

    def test_they_are_sums_over_all_rows_by_the_sum_of_weights(self):
        # Batches of w l = 1 + 2, 5 and, to validate on, 2 + 2 and 6.
        epoch = self.run(
            (3 / 2, [1.0, 1.0], True),
            (5.0, [2.0], True),
            (4 / 2, [0.5, 0.5], False),
            (6.0, [3.0], False),
        )
        assert epoch["train_loss"] == pytest.approx((1 + 2 + 5) / 4)
        assert epoch["valid_loss"] == pytest.approx((2 + 2 + 6) / 4)
        # All rows are of class 0; a logit above 0 stands for class 1.
        assert epoch["valid_acc"] == pytest.approx((0.5 + 3) / 4)

    def test_without_validation_there_is_no_valid_loss(self):
        found = self.run((1.0, [1.0], True))
        assert not {"valid_loss", "valid_acc"} & set(found)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_loss_that_is_no_number_stops_the_training(self, value):
        with pytest.raises(TrainingError, match=r"became (nan|inf) in epoch 1.*lower"):
            self.run((value, [1.0], True))
