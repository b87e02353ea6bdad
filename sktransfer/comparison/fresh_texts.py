"""Texts that no cache knows, and that are as long as those of the user.

Whoever measures how fast new texts are read needs many of them, and each only once.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

__all__ = ["fresh_texts"]

# Characters of the texts that new ones are made of.
_MAX_CHARACTERS = 2_000_000

# Thai, kana and Han are written without blanks: there each character is a unit.
_UNSPACED = "\u0e00-\u0eff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U000323af"
_UNITS = re.compile(rf"([{_UNSPACED}]|[^\s{_UNSPACED}]+)")

# Draws of units of the same lengths, and of any, before a number is put behind a text.
_N_DRAWS = 4


def fresh_texts(texts: Sequence[str], seed: int = 0) -> Iterator[str]:
    """Recombine the words of some texts, without an end and never twice the same.

    Each word is replaced by one of the same length that occurs in the texts, a Chinese
    character by another one, so that the new texts are as long as the old ones. Where
    that gives nothing new, words of any length do, or a number behind the text.

    Parameters
    ----------
    texts : sequence of str, of length n
        At least one.
    seed : int, default=0
        The same texts and seed give the same new texts.

    Yields
    ------
    text : str
        None of `texts`, and none that was there before.
    """
    generator = random.Random(seed)
    templates = [_UNITS.split(text) for text in _choose(texts, generator)]
    every = [unit for pieces in templates for unit in pieces[1::2]]
    by_length = defaultdict(list)
    for unit in every:
        by_length[len(unit)].append(unit)
    known = set(texts)
    number = 0
    while True:
        for pieces in templates:
            for draw in range(2 * _N_DRAWS):
                text = "".join(
                    generator.choice(
                        by_length[len(piece)] if draw < _N_DRAWS else every
                    )
                    if place % 2
                    else piece
                    for place, piece in enumerate(pieces)
                )
                if text not in known:
                    break
            stem = text
            while text in known:
                number += 1
                text = f"{stem} {number}"
            known.add(text)
            yield text


def _choose(texts: Sequence[str], generator: random.Random) -> list[str]:
    """Texts in random order, as many as do not take long to read."""
    shuffled = generator.sample(list(texts), len(texts))
    n_characters = 0
    chosen: list[str] = []
    for text in shuffled:
        n_characters += len(text)
        if chosen and n_characters > _MAX_CHARACTERS:
            break
        chosen.append(text)
    return chosen
