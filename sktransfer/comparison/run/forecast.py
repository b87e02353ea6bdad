"""What folds will take: by folds that were run, and by a rough model before that.

Where layers learn, a text costs several times what a frozen encoder needs for it, in
each epoch. The factors are those of the comparison in docs/example, of 300 sentences
and multilingual-e5-small on two cores, and rough elsewhere. Once a fold of such a
strategy is there, they are corrected by it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone

from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.estimators import Estimator, inner_estimators, is_encoder

__all__ = [
    "Cost",
    "Costs",
    "RowCost",
    "find_tuned",
    "forecast",
    "tell_costs",
    "tell_seconds",
    "time_encoders",
]

# What a text that is learnt from costs, in one epoch, in passes of a frozen encoder on
# the same cores.
_ALL_LAYERS = 5.5
_TOP_LAYERS = 2.0
_TOP = ("partial",)
# Steps of a training, at least, and epochs; rows of a step; texts of a row.
_LENGTHS = {"contrastive": (40, 1, 32, 2)}
_LENGTH = (100, 3, 16, 1)
# For less than 32 rows a class on average.
_FEW_STEPS = 40
_FEW_ROWS = 64
# Texts that tell what an encoder takes.
_N_TIMED = 16
# Seconds of a row that is named; others are counted.
_WORTH_TELLING = 5.0
# Seconds of a head on vectors that are there.
_HEAD = 0.3


@dataclass(frozen=True)
class Cost:
    """What a row will take, in seconds.

    Attributes
    ----------
    fold : float
        A fold, NaN where nobody knows.
    before : float
        What is done once before the first one, as a model of the source.
    basis : {"measured", "estimated", "unknown"}
        By its own folds, or by the model.
    """

    fold: float
    before: float = 0.0
    basis: str = "unknown"


@dataclass
class Costs:
    """What is known of the cost of folds.

    Attributes
    ----------
    by_encoder : dict of str to float
        Seconds that a text takes an encoder, by its name.
    n_source : int
        Texts of the source domain.
    n_beside : int
        Folds that share the cores.
    """

    by_encoder: dict[str, float] = field(default_factory=dict)
    n_source: int = 0
    n_beside: int = 1
    _ratios: list[float] = field(default_factory=list)

    def learn(
        self, candidate: Candidate, n_train: int, n_test: int, seconds: float
    ) -> None:
        """Take in what a fold has taken."""
        guess = self._guess(candidate, n_train, n_test)
        if find_tuned(candidate) is not None and guess > 0:
            self._ratios.append(seconds / guess)

    def of(
        self,
        candidate: Candidate,
        n_train: int,
        n_test: int,
        folds: Sequence[tuple[int, float]] = (),
    ) -> Cost:
        """Cost of a row whose folds have so many texts.

        `folds` are those of the same strategy that were run: training texts and
        seconds of each. Of the same size the longest counts; another size is scaled.
        """
        before = 0.0
        if candidate.use in ("only", "start"):
            before = self._correct(self._train(candidate, self.n_source))
            before = 0.0 if math.isnan(before) else before
        same = [seconds for n, seconds in folds if abs(n - n_train) <= 0.1 * n_train]
        if same or (folds and candidate.use == "only"):
            longest = max(same or [seconds for _, seconds in folds])
            return Cost(longest, before, "measured")
        if folds:
            n, seconds = max(folds)
            scaled = seconds * (n_train + 1) / (n + 1)
            return Cost(max(seconds, scaled), before, "measured")
        guess = self._guess(candidate, n_train, n_test)
        if find_tuned(candidate) is not None:
            guess = self._correct(guess)
        basis = "unknown" if math.isnan(guess) else "estimated"
        return Cost(guess, before, basis)

    def _correct(self, seconds: float) -> float:
        return seconds * (float(np.median(self._ratios)) if self._ratios else 1.0)

    def _guess(self, candidate: Candidate, n_train: int, n_test: int) -> float:
        forward = self.by_encoder.get(str(candidate.encoder), math.nan)
        if candidate.kind == "given" and find_tuned(candidate) is None:
            return math.nan  # whatever it does beside reading vectors
        if find_tuned(candidate) is None:
            # Vectors are made beforehand, and are no part of a fold.
            return _HEAD if candidate.encoder is not None else 0.0
        if candidate.use == "only":
            return forward * n_test
        n_texts = n_train + (self.n_source if candidate.use == "joint" else 0)
        return self._train(candidate, n_texts) + forward * n_test

    def _train(self, candidate: Candidate, n_texts: int) -> float:
        """Seconds of a training on so many texts."""
        learner = candidate.learns_source()
        if candidate.use != "start" or n_texts != self.n_source:
            learner = candidate.estimator
        tuned = _find_network(learner)
        if tuned is None:
            return 0.0
        forward = self.by_encoder.get(str(candidate.encoder), math.nan)
        steps, epochs, rows, texts = _LENGTHS.get(tuned.strategy, _LENGTH)
        if n_texts < _FEW_ROWS:
            steps = min(steps, _FEW_STEPS)
        own = getattr(tuned, "max_epochs", "auto")
        a_epoch = max(1, math.ceil(n_texts / rows))
        n_epochs = max(epochs, math.ceil(steps / a_epoch))
        if own != "auto":
            n_epochs = int(own)
        n_read = n_epochs * min(n_texts, a_epoch * rows) * texts
        if tuned.strategy in _LENGTHS:
            n_read = max(steps, n_epochs * a_epoch) * rows * texts
        factor = _TOP_LAYERS if tuned.strategy in _TOP else _ALL_LAYERS
        return forward * factor * n_read * self.n_beside


@dataclass(frozen=True)
class RowCost:
    """What a strategy will take, for people.

    Attributes
    ----------
    strategy : str
        Its name.
    n_folds : int
        Folds that are still to be run, of all train sizes.
    seconds : float
        By the clock, with what it needs beforehand; NaN where nobody knows.
    basis : {"measured", "estimated", "unknown"}
        By folds that were run, by a model, or not at all.
    fits : bool
        Whether it ends within the time budget, after all rows before it.
    """

    strategy: str
    n_folds: int
    seconds: float
    basis: str
    fits: bool = True


def forecast(
    rows: Iterable[tuple[str, int, float, str]], budget: float | None
) -> list[RowCost]:
    """Say which of some rows will fit in the time, in the order in which they run.

    Each is a name, a number of folds, seconds and their basis. A row that is left out
    takes no time.

    Examples
    --------
    >>> from sktransfer.comparison.run.forecast import forecast
    >>> found = forecast(
    ...     [("frozen", 5, 10.0, "estimated"), ("lora", 5, 400.0, "estimated")], 300
    ... )
    >>> [row.fits for row in found]
    [True, False]
    """
    found, spent = [], 0.0
    for name, n_folds, seconds, basis in rows:
        known = 0.0 if math.isnan(seconds) else seconds
        fits = budget is None or spent + known <= budget
        spent += known if fits else 0.0
        found.append(RowCost(name, n_folds, seconds, basis, fits))
    return found


def tell_costs(rows: Sequence[RowCost], budget: float | None = None) -> list[str]:
    """Say in a few lines what a comparison will take, the dearest strategies first.

    Examples
    --------
    >>> from sktransfer.comparison.run.forecast import RowCost, tell_costs
    >>> rows = [
    ...     RowCost("tfidf", 5, 0.1, "estimated"),
    ...     RowCost("partial", 5, 95.0, "estimated"),
    ...     RowCost("fine_tune", 5, 400.0, "estimated", fits=False),
    ... ]
    >>> for line in tell_costs(rows, 300.0):
    ...     print(line)
    This will take about 8 min: fine_tune 7 min, partial 95 s, 1 other below 5 s.
    5 min are likely to leave out: fine_tune.
    """
    known = [row for row in rows if row.n_folds and not math.isnan(row.seconds)]
    total = sum(row.seconds for row in known)
    dear = sorted(
        (row for row in known if row.seconds >= _WORTH_TELLING),
        key=lambda row: -row.seconds,
    )
    parts = [f"{row.strategy} {tell_seconds(row.seconds)}" for row in dear]
    n_others = len(known) - len(dear)
    if n_others:
        others = "1 other" if n_others == 1 else f"{n_others} others"
        parts.append(f"{others} below {_WORTH_TELLING:.0f} s")
    unknown = [row.strategy for row in rows if row.n_folds and math.isnan(row.seconds)]
    if unknown:
        parts.append(f"not known before the first fold: {', '.join(unknown)}")
    lines = []
    if dear or unknown:
        lines.append(f"This will take about {tell_seconds(total)}: {', '.join(parts)}.")
    left_out = [row.strategy for row in rows if not row.fits]
    if budget is not None and left_out:
        told = ", ".join(left_out)
        lines.append(f"{tell_seconds(budget)} are likely to leave out: {told}.")
    return lines


def tell_seconds(seconds: float) -> str:
    """Say a time as people do, roughly."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def time_encoders(
    candidates: Iterable[Candidate], texts: Sequence[str]
) -> dict[str, float]:
    """Seconds that a text takes each encoder of some candidates, on a few texts.

    Weights are loaded before, as they have to be anyway. What cannot be loaded is left
    out: its rows will say why.
    """
    found: dict[str, float] = {}
    every = np.linspace(0, len(texts) - 1, min(_N_TIMED, len(texts))).astype(int)
    sample = [texts[place] for place in every]
    for candidate in candidates:
        name = str(candidate.encoder)
        encoders = [
            inner
            for _, inner in inner_estimators(candidate.estimator)
            if is_encoder(inner)
        ]
        if candidate.encoder is None or name in found or not encoders:
            continue
        encoder = clone(encoders[0]).set_params(cache=None)
        try:
            encoder.fit(sample[:1]).transform(sample[:1])
            spent = []
            for _ in range(2):  # the first one also gets memory from the system
                started = time.perf_counter()
                encoder.transform(sample)
                spent.append(time.perf_counter() - started)
        except Exception:
            continue
        found[name] = min(spent) / len(sample)
    return found


def find_tuned(candidate: Candidate) -> Any:
    """Network of a candidate whose transformer learns, if it has one."""
    return _find_network(candidate.estimator)


def _find_network(estimator: Estimator) -> Any:
    for _, inner in inner_estimators(estimator):
        strategy = STRATEGIES.get(getattr(inner, "strategy", ""))
        encoder = getattr(inner, "encoder", None)
        if strategy is not None and strategy.tunes_encoder and is_encoder(encoder):
            return inner
    return None
