import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from joblib import delayed, parallel_config

from sktransfer.comparison.run.parent_watch import deaf_to_interrupts
from sktransfer.comparison.run.workers import (
    become_worker,
    fit_source,
    pass_on,
    run_task,
    start_workers,
)
from sktransfer.exceptions import TransferWarning, TruncationWarning

# Each task stays until two processes are at work: a worker that came too late for one
# would watch nobody.
KILLED = """
import os, pathlib, signal, sys, time
from joblib import delayed
from sktransfer.comparison.run.workers import start_workers

def work(seen):
    # They watch from their beginning, not from their first task.
    (seen / str(os.getpid())).touch()
    while len(list(seen.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()

seen = pathlib.Path(sys.argv[1])
workers = set(start_workers(2, (delayed(work)(seen) for _ in range(2))))
print(len(workers - {os.getpid()}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there, parents leave no trace")
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    # The end of the output is the end of all who could write to it.
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert int(ended.stdout) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there, parents leave no trace")
def test_a_worker_that_comes_too_late_ends_at_once():
    code = "import sys; from sktransfer.comparison.run import parent_watch as watch\n"
    code += "watch.watch_parent(2**30); print('still here')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
def test_processes_that_are_begun_deaf_leave_ctrl_c_to_their_parent():
    code = "import signal, sys; signal.raise_signal(signal.SIGINT); print('on')"
    command = [sys.executable, "-c", code]
    with deaf_to_interrupts():
        begun = subprocess.run(
            command, stdout=subprocess.PIPE, check=False, restore_signals=False
        )
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert begun.stdout == b"on\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_the_users_choice_of_workers_is_kept():
    with parallel_config(backend="threading"):
        found = start_workers(2, (delayed(os.getpid)() for _ in range(2)))
        assert set(found) == {os.getpid()}


@pytest.mark.parametrize("parent", [os.getpid(), 2**30], ids=["own", "none"])
def test_a_process_that_is_no_worker_watches_nobody(parent):
    before = threading.active_count()
    become_worker(parent)
    assert threading.active_count() == before


class TestWarnings:
    def warn(self, *args):
        """A fold that warns twice of one thing, and that texts were cut."""
        for _ in range(2):
            warnings.warn("the last layer starts anew", TransferWarning, stacklevel=1)
        warnings.warn("3 of 9 texts were longer", TruncationWarning, stacklevel=1)
        return {"status": "done"}

    def test_they_come_along_with_the_outcome_but_not_that_texts_are_cut(
        self, tmp_path
    ):
        number, outcome = run_task(0, 7, self.warn, None, tmp_path / "model")
        assert (number, outcome["status"]) == (7, "done")
        told = outcome["warnings"]
        assert told == [(TransferWarning, "the last layer starts anew")]
        with pytest.warns(TransferWarning, match="starts anew"):
            pass_on(told)

    def test_a_fit_on_the_source_says_nothing(self):
        digest, answer = fit_source(0, "d", self.warn)
        assert digest == "d"
        assert answer is not None
