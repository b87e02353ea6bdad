"""Which fold of which strategy is run when, and what becomes of it.

Cheap strategies come first, each fold is in the journal before the next one begins, an
error ends its row only, and when the time is up the rest is left out. How fast a
strategy labels new texts is measured with nothing beside it.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import cpu_count, delayed, effective_n_jobs

from sktransfer.comparison.run import speed
from sktransfer.comparison.run.evaluation import (
    Charge,
    Scoring,
    Task,
    evaluate,
    failed,
)
from sktransfer.comparison.run.forecast import (
    Cost,
    Costs,
    RowCost,
    forecast,
    tell_seconds,
    time_encoders,
)
from sktransfer.comparison.run.journal import Journal, digest_texts
from sktransfer.comparison.run.preparation import (
    EncodingCosts,
    SourceFit,
    SourceModels,
)
from sktransfer.comparison.run.racing import Racer, Stop, find_stops
from sktransfer.comparison.run.speed import Speeds, take_back
from sktransfer.comparison.run.workers import (
    fit_source,
    pass_on,
    run_task,
    start_workers,
)
from sktransfer.comparison.setup.candidates import Candidate, Source, prepare
from sktransfer.comparison.setup.folds import Fold, Rows, TrainSize, take_rows

__all__ = ["Data", "Race", "Row", "Schedule", "describe_data"]

# Seconds of a fit that is done again for the speed alone, after an earlier run that has
# finished all folds and not measured it.
_LONGEST_REFIT = 60.0

# Share of the time left below which a row is run to its end whatever comes after: what
# others are compared with is cheap.
_NEGLIGIBLE = 0.05

Outcome = dict[str, Any]


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
    bound: Rows
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
    limit : int or None
        How many of the tasks, from the first on, may be run for now; None is all.
    stop : Stop or None
        Why it needs no more folds.
    late : str
        Why the time does not suffice for its folds, where that is foreseen.
    """

    candidate: Candidate
    size: TrainSize
    tasks: list[Task]
    outcomes: list[Outcome] = field(default_factory=list)
    limit: int | None = None
    stop: Stop | None = None
    late: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """Name and size."""
        return self.candidate.name, self.size.n_texts

    @property
    def pending(self) -> list[Task]:
        """Tasks that were not run."""
        known = {_key_of(outcome) for outcome in self.outcomes}
        return [task for task in self.tasks if task.key not in known]

    @property
    def due(self) -> list[Task]:
        """Tasks that are to be run now."""
        known = {_key_of(outcome) for outcome in self.outcomes}
        return [task for task in self.tasks[: self.limit] if task.key not in known]

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of it."""
        return self.has_failed or self.stop is not None or not self.pending

    @property
    def has_failed(self) -> bool:
        """Whether any task has."""
        return any(outcome["status"] == "failed" for outcome in self.outcomes)

    @property
    def status(self) -> str:
        """What is to be said when nothing more is run."""
        if self.has_failed:
            return "failed"
        if not self.pending:
            return "done"
        return "skipped" if self.stop is None else "stopped"

    @property
    def why(self) -> str:
        """Why it was not run to its end, where that is known; how far it came."""
        if self.stop is not None:
            return self.stop.tell(len(self.tasks), in_points=self._in_points())
        if not self.late:
            return ""
        done = len(self.tasks) - len(self.pending)
        return f"{self.late} ({done} of {len(self.tasks)} folds were run)"

    def _in_points(self) -> bool:
        scores = [o["metrics"]["score"] for o in self.outcomes if "metrics" in o]
        return all(abs(score) <= 1 for score in scores)

    def describe(self, status: str) -> dict[str, Any]:
        """What is told of it when it has moved on, as `compare_strategies` says."""
        done = [outcome for outcome in self.outcomes if outcome["status"] == "done"]
        errors = [outcome["error"] for outcome in self.outcomes if outcome["error"]]

        def mean(values: Sequence[float]) -> float:
            return float(np.mean(values)) if values else float("nan")

        return {
            "strategy": self.candidate.name,
            "kind": self.candidate.kind,
            "train_size": self.size.n_texts,
            "status": status,
            "error": errors[0] if errors else self.why,
            "n_folds": len(done),
            "n_folds_planned": len(self.tasks),
            "score": mean([outcome["metrics"]["score"] for outcome in done]),
            "fit_seconds": mean([outcome["fit_seconds"] for outcome in done]),
            "predict_seconds": mean([outcome["predict_seconds"] for outcome in done]),
        }

    def in_order(self, n_tasks: int | None = None) -> list[Outcome]:
        """Outcomes in the order of the tasks, of the first so many; None is of all."""
        found = {_key_of(outcome): outcome for outcome in self.outcomes}
        return [found[task.key] for task in self.tasks[:n_tasks] if task.key in found]


def _key_of(outcome: Outcome) -> tuple[str, int, int, int]:
    """What tells the task of an outcome from others."""
    return (
        outcome["strategy"],
        outcome["train_size"],
        outcome["repeat"],
        outcome["fold"],
    )


def describe_data(data: Data, source: Source | None) -> dict[str, Any]:
    """What must be the same for finished folds to count."""
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


@dataclass(frozen=True)
class Race:
    """Who races, and against whom.

    Attributes
    ----------
    protected : set of str
        Names of rows that are never stopped.
    encoders : set of str
        Names of the rows that an encoder is chosen by: they are stopped for one
        another only, so that one of them comes to its end.
    """

    protected: Collection[str] = ()
    encoders: Collection[str] = ()

    def field_of(self, candidate: Candidate) -> str:
        """Name of those that it races against; "" is everyone."""
        return "encoders" if candidate.name in self.encoders else ""


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
        When ``time.monotonic()`` says so, all that runs is to have ended: a fold that
        would end later by what is known of its cost is not begun.
    race : Race or None
        Whether, and among whom, folds that cannot change the answer are left out.
    on_result : callable or None
        Given a dict whenever a row has moved on, as `compare_strategies` says.
    verbose : int
        1 writes a line for each row that is finished, to the standard error.
    gaps : dict of (name, size) to (str, str)
        Status and error of rows that were not run to their end, and why that is.
    timing : Costs
        What folds will take.
    speeds : Speeds
        Texts a second of each candidate.
    """

    data: Data
    journal: Journal
    sources: SourceModels
    costs: EncodingCosts
    n_jobs: int | None = None
    deadline: float | None = None
    on_result: Callable[[dict[str, Any]], object] | None = None
    verbose: int = 0
    race: Race | None = None
    _done: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _reported: set[tuple[str, int]] = field(default_factory=set)
    _rows: list[Row] = field(default_factory=list)
    _whole: bool = True
    _finished: list[Row] = field(default_factory=list)
    gaps: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    timing: Costs = field(default_factory=Costs)
    speeds: Speeds = field(init=False)

    def __post_init__(self) -> None:
        """Take over what an earlier run has finished; what failed is tried again."""
        self.speeds = Speeds(self.data.texts, self.journal)
        for entry in self.journal.of_kind("encoder"):
            self.costs.loads.setdefault(entry["digest"], entry.get("loads", {}))
        for entry in self.journal.of_kind("fold"):
            if entry["status"] == "done":
                self._done[_key_of(entry)] = entry

    def run(
        self, candidates: Sequence[Candidate], error: Exception | None = None
    ) -> dict[tuple[str, int], list[Outcome]]:
        """Run candidates, in this order; may be called again with others.

        With several workers, folds of all rows that need no model of the source fill
        them together, such models too, and then the folds of all others. An error is
        what keeps all of them from being run, if that is known already.

        The outcomes of each row are in the order of the folds; they are fewer than
        these where a row failed or the time was up.
        """
        rows = self._rows = [
            self._begin(candidate, size)
            for candidate in candidates
            for size in self.data.sizes_of(candidate)
        ]
        if error is not None:
            for row in rows:
                if row.pending:
                    self._record(row, failed(row.pending[0], error))
                self._report(row, row.status)
        elif self.race is not None:
            self._race(rows)
        else:
            self._run_rows(rows)
        if self.deadline is not None and self.journal.is_kept and error is None:
            # What does not come to its end now may in the next run.
            self._run_rows([row for row in rows if not row.is_over], whole=False)
        for row in rows:
            if row.key not in self._reported:
                self._report(row, row.status)
            self._measure_again(row)
            if row.why and row.pending:
                self.gaps[row.key] = (row.status, row.why)
        self._finished += rows
        return {row.key: row.in_order() for row in rows}

    def _run_rows(self, rows: list[Row], *, whole: bool = True) -> None:
        """Run what is due of rows.

        With `whole`, a row is gone on with only where the time suffices for all of it.
        """
        self._whole = whole
        if effective_n_jobs(self.n_jobs) == 1:
            for row in rows:
                self._run_alone(row)
            return
        taught = [row for row in rows if row.candidate.use in ("only", "start")]
        self._run_together(
            [row for row in rows if row.candidate.use not in ("only", "start")],
            self.sources.missing(row.candidate for row in taught if row.due),
        )
        self._run_together(taught)

    def _race(self, rows: list[Row]) -> None:
        """Run rows fold by fold, small sizes first, and stop those that cannot lead."""
        for size in self.data.sizes:
            field = [row for row in rows if self._races_at(row, size)]
            for n_folds in range(1, len(self.data.folds) + 1):
                for row in field:
                    row.limit = n_folds
                running = [row for row in field if not row.is_over]
                if n_folds > 1 and effective_n_jobs(self.n_jobs) > 1:
                    # The longest first, so that no worker waits for the last one.
                    running.sort(key=lambda row: -self._cost(row).fold)
                self._run_rows(running)
                self._stop(field, size, n_folds)
            for row in field:
                row.limit = None
            while lost := self._without_leader(field, size):
                for row in lost:
                    row.stop = None
                self._run_rows(lost)

    def _without_leader(self, field: list[Row], size: TrainSize) -> list[Row]:
        """Stopped rows whose leader failed later, or was left out for want of time."""
        rivals = [row for row in self._finished if self._races_at(row, size)]
        status = {row.candidate.name: row.status for row in (*rivals, *field)}
        return [
            row
            for row in field
            if row.stop is not None
            # A leader that was stopped itself has another one before it.
            and status[row.stop.leader] not in ("done", "stopped")
        ]

    def _races_at(self, row: Row, size: TrainSize) -> bool:
        """Whether a row runs with that size; what has size 0 is with the largest."""
        if row.size.n_texts == 0:
            return size == self.data.sizes[-1]
        return row.size == size

    def _stop(self, field: list[Row], size: TrainSize, n_folds: int) -> None:
        """Stop rows after so many folds, by these folds alone."""
        assert self.race is not None
        before = [row for row in self._finished if self._races_at(row, size)]
        outcomes = [(row, row.in_order(n_folds)) for row in field if row.stop is None]
        outcomes += [(row, row.in_order()) for row in before if row.status == "done"]
        racers = [
            Racer(
                row.candidate.name,
                known,
                self.race.field_of(row.candidate),
                runs_on=row in before or row.candidate.name in self.race.protected,
            )
            for row, known in outcomes
        ]
        stops = find_stops(self.data, racers, n_folds)
        for row in field:
            stop = stops.get(row.candidate.name)
            # What an earlier run has finished is known, whatever the first folds say.
            if stop is not None and row.pending and not row.has_failed:
                row.stop = stop
                self._report(row, row.status)

    def look_ahead(self, candidates: Sequence[Candidate]) -> None:
        """Measure on a few texts what encoders take, so that costs can be told."""
        self.timing.by_encoder = time_encoders(candidates, self.costs.texts)
        source = self.sources.source
        self.timing.n_source = 0 if source is None else len(source.texts)
        self.timing.n_beside = min(effective_n_jobs(self.n_jobs), cpu_count())

    def expect(self, candidates: Sequence[Candidate]) -> list[RowCost]:
        """What candidates will take, in this order, and what there is time for."""
        n_jobs = effective_n_jobs(self.n_jobs)
        found, encoded, has_source = [], set(), False
        for candidate in candidates:
            rows = [self._begin(candidate, s) for s in self.data.sizes_of(candidate)]
            n_folds, seconds, basis = 0, 0.0, "estimated"
            for row in rows:
                if not row.pending:
                    continue
                cost = self._cost(row)
                n_folds += len(row.pending)
                seconds += cost.fold * len(row.pending) / n_jobs
                basis = cost.basis
                if self._lacks_source(row) and not has_source:
                    has_source, seconds = True, seconds + cost.before
            if n_folds and candidate.encoder not in encoded:
                encoded.add(candidate.encoder)
                seconds += self._encoding(candidate)
            found.append((candidate.name, n_folds, seconds, basis))
        left = None
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
        return forecast(found, left)

    def _encoding(self, candidate: Candidate) -> float:
        """Seconds of making the vectors that a candidate reads, if they are missing."""
        if not self.costs.lacks(candidate.estimator):
            return 0.0
        a_text = self.timing.by_encoder.get(str(candidate.encoder), 0.0)
        return a_text * len(self.costs.texts)

    def _begin(self, candidate: Candidate, size: TrainSize) -> Row:
        """Row with what an earlier run has finished."""
        tasks = self.data.tasks(candidate, size)
        done = [self._done[task.key] for task in tasks if task.key in self._done]
        return Row(candidate, size, tasks, done)

    def _run_alone(self, row: Row) -> None:
        """Run a row in this process."""
        if row.due and self._is_in_time(row):
            self._report(row, "running")
            call = self._try_to_prepare(row, {})
            for task in row.due if call is not None else ():
                if row.has_failed or not self._is_in_time(row):
                    break
                outcome = call(replace(task, keep_model=self._is_wanted(row)))
                model = outcome.pop("model", None)
                self._record(row, outcome)
                self._report(row, "running")
                if model is not None and not self._is_late():
                    self.speeds.measure(row.candidate.recorded, model)
        if row.is_over:
            self._report(row, row.status)

    def _run_together(
        self, rows: list[Row], fits: Mapping[str, SourceFit] | None = None
    ) -> None:
        """Run rows in several processes; one that ends early leaves none idle."""
        wanted = [
            (number, row)
            for number, row in enumerate(rows)
            if row.due and self._is_wanted(row)
        ]
        with tempfile.TemporaryDirectory(prefix="sktransfer-") as name:
            folder = Path(name)
            self._run_in_workers(rows, fits or {}, folder)
            for number, row in wanted:
                if not (row.has_failed or self._is_late()):
                    model = take_back(folder / str(number))
                    self.speeds.measure(row.candidate.recorded, model)
        for row in rows:
            if row.is_over and row.key not in self._reported:
                self._report(row, row.status)

    def _run_in_workers(
        self, rows: list[Row], fits: Mapping[str, SourceFit], folder: Path
    ) -> None:
        """Have workers run rows, and leave models to be measured in a folder."""
        calls: dict[int, Any] = {}
        prepared: dict[str, Any] = {}
        for number, row in enumerate(rows):
            if not row.due or not self._is_in_time(row):
                continue
            self._report(row, "running")
            call = self._try_to_prepare(row, prepared)
            if call is not None:
                calls[number] = call

        own = os.getpid()
        waiting = iter(fits.items())

        def queue() -> Iterator[Any]:
            for number, call in calls.items():
                # Those that never see the source are cheaper.
                if rows[number].candidate.use is not None:
                    yield from (delayed(fit_source)(own, *fit) for fit in waiting)
                first = self._is_wanted(rows[number])
                for task in rows[number].due:
                    if self._is_late():
                        return
                    if rows[number].has_failed or not self._is_in_time(rows[number]):
                        break
                    due_task = replace(task, keep_model=first)
                    yield delayed(run_task)(
                        own, number, call, due_task, folder / str(number)
                    )
                    first = False
            if not self._is_late():
                yield from (delayed(fit_source)(own, *fit) for fit in waiting)

        if calls or fits:
            for number, outcome in start_workers(self.n_jobs, queue()):
                if isinstance(number, str):
                    if outcome is not None:
                        with self._noting("source", self.sources.seconds):
                            self.sources.keep(number, *pickle.loads(outcome))
                    continue
                row = rows[number]
                pass_on(outcome.pop("warnings", ()))
                self._record(row, outcome)
                self._report(row, "running" if row.pending else row.status)

    def _is_wanted(self, row: Row) -> bool:
        """Whether a model of the row has to be measured: of the largest, once."""
        is_largest = row.size == self.data.sizes_of(row.candidate)[-1]
        # In a race, only of what comes to its end.
        is_last = row.limit in (None, len(row.tasks))
        return is_largest and is_last and self.speeds.lacks(row.candidate.recorded)

    def _measure_again(self, row: Row) -> None:
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

    def _record(self, row: Row, outcome: Outcome) -> None:
        self.journal.write({"entry": "fold", **outcome})
        row.outcomes.append(outcome)
        if outcome["status"] == "done":
            n_texts = outcome["n_train"], outcome["n_test"]
            self.timing.learn(row.candidate, *n_texts, _elapsed(outcome))

    def _prepare(self, candidate: Candidate) -> tuple[Any, Charge]:
        """Estimator of a candidate, and what its texts have cost beforehand."""
        model, fixed = None, 0.0
        if candidate.use in ("only", "joint"):
            self.sources.check_classes()
        if candidate.use in ("only", "start"):
            with self._noting("source", self.sources.seconds):
                model, digest = self.sources.model(candidate)
            fixed = self.sources.seconds[digest] if candidate.use == "only" else 0.0
        estimator = prepare(candidate, self.sources.source, model)
        read = candidate.estimator if candidate.use == "only" else estimator
        with self._noting("encoder", self.costs.by_encoder):
            charge = self.costs.charge(read)
        return estimator, replace(charge, fixed=charge.fixed + fixed)

    @contextlib.contextmanager
    def _noting(self, kind: str, seconds: Mapping[str, float]) -> Iterator[None]:
        """Put down in the journal what is timed meanwhile."""
        known = set(seconds)
        yield
        for digest in seconds.keys() - known:
            entry = {"entry": kind, "digest": digest, "seconds": seconds[digest]}
            if digest in self.costs.loads:
                entry["loads"] = self.costs.loads[digest]
            self.journal.write(entry)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _is_in_time(self, row: Row) -> bool:
        """Whether a fold of a row may begin; if not, the row says why.

        All of its folds have to end in time, after those of the rows before it that
        were begun, and the best strategy has to be measured and fitted on everything.
        """
        if self.deadline is None:
            return True
        if self._is_late():
            return False
        left = self.deadline - time.monotonic()
        cost = self._cost(row)
        if math.isnan(cost.fold):
            return True
        n_jobs = effective_n_jobs(self.n_jobs)
        needed = cost.fold
        if self._whole:
            # A rough forecast has the benefit of the doubt until the first fold.
            doubt = 1.0 if cost.basis == "measured" else 0.5
            needed = max(needed, doubt * cost.fold * len(row.pending) / n_jobs)
            needed += self._owed(row) / n_jobs
        needed += cost.before if self._lacks_source(row) else 0.0
        needed += self._encoding(row.candidate)
        row.late = ""
        if needed <= _NEGLIGIBLE * left:
            return True
        needed += self._closing(cost)
        if needed > left:
            n = len(row.pending)
            row.late = (
                f"{n} more {'folds' if n > 1 else 'fold'} and what comes after would "
                f"take about {tell_seconds(needed)}, and the time budget has "
                f"{tell_seconds(left)} left"
            )
        return not row.late

    def _cost(self, row: Row) -> Cost:
        """What a fold of a row takes."""
        folds = [
            (outcome["n_train"], _elapsed(outcome))
            for other in (*self._rows, row)
            if other.candidate.recorded == row.candidate.recorded
            for outcome in other.outcomes
            if outcome["status"] == "done"
        ]
        n_train, n_test = len(row.tasks[0].train), len(row.tasks[0].test)
        return self.timing.of(row.candidate, n_train, n_test, folds)

    def _owed(self, row: Row) -> float:
        """Seconds of the folds that rows before it still need."""
        owed = 0.0
        for other in self._rows:
            if other is row:
                break
            if other.outcomes and not (other.is_over or other.late):
                owed += self._cost(other).fold * len(other.pending)
        return owed

    def _closing(self, cost: Cost) -> float:
        """Seconds for what comes after the last fold, should the row be the best one.

        They are those of measuring its speed, and of a fit on all texts.
        """
        means = [
            (row.describe("done"), row)
            for row in (*self._rows, *self._finished)
            if row.status == "done"
        ]
        best = max(means, key=lambda pair: pair[0]["score"], default=None)
        longest = cost.fold
        if best is not None:
            longest = max(longest, max(map(_elapsed, best[1].outcomes)))
        n_train = np.mean([len(fold.train) for fold in self.data.folds])
        return 2 * speed.SECONDS + longest * len(self.data.texts) / float(n_train)

    def _lacks_source(self, row: Row) -> bool:
        """Whether a model of the source is still to be fitted for a row."""
        if row.candidate.use not in ("only", "start"):
            return False
        return not self.sources.has(row.candidate)

    def _report(self, row: Row, status: str) -> None:
        if status != "running":
            self._reported.add(row.key)
        if self.on_result is None and not self.verbose:
            return
        told = row.describe(status)
        if self.on_result is not None:
            self.on_result(told)
        if self.verbose and status != "running":
            _write(told)


def _elapsed(outcome: Outcome) -> float:
    """Seconds of a fold by the clock; journals of older versions do not have them."""
    spent = outcome["fit_seconds"] + outcome["predict_seconds"]
    return float(outcome.get("elapsed_seconds", spent))


def _write(row: Mapping[str, Any]) -> None:
    from tqdm.auto import tqdm

    told = f"{row['strategy']}, {row['train_size']} texts: {row['status']}"
    if row["status"] == "done":
        told += f", {row['score']:.3f}, {row['fit_seconds']:.2f} s a fit"
    elif row["error"]:
        told += f", {row['error']}"
    # Beside progress bars that estimators may draw, not through them.
    tqdm.write(told, file=sys.stderr)
