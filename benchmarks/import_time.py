"""How long ``import sktransfer`` takes.

Starts fresh interpreters in turn, with nothing but an empty program, the package, and
the heaviest thing that it must not load, and writes the medians beside this file.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

N_RUNS = 15
PROGRAMS = {
    "nothing": "pass",
    "import sktransfer": "import sktransfer",
    "from sktransfer import WordVectorFeaturizer": (
        "from sktransfer import WordVectorFeaturizer"
    ),
    "import torch": "import torch",
}


def seconds_of(program: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    # In turn, so that a busy moment of the machine hits all of them alike.
    for _ in range(N_RUNS):
        for name, program in PROGRAMS.items():
            times[name].append(seconds_of(program))
    empty = statistics.median(times["nothing"])
    lines = [
        "# How long does `import sktransfer` take?",
        "",
        f"Median of {N_RUNS} fresh interpreters (Python {platform.python_version()}, "
        f"{platform.machine()}), and what of it is not the interpreter's own start.",
        "",
        "| program | seconds | beyond an empty program |",
        "|---|---|---|",
    ]
    for name, seconds in times.items():
        median = statistics.median(seconds)
        lines.append(f"| `{name}` | {median:.3f} | {median - empty:.3f} |")
    table = "\n".join(lines) + "\n"
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
