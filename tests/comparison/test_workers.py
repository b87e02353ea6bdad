import os
import signal
import subprocess
import sys
import threading

import pytest

from sktransfer.comparison.workers import settle

KILLED = """
import os, signal
from joblib import Parallel, delayed
from sktransfer.comparison.workers import settle

def work(parent):
    settle(parent)
    return os.getpid()

workers = set(Parallel(2)(delayed(work)(os.getpid()) for _ in range(8)))
print(len(workers - {os.getpid()}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there, parents leave no trace")
def test_workers_end_with_a_parent_that_was_killed():
    command = [sys.executable, "-c", KILLED]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    # The end of the output is the end of all who could write to it.
    output, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert int(output) >= 1


@pytest.mark.parametrize("parent", [os.getpid(), 2**30])
def test_a_process_that_is_no_worker_watches_nobody(parent):
    before = threading.active_count()
    settle(parent)
    assert threading.active_count() == before
