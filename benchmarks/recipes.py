"""Which recipe tunes an encoder best: a study of the defaults of tuned networks.

Five sets that no table of results has: English sentences, whole reviews, Chinese ones;
balanced, and with one text in ten of the rarer class. Each training is kept with the
logits that it leads to, so that what can be done after it (averages of its weights,
interpolation with the start, a head solved for on what the tuned encoder gives,
temperatures) costs no training of its own. Each result is in a folder as soon as it is
known, so that a run that was stopped goes on where it was, and two run side by side.

    recipes.py run PLAN... | table

`PLANS` names the plans. Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon,
zh_shopping and zh_takeaway.
"""

from __future__ import annotations

import itertools
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import recipe_tables
import torch
from labelled_sets import Array, read_set
from layouts import ENCODERS
from recipe_parts import BodyDropout, NewTop, PairsToo, Snapshots, TwoPasses

from sktransfer import BertFeaturizer, TransferSentimentClassifier
from sktransfer.classifier.network.network import log_odds, measure_scale
from sktransfer.classifier.training.linear_head import LinearProblem, choose_decay
from sktransfer.exceptions import SktransferWarning, TruncationWarning
from sktransfer.storage import cache_folder

FOLDER = cache_folder("benchmarks", "recipes")
MAX_LENGTH = 128
N_TEST = 800
N_FOLDS = 5
# Interpolation of the weights from the start, 0, to the end, 1.
SHARES_OF_END = {1.0: "end", 0.75: "three quarters", 0.5: "half"}
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)

AFTER_HEAD: dict[str, Any] = {
    "strategy": "fine_tune",
    "head_first": True,
    "early_stopping": False,
    "hidden_layer_sizes": (),
}
RANDOM_HEAD = AFTER_HEAD | {"head_first": False}
# The one that was chosen: the others are variations of it.
BASE = "rows and pairs"


@dataclass(frozen=True)
class Recipe:
    """One way of training: the classifier's parameters, and what they do not offer."""

    parameters: dict[str, Any]
    parts: tuple[Callable[[], Any], ...] = ()
    rate: float = 1.0
    averages: bool = False


RECIPES: dict[str, Recipe] = {
    "frozen": Recipe({"hidden_layer_sizes": ()}),
    "frozen, 64-32": Recipe({"hidden_layer_sizes": (64, 32)}),
    "before": Recipe(
        {
            "strategy": "fine_tune",
            "hidden_layer_sizes": (64, 32),
            "head_first": False,
            "early_stopping": "auto",
        }
    ),
    "head first": Recipe(AFTER_HEAD, averages=True),
    "head at random": Recipe(RANDOM_HEAD),
    "64-32 head first": Recipe(AFTER_HEAD | {"hidden_layer_sizes": (64, 32)}),
    "pairs too, head first": Recipe(AFTER_HEAD, (PairsToo,)),
    BASE: Recipe(RANDOM_HEAD, (PairsToo,)),
    "40 steps": Recipe(RANDOM_HEAD | {"max_epochs": 40}, (PairsToo,)),
    "half the rate": Recipe(RANDOM_HEAD, (PairsToo,), rate=0.5),
    "twice the rate": Recipe(RANDOM_HEAD, (PairsToo,), rate=2.0),
    "no dropout": Recipe(RANDOM_HEAD, (PairsToo, lambda: BodyDropout(0.0))),
    "smoothed labels": Recipe(RANDOM_HEAD | {"label_smoothing": 0.1}, (PairsToo,)),
    "layer decay .8": Recipe(RANDOM_HEAD | {"layer_decay": 0.8}, (PairsToo,)),
    "new top layer": Recipe(RANDOM_HEAD, (PairsToo, NewTop)),
    "supervised contrast": Recipe(RANDOM_HEAD, (lambda: PairsToo(1.0, "supcon"),)),
    "R-Drop": Recipe(RANDOM_HEAD, (PairsToo, TwoPasses)),
    "partial": Recipe(RANDOM_HEAD | {"strategy": "partial"}, (PairsToo,)),
    "partial, rows alone": Recipe(RANDOM_HEAD | {"strategy": "partial"}),
    "contrastive": Recipe({"strategy": "contrastive", "hidden_layer_sizes": ()}),
}


