"""A strategy of a comparison, fitted on everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV

from sktransfer._compat import BaseSearchCV
from sktransfer.comparison.run.evaluation import fit_estimator
from sktransfer.comparison.run.preparation import SourceModels, unshare_vectors
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import (
    Candidate,
    PooledClassifier,
    prepare,
    seed_estimator,
)
from sktransfer.comparison.setup.folds import Rows
from sktransfer.estimators import open_wrappers

__all__ = ["Refit"]

# Folds over which a threshold is tuned.
_N_FOLDS = 5


@dataclass(frozen=True)
class Refit:
    """Fits strategies on all texts.

    `cache` is the folder in which the candidates keep their vectors; what is fitted
    forgets it.
    """

    data: Data
    candidates: Sequence[Candidate]
    sources: SourceModels
    cache: Path | None = None

    def __call__(self, strategy: str, tune_threshold: bool | str) -> Any:
        """Fit the strategy of that name.

        Its threshold is tuned by the metric of that name; True is the main one.
        """
        (candidate,) = (c for c in self.candidates if c.name == strategy)
        model = None
        if candidate.use in ("only", "start"):
            model = self.sources.model(candidate)[0]
        estimator = prepare(candidate, self.sources.source, model)
        data = self.data
        grid = candidate.grid
        if grid is not None or not tune_threshold:
            estimator = fit_estimator(
                estimator,
                data.texts,
                data.labels,
                seed=data.seed,
                grid=grid,
                bound=data.bound,
                scoring=data.scoring,
            )
        # Parameters first, then the threshold of the estimator that has them.
        if tune_threshold:
            best = getattr(estimator, "best_estimator_", estimator)
            fitted = self._tune(best, tune_threshold)
        else:
            # What predicts, without what was around it while it learnt.
            around = (BaseSearchCV, PooledClassifier, FrozenEstimator)
            fitted = open_wrappers(estimator, *around)
        return fitted if self.cache is None else unshare_vectors(fitted, self.cache)

    def _tune(self, estimator: BaseEstimator, metric: bool | str) -> Any:
        data = self.data
        tuned = TunedThresholdClassifierCV(
            seed_estimator(estimator, data.seed),
            scoring=data.scoring.scorer if metric is True else metric,
            cv=_bound_folds(data.labels, data.bound, data.seed),
            random_state=data.seed,
        )
        return tuned.fit(data.texts, data.labels)


def _bound_folds(labels: npt.NDArray[np.generic], bound: Rows, seed: int) -> Any:
    """Folds that keep together what is bound."""
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    first = np.unique(bound, return_index=True)[1]
    if len(first) == len(bound):
        return folds
    found = []
    for _, test in folds.split(first, labels[first]):
        tested = np.isin(bound, bound[first[test]])
        found.append((np.flatnonzero(~tested), np.flatnonzero(tested)))
    return found
