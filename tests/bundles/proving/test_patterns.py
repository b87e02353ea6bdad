"""Patterns of words are taken if they end on any text, and most in use are."""

from __future__ import annotations

import re
import time

import pytest

from sktransfer.bundles.proving.patterns import pattern_fault


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?u)\b\w\w+\b",
        r"\w+(?:-\w+)*",
        r"(?u)\b\w+[-']?\w+\b",
        r"[a-zA-Z]+(?:['-][a-zA-Z]+)*",
        r"[^\W\d_]+",
        r"\S+",
        r"\w+|[^\w\s]+",
        r"\w+|[^\w]+|\s+",
        r"(?:\d{1,3}(?:,\d{3})*|\w+)",
        r"https?://\S+|\w+",
        r"[一-鿿]|[a-z]+",
        r"(\w+)",
    ],
)
def test_usual_ones_are_taken_and_end(pattern):
    assert pattern_fault(pattern) is None
    start = time.perf_counter()
    for text in ("a" * 2000 + "!", "ab-" * 700 + "!", " a" * 1000 + "!"):
        re.findall(pattern, text)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\w+)+!",
        r"(?:\w+[-']?)+$",
        r".*.*!",
        r"(a|a)+b",
        r"(a|ab|b)*c",
        r"(\w*)*x",
        r"((a+)b?)+c",
        r"(?:.{0,9}x?)+y",
        r"(\w+)\1+x",
        r"(?:a?){30}a{30}",
        r"(?=(\w+)+!)x",
        r"(\s*\w*)*!",
        r"\w*\w*\w*\w*!",
        r"(?:\w\w?)+!",
        r"(?i)(?:a+A+)+b",
        r"(?:é+)+x",
        "(" * 200,
        "(",
        "a" * 5000,
        5,
    ],
)
def test_those_that_try_again_and_again_are_refused(pattern):
    assert "a pattern whose repeats do not overlap" in pattern_fault(pattern)
