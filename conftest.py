"""Which examples in docstrings need the weights that installed packages carry."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from _pytest.doctest import DoctestItem
from packaging.version import Version

# Their first line says so: it names a packaged model, or leaves it to the default.
_SIGNS = ("BertFeaturizer(", "TransferSentimentClassifier(", "compare_strategies(")
_SIGNS += ("SnowNLPClassifier(", "glove-6b-50d", "WordVectorFeaturizer()", "MiniLM")

# What an old release of a package says about itself or about another one that is newer,
# and so no business of this package's: (package, the first release that is silent, what
# is ignored). Seen in November 2026 with the releases of constraints-oldest.txt; a row
# goes when pyproject.toml asks for that release.
_WARNINGS_OF_OLD_RELEASES = [
    # It calls pyparsing by names that pyparsing 3.3 is about to give up.
    ("matplotlib", "3.10.8", "ignore:'.*' deprecated - use '.*':DeprecationWarning"),
    # transformers has it read a vocabulary in a way that it is about to give up.
    ("tokenizers", "0.23.3", "ignore:Deprecated in 0.9.0:DeprecationWarning"),
]


def pytest_configure(config: pytest.Config) -> None:
    """Ignore the warnings of old releases, where one of these is installed."""
    for package, silent, ignored in _WARNINGS_OF_OLD_RELEASES:
        if Version(version(package)) < Version(silent):
            config.addinivalue_line("filterwarnings", ignored)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as real."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            if any(sign in source for sign in _SIGNS):
                item.add_marker(pytest.mark.real)
