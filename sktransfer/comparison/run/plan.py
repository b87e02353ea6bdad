"""What is compared on which texts: the data, and the tasks of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.run.evaluation import Task
from sktransfer.comparison.run.fingerprints import digest_texts
from sktransfer.comparison.run.scoring import Scoring
from sktransfer.comparison.setup.candidates import Candidate, Source
from sktransfer.comparison.setup.folds import Fold, TrainSize, take_rows

__all__ = ["Data", "Row", "describe_data", "key_of", "least_of_a_class"]


@dataclass(frozen=True)
class Data:
    """What all strategies are compared on.

    Attributes
    ----------
    texts : list of str, of length n
        The target domain.
    labels : ndarray of shape (n,)
        Their labels.
    classes : ndarray
        Distinct labels, sorted.
    bound : ndarray of int of shape (n,)
        What must stay together.
    folds : list of Fold
        The same for all.
    sizes : list of TrainSize
        Ascending.
    scoring : Scoring
        The main metric.
    seed : int
        All randomness comes from it.
    """

    texts: list[str]
    labels: npt.NDArray[Any]
    classes: npt.NDArray[Any]
    bound: npt.NDArray[np.intp]
    folds: list[Fold]
    sizes: list[TrainSize]
    scoring: Scoring
    seed: int

    def sizes_of(self, candidate: Candidate) -> list[TrainSize]:
        """Sizes of a candidate; what learns from the source alone has size 0."""
        return [TrainSize(0)] if candidate.use == "only" else self.sizes

    def tasks(self, candidate: Candidate, size: TrainSize) -> list[Task]:
        """One task a fold."""
        tasks = []
        for fold in self.folds:
            entropy = [self.seed, fold.repeat, fold.number]
            state = np.random.SeedSequence(entropy).generate_state(1)
            train = take_rows(fold, size, self.labels, self.seed)
            tasks.append(
                Task(
                    candidate.recorded,
                    size.n_texts,
                    fold.repeat,
                    fold.number,
                    train[:0] if size.n_texts == 0 else train,
                    fold.test,
                    # scikit-learn takes seeds up to 2**32 - 1, some libraries 2**31.
                    int(state[0]) // 2,
                )
            )
        return tasks


@dataclass
class Row:
    """A row of the results while it comes about.

    Attributes
    ----------
    candidate : Candidate
        The strategy.
    size : TrainSize
        How many texts train.
    tasks : list of Task
        One a fold.
    outcomes : list of dict
        Of those that were run, as they came.
    """

    candidate: Candidate
    size: TrainSize
    tasks: list[Task]
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, int]:
        """Name and size."""
        return self.candidate.name, self.size.n_texts

    @property
    def pending(self) -> list[Task]:
        """Tasks that were not run."""
        known = {key_of(outcome) for outcome in self.outcomes}
        return [task for task in self.tasks if task.key not in known]

    @property
    def has_failed(self) -> bool:
        """Whether any task has."""
        return any(outcome["status"] == "failed" for outcome in self.outcomes)

    @property
    def status(self) -> str:
        """What is to be said when nothing more is run."""
        if self.has_failed:
            return "failed"
        return "skipped" if self.pending else "done"

    def in_order(self) -> list[dict[str, Any]]:
        """Outcomes in the order of the tasks."""
        found = {key_of(outcome): outcome for outcome in self.outcomes}
        return [found[task.key] for task in self.tasks if task.key in found]


def key_of(outcome: Mapping[str, Any]) -> tuple[str, int, int, int]:
    """What tells the task of an outcome from others."""
    return (
        outcome["strategy"],
        outcome["train_size"],
        outcome["repeat"],
        outcome["fold"],
    )


def describe_data(data: Data, source: Source | None) -> dict[str, Any]:
    """What must be the same for finished folds to count.

    Parameters
    ----------
    data : Data
        The target domain and its folds.
    source : Source or None
        The source domain.

    Returns
    -------
    settings : dict of str to str, int or None
    """
    rows = [column for f in data.folds for column in (f.train, f.test)]
    theirs = None
    if source is not None:
        theirs = digest_texts(source.texts, source.labels.tolist())
    return {
        "texts": digest_texts(data.texts),
        "labels": digest_texts(data.labels.tolist()),
        "source": theirs,
        "folds": digest_texts(*rows),
        "train_sizes": str([size.n_texts for size in data.sizes]),
        "scoring": data.scoring.name,
        "random_state": data.seed,
    }


def least_of_a_class(data: Data) -> int:
    """Texts of the rarest class in the smallest training part.

    Parameters
    ----------
    data : Data

    Returns
    -------
    n_texts : int
    """
    rarest = min(
        np.unique(data.labels[fold.train], return_counts=True)[1].min()
        for fold in data.folds
    )
    return int(min(rarest, data.sizes[0].n_texts // len(data.classes)))
