import os
import signal
import subprocess
import sys
import threading

import pytest

from sktransfer.comparison.run.workers import become_worker

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
