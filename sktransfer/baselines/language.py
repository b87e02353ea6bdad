"""Which language texts are in, and what counts as a word of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sktransfer.texts import check_texts

__all__ = ["PIECES", "language_of"]

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# A word of letters weighs as much as a Chinese character, which is mostly a word too.
_WORD = re.compile("[^\\W\\d_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")

# From this share of the texts on, the others are taken for exceptions.
_CLEAR = 0.9

# Texts that are looked at, spread over all.
_MOST_TEXTS = 5_000

# What counts as a word or a piece of one. Chinese is written without spaces, and its
# words are one to three characters long; "char_wb" serves both where they are mixed.
PIECES: dict[str, dict[str, Any]] = {
    # Single letters are words ("I", "a"), and don't is one.
    "en": {"token_pattern": r"(?u)\b\w[\w'\u2019]*\b", "ngram_range": (1, 2)},
    "zh": {"analyzer": "char", "ngram_range": (1, 3)},
    "mixed": {"analyzer": "char_wb", "ngram_range": (1, 4)},
}


def language_of(texts: Iterable[str]) -> str:
    """Tell Chinese texts from English ones by their characters.

    Parameters
    ----------
    texts : iterable of str, of length n_texts
        Texts without any letter count for neither.

    Returns
    -------
    language : {"zh", "en", "mixed"}
        "zh" where at least nine in ten texts have more Chinese characters than words of
        other letters; "en" where at most one in ten has. Every language that is written
        with spaces between words looks like English here.

    Raises
    ------
    InvalidInputError
        If `texts` is not a list of texts.

    Examples
    --------
    >>> from sktransfer.baselines import language_of
    >>> language_of(["A good film", "Bad!"]), language_of(["手机很好用", "iPhone不错"])
    ('en', 'zh')
    """
    checked = check_texts(texts, name="texts")
    step = -(-len(checked) // _MOST_TEXTS)
    n_chinese = n_texts = 0
    for text in checked[::step]:
        n_han, n_words = len(_HAN.findall(text)), len(_WORD.findall(text))
        n_texts += bool(n_han or n_words)
        n_chinese += n_han > n_words
    share = n_chinese / max(n_texts, 1)
    if share >= _CLEAR:
        return "zh"
    return "en" if share <= 1 - _CLEAR else "mixed"
