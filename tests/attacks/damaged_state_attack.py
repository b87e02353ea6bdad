"""What unfinished runs leave, damaged: parts, states, journals, files of predictions.

A command that goes on from a damaged file must make what an undisturbed one makes, or
say that it cannot. Numbers are changed, lines removed, doubled, moved and taken from
other runs, files are cut, lengthened and exchanged.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kills_of_commands_attack import LONG, command, make_model, write_table
from ledger import Ledger, in_child, parse

N_TRIES = 150
KINDS = ("part", "state", "state", "both", "journal", "journal", "predictions")


def flip(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    place = drawn.randrange(len(content))
    changed = content[place] ^ (1 << drawn.randrange(8))
    return content[:place] + bytes([changed]) + content[place + 1 :]


def change_number(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    found = drawn.choice([*re.finditer(rb"\d+", content)])
    changed = max(0, int(found[0]) + drawn.choice([-100, -20, -1, 1, 20, 100]))
    return content[: found.start()] + b"%d" % changed + content[found.end() :]


def change_count(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    """Of rows or bytes, where there is one; they say where a run goes on."""
    found = [*re.finditer(rb'"n_(?:rows|bytes)": (\d+)', content)]
    if not found:
        return change_number(content, drawn, other)
    place = drawn.choice(found)
    changed = max(0, int(place[1]) + drawn.choice([-1000, -20, -1, 1, 20]))
    return content[: place.start(1)] + b"%d" % changed + content[place.end(1) :]


def cut(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    return content[: drawn.randrange(len(content))]


def lengthen(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    return content + content[drawn.randrange(len(content)) :]


def remove_line(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[drawn.randrange(len(lines))]
    return b"".join(lines)


def double_line(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    line = drawn.choice(lines)
    lines.insert(drawn.randrange(len(lines) + 1), line)
    return b"".join(lines)


def exchange_lines(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    one, two = drawn.randrange(len(lines)), drawn.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def take_line(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    """In place of one's own, from another run's file."""
    lines = content.splitlines(keepends=True)
    lines[drawn.randrange(len(lines))] = drawn.choice(other.splitlines(keepends=True))
    return b"".join(lines)


def put_zeros(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    """As a system leaves them that was switched off."""
    place = drawn.randrange(len(content))
    return content[:place] + bytes(len(content) - place)


def take_other(content: bytes, drawn: random.Random, other: bytes) -> bytes:
    return other


def remove(content: bytes, drawn: random.Random, other: bytes) -> bytes | None:
    return None


Change = Callable[[bytes, random.Random, bytes], bytes | None]
CHANGES: list[Change] = [
    *(flip, change_number, change_count, cut, lengthen, remove_line, double_line),
    *(exchange_lines, take_line, put_zeros, take_other, remove),
]


def predict_some(folder: str, model: str, seed: int, n_chunks: int | None) -> Any:
    """Label a table; with `n_chunks`, as if interrupted after so many."""
    from sktransfer.cli import predict

    os.chdir(folder)
    predict.N_ROWS = 20
    label, count = predict._Labeller.label, [0]

    def stop(self: Any, chunk: Any) -> Any:
        if count[0] == n_chunks:
            raise KeyboardInterrupt
        count[0] += 1
        return label(self, chunk)

    predict._Labeller.label = stop  # type: ignore[method-assign]
    return command("predict", model, f"table{seed}.csv", "-o", "out.csv")


def compare_some(folder: str, seed: int, n_lines: int | None) -> Any:
    """Compare; with `n_lines`, as if killed after so many of the journal."""
    from sktransfer.comparison.run import journal

    os.chdir(folder)
    write, count = journal.Journal.write, [0]

    def stop(self: Any, entry: Any) -> None:
        write(self, entry)
        count[0] += 1
        if count[0] == n_lines:
            raise KeyboardInterrupt

    journal.Journal.write = stop  # type: ignore[method-assign]
    arguments = ["compare", f"table{seed}.csv", "--report", "out", "--jobs", "1"]
    arguments += ["--strategies", "majority,tfidf", "--folds", "3", "--no-model"]
    return command(*arguments)


def read_report(folder: str) -> Any:
    import pandas as pd

    from sktransfer import load_predictions

    told = load_predictions(Path(folder, "out", "predictions.jsonl"))
    kept = ["strategy", "train_size", "score", "status"]
    folds = pd.read_csv(Path(folder, "out", "folds.csv"))
    results = pd.read_csv(Path(folder, "out", "results.csv"))
    tables = {k: v.to_csv() for k, v in told["predictions"].items()}
    return [results[kept].to_csv(), folds[[*kept, "repeat", "fold"]].to_csv(), tables]


def read_predictions(path: str) -> Any:
    from sktransfer import load_predictions

    told = load_predictions(path)
    told["predictions"] = {k: v.to_csv() for k, v in told["predictions"].items()}
    return repr(sorted(told.items(), key=lambda item: item[0]))


def prepare(place: Path) -> dict[str, Any]:
    """Folders of runs that were stopped, and what undisturbed ones make."""
    make = in_child(make_model, str(place / "model"))
    assert make.kind == "value", make
    made: dict[str, Any] = {"model": str(place / "model")}
    for seed in (0, 1):
        for what in ("predict", "predicted", "compare", "compared"):
            folder = place / f"{what}{seed}"
            folder.mkdir()
            for number in (0, 1):
                write_table(folder / f"table{number}.csv", 200 + 20 * number, number)
            if what.startswith("predict"):
                n = 6 if what == "predict" else None
                told = in_child(
                    predict_some, str(folder), made["model"], seed, n, seconds=LONG
                )
            else:
                n = 6 if what == "compare" else None
                told = in_child(compare_some, str(folder), seed, n, seconds=LONG)
            assert told.kind == "value", told
            assert told.value[0] == (130 if n else 0), told
    made["labelled"] = (place / "predicted0" / "out.csv").read_bytes()
    made["report"] = in_child(read_report, str(place / "compared0")).value
    path = place / "compared0" / "out" / "predictions.jsonl"
    made["predictions"] = in_child(read_predictions, str(path)).value
    assert made["report"]
    assert made["predictions"]
    return made


def damage(
    path: Path, other: Path, drawn: random.Random, changes: list[Change] = CHANGES
) -> str:
    change = drawn.choice(changes)
    content = change(path.read_bytes(), drawn, other.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    return change.__name__


def attack(number: int, place: Path, made: dict[str, Any], ledger: Ledger) -> None:
    drawn = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    folder, other = Path(tempfile.mkdtemp(dir=place)) / "run", place
    if kind == "predictions":
        folder.mkdir()
        path = folder / "predictions.jsonl"
        shutil.copy(place / "compared0" / "out" / path.name, path)
        # Another whole file is no damaged one.
        changes = [change for change in CHANGES if change is not take_other]
        how = damage(path, place / "compared1" / "out" / path.name, drawn, changes)
        answer = in_child(read_predictions, str(path))
        if answer.kind == "error" and answer.name == "FileNotFoundError":
            ledger.note("refused", number)
        elif answer.fault:
            ledger.note(answer.fault, number, f"{kind} {how}: {answer.text}")
        elif answer.kind == "error":
            ledger.note("refused", number)
        else:
            same = answer.value == made["predictions"]
            ledger.note("right" if same else "wrong", number, f"{kind} {how}")
        return
    source = "compare" if kind == "journal" else "predict"
    other = place / f"{source}1"
    shutil.copytree(place / f"{source}0", folder)
    names = {
        "part": ["out.csv.part"],
        "state": ["out.csv.state"],
        "both": ["out.csv.part", "out.csv.state"],
        "journal": ["out/journal/journal.jsonl"],
    }[kind]
    how = " and ".join(damage(folder / n, other / n, drawn) for n in names)
    before = {name: read_if(folder / name) for name in names}
    if kind == "journal":
        answer = in_child(compare_some, str(folder), 0, None, seconds=LONG)
    else:
        answer = in_child(
            predict_some, str(folder), made["model"], 0, None, seconds=LONG
        )
    detail = f"{kind}: {how}"
    if answer.fault:
        ledger.note(answer.fault, number, f"{detail}: {answer.name} {answer.text}")
        return
    code, said = answer.value
    detail += f": exit {code}: {said}"
    if code:
        kept = {name: read_if(folder / name) for name in names} == before
        clear = "Error" in said and len(said) > 60
        fault = "unclear" if not clear else "lost" if not kept else "refused"
        ledger.note(fault, number, detail)
    elif kind == "journal":
        found = in_child(read_report, str(folder))
        ledger.note(
            "right" if found.value == made["report"] else "wrong", number, detail
        )
    else:
        found = (folder / "out.csv").read_bytes()
        ledger.note("right" if found == made["labelled"] else "wrong", number, detail)


def read_if(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def main() -> None:
    name = "part-state-journal"
    chosen = parse(__doc__, [name])
    ledger = Ledger(name, "flips, numbers, cuts, lines of others in what runs leave")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SKTRANSFER_CACHE"] = str(Path(folder, "cache"))
        made = prepare(Path(folder))
        for number in range(max(1, round(N_TRIES * chosen.share))):
            attack(number, Path(folder), made, ledger)
    ledger.write()


if __name__ == "__main__":
    main()
