import os
import subprocess
import sys

import pytest

from sktransfer.encoders.compute import devices
from sktransfer.encoders.compute.devices import ensure_not_forked
from sktransfer.exceptions import ForkedProcessError

FORK = """
import os, sys, torch
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import ForkedProcessError

torch.set_num_threads(2)
featurizer = BertFeaturizer({folder!r}, cache=None, device="cpu").fit(["good"])
featurizer.transform(["good"] * 9)
if os.fork() == 0:
    try:
        featurizer.transform(["bad"])
    except ForkedProcessError as error:
        print("refused", flush=True)
    torch.set_num_threads(1)
    print(featurizer.transform(["bad"]).shape, flush=True)
    os._exit(0)
os.wait()
"""


def test_the_same_process_may_go_on():
    ensure_not_forked()
    ensure_not_forked()


def test_after_a_fork_it_says_so(monkeypatch):
    monkeypatch.setattr(devices, "_first_process", os.getpid() + 1)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    with pytest.raises(ForkedProcessError, match=r"was forked from.*'spawn'"):
        ensure_not_forked()


def test_one_thread_waits_for_nobody(monkeypatch):
    monkeypatch.setattr(devices, "_first_process", os.getpid() + 1)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    ensure_not_forked()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_real_fork_is_refused_and_the_remedy_works(tiny_bert):
    code = FORK.format(folder=tiny_bert)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout.splitlines() == ["refused", "(1, 32)"], result.stderr
