from types import SimpleNamespace

import numpy as np
import torch
from skorch.history import History

from sktransfer.classifier.training.callbacks import (
    BestEpoch,
    DecayTowards,
    StopTraining,
)


class ANet:
    """As much of a net as callbacks ask for."""

    def __init__(self, **parameters):
        self.history = History()
        self.module_ = SimpleNamespace(
            learning_tensors=lambda: {k: p.data for k, p in parameters.items()},
            named_parameters=lambda: list(parameters.items()),
        )
        groups = [{"params": list(parameters.values()), "weight_decay": 0.5}]
        self.optimizer_ = torch.optim.SGD(groups, lr=0.1)


class TestBestEpoch:
    def run(self, losses, patience):
        """Epochs that write their number into the parameter, and what is left of it."""
        weight = torch.nn.Parameter(torch.zeros(1))
        net, best = ANet(weight=weight), BestEpoch(patience)
        best.on_train_begin(net)
        try:
            for number, loss in enumerate(losses, start=1):
                net.history.new_epoch()
                net.history.record("valid_loss", loss)
                weight.data.fill_(number)
                best.on_epoch_end(net)
        except StopTraining:
            pass
        best.on_train_end(net)
        return len(net.history), weight.item(), net.history[:, "valid_loss_best"]

    def test_the_best_epoch_comes_back(self):
        epochs, weight, best = self.run([3, 1, 2], patience=5)
        assert (epochs, weight) == (3, 2)
        assert best == [True, True, False]

    def test_it_stops_after_so_many_epochs_without_a_better_one(self):
        assert self.run([3, 1, 2, 2, 0], patience=2)[:2] == (4, 2)

    def test_no_patience_never_stops(self):
        assert self.run([1, 2, 3, 4, 5], patience=None)[:2] == (5, 1)

    def test_of_equal_epochs_the_first_counts(self):
        assert self.run([1, 1], patience=5)[1] == 1


class TestDecayTowards:
    def test_each_step_goes_a_share_of_the_way_back(self):
        held = torch.nn.Parameter(torch.tensor([4.0, 0.0]))
        free = torch.nn.Parameter(torch.tensor([4.0, 0.0]))
        net = ANet(held=held, free=free)
        decay = DecayTowards({"held"}, strength=5.0)
        decay.on_train_begin(net)
        held.data.copy_(torch.tensor([6.0, -2.0]))
        decay.on_grad_computed(net)
        # rate 0.1 * strength 5 = half of the way
        torch.testing.assert_close(held.data, torch.tensor([5.0, -1.0]))
        torch.testing.assert_close(free.data, torch.tensor([4.0, 0.0]))

    def test_no_pull_goes_beyond_the_start(self):
        held = torch.nn.Parameter(torch.zeros(1))
        net, decay = ANet(held=held), DecayTowards({"held"}, strength=1000.0)
        decay.on_train_begin(net)
        held.data.fill_(1.0)
        decay.on_grad_computed(net)
        assert held.item() == 0

    def test_what_is_held_decays_towards_nothing_else(self):
        held, free = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
        net = ANet(held=held, free=free)
        DecayTowards({"held"}, strength=1.0).on_train_begin(net)
        decay = {
            id(p): group["weight_decay"]
            for group in net.optimizer_.param_groups
            for p in group["params"]
        }
        assert decay == {id(held): 0.0, id(free): 0.5}
        assert np.unique([group["lr"] for group in net.optimizer_.param_groups]) == 0.1
