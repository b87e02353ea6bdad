from __future__ import annotations

import importlib
import statistics

import sktransfer.statistics


def test_the_standard_library_keeps_its_name():
    assert statistics.mean([1, 3]) == 2
    assert importlib.import_module("statistics") is not sktransfer.statistics


def test_all_that_is_public_is_there():
    for name in sktransfer.statistics.__all__:
        assert callable(getattr(sktransfer.statistics, name))
