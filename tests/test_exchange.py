"""Folders change places in one step, or nothing is done."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

import pytest

from sktransfer import exchange as module
from sktransfer.exchange import exchange


@pytest.fixture
def folders(tmp_path):
    """Two folders, each with a file of its own."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    return tmp_path / "first", tmp_path / "second"


def names(folders):
    return [[path.name for path in folder.iterdir()] for folder in folders]


@pytest.mark.skipif(sys.platform != "linux", reason="temporary folders there can")
def test_they_change_places(folders):
    assert exchange(*folders)
    assert names(folders) == [["second"], ["first"]]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_where_there_is_no_such_step_nothing_is_done(folders, monkeypatch, number):
    def refuse(first, second):
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(module, "_find_call", lambda: refuse)
    assert not exchange(*folders)
    assert names(folders) == [["first"], ["second"]]


@pytest.mark.parametrize(("system", "platform"), [("nt", "win32"), ("posix", "darwin")])
def test_a_system_without_the_function_has_no_such_step(
    folders, monkeypatch, system, platform
):
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: object())
    monkeypatch.setattr(os, "name", system)
    monkeypatch.setattr(sys, "platform", platform)
    found = module._find_call.__wrapped__()
    monkeypatch.undo()
    assert found is None


@pytest.mark.skipif(sys.platform != "linux", reason="temporary folders there can")
def test_other_errors_name_both(folders):
    first, second = folders
    with pytest.raises(FileNotFoundError) as caught:
        exchange(first, second / "missing")
    assert caught.value.filename == str(first)
    assert caught.value.filename2 == str(second / "missing")
