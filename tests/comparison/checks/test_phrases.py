from __future__ import annotations

import pytest

from sktransfer.comparison.checks.phrases import count_of, listed


def test_a_count_has_its_share():
    assert count_of(5, 50, "groups") == "5 of 50 groups (10%)"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c", "d", "e", "f"], "a, b, c and 3 more"),
    ],
)
def test_of_many_names_some_are_told(names, told):
    assert listed(names) == told
