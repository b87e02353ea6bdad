"""What the README shows has to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.real
def test_examples_of_the_readme_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them saves a model
    examples = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert examples
    for example in examples:
        exec(compile(example, str(README), "exec"), {})
    assert "accuracy" in capsys.readouterr().out


def test_pictures_and_files_that_the_readme_names_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert local
    assert [t for t in local if not (README.parent / t).exists()] == []
