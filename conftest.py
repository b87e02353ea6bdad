"""Marks of examples in docstrings; warnings and processes that tests leave."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import pytest
from _pytest.doctest import DoctestItem
from packaging.version import Version

# Which examples need the weights that packages carry: they name a packaged model, or
# leave it to the default.
_SIGNS = ("BertFeaturizer(", "TransferSentimentClassifier(", "compare_strategies(")
_SIGNS += ("SnowNLPClassifier(", "glove-6b-50d", "WordVectorFeaturizer()", "MiniLM")

# Deprecations that an old release of a package warns of, in itself or another one that
# is newer: (package, the first release that is silent, the warning). Seen in November
# 2026 with the releases of constraints-oldest.txt; a row goes when pyproject.toml asks
# for the release that is silent.
_WARNINGS_OF_OLD_RELEASES = [
    # It calls pyparsing by names that pyparsing 3.3 is about to give up.
    ("matplotlib", "3.10.8", "'.*' deprecated - use '.*'"),
    # transformers has it read a vocabulary in a way that it is about to give up.
    ("tokenizers", "0.23.3", "Deprecated in 0.9.0"),
]
_IGNORED = [
    warning
    for package, silent, warning in _WARNINGS_OF_OLD_RELEASES
    if Version(version(package)) < Version(silent)
]
# For the imports of other conftest.py, which may come before `pytest_configure`.
for _warning in _IGNORED:
    warnings.filterwarnings("ignore", _warning, DeprecationWarning)


def pytest_configure(config: pytest.Config) -> None:
    """Ignore the warnings of old releases, where one of these is installed."""
    for warning in _IGNORED:
        config.addinivalue_line(
            "filterwarnings", f"ignore:{warning}:DeprecationWarning"
        )


# Whose checks start processes of joblib for estimators of many sizes.
_CONTRACT = ("tests/testing/", "sktransfer/testing/")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the checks of the contract without processes that others have left."""
    if item.nodeid.startswith(_CONTRACT):
        _end_processes()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Leave none behind."""
    if item.nodeid.startswith(_CONTRACT):
        _end_processes()


def _end_processes() -> None:
    """End joblib's processes, which the next search would use again.

    One that loads torch after its first task has grown so much that joblib ends it, and
    at times the two wait for each other from then on.
    """
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    executor = getattr(loky, "_executor", None)
    if executor is not None:
        executor.shutdown(wait=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as real."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            if any(sign in source for sign in _SIGNS):
                item.add_marker(pytest.mark.real)
