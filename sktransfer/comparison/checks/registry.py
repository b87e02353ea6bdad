"""The checks by name: a new one is a file of this folder, a name here, and a page.

A check looks at facts and says what it found, in plain sentences with figures, and
what to do. It is silent where there is nothing to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sktransfer.comparison.checks.facts import Facts

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NAMES",
    "Check",
    "Finding",
    "Remark",
    "data_findings",
    "find_check",
    "result_findings",
    "tabulate",
]

# In the order of their numbers, which never change. Each is a file here that defines
# CHECK.
NAMES = (
    "folds.leaking_groups",
    "texts.missing_groups",
    "texts.near_copies",
    "texts.copies",
    "labels.contradictions",
    "folds.few_groups",
    "folds.two_folds",
    "labels.rare_classes",
    "labels.skewed_classes",
    "texts.cut_texts",
    "folds.like_repeats",
    "texts.source_copies",
    "results.ties",
    "results.doubtful_labels",
    "results.near_source",
)

# What is not there before strategies have run.
_OF_RESULTS = {"predictions", "scores", "distance"}


@dataclass(frozen=True)
class Remark:
    """What a check has found.

    Attributes
    ----------
    sentence : str
        What there is, with figures.
    remedy : str
        What to do, in the imperative.
    rows : tuple of int, default=()
        Positions of the texts that it is about.
    strategies : tuple of str, default=()
        Names of the strategies that it is about.
    """

    sentence: str
    remedy: str
    rows: tuple[int, ...] = ()
    strategies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """A check of a comparison.

    Attributes
    ----------
    number : str
        As "SKT001"; it stays.
    name : str
        That of the file that defines it.
    title : str
        What is wrong where it fires, in one line.
    look : callable
        From facts to remarks; none where nothing is wrong.
    needs : tuple of str
        Attributes of the facts that must be there.
    """

    number: str
    name: str
    title: str
    look: Callable[[Facts], Iterable[Remark]]
    needs: tuple[str, ...]

    @property
    def page(self) -> str:
        """Page of the documentation, from its root."""
        return f"checks/{self.name}.html"

    @property
    def reads_results(self) -> bool:
        """Whether strategies have to run before."""
        return not _OF_RESULTS.isdisjoint(self.needs)

    def run(self, facts: Facts) -> Iterator[Finding]:
        """Findings; none where what it needs is not known."""
        if all(getattr(facts, need) is not None for need in self.needs):
            for remark in self.look(facts):
                yield Finding(self, remark)


@dataclass(frozen=True)
class Finding:
    """A remark, and the check that made it."""

    check: Check
    remark: Remark

    def as_row(self) -> dict[str, Any]:
        """It as a row of `StrategyComparison.checks`."""
        return {
            "number": self.check.number,
            "name": self.check.name,
            "finding": self.remark.sentence,
            "remedy": self.remark.remedy,
            "page": self.check.page,
            "rows": list(self.remark.rows),
            "strategies": list(self.remark.strategies),
        }


_COLUMNS = ("number", "name", "finding", "remedy", "page", "rows", "strategies")


def find_check(name: str) -> Check:
    """Definition of the check of this name, one of `NAMES`."""
    module = importlib.import_module(f"sktransfer.comparison.checks.{name}")
    check: Check = module.CHECK
    return check


def data_findings(facts: Facts) -> list[Finding]:
    """What is to be said before anything is trained, in the order of the numbers."""
    return _run(facts, reads_results=False)


def result_findings(facts: Facts) -> list[Finding]:
    """What is to be said of results alone."""
    return _run(facts, reads_results=True)


def _run(facts: Facts, *, reads_results: bool) -> list[Finding]:
    checks = [find_check(name) for name in NAMES]
    return [
        finding
        for check in checks
        if check.reads_results == reads_results
        for finding in check.run(facts)
    ]


def tabulate(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row a finding; see `StrategyComparison.checks`."""
    import pandas as pd

    rows = [finding.as_row() for finding in findings]
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype=object)
