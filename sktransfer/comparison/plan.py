"""What is compared on which texts: the data, and the tasks of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.candidates import Candidate
from sktransfer.comparison.curves import TrainSize, take_rows
from sktransfer.comparison.evaluation import Task
from sktransfer.comparison.folds import Fold
from sktransfer.comparison.scoring import Scoring

__all__ = ["Data", "Row", "key_of"]


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
