import re
from pathlib import Path

import pytest

import sktransfer
from sktransfer.classifier.strategies.registry import STRATEGIES

PACKAGE = Path(sktransfer.__file__).parent


def test_each_strategy_has_the_name_of_its_file():
    assert all(strategy.name == name for name, strategy in STRATEGIES.items())
    own = PACKAGE / "classifier" / "strategies"
    others = {"__init__", "base", "head_first", "head_last", "registry"}
    assert {path.stem for path in own.glob("*.py")} - others == set(STRATEGIES)


@pytest.mark.parametrize("name", [*STRATEGIES])
def test_no_other_file_compares_with_its_name(name):
    found = re.compile(
        rf"""(==|!=|\bin) *[(\[{{]?["']{name}["']|["']{name}["'] *(==|!=)"""
    )
    files = PACKAGE.rglob("*.py")
    assert [str(p) for p in files if found.search(p.read_text("utf-8"))] == []