@dataclass(frozen=True)
class Plan:
    """Cells that are measured together, in the order in which they are."""

    recipes: tuple[str, ...]
    encoders: tuple[str, ...] = ("MiniLM",)
    sets: tuple[str, ...] = ("tweets", "news")
    sizes: tuple[int, ...] = (64, 300)
    draws: tuple[int, ...] = (0,)
    shares: tuple[float | None, ...] = (None,)

    def cells(self) -> Iterator[tuple[str, str, float | None, int, int, str]]:
        """Encoder, set, share of the rarer class, labels, draw, recipe."""
        for number, n, share, encoder, name, recipe in itertools.product(
            self.draws, self.sizes, self.shares, self.encoders, self.sets, self.recipes
        ):
            yield encoder, name, share, n, number, recipe


FROZEN = ("frozen", "frozen, 64-32")
MAIN = (BASE, "contrastive", "head at random", "pairs too, head first")
OTHERS = (
    "half the rate",
    "twice the rate",
    "no dropout",
    "smoothed labels",
    "layer decay .8",
    "supervised contrast",
    "partial",
    "new top layer",
    "R-Drop",
    "partial, rows alone",
)
SHORT = ("frozen", BASE, "contrastive")
E5 = ("E5",)
PLANS: dict[str, Plan] = {
    "e5-300": Plan((*FROZEN, *MAIN), E5, ("takeaway", "tweets"), (300,)),
    "e5-16": Plan(SHORT, E5, ("takeaway", "tweets", "fruit"), (16,)),
    "e5-others": Plan(OTHERS, E5, ("takeaway",), (300,)),
    "e5-skewed": Plan(SHORT, E5, ("tweets", "takeaway"), (300,), shares=(0.1,)),
    "e5-1000": Plan(SHORT, E5, ("takeaway",), (1000,)),
    "e5-1000-more": Plan((BASE, "frozen"), E5, ("fruit",), (1000,)),
    "e5-before": Plan(("before",), E5, ("takeaway", "tweets"), (300,)),
    "e5-short": Plan(("40 steps",), E5, ("takeaway", "tweets", "fruit"), (16,)),
    "e5-again": Plan(
        ("frozen", BASE, "contrastive", "head at random"), E5, ("fruit", "news"), (64,)
    ),
    "minilm": Plan((*FROZEN, *MAIN), sizes=(64, 300)),
    "minilm-16": Plan(SHORT, sizes=(16,)),
    "minilm-skewed": Plan(SHORT, sets=("tweets",), sizes=(300,), shares=(0.1,)),
    "minilm-short": Plan(("40 steps",), sizes=(16,)),
    "minilm-again": Plan(
        ("frozen", BASE, "contrastive", "head at random"), sizes=(64, 300), draws=(1,)
    ),
    "minilm-1000": Plan(SHORT, sizes=(1000,)),
}


def path_of(cell: tuple[Any, ...]) -> Path:
    """Where a cell's logits are."""
    return FOLDER / ("; ".join(map(str, cell)) + ".npz")


