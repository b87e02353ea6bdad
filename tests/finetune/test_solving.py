import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from sktransfer.finetune.batches import Targets
from sktransfer.finetune.losses import WeightedLoss
from sktransfer.finetune.solving import solve_linear_head


def zeros(width, n_outputs):
    layer = nn.Linear(width, n_outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@pytest.fixture
def rows():
    """Forty rows of six numbers of length 1 on average, times the root of six."""
    X = np.random.default_rng(0).normal(size=(40, 6))
    return X, X[:, :3].argmax(axis=1)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_it_is_logistic_regression(rows, n_classes, strength):
    X, y = rows[0], rows[1] % n_classes
    weight = np.arange(40) % 3 + 0.5
    weight /= weight.mean()
    layer = zeros(6, 1 if n_classes == 2 else n_classes)
    targets = Targets(torch.from_numpy(y), torch.from_numpy(weight))
    solve_linear_head(layer, X, targets, WeightedLoss(), strength)
    peer = LogisticRegression(C=strength, tol=1e-10, max_iter=1000)
    peer.fit(X / np.sqrt(6), y, sample_weight=weight)
    found = layer.weight.detach().numpy() * np.sqrt(6)
    np.testing.assert_allclose(found, peer.coef_, atol=2e-5)
    logits = layer(torch.from_numpy(X).float()).detach().numpy()
    expected = peer.decision_function(X / np.sqrt(6)).reshape(logits.shape)
    centre = 0 if n_classes == 2 else (logits - expected).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(logits - centre, expected, atol=1e-4)


def test_it_says_the_loss_at_the_minimum(rows):
    X, y = rows
    layer, targets = zeros(6, 3), Targets(torch.from_numpy(y), torch.ones(40))
    found = solve_linear_head(layer, X, targets, WeightedLoss())
    logits = layer(torch.from_numpy(X).float())
    assert found == pytest.approx(WeightedLoss()(logits, targets).item(), rel=1e-5)
    assert found < np.log(3)


def test_smoothed_labels_make_it_less_sure(rows):
    X, y = rows
    sizes = []
    for smoothing in (0.0, 0.3):
        layer, targets = zeros(6, 3), Targets(torch.from_numpy(y), torch.ones(40))
        solve_linear_head(layer, X, targets, WeightedLoss(smoothing), 1e3)
        sizes.append(layer.weight.norm().item())
    assert sizes[1] < 0.5 * sizes[0]


def test_the_penalty_draws_to_where_the_layer_starts(rows):
    X, y = rows
    targets = Targets(torch.from_numpy(y % 2), torch.ones(40))
    layer = zeros(6, 1)
    nn.init.constant_(layer.weight, 0.7)
    solve_linear_head(layer, X, targets, WeightedLoss(), 1e-8)
    np.testing.assert_allclose(layer.weight.detach(), 0.7, atol=1e-4)


def test_a_class_without_rows_is_never_likely(rows):
    X, y = rows
    layer, targets = zeros(6, 4), Targets(torch.from_numpy(y), torch.ones(40))
    solve_linear_head(layer, X, targets, WeightedLoss())
    chances = layer(torch.from_numpy(X).float()).softmax(dim=1)
    assert chances.isfinite().all()
    assert chances[:, 3].max() < 1e-3
