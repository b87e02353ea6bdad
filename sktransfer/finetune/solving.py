"""A linear head on features that no longer change: its best weights, found at once.

Without hidden layers the loss is convex, so that nothing is gained by wandering towards
its minimum in small random steps.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.finetune.batches import Targets

__all__ = ["solve_linear_head"]

# What C is to scikit-learn's LogisticRegression on features of length 1 on average.
STRENGTH = 10.0
_MOST_ITERATIONS = 1000


def solve_linear_head(
    output: nn.Linear,
    features: npt.NDArray[np.floating],
    targets: Targets,
    criterion: nn.Module,
    strength: float = STRENGTH,
) -> float:
    """Set a layer to the minimum of loss and penalty, by L-BFGS in float64.

    The penalty draws the weights, but not the biases, to where they are: to zero in a
    new layer, else to a source's or an earlier fit's. It is
    ``w / (2 * strength * n) * sum((weight - start) ** 2)``, that of logistic regression
    with ``C=strength`` on features divided by ``sqrt(w)``.

    Parameters
    ----------
    output : torch.nn.Linear
        From w features to k logits; changed in place.
    features : ndarray of shape (n, w)
        Scaled as the layer reads them.
    targets : Targets
        Classes and weights of the rows.
    criterion : torch.nn.Module
        Loss of logits (n, k) and targets.
    strength : float > 0, default=10.0
        The larger, the less penalty.

    Returns
    -------
    loss : float
        At the minimum, without the penalty.
    """
    n_rows, width = features.shape
    rows = torch.from_numpy(np.asarray(features, dtype=np.float64))
    start = output.weight.detach().cpu().double()
    weight = start.clone().requires_grad_()
    bias = output.bias.detach().cpu().double().requires_grad_()
    exact = Targets(targets.classes.cpu(), targets.weight.cpu().double())
    penalty = width / (2 * strength * n_rows)
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_MOST_ITERATIONS,
        tolerance_grad=1e-9,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        value: torch.Tensor = criterion(rows @ weight.T + bias, exact)
        return value

    def closure() -> torch.Tensor:
        solver.zero_grad()
        total: torch.Tensor = loss() + penalty * (weight - start).square().sum()
        total.backward()
        return total

    solver.step(closure)
    with torch.no_grad():
        output.weight.copy_(weight)
        output.bias.copy_(bias)
        return loss().item()
