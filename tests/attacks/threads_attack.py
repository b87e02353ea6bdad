"""Eight threads ask shared estimators; each answer has to be the single thread's.

A row is a kind of estimator, and its number of tries that of the answers in five
minutes. Answers may differ by 1e-6, as vectors do with the batch that they travel in,
and explanations, which are means of gradients in float32, by 1e-5 of their size.
Afterwards the process has to be as it was: torch's threads, modes, number format and
generator, the filters of warnings, the environment, and the weights that all share.
"""

from __future__ import annotations

import _thread
import contextlib
import faulthandler
import multiprocessing
import os
import random as plain_random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ledger import RIGHT, Ledger, in_child, parse
from shared_models import KINDS, Call, Kit, calls_of, fresh_calls

from sktransfer.encoders import loaded_models
from sktransfer.persistence import load, save

SECONDS, N_THREADS = 300.0, 8
SPECIAL = ("meanwhile", "first-use", "interrupts")


def world() -> dict[str, Any]:
    """What a call must not change in a process."""
    modules = loaded_models._modules.items()
    return {
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "format": torch.get_default_dtype(),
        "torch's generator": torch.get_rng_state().sum().item(),
        "numpy's generator": np.random.get_state()[1].sum(),  # noqa: NPY002
        "python's generator": hash(plain_random.getstate()),
        # scikit-learn's checks set filters of numpy's warnings for a while; of threads
        # in turn, some are left.
        "filters": [
            entry for entry in map(str, warnings.filters) if "numpy." not in entry
        ],
        "environment": dict(os.environ),
        "weights": {
            key: sum(float(p.double().abs().sum()) for p in module.parameters())
            for key, module in modules
        },
    }


def differs(found: Any, expected: Any) -> str:
    """How an answer differs from what was expected; empty if it does not."""
    if isinstance(expected, (str, list)):
        return "" if found == expected else f"{found!r:.100} for {expected!r:.100}"
    one, other = np.asarray(found), np.asarray(expected)
    if one.shape != other.shape:
        return f"shape {one.shape} for {other.shape}"
    if one.dtype.kind == "f":
        apart = float(np.abs(one - other).max(initial=0))
        size = float(np.abs(other).max(initial=0))
        return "" if apart <= 1e-6 + 1e-5 * size else f"{apart:.2g} apart"
    return "" if (one == other).all() else "other labels"


class Crowd:
    """Threads that make random calls for a time, and write down what came of it."""

    def __init__(self, ledger: Ledger, calls: list[Call], seconds: float) -> None:
        self.ledger, self.calls, self.seconds = ledger, calls, seconds
        self.others: list[Callable[[np.random.Generator], None]] = []
        self.in_main: Callable[[], None] = lambda: None
        self._noting = threading.Lock()
        costs = np.array([_cost(call) for call in calls])
        self._odds = 1 / np.sqrt(costs) / np.sum(1 / np.sqrt(costs))

    def run(self) -> None:
        before, interval = world(), sys.getswitchinterval()
        self._end = time.monotonic() + self.seconds
        jobs = [self._ask] * N_THREADS + [self._repeat(do) for do in self.others]
        threads = [
            threading.Thread(target=job, args=(number,), daemon=True)
            for number, job in enumerate(jobs)
        ]
        sys.setswitchinterval(1e-5)
        for thread in threads:
            thread.start()
        self.in_main()
        for thread in threads:
            thread.join(max(0.0, self._end - time.monotonic()) + 900)
        sys.setswitchinterval(interval)
        for number, thread in enumerate(threads):
            if thread.is_alive():
                frame = sys._current_frames()[thread.ident]
                where = traceback.format_stack(frame)[-1]
                self.ledger.note("hung", number, where)
        for name, value in world().items():
            if name == "weights":
                same = all(value.get(k, v) == v for k, v in before[name].items())
            else:
                same = value == before[name]
            if not same:
                told = f"{name} changed: {before[name]!r:.100} to {value!r:.100}"
                self.ledger.note("left over", 0, told)

    def answer(self, call: Call, random: np.random.Generator, number: int) -> None:
        """Make a call; what comes is right, wrong or an error."""
        try:
            problem = differs(call.do(random), call.expected)
            outcome = "wrong" if problem else RIGHT
        except Exception as error:
            outcome = "raw error"
            problem = "".join(traceback.format_exception(error)[-2:])
        with self._noting:
            self.ledger.note(outcome, number, f"{call.name}: {problem}")

    def goes_on(self) -> bool:
        return time.monotonic() < self._end

    def _ask(self, number: int) -> None:
        random = np.random.default_rng(number)
        while self.goes_on():
            place = random.choice(len(self.calls), p=self._odds)
            self.answer(self.calls[place], random, number)

    def _repeat(self, do: Callable[..., None]) -> Callable[[int], None]:
        def repeat(number: int) -> None:
            random = np.random.default_rng(number)
            while self.goes_on():
                self.answer(Call(do.__name__, do, None), random, number)

        return repeat


