from __future__ import annotations

import pytest

from sktransfer.baselines import language_of
from sktransfer.datasets import load_mini_reviews
from sktransfer.exceptions import InvalidInputError


@pytest.mark.parametrize("language", ["en", "zh"])
def test_reviews_are_told_apart(language):
    texts, _ = load_mini_reviews(language, return_X_y=True)
    assert language_of(texts) == language


def test_both_together_are_mixed():
    assert language_of(["好", "good", "很好", "bad"]) == "mixed"


def test_brand_names_leave_a_text_chinese():
    assert language_of(["iPhone的屏幕很好", "用USB充电很快！"] * 5) == "zh"


def test_a_few_exceptions_do_not_matter():
    assert language_of(["fine"] * 19 + ["很好"]) == "en"
    assert language_of(["很好"] * 19 + ["fine"]) == "zh"


def test_texts_without_letters_count_for_neither():
    assert language_of(["", "!!! 10/10", "😀", "很好"]) == "zh"
    assert language_of([""]) == "en"


def test_many_texts_are_looked_at_all_over():
    assert language_of(["fine"] * 20_000 + ["很好"] * 20_000) == "mixed"


def test_a_single_text_is_refused():
    with pytest.raises(InvalidInputError, match="texts is a single str"):
        language_of("fine")
