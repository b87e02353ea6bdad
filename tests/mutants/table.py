"""Write ``table.md`` from what mutants found; fail below the bar, or without reasons.

Reasons why a test need not notice stand in ``reasons.toml``, by group: the place, the
code before and after, or a part of it, and why.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

HERE = Path(__file__).parent
BAR = 0.85

HEAD = """# What the tests notice

Each mutant changes one place of the code: a number, an operator, an argument, a text.
It is killed if a test fails, or hangs, that otherwise does not. `make mutants` tries
all, which takes days on a small machine, and `make mutants SAMPLE=60` a random sample
of each group, whose share has Wilson's interval of 95 %.

| group | mutants | tried | killed | hung | share | interval |
|---|---|---|---|---|---|---|
"""
SURVIVORS = """
## What survived

Where a reason is given, no test is wanted: the change makes no difference that anybody
could rely on. Those without one are gaps.
"""


def main() -> int:
    reasons = tomllib.loads((HERE / "reasons.toml").read_text(encoding="utf-8"))
    rows, lists, is_low = [], [], False
    for path in sorted((HERE / "results").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        share = found["killed"] / found["tried"]
        is_low |= share < BAR
        rows.append(_row(path.stem, found))
        lists += _list(path.stem, found["survivors"], reasons.get(path.stem, []))
    text = HEAD + "\n".join(rows) + "\n" + SURVIVORS + "\n".join(lists) + "\n"
    (HERE / "table.md").write_text(text, encoding="utf-8")
    return int(is_low)


def _row(name: str, found: dict[str, Any]) -> str:
    tried, killed = found["tried"], found["killed"]
    low, high = binomtest(killed, tried).proportion_ci(method="wilson")
    interval = f"{low:.0%} to {high:.0%}" if tried < found["mutants"] else ""
    cells = [name, found["mutants"], tried, killed, len(found["hung"])]
    cells += [f"{killed / tried:.0%}", interval]
    return "| " + " | ".join(map(str, cells)) + " |"


def _list(
    name: str, survivors: list[dict[str, str]], reasons: list[dict[str, str]]
) -> list[str]:
    if not survivors:
        return []
    lines = ["", f"### {name}", "", "| where | before | after | reason |"]
    lines += ["|---|---|---|---|"]
    for survivor in survivors:
        why = [reason["why"] for reason in reasons if _matches(survivor, reason)]
        cells = [
            survivor["where"],
            *(_code(survivor[key]) for key in ("before", "after")),
            why[0] if why else "gap",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _matches(survivor: dict[str, str], reason: dict[str, str]) -> bool:
    return all(
        reason[key] in survivor[key]
        for key in ("where", "before", "after")
        if key in reason
    )


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`" if text else ""


if __name__ == "__main__":
    sys.exit(main())