def _cost(call: Call) -> float:
    start = time.perf_counter()
    call.do(np.random.default_rng(0))
    return time.perf_counter() - start + 1e-3


def kind(name: str, seconds: float, kit: Kit, ledger: Ledger) -> None:
    calls = [call for calls in KINDS[name](kit) for call in calls]
    Crowd(ledger, calls, seconds).run()


def meanwhile(seconds: float, kit: Kit, ledger: Ledger) -> None:
    """Others fit, save, load in half precision, and have modules let go of."""
    from conftest import build_tiny_bert

    tuned = kit.network(kit.bert(), strategy="fine_tune").fit(kit.texts, kit.labels)
    lora = kit.network(kit.bert(), strategy="lora").fit(kit.texts, kit.labels)
    frozen = kit.network(kit.bert(cache=None)).fit(kit.texts, kit.labels)
    folders = [str(build_tiny_bert(kit.folder / f"b{n}", seed=n)) for n in range(5)]
    half = kit.bert(model=kit.other_architecture("albert"), dtype="float16")
    half.set_params(cache=None).fit(kit.texts)
    calls = [c for model in (tuned, lora, frozen) for c in calls_of(model, kit)]

    def fit(strategy: str, **parameters: Any) -> Call:
        def do(random: np.random.Generator) -> Any:
            model = kit.network(kit.bert(), strategy=strategy, **parameters)
            model.fit(kit.texts, kit.labels)
            return model.decision_function(kit.texts[:4])

        return Call(f"fit {strategy}", do, do(np.random.default_rng(0)))

    sizes = {"hidden_layer_sizes": (4,)}
    calls += [fit("fine_tune"), fit("feature_extraction", **sizes), fit("lora")]

    def evict(random: np.random.Generator) -> None:
        kit.bert(model=random.choice(folders), cache=None).fit_transform(kit.texts[:1])

    def load_in_half_precision(random: np.random.Generator) -> None:
        with loaded_models._loading:
            loaded_models._modules.clear()
            loaded_models._encoders.clear()
        half.transform(kit.texts[:1])

    def forget_vectors(random: np.random.Generator) -> None:
        time.sleep(0.2)
        kit.bert().clear_cache()

    crowd = Crowd(ledger, calls, seconds)
    crowd.others = [evict, load_in_half_precision, forget_vectors]
    crowd.run()


def interrupts(seconds: float, kit: Kit, ledger: Ledger) -> None:
    """The main thread is interrupted at any moment; the others must not notice."""
    disk = kit.bert(cache=str(kit.folder / "disk")).fit(kit.texts)
    words = kit.words(oov="random", random_state=0).fit(kit.texts)
    tuned = kit.network(kit.bert(), strategy="fine_tune").fit(kit.texts, kit.labels)
    head = kit.network(kit.bert()).fit(kit.texts, kit.labels)
    calls = fresh_calls(words, kit) * 8
    for model in (disk, words, tuned, head):
        calls += calls_of(model, kit)
    crowd = Crowd(ledger, calls, seconds)

    def forget_vectors(random: np.random.Generator) -> None:
        time.sleep(0.05)
        head.encoder_.clear_cache()
        disk.clear_cache()

    # Not loading, where Python's own logging may be left locked by an interrupt.
    victim = _Victim([c for c in calls if c.name not in ("save", "pickle")])

    def interrupt(random: np.random.Generator) -> None:
        time.sleep(2 * float(random.random()))
        victim.interrupt()

    crowd.others = [forget_vectors, interrupt]
    crowd.in_main = lambda: victim.suffer(crowd.goes_on)
    crowd.run()


