"""Which fold of which strategy is run when, and what becomes of it.

Cheap strategies come first, each fold is in the journal before the next one begins, an
error ends its row only, and when the time is up the rest is left out. How fast a
strategy labels new texts is measured with nothing beside it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs

from sktransfer.comparison.run.encoding_costs import Charge, EncodingCosts
from sktransfer.comparison.run.evaluation import evaluate, failed
from sktransfer.comparison.run.journal import Journal
from sktransfer.comparison.run.plan import Data, Row, key_of
from sktransfer.comparison.run.source_models import Lesson, SourceModels
from sktransfer.comparison.run.speed import Speeds, take_back
from sktransfer.comparison.run.workers import answer, teach
from sktransfer.comparison.setup.candidates import Candidate, prepare
from sktransfer.comparison.setup.folds import TrainSize

__all__ = ["Schedule", "Watch"]

# Seconds of a fit that is done again for the speed alone, after an earlier run that has
# finished all folds and not measured it.
_LONGEST_REFIT = 60.0

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
    speeds : Speeds
        Texts a second of each candidate.
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
    speeds: Speeds = field(init=False)

    def __post_init__(self) -> None:
        """Take over what an earlier run has finished; what failed is tried again."""
        self.speeds = Speeds(self.data.texts, self.journal)
        for entry in self.journal.of_kind("fold"):
            if entry["status"] == "done":
                self._done[key_of(entry)] = entry
        for entry in self.journal.of_kind("encoder"):
            self.costs.by_encoder[entry["digest"]] = entry["seconds"]
        for entry in self.journal.of_kind("source"):
            self.sources.seconds[entry["digest"]] = entry["seconds"]

    def run(
        self, candidates: Sequence[Candidate], error: Exception | None = None
    ) -> dict[tuple[str, int], list[dict[str, Any]]]:
        """Run candidates, in this order; may be called again with others.

        With several workers, folds of all rows that need no model of the source fill
        them together, such models too, and then the folds of all others.

        Parameters
        ----------
        candidates : sequence of Candidate
        error : Exception or None, default=None
            What keeps all of them from being run, if that is known already.

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
        if error is not None:
            for row in rows:
                if row.pending:
                    self._record(row, failed(row.pending[0], error))
                self._tell(row, row.status)
        elif effective_n_jobs(self.n_jobs) == 1:
            for row in rows:
                self._run_alone(row)
        else:
            taught = [row for row in rows if row.candidate.use in ("only", "start")]
            self._run_together(
                [row for row in rows if row.candidate.use not in ("only", "start")],
                self.sources.lessons(row.candidate for row in taught if row.pending),
            )
            self._run_together(taught)
        for row in rows:
            self._catch_up(row)
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
                outcome = call(replace(task, keep_model=self._is_wanted(row)))
                model = outcome.pop("model", None)
                self._record(row, outcome)
                self._tell(row, "running")
                if model is not None and not self._is_late():
                    self.speeds.measure(row.candidate.recorded, model)
        self._tell(row, row.status)

    def _run_together(
        self, rows: list[Row], lessons: Mapping[str, Lesson] | None = None
    ) -> None:
        """Run rows in several processes; one that ends early leaves none idle."""
        wanted = [
            (number, row)
            for number, row in enumerate(rows)
            if row.pending and self._is_wanted(row)
        ]
        with tempfile.TemporaryDirectory(prefix="sktransfer-") as name:
            folder = Path(name)
            self._share_out(rows, lessons or {}, folder)
            for number, row in wanted:
                if not (row.has_failed or self._is_late()):
                    model = take_back(folder / str(number))
                    self.speeds.measure(row.candidate.recorded, model)
        for row in rows:
            if row.key not in self._told:
                self._tell(row, row.status)

    def _share_out(
        self, rows: list[Row], lessons: Mapping[str, Lesson], folder: Path
    ) -> None:
        """Have workers run rows, and leave models to be measured in a folder."""
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
        learning = iter(lessons.items())

        def due() -> Iterator[Any]:
            for number, call in calls.items():
                # Those that never see the source are cheaper.
                if rows[number].candidate.use is not None:
                    yield from (delayed(teach)(own, *lesson) for lesson in learning)
                first = self._is_wanted(rows[number])
                for task in rows[number].pending:
                    if self._is_late():
                        return
                    if rows[number].has_failed:
                        break
                    due_task = replace(task, keep_model=first)
                    yield delayed(answer)(
                        own, number, call, due_task, folder / str(number)
                    )
                    first = False
            if not self._is_late():
                yield from (delayed(teach)(own, *lesson) for lesson in learning)

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

    def _is_wanted(self, row: Row) -> bool:
        """Whether a model of the row has to be measured: of the largest, once."""
        is_largest = row.size == self.data.sizes_of(row.candidate)[-1]
        return is_largest and self.speeds.lacks(row.candidate.recorded)

    def _catch_up(self, row: Row) -> None:
        """Measure what an earlier run has finished, and was stopped before that."""
        if row.status != "done" or not self._is_wanted(row) or self._is_late():
            return
        model = None
        if row.outcomes[0]["fit_seconds"] <= _LONGEST_REFIT:
            with contextlib.suppress(Exception):
                call = self._call(row, {})
                model = call(replace(row.tasks[0], keep_model=True)).get("model")
        self.speeds.measure(row.candidate.recorded, model)

    def _try_to_prepare(self, row: Row, prepared: dict[str, Any]) -> Any:
        """A function from tasks to outcomes, or None where that is an error."""
        try:
            return self._call(row, prepared)
        except Exception as error:
            self._record(row, failed(row.pending[0], error))
            return None

    def _call(self, row: Row, prepared: dict[str, Any]) -> Any:
        name = row.candidate.name
        if name not in prepared:
            prepared[name] = self._prepare(row.candidate)
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
            entry = {"entry": "encoder", "digest": digest, "seconds": seconds}
            self.journal.write(entry)
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
