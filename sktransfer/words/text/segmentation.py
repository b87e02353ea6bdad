"""Text -> words, English and Chinese in any mixture.

Nothing is thrown away: punctuation, emoji, digits, "not", "n't", "不" and "没" are
words like all others, and the vectors decide which of them they know. Stop words and
n-best frequencies are the business of a tokenizer of the user's own.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sktransfer.packages import require_extra

__all__ = [
    "has_han",
    "segment",
    "segment_chunk",
    "separate_han",
    "split_unknown",
    "tidy",
]

_MOST_THREADS = 4
# Runs of Han characters that are cut in the time in which a thread begins, tenfold.
_RUNS_A_THREAD = 1000

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
_HAN_OR_BREAK = re.compile(rf"([{_HAN}]+|\n)")
_CONTRACTION = re.compile(r"(.+)(n't)", re.IGNORECASE)
_CLITIC = re.compile(r"(.+)('(?:s|m|d|re|ve|ll))", re.IGNORECASE)
_GLUE = re.compile(r"[-.,&/@:_]+")
_APOSTROPHE = re.compile(r"'+")


def segment(text: str) -> list[str]:
    """Words of a text, as coarse as possible.

    Runs of Han characters are cut by rjieba (a dictionary and a hidden Markov model),
    which the extra ``chinese`` brings; everything else is cut at white space, and
    letters from punctuation. What holds letters together stays: don't, well-made, 3.5,
    at&t. `split_unknown` cuts finer where the vectors do not know the whole. Letter
    case is kept.

    Examples
    --------
    >>> from sktransfer.words.text.segmentation import segment
    >>> segment("I don't like it!!! 这个酒店不好。")
    ['I', "don't", 'like', 'it', '!!!', '这个', '酒店', '不好', '。']
    """
    return [word for chunk in tidy(text).split() for word in segment_chunk(chunk)]


def tidy(text: str) -> str:
    r"""The text in composed letters (Unicode NFC) and with straight apostrophes.

    Examples
    --------
    >>> from sktransfer.words.text.segmentation import tidy
    >>> tidy("don\u2019t")
    "don't"
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


def segment_chunk(chunk: str) -> list[str]:
    """Words of a piece of tidy text that has no white space."""
    if chunk.isascii() and chunk.isalpha():
        return [chunk]
    words: list[str] = []
    for piece in _PIECES.findall(chunk):
        if _HAN_START.match(piece):
            words += _cut_han()(piece)
        else:
            words.append(piece)
    return words


def has_han(chunk: str) -> bool:
    """Whether a Chinese segmenter is needed for a text."""
    return not chunk.isascii() and _HAN_START.search(chunk) is not None


def separate_han(chunks: Sequence[str]) -> list[str]:
    r"""Put spaces around the words of all runs of Han characters.

    Calling rjieba for each run costs more than the cutting, and so would a Python
    object for each word. All runs go through it together, with a tab between them,
    which it always cuts at. The chunks are tidy and without white space; what stands
    between runs is as it was, not cut yet.

    Examples
    --------
    >>> from sktransfer.words.text.segmentation import separate_han
    >>> [chunk.split() for chunk in separate_han(["这个酒店!", "不好"])]
    [['这个', '酒店', '!'], ['不好']]
    """
    pieces = _HAN_OR_BREAK.split("\n".join(chunks))
    others, runs = pieces[::2], pieces[1::2]
    if not runs:
        return list(chunks)
    words = _cut_runs(runs)
    # The empty ends of `others` and these spaces keep words and the rest apart.
    both = itertools.zip_longest(others, words, fillvalue="")
    return " ".join(itertools.chain.from_iterable(both)).split("\n")


def _cut_runs(runs: list[str]) -> list[str]:
    """Words of each run, with a space between them."""
    cut = _cut_han()
    # rjieba lets other threads run, and takes more time than all else.
    n_parts = min(_MOST_THREADS, os.cpu_count() or 1, 1 + len(runs) // _RUNS_A_THREAD)
    size = -(-len(runs) // n_parts)
    parts = [
        "\t".join(runs[start : start + size]) for start in range(0, len(runs), size)
    ]
    if len(parts) == 1:
        found = [cut(parts[0])]
    else:
        with ThreadPoolExecutor(len(parts)) as pool:
            found = list(pool.map(cut, parts))
    words = [run for part in found for run in " ".join(part).split("\t")]
    if len(words) != len(runs):  # another rjieba may keep white space together
        words = [run if run == "\n" else " ".join(cut(run)) for run in runs]
    return words


def split_unknown(word: str, known: Callable[[str], bool]) -> list[str]:
    """Parts of a word that the vectors do not know, if they know some of them.

    Vectors differ in what they call a word: GloVe was trained on "do n't", others on
    "don't"; some know "well-made" or ":)", others only "well" and ")". So the whole is
    tried first, then its parts. ``[word]`` where it is known, or where none of its
    parts is.

    Examples
    --------
    >>> from sktransfer.words.text.segmentation import split_unknown
    >>> split_unknown("don't", {"do", "n't", "well", "made"}.__contains__)
    ['do', "n't"]
    >>> split_unknown("well-made", {"well", "made"}.__contains__)
    ['well', 'made']
    >>> split_unknown("不好", {"不", "好"}.__contains__)
    ['不', '好']
    """
    if known(word):
        return [word]
    if _HAN_START.match(word) and "'" not in word:
        # A Chinese character has a meaning of its own, and "not" is one of them.
        parts = [letter for letter in word if known(letter) or letter.isalnum()]
        return parts if any(map(known, parts)) else [word]
    for ways in _ways_to_cut(word):
        finer = [leaf for part in ways for leaf in split_unknown(part, known)]
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
