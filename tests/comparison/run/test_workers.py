import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest

from sktransfer.comparison.run.workers import (
    become_worker,
    fit_source,
    pass_on,
    run_task,
)
from sktransfer.exceptions import TransferWarning, TruncationWarning

# Each task stays until two processes are at work: a worker that came too late for one
# would watch nobody.
KILLED = """
import os, pathlib, signal, sys, time
from joblib import Parallel, delayed
from sktransfer.comparison.run.workers import become_worker

def work(parent, seen):
    become_worker(parent)
    (seen / str(os.getpid())).touch()
    while len(list(seen.iterdir())) < 2:
        time.sleep(0.01)
    return os.getpid()

seen = pathlib.Path(sys.argv[1])
workers = set(Parallel(2)(delayed(work)(os.getpid(), seen) for _ in range(2)))
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
