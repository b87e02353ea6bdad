"""Which examples in docstrings need the weights that installed packages carry."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import pytest
from _pytest.doctest import DoctestItem
from packaging.version import Version

# Their first line says so: it names a packaged model, or leaves it to the default.
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as real."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            if any(sign in source for sign in _SIGNS):
                item.add_marker(pytest.mark.real)
