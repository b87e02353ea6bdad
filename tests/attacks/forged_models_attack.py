"""Folders of models that a stranger forged, with digests that are right.

One row changes a number, text, shape or array of a saved model; the other has it ask
for functions, files and sizes that no model needs. A forged weight that is finite and
has its shape is simply another model, so whatever a forged model answers in its shape
is right; what must not be is a signal, an error of somebody else, a hang, or code that
ran.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forged_code import CODE, forge_code
from forging import (
    MODELS,
    TEXTS,
    forge_randomly,
    make_models,
    targets_of,
    write_as_skops,
)
from ledger import _PRELOADED, REFUSED, RIGHT, Ledger, in_child, parse

# What loading a model imports, so that each child has it when it is forked.
_PRELOADED += ["skops.io", "sktransfer.baselines.saving", "sktransfer.encoders.saving"]

# Bytes that a child may have: far more than a model, less than a bomb.
MOST_MEMORY = 12 * 2**30
# scikit-learn's own words for rows that a model was not fitted on, or for no fit.
OTHER_ROWS = re.compile(
    r"features, but|not fitted yet|contains (NaN|infinity)|vocabulary not fitted|"
    r"unseen labels|input is empty|Expected 2D array"
)


def ask(folder: str) -> int:
    """Load a model and have it answer, within limits."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    from sktransfer.persistence import load

    model = load(folder)
    n_answers = 0
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(model, method):
            n_answers += len(getattr(model, method)(TEXTS))
    return n_answers


def judge(ledger: Ledger, number: int, folder: Path, what: str) -> None:
    answer = in_child(ask, str(folder), seconds=60.0)
    detail = f"{what}: {answer.name} {answer.text}"
    if answer.fault and not (answer.kind == "error" and OTHER_ROWS.search(answer.text)):
        ledger.note(answer.fault, number, detail)
    else:
        ledger.note(RIGHT if answer.kind == "value" else REFUSED, number)


def numbers(root: Path, share: float) -> None:
    """Targeted forgeries of every model, and as many random ones."""
    ledger = Ledger(
        "forged-numbers", "one number, text, shape or type of a saved model"
    )
    number = 0
    for name, folder in make_models(root, MODELS).items():
        for kind, forge in forgeries_of(folder):
            number += 1
            if number * share % 1 >= share:
                continue
            copied = root / "forged"
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(folder, copied)
            try:
                what = forge(copied)
            except (LookupError, OSError, OverflowError, TypeError, ValueError):
                continue  # nothing that a file could hold
            judge(ledger, number, copied, f"{name} {kind} {what}")
    ledger.write()


def forgeries_of(folder: Path) -> Iterator[tuple[str, Any]]:
    targets = targets_of(folder)
    yield from (("targeted", forge) for forge in targets)
    for seed in range(len(targets)):
        yield "random", lambda copied, seed=seed: forge_randomly(copied, seed)


def code(root: Path, share: float) -> None:
    """Functions, files and sizes that a folder asks for."""
    ledger = Ledger("forged-code", "functions, paths, links, bombs in a saved model")
    outside = root / "outside"
    outside.mkdir()
    kept = outside / "secret.txt"
    kept.write_text("secret")
    folders = make_models(root, ("tfidf", "words"))
    write_as_skops(folders["tfidf"])
    for number, name in enumerate(CODE):
        if number * share % 1 >= share:
            continue
        copied = root / "forged"
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(folders["words" if "ours" in name else "tfidf"], copied)
        forge_code(name, copied, outside)
        judge(ledger, number, copied, name)
        if sorted(path.name for path in outside.iterdir()) != ["secret.txt"]:
            ledger.note("code ran", number, name)
            shutil.rmtree(outside)
            outside.mkdir()
        if not kept.exists() or kept.read_text() != "secret":
            ledger.note("lost", number, name)
            kept.write_text("secret")
    ledger.write()


ROWS = {"forged-numbers": numbers, "forged-code": code}


def main() -> int:
    arguments = parse(__doc__, list(ROWS))
    for name in arguments.rows:
        with tempfile.TemporaryDirectory() as root:
            os.environ["SKTRANSFER_CACHE"] = str(Path(root) / "cache")
            ROWS[name](Path(root), arguments.share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
