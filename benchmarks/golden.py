"""Whether outputs at fixed seeds are bit for bit what they were.

Everything is computed through public names, so that the same script runs before and
after a change of what lies behind them. Each group of outputs has a process of its own,
once with one thread of torch and once with two: their numbers differ.

    python benchmarks/golden.py write FOLDER [--only bert,words]
    python benchmarks/golden.py compare FOLDER_A FOLDER_B
    python benchmarks/golden.py check FOLDER [--only bert,words]

``compare`` prints each output that is not the same and ends with 1 if there is any;
``check`` writes into a folder that is deleted afterwards, and compares with that.
Numbers are those of one machine and its installed versions.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from golden_groups import GROUPS, Recorder, prepare_folder

import sktransfer

SCRIPT = Path(__file__).resolve()
PACKAGE = Path(sktransfer.__file__).resolve().parent
THREADS = (1, 2)
# No group takes more than a fraction of this; what hangs is to end all the same.
LONGEST = 600


def write(folder: Path, only: list[str]) -> int:
    """Compute groups of outputs in processes, two at a time; return how many failed."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    print(f"outputs of {PACKAGE}", flush=True)
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(2) as pool:
        prepare_folder(Path(work))
        jobs = [(group, n) for group in only for n in THREADS]
        runs = [pool.submit(_run, folder, Path(work), *job) for job in jobs]
        n_failed = sum(run.result() for run in runs)
    print(f"{time.perf_counter() - started:.0f} s in all")
    return n_failed


def _run(folder: Path, work: Path, group: str, n_threads: int) -> bool:
    """Compute one group in a process of its own; whether that failed."""
    started = time.perf_counter()
    place = folder.resolve() / f"{group}-{n_threads}"
    for old in place.glob("*"):
        old.unlink()
    environment = os.environ | {
        "OMP_NUM_THREADS": str(n_threads),
        "MKL_NUM_THREADS": str(n_threads),
        "OPENBLAS_NUM_THREADS": str(n_threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
        "SKTRANSFER_CACHE": str(work / "cache"),
        # Absolute, as the process runs elsewhere: the package that is imported here.
        "PYTHONPATH": str(PACKAGE.parent),
    }
    command = [sys.executable, str(SCRIPT), "group", group, str(n_threads), str(place)]
    # Below `work` folders have the same names in each run, and so do paths in outputs.
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=work,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        told, failed = done.stdout + done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired:
        told, failed = f"not done after {LONGEST} s", True
    seconds = time.perf_counter() - started
    threads = "1 thread " if n_threads == 1 else f"{n_threads} threads"
    print(f"{group:16}{threads}{seconds:6.1f} s", flush=True)
    notes = told.splitlines() if failed else done.stdout.splitlines()
    for note in notes[-25:]:
        print(f"    {note}", flush=True)
    return failed


def compute(group: str, n_threads: int, place: Path) -> None:
    """Compute one group here."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(n_threads)
    recorder = Recorder(place, f"{group}-{n_threads}")
    GROUPS[group](recorder)
    recorder.close()


def compare(left: Path, right: Path, only: list[str]) -> int:
    """Print what is not the same in two folders; return how many outputs that is."""
    n_same, differences = 0, []
    for group in only:
        for n_threads in THREADS:
            place = f"{group}-{n_threads}"
            mine, other = _read(left / place), _read(right / place)
            if not mine and not other:
                differences.append(f"{place}: in neither folder")
            for name in [*mine, *(name for name in other if name not in mine)]:
                if name not in mine or name not in other:
                    missing = left if name not in mine else right
                    differences.append(f"{place}: {name}: not in {missing}")
                elif told := _tell_difference(mine[name], other[name]):
                    differences.append(f"{place}: {name}: {told}")
                else:
                    n_same += 1
    print(*differences, sep="\n", end="\n" if differences else "")
    print(f"{n_same} outputs are the same, {len(differences)} are not")
    return len(differences)


def _read(place: Path) -> dict[str, object]:
    if not (place / "values.json").exists():
        return {}
    values: dict[str, object] = json.loads((place / "values.json").read_text("utf-8"))
    with np.load(place / "arrays.npz") as arrays:
        return values | {name: arrays[name] for name in arrays.files}


def _tell_difference(mine: object, other: object) -> str:
    """What is not the same; nothing where all bits are."""
    if isinstance(mine, np.ndarray) and isinstance(other, np.ndarray):
        if mine.dtype != other.dtype or mine.shape != other.shape:
            return f"{mine.dtype} {mine.shape}, and {other.dtype} {other.shape}"
        if mine.tobytes() == other.tobytes():
            return ""
        apart = np.abs(mine.astype(np.float64) - other.astype(np.float64))
        where = np.asarray(mine != other) & ~(np.isnan(mine) & np.isnan(other))
        largest = np.nanmax(apart, initial=0)
        return f"{where.sum()} of {mine.size} numbers, by at most {largest:.3g}"
    if json.dumps(mine) == json.dumps(other):
        return ""
    return "; ".join(list(_tell_places(mine, other, ""))[:4]) or "another order of keys"


def _tell_places(mine: object, other: object, at: str) -> Iterator[str]:
    """Where nested values are not the same."""
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in mine | other:
            if key not in mine or key not in other:
                where = "one" if key in mine else "the other"
                yield f"{at}[{key!r}] is only in {where}"
            else:
                yield from _tell_places(mine[key], other[key], f"{at}[{key!r}]")
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for index, pair in enumerate(zip(mine, other, strict=True)):
            yield from _tell_places(*pair, f"{at}[{index}]")
    elif isinstance(mine, float) and isinstance(other, float) and mine != other:
        yield f"{at} by {abs(mine - other):.3g}"
    elif isinstance(mine, str) and isinstance(other, str) and mine != other:
        pairs = enumerate(zip(mine, other, strict=False))
        first = next((place for place, (a, b) in pairs if a != b), 0)
        start = max(0, first - 30)
        yield f"{at} {mine[start:][:80]!r}, and {other[start:][:80]!r}"
    elif json.dumps(mine) != json.dumps(other):
        yield f"{at} {str(mine)[:80]}, and {str(other)[:80]}"


def main() -> int:
    """Do what the command line says."""
    if len(sys.argv) == 5 and sys.argv[1] == "group":
        compute(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["write", "compare", "check"], nargs="?")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, with commas")
    given = parser.parse_args()
    only = given.only.split(",")
    unknown = set(only) - set(GROUPS)
    if unknown:
        parser.error(f"--only has {sorted(unknown)}, and there are {list(GROUPS)}")
    if given.action is None:  # as `make bench` calls each script
        parser.print_help()
        return 0
    n_folders = 2 if given.action == "compare" else 1
    if len(given.folders) != n_folders:
        parser.error(f"{given.action} takes {n_folders} of FOLDER")
    if given.action == "write":
        return int(write(given.folders[0], only) > 0)
    if given.action == "compare":
        return int(compare(*given.folders, only) > 0)
    with tempfile.TemporaryDirectory() as now:
        n_failed = write(Path(now), only)
        return int(compare(given.folders[0], Path(now), only) + n_failed > 0)


if __name__ == "__main__":
    sys.exit(main())
