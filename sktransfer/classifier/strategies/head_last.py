"""Last phase where layers learnt: a linear head is solved for on what they give now.

Layers that have learnt put the texts that they learnt from far from the border between
the classes, and the head that learnt with them is as sure of other texts, of which it
knows less. A linear head under a penalty of the right strength is about as sure as it
should be (benchmarks/recipes.md), and no text has to be held back for that. One with
hidden layers stays as it is and takes its temperature from the linear one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from sktransfer.classifier.data.rows import FeatureRows, LabelledRows, text_features
from sktransfer.classifier.strategies.base import FitState
from sktransfer.classifier.training.linear_head import LinearProblem, set_to_optimum
from sktransfer.classifier.training.net import features_of
from sktransfer.classifier.training.temperature import temperature_like

__all__ = ["settle_head", "solve_head_last"]


def solve_head_last(state: FitState) -> FitState:
    """Phase: the head settles on what the layers give; not after an interrupt.

    One that comes here leaves the head that has learnt with the layers.
    """
    net, network, rows = state.net, state.network, state.learning()
    assert net is not None
    if net.interrupted_:
        return state
    before = {name: tensor.clone() for name, tensor in network.own_tensors().items()}
    try:
        features = features_of(network, rows.rows, state.device, state.dtype)
        classes, weight = rows.classes.numpy(), rows.weight.numpy()
        return settle_head(state, LabelledRows(features, classes, weight))
    except KeyboardInterrupt:
        network.load_state_dict(before, strict=False)
        net.interrupted_ = True
        return state


def settle_head(state: FitState, rows: LabelledRows) -> FitState:
    """Solve for a linear head on features; another has its temperature measured.

    A linear one is drawn to where it was when the fit began, zero or the source's.
    """
    network, net, options = state.network, state.net, state.options
    assert net is not None
    matrix = np.asarray(text_features(rows.rows))
    if network.layout.hidden_layer_sizes:
        if not options.calibrate:
            return state
        others = _logits_of_linear(state, rows, matrix)
        found = temperature_like(net.predict_logits(rows.rows), others)
        return replace(state, temperature=found)
    weight = rows.weight.numpy()
    if state.measures_scale():
        network.set_scale(matrix, weight.astype(np.float64))
    start = state.built.references.get("head.output.weight", state.head_start)
    assert start is not None
    with torch.no_grad():
        network.output.weight.copy_(start)
    set_to_optimum(
        network,
        LabelledRows(FeatureRows(matrix), rows.classes.numpy(), weight),
        state.penalty_on_tuned(),
        label_smoothing=options.label_smoothing,
    )
    return state


def _logits_of_linear(
    state: FitState, rows: LabelledRows, matrix: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Logits (n, k) of a linear head for the features (n, w) that it learnt from."""
    n_outputs = state.network.layout.n_outputs
    centred = matrix - matrix.mean(axis=0)
    classes, weight = rows.classes.numpy(), rows.weight.numpy()
    problem = LinearProblem.of(centred, classes, weight, n_outputs)
    start = np.zeros((n_outputs, matrix.shape[1]))
    decay = problem.decay(state.strength, state.n_distinct)
    return problem.logits(*problem.solve(start, np.zeros(n_outputs), decay))
