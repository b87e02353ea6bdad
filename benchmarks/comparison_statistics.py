"""What the comparison's tests, intervals and sets of what may be best are worth.

On draws of real texts whose truth is known: errors of the first kind alone and in
families, power, coverage, and how often an order of equal strategies is claimed. See
`statistics_draws` for what is drawn and `statistics_measures` for what is asked. Each
chunk of draws is kept as soon as it is known, so a run that was stopped goes on.

    comparison_statistics.py [run | measure | table] [--draws N] [CELL ...]

"run" draws, "measure" asks the statistics, "table" writes the tables; all three by
default. It is not called statistics.py: that would hide the standard library's module
of this name from all scripts of this folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from statistics_draws import CELLS, run
from statistics_measures import KINDS, METRICS, designs_of, main_metric, measure
from statistics_tables import write_tables

STEPS = ("run", "measure", "table")
# Tests of families take most of the time: fewer draws where they are not the question.
MOST_FAMILIES = 300
# What is equal by macro-F1 is far from it by accuracy.
SKIPPED = {("accuracy", "macro-F1")}


def measure_all(names: list[str], most: int) -> None:
    """Measure what is missing, the main metric and design first."""
    for name in names:
        cell = CELLS[name]
        main = designs_of(cell)[0]
        first = main_metric(cell)
        for kind in KINDS:
            for metric in sorted(METRICS, key=lambda metric: metric != first):
                for design in designs_of(cell) if kind == "pairs" else [main]:
                    limit = most
                    if kind == "families" and (metric != first or cell.n >= 1000):
                        limit = min(most, MOST_FAMILIES)
                    if kind == "families" and (metric, first) in SKIPPED:
                        continue
                    measure(cell, design, metric, kind, limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", choices=STEPS, help="one only")
    parser.add_argument("cells", nargs="*", metavar="CELL", help="of all by default")
    parser.add_argument("--draws", type=int, default=10**6, help="at most, of a cell")
    given = parser.parse_args()
    names = given.cells or list(CELLS)
    unknown = [name for name in names if name not in CELLS]
    if unknown:
        parser.error(f"{unknown[0]!r} is no cell: expected some of {list(CELLS)}")
    steps = [given.step] if given.step else STEPS
    if "run" in steps:
        run(names, given.draws)
    if "measure" in steps:
        measure_all(names, given.draws)
    if "table" in steps:
        text = write_tables()
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
