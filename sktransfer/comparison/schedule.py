"""Which fold of which strategy is run when, and what becomes of it.

Cheap strategies come first, each fold is in the journal before the next one begins, an
error ends its row only, and when the time is up the rest is left out.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs

from sktransfer.comparison.candidates import Candidate, prepare
from sktransfer.comparison.curves import TrainSize
from sktransfer.comparison.encoding import Charge, EncodingCosts
from sktransfer.comparison.evaluation import Task, describe_error, evaluate
from sktransfer.comparison.journal import Journal
from sktransfer.comparison.plan import Data, Row, key_of
from sktransfer.comparison.sources import Lesson, SourceModels
from sktransfer.comparison.workers import settle

__all__ = ["Schedule", "Watch"]

# Called with a candidate, a size and the outcomes of that row so far.
Watch = Callable[[Candidate, TrainSize, Sequence[dict[str, Any]], str], None]


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
    _told: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take over what an earlier run has finished; what failed is tried again."""
        for entry in self.journal.of_kind("fold"):
            if entry["status"] == "done":
                self._done[key_of(entry)] = entry
        for entry in self.journal.of_kind("encoder"):
            self.costs.by_encoder[entry["digest"]] = entry["seconds"]
        for entry in self.journal.of_kind("source"):
            self.sources.seconds[entry["digest"]] = entry["seconds"]

    def run(
        self, candidates: Sequence[Candidate]
    ) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """Run all candidates, in this order.

        With several workers, folds of all rows that need no model of the source fill
        them together, such models too, and then the folds of all others.

        Parameters
        ----------
        candidates : sequence of Candidate

        Returns
        -------
        outcomes : dict of (name, size) to list of dict
            What `evaluate` answered, in the order of the folds; fewer than there are
            folds where a row failed or the time was up.
        """
        rows = [
            self._take_up(Row(candidate, size, self.data.tasks(candidate, size)))
            for candidate in candidates
            for size in self.data.sizes_of(candidate)
        ]
        if effective_n_jobs(self.n_jobs) == 1:
            for row in rows:
                self._run_alone(row)
        else:
            taught = [row for row in rows if row.candidate.use in ("only", "start")]
            self._run_together(
                [row for row in rows if row.candidate.use not in ("only", "start")],
                self.sources.lessons(row.candidate for row in taught if row.pending),
            )
            self._run_together(taught)
        return {row.key: row.in_order() for row in rows}

    def _take_up(self, row: Row) -> Row:
        """Outcomes of an earlier run."""
        row.outcomes = [self._done[t.key] for t in row.tasks if t.key in self._done]
        return row

    def _run_alone(self, row: Row) -> None:
        """Run a row in this process."""
        if row.pending and not self._is_late():
            self._tell(row, "running")
            call = self._try_to_prepare(row, {})
            for task in row.pending if call is not None else ():
                if row.has_failed or self._is_late():
                    break
                self._record(row, call(task))
                self._tell(row, "running")
        self._tell(row, row.status)

    def _run_together(
        self, rows: list[Row], lessons: Mapping[str, Lesson] | None = None
    ) -> None:
        """Run rows in several processes; one that ends early leaves none idle."""
        calls: dict[int, Any] = {}
        prepared: dict[str, Any] = {}
        for number, row in enumerate(rows):
            if not row.pending or self._is_late():
                continue
            self._tell(row, "running")
            call = self._try_to_prepare(row, prepared)
            if call is not None:
                calls[number] = call

        own = os.getpid()
        learning = iter((lessons or {}).items())

        def due() -> Iterator[Any]:
            for number, call in calls.items():
                # Those that never see the source are cheaper.
                if rows[number].candidate.use is not None:
                    yield from (delayed(_teach)(own, *lesson) for lesson in learning)
                for task in rows[number].pending:
                    if self._is_late():
                        return
                    if rows[number].has_failed:
                        break
                    yield delayed(_answer)(own, number, call, task)
            if not self._is_late():
                yield from (delayed(_teach)(own, *lesson) for lesson in learning)

        if calls or lessons:
            workers = Parallel(
                self.n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs"
            )
            for number, outcome in workers(due()):
                if isinstance(number, str):
                    if outcome is not None:
                        self.sources.take(number, *pickle.loads(outcome))
                        self._note_source(number)
                    continue
                row = rows[number]
                self._record(row, outcome)
                self._tell(row, "running" if row.pending else row.status)
        for row in rows:
            if row.key not in self._told:
                self._tell(row, row.status)

    def _try_to_prepare(self, row: Row, prepared: dict[str, Any]) -> Any:
        """A function from tasks to outcomes, or None where that is an error."""
        name = row.candidate.name
        try:
            if name not in prepared:
                prepared[name] = self._prepare(row.candidate)
        except Exception as error:
            self._record(row, _failed(row.pending[0], error))
            return None
        estimator, charge = prepared[name]
        data = self.data
        return partial(
            evaluate,
            estimator=estimator,
            texts=data.texts,
            labels=data.labels,
            classes=data.classes,
            scoring=data.scoring,
            charge=charge,
            grid=row.candidate.grid,
            bound=data.bound,
        )

    def _record(self, row: Row, outcome: dict[str, Any]) -> None:
        self.journal.write({"entry": "fold", **outcome})
        row.outcomes.append(outcome)

    def _prepare(self, candidate: Candidate) -> tuple[Any, Charge]:
        """Estimator of a candidate, and what its texts have cost beforehand."""
        model, fixed = None, 0.0
        if candidate.use in ("only", "joint"):
            self.sources.check_classes()
        if candidate.use in ("only", "start"):
            known = set(self.sources.seconds)
            model, digest = self.sources.model(candidate)
            if digest not in known:
                self._note_source(digest)
            fixed = self.sources.seconds[digest] if candidate.use == "only" else 0.0
        estimator = prepare(candidate, self.sources.source, model)
        read = candidate.estimator if candidate.use == "only" else estimator
        charge, fresh = self.costs.charge(read)
        for digest, seconds in fresh.items():
            self.journal.write(
                {"entry": "encoder", "digest": digest, "seconds": seconds}
            )
        return estimator, Charge(charge.train, charge.test, charge.fixed + fixed)

    def _note_source(self, digest: str) -> None:
        seconds = self.sources.seconds[digest]
        self.journal.write({"entry": "source", "digest": digest, "seconds": seconds})

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _tell(self, row: Row, status: str) -> None:
        if status != "running":
            self._told.add(row.key)
        if self.watch is not None:
            self.watch(row.candidate, row.size, row.outcomes, status)


def _answer(
    parent: int, number: int, call: Any, task: Task
) -> tuple[int, dict[str, Any]]:
    """Outcome of a task, with the number of its row: answers come in any order."""
    settle(parent)
    return number, call(task)


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


def _teach(parent: int, digest: str, lesson: Lesson) -> tuple[str, bytes | None]:
    """A model of the source; None where that fails, for the main process to try.

    As bytes, since joblib opens answers in a thread of its own that must not fail, and
    a network reads its checkpoint when it is opened.
    """
    settle(parent)
    try:
        return digest, pickle.dumps(lesson())
    except Exception:
        return digest, None
