"""Write ``table.md`` from what the attacks found, and fail where there are faults."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ledger import FAULTS, REFUSED, RESULTS, RIGHT

TABLE = Path(__file__).with_name("table.md")

HEAD = """# What the attacks found

Each row is written by a script of this folder: `make attacks` runs all of them, which
takes hours, and `python tests/attacks/<script>.py <row>` one. A try is right if the
answer is the one of the undisturbed run, and refused if there is an error of the
package instead. Everything else is a fault: a wrong answer, a raw error, a signal, a
hang, code that ran, a file that is lost or left over.

| attack | what is tried | tries | right | refused | faults |
|---|---|---|---|---|---|
"""


def main() -> int:
    rows, n_faults = [], 0
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        outcomes = found["outcomes"]
        faults = {name: outcomes[name] for name in FAULTS if name in outcomes}
        n_faults += sum(faults.values())
        told = ", ".join(f"{n} {name}" for name, n in faults.items()) or "0"
        cells = [path.stem, found["what"], found["tries"]]
        cells += [outcomes.get(RIGHT, 0), outcomes.get(REFUSED, 0), told]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
