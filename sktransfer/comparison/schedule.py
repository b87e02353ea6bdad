"""Which fold of which strategy is run when, and what becomes of it.

Cheap strategies come first, each fold is in the journal before the next one begins, an
error ends its row only, and when the time is up the rest is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs

from sktransfer.comparison.candidates import Candidate, prepare
from sktransfer.comparison.curves import TrainSize, take_rows
from sktransfer.comparison.encoding import Charge, EncodingCosts
from sktransfer.comparison.evaluation import Task, describe_error, evaluate
from sktransfer.comparison.folds import Fold
from sktransfer.comparison.journal import Journal
from sktransfer.comparison.scoring import Scoring
from sktransfer.comparison.sources import SourceModels

__all__ = ["Data", "Schedule", "Watch"]

# Called with a candidate, a size and the outcomes of that row so far.
Watch = Callable[[Candidate, TrainSize, Sequence[dict[str, Any]], str], None]


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
                    candidate.name,
                    size.n_texts,
                    fold.repeat,
                    fold.number,
                    train[:0] if size.n_texts == 0 else train,
                    fold.test,
                    # scikit-learn takes seeds up to 2**32 - 1, some libraries 2**31.
                    int(state[0]) // 2,
                    size in (TrainSize(0), self.sizes[-1]),
                )
            )
        return tasks


@dataclass
class Schedule:
    """Runs candidates on data.

    Attributes
    ----------
    data : Data
        What to run on.
    journal : Journal
        Where outcomes go, and where those of an earlier run are.
    sources : SourceModels
        Models of the source domain.
    costs : EncodingCosts
        Vectors that are made beforehand.
    n_jobs : int or None
        As joblib has it; over the folds of a row.
    deadline : float or None
        When ``time.monotonic()`` says so, nothing new is begun.
    watch : callable or None
        Called whenever a row has moved on.
    """

    data: Data
    journal: Journal
    sources: SourceModels
    costs: EncodingCosts
    n_jobs: int | None = None
    deadline: float | None = None
    watch: Watch | None = None
    _done: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take over what an earlier run has finished; what failed is tried again."""
        for entry in self.journal.of_kind("fold"):
            if entry["status"] == "done":
                self._done[_key(entry)] = entry
        for entry in self.journal.of_kind("encoder"):
            self.costs.by_encoder[entry["digest"]] = entry["seconds"]
        for entry in self.journal.of_kind("source"):
            self.sources.seconds[entry["digest"]] = entry["seconds"]

    def run(
        self, candidates: Sequence[Candidate]
    ) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """Run all candidates, in this order.

        Parameters
        ----------
        candidates : sequence of Candidate

        Returns
        -------
        outcomes : dict of (name, size) to list of dict
            What `evaluate` answered, in the order of the folds; fewer than there are
            folds where a row failed or the time was up.
        """
        return {
            (candidate.name, size.n_texts): self._run_row(candidate, size)
            for candidate in candidates
            for size in self.data.sizes_of(candidate)
        }

    def _run_row(self, candidate: Candidate, size: TrainSize) -> list[dict[str, Any]]:
        tasks = self.data.tasks(candidate, size)
        outcomes = [self._done[t.key] for t in tasks if t.key in self._done]
        pending = [task for task in tasks if task.key not in self._done]
        if not pending:
            self._tell(candidate, size, outcomes, "done")
            return outcomes
        if self._is_late():
            self._tell(candidate, size, outcomes, "skipped")
            return outcomes
        self._tell(candidate, size, outcomes, "running")
        status = "done"
        for outcome in self._run_tasks(candidate, pending):
            self.journal.write({"entry": "fold", **outcome})
            outcomes.append(outcome)
            if outcome["status"] == "failed":
                status = "failed"
            self._tell(candidate, size, outcomes, "running")
        if status == "done" and len(outcomes) < len(tasks):
            status = "skipped"
        order = {task.key: number for number, task in enumerate(tasks)}
        outcomes.sort(key=lambda outcome: order[_key(outcome)])
        self._tell(candidate, size, outcomes, status)
        return outcomes

    def _run_tasks(
        self, candidate: Candidate, tasks: list[Task]
    ) -> Iterator[dict[str, Any]]:
        """Outcomes as they come; none after a failure or when the time is up."""
        try:
            estimator, charge = self._prepare(candidate)
        except Exception as error:
            yield _failed(tasks[0], error)
            return
        failed: list[Task] = []

        def due() -> Iterator[Task]:
            for task in tasks:
                if failed or self._is_late():
                    return
                yield task

        data = self.data
        fixed = {
            "classes": data.classes,
            "scoring": data.scoring,
            "charge": charge,
            "grid": candidate.grid,
            "bound": data.bound,
        }
        rows = (estimator, data.texts, data.labels)
        if effective_n_jobs(self.n_jobs) == 1:
            outcomes = (evaluate(task, *rows, **fixed) for task in due())
        else:
            workers = Parallel(
                self.n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs"
            )
            outcomes = workers(
                delayed(evaluate)(task, *rows, **fixed) for task in due()
            )
        for outcome in outcomes:
            if outcome["status"] == "failed":
                failed.append(tasks[0])
            yield outcome

    def _prepare(self, candidate: Candidate) -> tuple[Any, Charge]:
        """Estimator of a candidate, and what its texts have cost beforehand."""
        model, fixed = None, 0.0
        if candidate.use in ("only", "joint"):
            self.sources.check_classes()
        if candidate.use in ("only", "start"):
            known = set(self.sources.seconds)
            model, digest = self.sources.model(candidate)
            if digest not in known:
                seconds = self.sources.seconds[digest]
                self.journal.write(
                    {"entry": "source", "digest": digest, "seconds": seconds}
                )
            fixed = self.sources.seconds[digest] if candidate.use == "only" else 0.0
        estimator = prepare(candidate, self.sources.source, model)
        read = candidate.estimator if candidate.use == "only" else estimator
        charge, fresh = self.costs.charge(read)
        for digest, seconds in fresh.items():
            self.journal.write(
                {"entry": "encoder", "digest": digest, "seconds": seconds}
            )
        return estimator, Charge(charge.train, charge.test, charge.fixed + fixed)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _tell(
        self,
        candidate: Candidate,
        size: TrainSize,
        outcomes: Sequence[dict[str, Any]],
        status: str,
    ) -> None:
        if self.watch is not None:
            self.watch(candidate, size, outcomes, status)


def _key(entry: dict[str, Any]) -> tuple[str, int, int, int]:
    return entry["strategy"], entry["train_size"], entry["repeat"], entry["fold"]


def _failed(task: Task, error: Exception) -> dict[str, Any]:
    """Outcome of a fold that could not even begin."""
    return {
        "strategy": task.strategy,
        "train_size": task.train_size,
        "repeat": task.repeat,
        "fold": task.fold,
        "n_train": len(task.train),
        "n_test": len(task.test),
        "status": "failed",
        "error": describe_error(error),
    }
