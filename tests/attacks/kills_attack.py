"""Savers that are killed at any moment, and disks that are full at any call.

``save``: a process saves two models to one folder in turn, until it is killed. Then
loading gives one of them; and after the next save nothing else lies beside the folder.
Every third try has a second saver, and a reader that must never notice; every third
does without the exchange of folders, which not every system has.

``full_disk``: the n-th call that writes fails for want of room.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import multiprocessing
import os
import pickle
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
from ledger import REFUSED, RIGHT, Answer, Ledger, in_child, parse
from saved_models import answer_of, ask, train_on_numbers

from sktransfer import storage
from sktransfer.exceptions import ModelFolderError
from sktransfer.persistence import load, save

TRIES = 300
WAYS = ("one saver", "two savers and a reader", "no exchange")
OPEN, BUILTIN = os.open, builtins.open
# A save takes some 15 ms, of which the kill may meet any.
LONGEST = 0.08
_N_LOADS = 20


def save_in_turn(folder: Path, models: bytes, count: Any, exchanges: bool) -> None:
    """Save two models in turn until the process is killed."""
    if not exchanges:
        storage.exchange = lambda first, second: False
    while True:
        for model in pickle.loads(models):
            try:
                save(model, folder)
            except Exception as error:
                name = f"{type(error).__name__}: {error}"
                (folder.parent.parent / "error").write_text(name)
                raise
            with count.get_lock():
                count.value += 1


def load_again_and_again(folder: Path, stop: Any, count: Any) -> set[bytes]:
    """Load a model until told to stop; returns the different answers."""
    answers = set()
    while not stop.is_set():
        answers.add(answer_of(folder))
        count.value += 1
    return answers


def run_reader(pipe: Any, *arguments: Any) -> None:
    """Say what became of a reader that loads again and again."""
    try:
        pipe.send(Answer("value", load_again_and_again(*arguments)))
    except Exception as error:
        name, is_ours = type(error).__name__, isinstance(error, ModelFolderError)
        pipe.send(Answer("error", None, name, str(error), is_ours))


@contextlib.contextmanager
def killed(processes: list[Any]) -> Iterator[None]:
    """Start processes, and kill them at the end."""
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()


def kill_once(folder: Path, number: int, models: list[Any]) -> tuple[str, str]:
    """Kill savers at a random moment; returns the outcome and what was seen."""
    draw, way = random.Random(number), WAYS[number % len(WAYS)]
    answers = {ask(model).tobytes() for model in models}
    context = multiprocessing.get_context("forkserver")
    count, n_loads, stop = context.Value("i"), context.Value("i"), context.Event()
    data = pickle.dumps(models)
    with_reader = way == WAYS[1]
    arguments = (folder, data, count, way != WAYS[2])
    n_savers = 2 if with_reader else 1
    savers = [
        context.Process(target=save_in_turn, args=arguments) for _ in range(n_savers)
    ]
    mine, theirs = context.Pipe(duplex=False)
    reader = context.Process(target=run_reader, args=(theirs, folder, stop, n_loads))
    # In half of the tries there is a model before the first save.
    if is_there := with_reader or draw.random() < 0.5:
        save(models[0], folder)
    with killed([*savers, *([reader] if with_reader else [])]):
        deadline = time.monotonic() + 60
        # From the very first save on, where there is none yet.
        n_wanted = _N_LOADS if with_reader else 0
        while is_there and (count.value == 0 or n_loads.value < n_wanted):
            time.sleep(0.001)
            if mine.poll() or time.monotonic() > deadline:
                break  # the reader has met an error, or all wait for one another
        time.sleep(draw.uniform(0, LONGEST if is_there else 4 * LONGEST))
        for process in savers:
            process.kill()
        stop.set()
        if with_reader:
            read = mine.recv() if mine.poll(60) else Answer("hung")
            if read.kind != "value":
                return read.fault or "refused", f"reader: {read.name} {read.text}"
            if not read.value <= answers:
                return "wrong", "the reader had another answer"
        is_there = is_there or count.value > 0
    met = folder.parent.parent / "error"
    if met.exists():
        told = met.read_text()
        met.unlink()
        return "unclear", f"a saver: {told}"
    return check(folder, answers, is_there=is_there, model=models[number % 2])


def check(
    folder: Path, answers: set[bytes], *, is_there: bool, model: Any
) -> tuple[str, str]:
    """Load what is there, save once more, and look for leftovers."""
    try:
        if ask(load(folder)).tobytes() not in answers:
            return "wrong", "another answer than that of either model"
    except ModelFolderError as error:
        if is_there:
            there = sorted(path.name for path in folder.parent.iterdir())
            return "lost", f"{error} Beside it: {there}"
    except Exception as error:
        return "raw error", f"load: {type(error).__name__} {error}"
    try:
        save(model, folder)
        if ask(load(folder)).tobytes() != ask(model).tobytes():
            return "wrong", "another answer than the model's that was saved last"
    except Exception as error:
        return "raw error", f"next save: {type(error).__name__} {error}"
    left = sorted(p.name for p in folder.parent.iterdir() if p != folder)
    return ("left over", f"{len(left)}: {left[:3]}") if left else (RIGHT, "")


def attack_saves(n_tries: int) -> None:
    ledger = Ledger("save", "kill -9 of processes that save models to one folder")
    models = [train_on_numbers(seed) for seed in range(2)]
    with tempfile.TemporaryDirectory() as work:
        os.environ["SKTRANSFER_CACHE"] = f"{work}/cache"
        in_child(os.getpid)  # for the server to import what it forks
        for number in range(n_tries):
            place = Path(work, str(number))
            place.mkdir()
            outcome, detail = kill_once(place / "model", number, models)
            way = WAYS[number % len(WAYS)]
            ledger.note(outcome, number, f"{way}: {detail}" if detail else "")
            shutil.rmtree(place)
    ledger.write()


def no_room() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Counter:
    """Lets calls through until one of them fails, and perhaps all that follow."""

    def __init__(self, failing: int, *, lasting: bool) -> None:
        self.failing, self.lasting, self.n = failing, lasting, 0

    def wrap(self, function: Callable[..., Any], error: Callable[[], Exception]) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            writes = function is not OPEN or arguments[1] & os.O_CREAT
            writes = writes and (function is not BUILTIN or "w" in arguments[1:2])
            self.n += bool(writes)
            if writes and self.n - 1 == self.failing:
                raise error()
            if writes and self.lasting and self.n - 1 > self.failing:
                raise error()
            return function(*arguments, **named)

        return call


def save_without_room(folder: Path, model: bytes, failing: int, lasting: bool) -> int:
    """Save where the n-th call that writes fails; returns how many there were."""
    counter = Counter(failing, lasting=lasting)
    for name in ("fsync", "mkdir", "rename", "replace", "open", "chmod"):
        setattr(os, name, counter.wrap(getattr(os, name), no_room))
    for name in ("write_text", "write_bytes"):
        setattr(Path, name, counter.wrap(getattr(Path, name), no_room))
    builtins.open = counter.wrap(open, no_room)
    # It may fail once; the way back needs no room.
    if hasattr(storage, "exchange") and not lasting:
        storage.exchange = counter.wrap(storage.exchange, no_room)
    safetensors.numpy.save_file = counter.wrap(
        safetensors.numpy.save_file,
        lambda: safetensors.SafetensorError("I/O error: (os error 28)"),
    )
    save(pickle.loads(model), folder)
    return counter.n


def save_on_small_disk(folder: Path, model: bytes, free: int) -> int:
    """Save where so many bytes are free."""
    state = os.statvfs(folder.parent)
    room = state.f_bavail * state.f_frsize
    (folder.parent / "filler").write_bytes(bytes(max(0, room - free)))
    save(pickle.loads(model), folder)
    return -1


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """Mount a disk of 256 KB, if this user may."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    is_mounted = not subprocess.run(command, capture_output=True).returncode
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(place)], check=True)


