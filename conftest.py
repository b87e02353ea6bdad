"""Which examples in docstrings need the weights that installed packages carry."""

from __future__ import annotations

import pytest
from _pytest.doctest import DoctestItem

# Their first line says so: it names a packaged model, or leaves it to the default.
_SIGNS = ("BertFeaturizer(", "TransferSentimentClassifier(", "compare_strategies(")
_SIGNS += ("SnowNLPClassifier(", "glove-6b-50d", "WordVectorFeaturizer()", "MiniLM")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as real."""
    for item in items:
        if isinstance(item, DoctestItem):
            source = "".join(example.source for example in item.dtest.examples)
            if any(sign in source for sign in _SIGNS):
                item.add_marker(pytest.mark.real)
