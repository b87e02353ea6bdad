"""What checks look at: texts, labels and folds, and later what came of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sktransfer.comparison.checks.similar_texts import sketch_texts
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate, Source
from sktransfer.comparison.setup.folds import Fold, text_keys
from sktransfer.comparison.setup.thresholds import threshold_of
from sktransfer.estimators import Encoder, inner_estimators, is_encoder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Facts", "Reading", "gather", "number_values"]


@dataclass(frozen=True)
class Reading:
    """An encoder, not fitted, and the strategies whose texts it reads."""

    encoder: Encoder
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What is known of a comparison; None is what nobody knows, or not yet.

    A check runs where all that it needs is there.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        One a text.
    folds : sequence of Fold
        The same for all strategies.
    scoring : str, default="accuracy"
        Name of the metric that decides.
    is_balanced : bool, default=False
        Whether labels go by probability beside the class's share, where they can.
    seed : int, default=0
        Where something is drawn.
    texts : sequence of str, of length n, default=None
        The target domain.
    groups : ndarray of int of shape (n,), default=None
        Numbers of the groups that the user gave.
    source : sequence of str, default=None
        Texts of the source domain.
    readings : sequence of Reading, default=None
        Encoders that read the texts.
    predictions : mapping of str to DataFrame, default=None
        Strategy to its predictions out of fold, as `StrategyComparison` has them.
    scores : DataFrame, default=None
        The score of each strategy in each fold: ``strategy``, ``train_size``,
        ``repeat``, ``fold`` and ``score``.
    baseline : str, default=None
        Strategy that the others are compared with.
    distance : float, default=None
        Proxy A-distance of source and target.
    """

    labels: npt.NDArray[Any]
    folds: Sequence[Fold]
    scoring: str = "accuracy"
    is_balanced: bool = False
    seed: int = 0
    texts: Sequence[str] | None = None
    groups: npt.NDArray[np.intp] | None = None
    source: Sequence[str] | None = None
    readings: Sequence[Reading] | None = None
    predictions: Mapping[str, pd.DataFrame] | None = None
    scores: pd.DataFrame | None = None
    baseline: str | None = None
    distance: float | None = None

    @cached_property
    def keys(self) -> list[str]:
        """What tells copies of a text: equal strings."""
        return text_keys(self.texts or ())

    @cached_property
    def key_numbers(self) -> npt.NDArray[np.intp]:
        """The same as numbers, shape (n,)."""
        return number_values(self.keys)

    @cached_property
    def sketches(self) -> sparse.csr_matrix:
        """Their sketches, see `sketch_texts`."""
        return sketch_texts(self.keys)


def number_values(values: Iterable[object]) -> npt.NDArray[np.intp]:
    """Number distinct values in the order in which they come."""
    known: dict[object, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.intp)


def gather(
    data: Data,
    *,
    groups: Collection[object] | None = None,
    source: Source | None = None,
    candidates: Iterable[Candidate] = (),
) -> Facts:
    """What is known before anything is trained."""
    candidates = list(candidates)
    return Facts(
        data.labels,
        data.folds,
        scoring=data.scoring.name,
        is_balanced=any(map(threshold_of, candidates)),
        seed=data.seed,
        texts=data.texts,
        groups=None if groups is None else number_values(groups),
        source=None if source is None else source.texts,
        readings=_find_readings(candidates),
    )


def _find_readings(candidates: Iterable[Candidate]) -> list[Reading]:
    """Encoders of candidates, each once, as they read a text."""
    encoders: dict[str, Encoder] = {}
    names: dict[str, list[str]] = {}
    for candidate in candidates:
        for _, inner in inner_estimators(candidate.estimator):
            if not is_encoder(inner) or not hasattr(inner, "long_text"):
                continue
            read = ("model", "revision", "prefix", "max_length", "long_text")
            key = repr([getattr(inner, name) for name in read])
            encoders.setdefault(key, inner)
            names.setdefault(key, []).append(candidate.name)
    return [Reading(encoders[key], tuple(names[key])) for key in encoders]
