"""Which differences between strategies are shown, and which strategy may be the best.

Whatever a comparison says of an order is one family of tests, `Differences.family`: all
strategies against the baseline at all train sizes, each use of the source against none,
and encoders against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from sktransfer.baselines.registry import GUESSING
from sktransfer.comparison.findings.out_of_fold import contributions_of
from sktransfer.comparison.run.evaluation import choose_metric
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.estimators import open_wrappers
from sktransfer.statistics.jackknife import Contributions
from sktransfer.statistics.paired import (
    WIDENING,
    WIDENING_OF_CLASSES,
    ChosenScore,
    PairedTest,
    best_after_choice,
    could_be_best,
    family_test,
    paired_test,
)
from sktransfer.statistics.resampling import corrected_resampled_ttest, holm_correction

__all__ = ["ALPHA", "Difference", "Differences", "Outcomes", "Pair"]

ALPHA = 0.05
# Level of the set of those that may be best where nothing else was shown to differ: the
# probability of any claim on equal strategies is then still about ALPHA.
_STRICT = 0.99

Outcomes = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Pair:
    """Two rows whose scores are subtracted: names and train sizes."""

    name: str
    size: int
    other: str
    other_size: int


@dataclass(frozen=True)
class Difference:
    """A difference, with a p-value that is corrected for the family that it is in."""

    difference: float
    low: float
    high: float
    error: float
    pvalue: float

    @property
    def is_shown(self) -> bool:
        """Whether it is one."""
        return self.pvalue < ALPHA


class Differences:
    """Tests of the outcomes of a comparison, each computed once.

    `outcomes` are those of rows that were run to their end, by name and size. By
    `encoders`, rows of frozen features, encoders are compared. As many rows as
    `n_stopped` were left out by a race: they count in the number of tests, as ones that
    show nothing.
    """

    def __init__(
        self,
        data: Data,
        candidates: Sequence[Candidate],
        outcomes: Outcomes,
        baseline: str | None,
        encoders: Sequence[str] = (),
        *,
        n_stopped: int = 0,
    ) -> None:
        self.data = data
        self.candidates = list(candidates)
        self.outcomes = outcomes
        self.baseline = baseline
        self.n_stopped = n_stopped
        self.encoders = [name for name in encoders if self.largest(name) is not None]
        self._known: dict[tuple[str, int], Contributions | None] = {}

    def largest(self, name: str) -> int | None:
        """Largest size at which a strategy was run to its end."""
        sizes = [size for other, size in self.outcomes if other == name]
        return max(sizes, default=None)

    def contributions(self, name: str, size: int) -> Contributions | None:
        """What sets of texts contribute to a row's score; None where unknown."""
        if (name, size) not in self._known:
            found = contributions_of(self.data, self.outcomes[name, size])
            self._known[name, size] = found
        return self._known[name, size]

    def fold_scores(self, name: str, size: int) -> dict[tuple[int, int], float]:
        """Main metric by repeat and fold."""
        return {
            (outcome["repeat"], outcome["fold"]): outcome["metrics"]["score"]
            for outcome in self.outcomes[name, size]
        }

    def score(self, name: str, size: int) -> float:
        """Score of all predictions of a row together, or else the mean of the folds."""
        found = self.contributions(name, size)
        if found is not None:
            return found.score
        return float(np.mean(list(self.fold_scores(name, size).values())))

    def pair(self, name: str, other: str, size: int | None = None) -> Pair | None:
        """Two rows at a size, None the largest of both; None where one was not run.

        What learns from the source alone has one size, and is compared at it. All else
        is compared at one size: more texts to learn from would pass for a better way.
        """
        sizes = []
        for strategy in (name, other):
            own = size if (strategy, size) in self.outcomes else self.largest(strategy)
            if own is None:
                return None
            sizes.append(own)
        if sizes[0] != sizes[1] and 0 not in sizes:
            return None
        return Pair(name, sizes[0], other, sizes[1])

    def test(self, pair: Pair, confidence_level: float = 0.95) -> PairedTest | None:
        """Test one pair by its predictions, or by its folds where there are none.

        None where nobody can tell.
        """
        one = self.contributions(pair.name, pair.size)
        other = self.contributions(pair.other, pair.other_size)
        if one is not None and other is not None:
            return paired_test(
                one.values,
                other.values,
                confidence_level=confidence_level,
                widening=self.widening,
            )
        return self._test_by_folds(pair, confidence_level)

    def _test_by_folds(self, pair: Pair, confidence_level: float) -> PairedTest | None:
        one = self.fold_scores(pair.name, pair.size)
        other = self.fold_scores(pair.other, pair.other_size)
        differences = [one[key] - other[key] for key in one]
        if len(differences) < 2:
            return None
        folds = self.data.folds
        # What learns from the source alone shares no training rows between folds; the
        # other side does, and its size is the cautious one to take.
        sizes = (pair.size, pair.other_size)
        n_train = max(self.n_train(size) for size in sizes)
        n_test = float(np.mean([len(fold.test) for fold in folds]))
        found = corrected_resampled_ttest(
            differences,
            n_train,
            n_test,
            confidence_level=confidence_level,
            least_error=self._least_error([one, other]),
            least_df=max(self.n_sets - 1.0, 1.0),
        )
        if math.isnan(found.pvalue):
            return None
        low, high = found.confidence_interval
        t = found.statistic
        error = abs(found.mean_difference / t) if t else math.nan
        return PairedTest(
            found.mean_difference, error, found.df, found.pvalue, (low, high)
        )

    def _least_error(self, scores: Sequence[Mapping[Any, float]]) -> float:
        """Error of shares of different texts, which is the cautious guess; else 0."""
        if not self.data.scoring.is_share:
            return 0.0
        means = [float(np.mean(list(each.values()))) for each in scores]
        shares = np.clip(means, 0.0, 1.0)
        error = float(np.sqrt((shares * (1 - shares)).sum() / self.n_sets))
        return error if error > 0 else 1 / self.n_sets

    @cached_property
    def widening(self) -> float:
        """What errors are widened by, for the variance that comes with training."""
        is_even = choose_metric(self.data.labels.tolist())[0] == "accuracy"
        is_plain = self.data.scoring.name == "accuracy" and is_even
        return WIDENING if is_plain else WIDENING_OF_CLASSES

    @cached_property
    def n_sets(self) -> int:
        """Number of sets of bound texts that were tested on."""
        tested = np.concatenate([fold.test for fold in self.data.folds])
        return len(np.unique(self.data.bound[tested]))

    def n_train(self, size: int) -> float:
        """Mean number of texts that train at a size."""
        sizes = {s.n_texts: s for s in self.data.sizes}
        if size == 0 or sizes[size].whole:
            return float(np.mean([len(fold.train) for fold in self.data.folds]))
        return float(size)

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs of the family, each once."""
        return list(dict.fromkeys(self._list_pairs()))

    def _list_pairs(self) -> Iterator[Pair]:
        names = {candidate.name for candidate in self.candidates}
        for name, size in self.outcomes:
            # What guesses is no strategy that could be found to be good.
            if self.baseline not in (None, name) and name not in self._guessing:
                found = self.pair(name, str(self.baseline), size or None)
                yield from () if found is None else (found,)
        for candidate in self.candidates:
            if candidate.use is not None and candidate.base in names:
                found = self.pair(candidate.name, candidate.base)
                yield from () if found is None else (found,)
        for name, other in combinations(self.encoders, 2):
            found = self.pair(name, other)
            yield from () if found is None else (found,)

    @cached_property
    def family(self) -> dict[Pair, Difference]:
        """Each pair that could be tested, corrected for all of them."""
        tests = {pair: self.test(pair) for pair in self.pairs}
        found = {pair: test for pair, test in tests.items() if test is not None}
        pvalues = self.correct(list(found))
        return {
            pair: Difference(
                test.difference,
                *test.interval,
                test.error,
                # Bonferroni's correction for those that no flip can tell of.
                min(1.0, pvalue + self.n_stopped * test.pvalue),
            )
            for (pair, test), pvalue in zip(found.items(), pvalues, strict=True)
        }

    @cached_property
    def critical(self) -> float:
        """How many standard errors the largest difference has to reach to be shown."""
        rows = self._subtract(self.pairs)
        if not rows:
            return math.nan
        return family_test(rows, widening=self.widening).critical

    def correct(self, pairs: Sequence[Pair]) -> list[float]:
        """P-values of pairs that can be tested, corrected for all of them."""
        rows = self._subtract(pairs)
        if rows is not None and len(rows):
            return [
                float(pvalue)
                for pvalue in family_test(rows, widening=self.widening).pvalues
            ]
        tests = [self.test(pair) for pair in pairs]
        raw = [math.nan if test is None else test.pvalue for test in tests]
        return [float(pvalue) for pvalue in holm_correction(raw)]

    def _subtract(self, pairs: Sequence[Pair]) -> list[Any] | None:
        """Differences of contributions; None where a row's are not known."""
        rows = []
        for pair in pairs:
            one = self.contributions(pair.name, pair.size)
            other = self.contributions(pair.other, pair.other_size)
            if one is None or other is None:
                return None
            rows.append(one.values - other.values)
        return rows

    def difference(
        self, name: str, other: str, size: int | None = None
    ) -> Difference | None:
        """A difference of the family, in either direction; None if it is in none."""
        pair = self.pair(name, other, size)
        if pair is None:
            return None
        if pair in self.family:
            return self.family[pair]
        turned = Pair(pair.other, pair.other_size, pair.name, pair.size)
        found = self.family.get(turned)
        if found is None:
            return None
        return Difference(
            -found.difference, -found.high, -found.low, found.error, found.pvalue
        )

    def is_at_the_end(self, size: int) -> bool:
        """Whether rows of a size are those that the best one is among."""
        return size in (0, max((size for _, size in self.outcomes), default=0))

    def _rows_at_the_end(self) -> dict[str, Contributions]:
        """Contributions of each strategy at the largest size; none where one's lack."""
        found = {}
        for name, size in self.outcomes:
            if self.is_at_the_end(size):
                known = self.contributions(name, size)
                if known is None:
                    return {}
                found[name] = known
        return found

    @cached_property
    def _guessing(self) -> set[str]:
        """Names of what looks at no text."""
        return {c.name for c in self.candidates if _guesses(c)}

    @cached_property
    def contenders(self) -> list[str] | None:
        """Rows that `possible` is chosen from; None if unknown.

        What guesses is a point of reference, and none of them unless others are
        compared with it, or it leads.
        """
        rows = self._rows_at_the_end()
        if not rows:
            return None
        leader = max(rows, key=lambda name: rows[name].score)
        left_out = self._guessing - {self.baseline, leader}
        return [name for name in rows if name not in left_out]

    @cached_property
    def possible(self) -> list[str] | None:
        """Strategies that may be the best one at the largest size; None if unknown."""
        if self.contenders is None:
            return None
        found = self._rows_at_the_end()
        rows = {name: found[name] for name in self.contenders}
        shown = any(each.is_shown for each in self.family.values())
        level = 1 - ALPHA if shown or not self.family else _STRICT
        values = np.array([each.values for each in rows.values()])
        chosen = could_be_best(values, level=level, widening=self.widening)
        # Those pairs are fewer, and may show what is not shown among all pairs.
        behind = self._shown_behind()
        return [
            name
            for name, is_one in zip(rows, chosen, strict=True)
            if is_one and name not in behind
        ]

    def _shown_behind(self) -> set[str]:
        """Strategies that the family shows to be worse than another one at the end."""
        return {
            pair.other if each.difference > 0 else pair.name
            for pair, each in self.family.items()
            if each.is_shown
            and self.is_at_the_end(pair.size)
            and self.is_at_the_end(pair.other_size)
        }

    @cached_property
    def expected(self) -> tuple[str, ChosenScore] | None:
        """The best strategy at the largest size, and what to expect of it."""
        rows = self._rows_at_the_end()
        if not rows:
            return None
        values = np.array([each.values for each in rows.values()])
        is_share = self.data.scoring.is_share
        found = best_after_choice(values, is_share=is_share, widening=self.widening)
        return list(rows)[found.best], found


def _guesses(candidate: Candidate) -> bool:
    """Whether a candidate looks at no text."""
    estimator = candidate.estimator
    if candidate.name == GUESSING and candidate.kind == "baseline":
        return True
    return isinstance(open_wrappers(estimator), DummyClassifier)
