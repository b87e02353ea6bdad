"""head_first=True: the head learns alone before layers of the encoder join it.

The gradients of a head at random change layers that were good as they were, most where
texts are few (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution": linear probing, then fine-tuning). What the body
gives before it learns is known by then, as the scale is measured on it, so that this
costs next to nothing.
"""

from __future__ import annotations

from dataclasses import replace

from sktransfer.classifier.data.rows import LabelledRows
from sktransfer.classifier.network.network import set_resting_parts
from sktransfer.classifier.strategies.base import FitState, fit_head, make_trainer
from sktransfer.classifier.training.linear_head import STRENGTH
from sktransfer.classifier.training.settings import FROZEN, resolve_settings

__all__ = ["train_head_first"]

# Lengths and rate of the head's own: those that users name are of the layers.
_OWN = {"head_learning_rate": "auto", "max_epochs": "auto", "batch_size": "auto"}


def train_head_first(state: FitState) -> FitState:
    """Phase: the head learns from `state.first`, which is let go of."""
    network, body = state.network, state.network.body
    assert body is not None
    assert state.first is not None
    # What the head is drawn to is where it comes from, not where it is after this.
    references = {
        f"head.{name}": tensor.detach().clone()
        for name, tensor in network.head.named_parameters()
    } | state.built.references
    features = state.first.take(state.train)
    built = replace(state.built, references=references)
    state = replace(state, built=built, first=None)
    classes, weight = state.rows.classes.numpy(), state.rows.weight.numpy()
    rows = LabelledRows(features, classes[state.train], weight[state.train])
    learn = [parameter for parameter in body.parameters() if parameter.requires_grad]
    body.let_learn([])
    settings = resolve_settings(state.options, FROZEN, network, len(rows), instead=_OWN)
    net = make_trainer(state, settings, len(rows), is_last=False)
    fit_head(net, rows, lambda problem: problem.decay(STRENGTH))
    for line in net.history:
        line["part"] = "head"
    body.let_learn(learn)
    set_resting_parts(network)
    return replace(state, net=net)
