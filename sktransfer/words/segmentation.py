"""Text -> words, English and Chinese in any mixture.

Nothing is thrown away: punctuation, emoji, digits, "not", "n't", "不" and "没" are
words like all others, and the vectors decide which of them they know. Stop words and
n-best frequencies are the business of a tokenizer of the user's own.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator

from sktransfer.packages import require_extra

__all__ = ["segment", "segment_chunk", "split_unknown", "tidy"]

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
# Vowel signs and accents belong to the word of their letter; Python's \w omits them.
_MARKS = "".join(
    chr(code)
    for code in range(0x300, 0x2000)
    if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
_LETTERS = rf"(?:[^\W{_HAN}]|[{_MARKS}])+"
_PIECES = re.compile(
    rf"[{_HAN}]+"  # left to the Chinese segmenter
    rf"|{_LETTERS}(?:[-.,'&/@:]{_LETTERS})*"  # don't, well-made, 3.5, at&t
    r"|[!-/:-@\[-^`{-~]+"  # ?!, ..., :-)
    r"|[^\w\s]"  # emoji and the like, one by one
)
_HAN_START = re.compile(rf"[{_HAN}]")
_CONTRACTION = re.compile(r"(.+)(n't)", re.IGNORECASE)
_CLITIC = re.compile(r"(.+)('(?:s|m|d|re|ve|ll))", re.IGNORECASE)
_GLUE = re.compile(r"[-.,&/@:_]+")
_APOSTROPHE = re.compile(r"'+")


def segment(text: str) -> list[str]:
    """Words of a text, as coarse as possible.

    Runs of Han characters are cut by rjieba (a dictionary and a hidden Markov model);
    everything else is cut at white space, and letters from punctuation. What holds
    letters together stays: don't, well-made, 3.5, at&t. `split_unknown` cuts finer
    where the vectors do not know the whole. Letter case is kept.

    Parameters
    ----------
    text : str

    Returns
    -------
    words : list of str

    Raises
    ------
    MissingExtraError
        If the text has Han characters and the extra ``chinese`` is not installed.

    Examples
    --------
    >>> from sktransfer.words.segmentation import segment
    >>> segment("I don't like it!!! 这个酒店不好。")
    ['I', "don't", 'like', 'it', '!!!', '这个', '酒店', '不好', '。']
    """
    return [word for chunk in tidy(text).split() for word in segment_chunk(chunk)]


def tidy(text: str) -> str:
    r"""The text in composed letters (Unicode NFC) and with straight apostrophes.

    Parameters
    ----------
    text : str

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sktransfer.words.segmentation import tidy
    >>> tidy("don\u2019t")
    "don't"
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


def segment_chunk(chunk: str) -> list[str]:
    """Words of a piece of tidy text that has no white space.

    Parameters
    ----------
    chunk : str

    Returns
    -------
    words : list of str
    """
    if chunk.isascii() and chunk.isalpha():
        return [chunk]
    words: list[str] = []
    for piece in _PIECES.findall(chunk):
        if _HAN_START.match(piece):
            words += _cut_han()(piece)
        else:
            words.append(piece)
    return words


def split_unknown(word: str, known: Callable[[str], bool]) -> list[str]:
    """Parts of a word that the vectors do not know, if they know some of them.

    Vectors differ in what they call a word: GloVe was trained on "do n't", others on
    "don't"; some know "well-made" or ":)", others only "well" and ")". So the whole is
    tried first, then its parts.

    Parameters
    ----------
    word : str
        As `segment` gives it.
    known : callable
        Whether the vectors have a word.

    Returns
    -------
    parts : list of str
        ``[word]`` where it is known, or where none of its parts is.

    Examples
    --------
    >>> from sktransfer.words.segmentation import split_unknown
    >>> split_unknown("don't", {"do", "n't", "well", "made"}.__contains__)
    ['do', "n't"]
    >>> split_unknown("well-made", {"well", "made"}.__contains__)
    ['well', 'made']
    >>> split_unknown("不好", {"不", "好"}.__contains__)
    ['不', '好']
    """
    if known(word):
        return [word]
    for parts in _ways_to_cut(word):
        finer = [leaf for part in parts for leaf in split_unknown(part, known)]
        if any(map(known, finer)):
            # What has no letter and is unknown was glue, and no word of its own.
            return [leaf for leaf in finer if known(leaf) or _has_letters(leaf)]
    return [word]


def _ways_to_cut(word: str) -> Iterator[list[str]]:
    """Shorter parts of a word, the coarsest first."""
    if "'" in word:
        for pattern in (_CONTRACTION, _CLITIC):
            match = pattern.fullmatch(word)
            if match:
                yield list(match.groups())
    if not _has_letters(word) or _HAN_START.match(word):
        # A Chinese character has a meaning of its own, and "not" is one of them.
        if len(word) > 1:
            yield list(word)
        return
    for glue in (_GLUE, _APOSTROPHE):
        parts = [part for part in glue.split(word) if part]
        if parts != [word]:
            yield parts


def _has_letters(word: str) -> bool:
    return word.isalnum() or any(map(str.isalnum, word))


@functools.cache
def _cut_han() -> Callable[[str], list[str]]:
    require_extra("rjieba", "chinese", "Cutting Chinese text into words")
    import rjieba

    cut: Callable[[str], list[str]] = rjieba.cut
    return cut
