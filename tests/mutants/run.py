"""Change one thing in the code at a time, and see whether a test notices.

    python tests/mutants/run.py [group ...] [--sample 60] [--seed 0] [--again]

The groups are those of ``groups.toml``. mutmut makes the mutants, in a copy of the tree
that is removed afterwards, and runs each in a process that is forked from one which has
imported the tests. ``results/`` gets a file for each group; ``table.py`` sums them up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results"
COPIED = ["sktransfer", "tests", "docs", "conftest.py", "pyproject.toml"]

# Tests that take long or need packaged weights would be run for hundreds of mutants.
# Forks of a process that has computed nothing are safe with torch.
SETTINGS = {
    "source_paths": ["sktransfer"],
    "also_copy": ["conftest.py"],
    "pytest_add_cli_args": [
        *("-p", "no:cacheprovider", "-m", "not real and not slow"),
        # Each mutant of a function has its docstring, and the copy that is none too.
        *("-k", "not __mutmut_ or __mutmut_orig"),
    ],
    "process_isolation": "forkserver",
    # A mutant hangs after five times the seconds of its tests and of this.
    "timeout_multiplier": 5.0,
    "timeout_constant": 60.0,
}
HUNG = "timeout"
# A run of the tests would hang as well; on a machine that is busy with other things,
# look at those again.
KILLED = {"killed", HUNG, "segfault"}


def main() -> int:
    groups = tomllib.loads((HERE / "groups.toml").read_text(encoding="utf-8"))
    arguments = _parse(list(groups))
    for name in arguments.groups:
        print(f"{name}:", flush=True)
        path = RESULTS / f"{name}.json"
        if arguments.again:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            found = try_again(groups[name], earlier)
        else:
            found = run_group(groups[name], arguments.sample, arguments.seed)
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8")
        print(f"{name}: {found['killed']} of {found['tried']}", flush=True)
    return 0


def _parse(groups: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "groups", nargs="*", help=f"of {', '.join(groups)}; default all"
    )
    parser.add_argument("--sample", type=int, default=0, help="of a group; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--again",
        action="store_true",
        help="only those that survived or hung last time",
    )
    found = parser.parse_args()
    if unknown := sorted(set(found.groups) - set(groups)):
        parser.error(f"there are no groups {unknown}, but {groups}")
    found.groups = found.groups or groups
    return found


def run_group(group: dict[str, list[str]], n_sampled: int, seed: int) -> dict[str, Any]:
    """Try the mutants of a group, or a sample; returns counts and survivors."""
    start = time.monotonic()
    with _copy(group) as folder:
        names = _names()
        tried = names
        if 0 < n_sampled < len(names):
            tried = sorted(random.Random(seed).sample(names, n_sampled))
        survivors, hung = _try(folder, tried)
    return {
        "mutants": len(names),
        "tried": len(tried),
        "killed": len(tried) - len(survivors),
        "hung": hung,
        "seconds": round(time.monotonic() - start),
        "survivors": survivors,
    }


def try_again(group: dict[str, list[str]], earlier: dict[str, Any]) -> dict[str, Any]:
    """Try those that survived or hung, once there are more tests of the same code."""
    names = [survivor["name"] for survivor in earlier["survivors"]] + earlier["hung"]
    if not names:
        return earlier
    with _copy(group) as folder:
        if gone := set(names) - set(_names()):
            raise SystemExit(f"the code has changed, try all again: {sorted(gone)}")
        survivors, hung = _try(folder, names)
    killed = earlier["tried"] - len(survivors)
    return {**earlier, "killed": killed, "hung": hung, "survivors": survivors}


@contextlib.contextmanager
def _copy(group: dict[str, list[str]]) -> Iterator[Path]:
    """Be in a copy of the tree, with mutmut's settings; the tree stays as it is."""
    from mutmut.configuration import reset_config

    ignore = shutil.ignore_patterns("__pycache__", "attacks", "mutants")
    with tempfile.TemporaryDirectory(prefix="sktransfer-mutants-") as name:
        folder = Path(name)
        for copied in COPIED:
            if (ROOT / copied).is_dir():
                shutil.copytree(ROOT / copied, folder / copied, ignore=ignore)
            else:
                shutil.copy2(ROOT / copied, folder / copied)
        _write_settings(folder / "pyproject.toml", group)
        with contextlib.chdir(folder):
            reset_config()
            yield folder
        reset_config()


def _write_settings(project: Path, group: dict[str, list[str]]) -> None:
    mutated = [
        path.relative_to(ROOT).as_posix()
        for pattern in group["mutate"]
        for path in sorted(ROOT.glob(pattern))
    ]
    settings: dict[str, Any] = {**SETTINGS, "only_mutate": mutated}
    # The examples in docstrings are tests as well.
    settings["pytest_add_cli_args_test_selection"] = [*group["tests"], *mutated]
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with project.open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def _names() -> list[str]:
    """All mutants of the current folder, sorted."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.file_utils import walk_mutatable_files
    from mutmut.utils.format_utils import get_mutant_name

    return sorted(
        get_mutant_name(path, name)
        for path in walk_mutatable_files()
        for name in mutate_file_contents(
            str(path), path.read_text(encoding="utf-8")
        ).mutant_names
    )


def _try(folder: Path, names: list[str]) -> tuple[list[dict[str, str]], list[str]]:
    """The survivors among the mutants, and the names of those that hung."""
    # Processes that tests start have to see the mutant as well. Python remembers that a
    # folder of its path was missing at the start.
    (folder / "mutants").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants")}
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = "from mutmut.__main__ import cli; cli()"
    command = [sys.executable, "-c", code, "run", "--max-children", "1", *names]
    log = folder / "log.txt"
    with log.open("wb") as file:
        finished = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    if finished.returncode:
        lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace"))
        raise SystemExit("\n".join(dict.fromkeys(lines[-200:])))
    statuses = _statuses()
    survivors = [
        _difference(name, statuses[name])
        for name in names
        if statuses[name] not in KILLED
    ]
    return survivors, [name for name in names if statuses[name] == HUNG]


def _statuses() -> dict[str, str]:
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    found = {}
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            found[name] = status_by_exit_code[code]
    return found


def _difference(name: str, status: str) -> dict[str, str]:
    """Where a mutant lies and what it changes, told without numbers that shift."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, owner = orig_function_and_class_names_from_key(name)
    lines = get_diff_for_mutant(name).splitlines()[2:]
    module = name.partition(".x")[0].removeprefix("sktransfer.")
    return {
        "name": name,
        "where": ".".join(filter(None, (module, owner, function))),
        "before": " ".join(line[1:].strip() for line in lines if line[0] == "-"),
        "after": " ".join(line[1:].strip() for line in lines if line[0] == "+"),
        "status": status,
    }


if __name__ == "__main__":
    sys.exit(main())
