from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sktransfer.comparison.checks.registry import (
    NAMES,
    data_findings,
    find_check,
    result_findings,
    tabulate,
)

CHECKS = [find_check(name) for name in NAMES]
PAGES = Path(__file__).parents[3] / "docs" / "checks"


@pytest.mark.parametrize(("name", "check"), list(zip(NAMES, CHECKS, strict=True)))
def test_a_name_is_that_of_its_file(name, check):
    assert name.rpartition(".")[2] == check.name


def test_numbers_are_given_once_and_in_order():
    expected = [f"SKT{n:03}" for n in range(1, len(CHECKS) + 1)]
    assert [check.number for check in CHECKS] == expected


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.number)
def test_each_has_a_page(check):
    page = PAGES / f"{check.name}.rst"
    title, line = page.read_text(encoding="utf-8").splitlines()[:2]
    assert title == f"{check.number}: {check.title[0].lower()}{check.title[1:]}"
    assert set(line) == {"="}
    assert check.page == f"checks/{check.name}.html"
    assert f"   {check.name}\n" in (PAGES / "index.rst").read_text(encoding="utf-8")


def test_good_data_are_passed_in_silence(facts):
    assert data_findings(facts()) == []


def test_what_is_not_known_is_not_looked_at(facts):
    known = facts(["neg"] * 90 + ["pos"] * 10)
    found = data_findings(replace(known, texts=None))
    assert [finding.check.number for finding in found] == ["SKT008", "SKT009"]


def test_results_are_looked_at_apart_from_the_data(facts):
    known = facts(["neg"] * 90 + ["pos"] * 10, distance=0.1)
    assert [f.check.number for f in result_findings(known)] == ["SKT015"]


def test_a_finding_is_a_row_of_a_table(facts):
    table = tabulate(data_findings(facts(["neg"] * 170 + ["pos"] * 30)))
    assert table["number"].tolist() == ["SKT008", "SKT009"]
    row = table.iloc[0]
    assert row["name"] == "rare_classes"
    assert row["page"] == "checks/rare_classes.html"
    assert row["rows"] == np.arange(170, 200).tolist()
    assert row["finding"].endswith(".")
    assert row["remedy"].endswith(".")


def test_the_table_of_nothing_has_its_columns():
    table = tabulate([])
    assert table.empty
    assert "finding" in table