def measure(cell: tuple[str, str, float | None, int, int, str]) -> dict[str, Array]:
    """Train, and the logits of all that can be done after it."""
    encoder, name, share, n, number, recipe = cell
    texts = read_set(name)
    train, test = texts.draw(share, n, number)
    test = test[:: max(1, len(test) // N_TEST)][:N_TEST] if share is None else test
    X, y = texts.take(train), texts.y[train]
    Z = texts.take(test)
    way = RECIPES[recipe]
    featurizer = BertFeaturizer(ENCODERS[encoder], max_length=MAX_LENGTH)
    parameters = dict(way.parameters)
    if way.rate != 1:
        usual = {"MiniLM": 1e-4, "E5": 5e-5}[encoder]
        parameters["encoder_learning_rate"] = way.rate * usual
    snapshots = Snapshots()
    model = TransferSentimentClassifier(
        featurizer,
        random_state=number,
        callbacks=[("snapshots", snapshots)]
        + [(f"part_{i}", make()) for i, make in enumerate(way.parts)],
        **parameters,
    )
    began = time.perf_counter()
    model.fit(X, y)
    found: dict[str, Array] = {"seconds": np.array(time.perf_counter() - began)}
    found |= {"y": y, "z": texts.y[test]}
    found["end/test"] = logits_of(model, Z)
    found["end/train"] = logits_of(model, X)
    if hasattr(snapshots, "end"):
        start, end = snapshots.start, snapshots.end
        for share, variant in SHARES_OF_END.items():
            tensors = {key: start[key].lerp(end[key], share) for key in start}
            found |= with_weights(model, tensors, variant, X, Z, y)
        if way.averages:
            found |= with_weights(model, snapshots.mean, "mean", X, Z, y)
    elif not way.parameters.get("strategy"):
        found |= heads(
            "end", model.encoder_.transform(X), model.encoder_.transform(Z), y
        )
    return found


def with_weights(
    model: TransferSentimentClassifier,
    tensors: dict[str, torch.Tensor],
    variant: str,
    X: list[str],
    Z: list[str],
    y: Array,
) -> dict[str, Array]:
    """Logits of the model with these weights, by its head and by one solved for."""
    network = model.net_.module_
    own = dict(network.named_parameters())
    for name, tensor in tensors.items():
        own[name].data.copy_(tensor)
    network.eval()
    rows = {"train": model._input.rows(X), "test": model._input.rows(Z)}
    features = {part: model.net_.encode(texts) for part, texts in rows.items()}
    decide = network.decision()
    found = {}
    for part, vectors in features.items():
        with torch.inference_mode():
            logits = decide(torch.from_numpy(vectors).double())
        found[f"{variant}/{part}"] = logits.float().numpy()
    return found | heads(variant, features["train"], features["test"], y)


def heads(variant: str, train: Array, test: Array, y: Array) -> dict[str, Array]:
    """Logits of a linear head solved for on these features, out of folds too."""
    n_outputs = 1 if y.max() == 1 else int(y.max()) + 1
    mean, scale = measure_scale(train)
    whole = LinearProblem.of((train - mean) / scale, y, np.ones(len(y)), n_outputs)
    start = np.zeros((n_outputs, train.shape[1]))

    def solve(problem: LinearProblem) -> tuple[Array, Array]:
        bias = log_odds(problem.classes, None, n_outputs)
        return problem.solve(start, bias, choose_decay(problem, start, bias))

    solved = solve(whole)
    unseen = LinearProblem.of(
        (test - mean) / scale, np.zeros(len(test), int), np.ones(len(test)), n_outputs
    )
    folds = np.empty(len(y), int)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        folds[rows] = np.arange(len(rows)) % N_FOLDS
    outside = np.empty((len(y), n_outputs))
    for fold in np.unique(folds):
        rest, part = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        outside[part] = whole.take(part).logits(*solve(whole.take(rest)))
    found = {
        f"{variant}, solved/test": unseen.logits(*solved),
        f"{variant}, solved/train": whole.logits(*solved),
        f"{variant}, solved/outside": outside,
    }
    bias = log_odds(whole.classes, None, n_outputs)
    for strength in STRENGTHS:
        solved = whole.solve(start, bias, whole.decay(strength))
        found[f"{variant}, C={strength:g}/test"] = unseen.logits(*solved)
        found[f"{variant}, C={strength:g}/train"] = whole.logits(*solved)
    return found


def logits_of(model: TransferSentimentClassifier, texts: list[str]) -> Array:
    """Logits (n, k)."""
    found = model.decision_function(texts)
    return found[:, None] if found.ndim == 1 else found


def run(plan: Plan) -> None:
    """Measure what a plan lacks."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for cell in plan.cells():
        path = path_of(cell)
        mark = path.with_suffix(".part")
        if path.exists():
            continue
        try:
            with mark.open("xb"):
                pass
        except FileExistsError:  # another run is at it, or was killed
            if time.time() - mark.stat().st_mtime < 1800:
                continue
        found = measure(cell)
        with mark.open("wb") as file:
            np.savez(file, **found)
        mark.replace(path)
        shown = recipe_tables.accuracies(found)
        print(*cell, f"{float(found['seconds']):.1f} s", shown, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore", TruncationWarning)
    warnings.simplefilter("ignore", SktransferWarning)
    if sys.argv[1:2] == ["run"]:
        for name in sys.argv[2:]:
            run(PLANS[name])
    else:
        recipe_tables.write(FOLDER)