class _Victim:
    """The main thread, which is interrupted, never twice before it knows.

    An interrupt of another thread would sometimes come to one that it has just begun.
    """

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls
        self._random = np.random.default_rng(100)
        self._is_ready = False

    def suffer(self, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            try:
                self._make_calls(goes_on)
            except KeyboardInterrupt:
                continue
        self._is_ready = False
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.5)

    def _make_calls(self, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            with contextlib.suppress(KeyboardInterrupt):
                self._is_ready = True
                self._calls[self._random.integers(len(self._calls))].do(self._random)

    def interrupt(self) -> None:
        if self._is_ready:
            self._is_ready = False
            _thread.interrupt_main()


def first_use(seconds: float, kit: Kit, ledger: Ledger) -> None:
    """Eight threads are the first to use a model that a process has loaded."""
    bert, albert = kit.bert(), kit.bert(model=kit.other_architecture("albert"))
    models = [
        kit.network(bert),
        kit.network(bert, strategy="fine_tune"),
        kit.network(bert, strategy="lora"),
        kit.network(albert, strategy="fine_tune"),
        kit.network(albert.set_params(cache=None)),
        kit.network(kit.words(weighting="sif", oov="random", random_state=0)),
    ]
    folders, texts = [], kit.texts + kit.chinese
    for number, model in enumerate(models):
        folders.append(str(kit.folder / f"first-{number}"))
        save(model.fit(kit.texts, kit.labels), folders[-1])
        expected = load(folders[-1]).decision_function(texts)
        np.save(f"{folders[-1]}.npy", expected)
    # All that this script imports, so that a child begins at once; what computes is
    # imported by the first who needs it.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["shared_models"])
    forkserver.ensure_running()
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        folder = folders[number % len(folders)]
        answer = in_child(_use_first, folder, texts, seconds=900)
        problem = answer.text if answer.kind == "error" else answer.value
        outcome = answer.fault or ("wrong" if problem else RIGHT)
        ledger.note(outcome, number, f"{Path(folder).name}: {problem}")
        number += 1


def _use_first(folder: str, texts: list[str]) -> str:
    torch.set_num_threads(2)
    sys.setswitchinterval(1e-5)
    model, expected = load(folder), np.load(f"{folder}.npy")
    together, problems = threading.Barrier(N_THREADS), []

    def ask() -> None:
        together.wait()
        try:
            problems.append(differs(model.decision_function(texts), expected))
        except BaseException as error:
            problems.append("".join(traceback.format_exception(error)[-2:]))

    threads = [threading.Thread(target=ask) for _ in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "; ".join(filter(None, problems))[:300]


def main() -> None:
    names = [*KINDS, *SPECIAL]
    given = parse(__doc__, names)
    faulthandler.register(signal.SIGUSR1)  # where they are, should they hang
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")
    for name in given.rows:
        what = f"8 threads ask for 5 minutes: {name.replace('-', ' ')}"
        ledger = Ledger(f"threads-{name}", what)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SKTRANSFER_CACHE"] = folder
            kit, seconds = Kit(Path(folder)), SECONDS * given.share
            if name in KINDS:
                kind(name, seconds, kit, ledger)
            else:
                run = {
                    "meanwhile": meanwhile,
                    "first-use": first_use,
                    "interrupts": interrupts,
                }
                run[name](seconds, kit, ledger)
        ledger.write()


if __name__ == "__main__":
    main()
    # Threads that hang must not keep the process alive.
    sys.stdout.flush()
    os._exit(0)
