"""What the guides show has to run, and to give what they say."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
import sklearn

DOCS = Path(__file__).parents[1] / "docs"
WITH_EXAMPLES = sorted(
    page for page in DOCS.glob("*.rst") if ">>> " in page.read_text(encoding="utf-8")
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.real
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_examples_of_the_guides_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A page that ends in the middle leaves no setting behind.
    with sklearn.config_context():
        found = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)
    assert found.attempted
    assert not found.failed