def judge(place: Path, answer: Answer, models: list[Any]) -> tuple[str, str]:
    """Tell what a save without room has come to."""
    filler = place / "filler"
    filler.unlink(missing_ok=True)
    if fault := answer.fault:
        return fault, f"{answer.name} {answer.text}"
    left = sorted(path.name for path in place.iterdir() if path.name != "model")
    if left:
        return "left over", f"{left}: {answer.text}"
    found = ask(load(place / "model")).tobytes()
    old, new = (ask(model).tobytes() for model in models)
    if answer.kind == "error":
        words = (str(place), "as it was", "room")
        if missing := [word for word in words if word not in answer.text]:
            return "unclear", f"without {missing}: {answer.text}"
        return (REFUSED, "") if found in (old, new) else ("lost", answer.text)
    return (RIGHT, "") if found == new else ("wrong", "an old model, and no error")


def attack_disks(n_tries: int) -> None:
    ledger = Ledger("full_disk", "no room at the n-th call that writes, in a save")
    models = [train_on_numbers(seed) for seed in range(2)]
    data = pickle.dumps(models[1])
    with tempfile.TemporaryDirectory() as work, small_disk(Path(work, "disk")) as real:
        os.environ["SKTRANSFER_CACHE"] = f"{work}/cache"
        n_calls = 100
        for number in range(n_tries):
            on_disk = real and number % 3 == 2
            place = Path(work, "disk") if on_disk else Path(work, str(number))
            place.mkdir(exist_ok=True)
            save(models[0], place / "model")
            if on_disk:
                free = random.Random(number).randrange(40_000)
                arguments = (place / "model", data, free)
                answer = in_child(save_on_small_disk, *arguments)
            else:
                failing, lasting = number // 3 % n_calls, number % 3 == 1
                arguments = (place / "model", data, failing, lasting)
                answer = in_child(save_without_room, *arguments)
                if answer.kind == "value":
                    n_calls = min(n_calls, answer.value)
            ledger.note(*_reordered(judge(place, answer, models), number))
            shutil.rmtree(place / "model")
    ledger.write()


def _reordered(judged: tuple[str, str], number: int) -> tuple[str, int, str]:
    return judged[0], number, judged[1]


ROWS = {"save": attack_saves, "full_disk": attack_disks}

if __name__ == "__main__":
    arguments = parse(__doc__, list(ROWS))
    for row in arguments.rows:
        ROWS[row](round(TRIES * arguments.share))
