"""How many new texts a second a fitted strategy labels, once it is warm.

Whoever measures how fast new texts are read needs many of them, and each only once.

The folds do not tell: a fold is small, its first call loads and allocates, batches are
not full, and its texts may have been encoded before, by other cores.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sktransfer._compat import dump
from sktransfer.comparison.run.journal import Journal
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.estimators import TextClassifier, is_encoder, is_estimator, walk

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SECONDS",
    "Speeds",
    "fresh_texts",
    "measure_speed",
    "put_aside",
    "take_back",
]

# Characters of the texts that new ones are made of, and of those of a call.
_MAX_CHARACTERS = 2_000_000

# Thai, kana and Han are written without blanks: there each character is a unit.
_UNSPACED = "\u0e00-\u0eff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U000323af"
_UNITS = re.compile(rf"([{_UNSPACED}]|[^\s{_UNSPACED}]+)")

# Draws of units of the same lengths, and of any, before a number is put behind a text.
_N_DRAWS = 4

# What the last call is to take; all of them take twice that at most, unless a single
# text takes longer. With 0 nothing is measured.
SECONDS = 1.0

# Texts of a call: more of them would not tell more.
_MAX_TEXTS = 4096

# Texts that fill the batches of networks: calls grow to so many where there is time.
_FULL = 256

# By how much a call may be larger than the one before.
_GROWTH = 8


def fresh_texts(texts: Sequence[str], seed: int = 0) -> Iterator[str]:
    """Recombine the words of some texts, without an end and never twice the same.

    Each word is replaced by one of the same length that occurs in the texts, a Chinese
    character by another one, so that the new texts are as long as the old ones. Where
    that gives nothing new, words of any length do, or a number behind the text. The
    same texts, at least one, and seed give the same new texts.
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


def measure_speed(
    model: TextClassifier, texts: Iterator[str], most: int = _MAX_TEXTS
) -> float:
    """Texts a second of a fitted classifier, from text to label and warm.

    After a first call, calls grow until one takes long enough to go by: batches are
    full then, of `most` texts at most. No text is read twice, and none is kept in a
    cache: the texts have no end and no copies, also of what the model has seen. Where
    the classifier fails on such texts, the speed is NaN.
    """
    try:
        with _without_cache(model):
            return _measure(model, texts, most)
    except Exception:
        return math.nan


def _measure(model: TextClassifier, texts: Iterator[str], most: int) -> float:
    model.predict([next(texts)])
    n_texts, spent, fastest = 1, 0.0, math.inf
    while True:
        batch = list(islice(texts, n_texts))
        started = time.perf_counter()
        model.predict(batch)
        seconds = max(time.perf_counter() - started, 1e-9)
        spent, fastest = spent + seconds, min(fastest, seconds)
        is_short = fastest < SECONDS / 2 or (n_texts < _FULL and spent < SECONDS)
        if is_short and n_texts < most:
            expected = int(n_texts / fastest * SECONDS)
            n_texts = min(max(n_texts + 1, expected), _GROWTH * n_texts, most)
            fastest = math.inf
        elif spent >= SECONDS or n_texts >= most:
            return n_texts / fastest
        # Else the same again: a call that was held up by something is no measure.


@contextlib.contextmanager
def _without_cache(model: TextClassifier) -> Iterator[None]:
    """Have the encoders in a model keep no vectors for the time being."""
    encoders = [part for part in walk(model, is_estimator) if is_encoder(part)]
    caches = [encoder.cache for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.cache = None
        yield
    finally:
        for encoder, cache in zip(encoders, caches, strict=True):
            encoder.cache = cache


class Speeds:
    """Speeds of the strategies of a comparison, each measured once.

    Parameters
    ----------
    texts : sequence of str, of length n
        The target domain.
    journal : Journal
        Where they are put down, and where those of an earlier run are.

    Attributes
    ----------
    found : dict of str to float
        Strategy, as recorded, to texts a second; NaN where that could not be measured.
    """

    def __init__(self, texts: Sequence[str], journal: Journal) -> None:
        self.journal = journal
        # One for all strategies, so that no text is read by two of them.
        self._texts = fresh_texts(texts)
        n_characters = max(sum(map(len, texts)) / len(texts), 1)
        self._most = min(_MAX_TEXTS, max(_GROWTH, int(_MAX_CHARACTERS / n_characters)))
        self.found: dict[str, float] = {}
        for entry in journal.of_kind("speed"):
            speed = entry["texts_per_second"]
            self.found[entry["strategy"]] = math.nan if speed is None else speed

    def lacks(self, strategy: str) -> bool:
        """Whether a strategy is still to be measured."""
        return SECONDS > 0 and strategy not in self.found

    def measure(self, strategy: str, model: TextClassifier | None) -> None:
        """Measure a strategy, by its name in the journal, and put it down there.

        The model is fitted; None, where there is none to be had, is a speed of NaN.
        """
        speed = math.nan
        if model is not None:
            speed = measure_speed(model, self._texts, self._most)
        self.found[strategy] = speed
        told = None if math.isnan(speed) else speed
        self.journal.write(
            {"entry": "speed", "strategy": strategy, "texts_per_second": told}
        )

    def column(
        self, results: pd.DataFrame, candidates: Iterable[Candidate]
    ) -> list[float]:
        """Texts a second of each row of the results, with "strategy" and "status".

        NaN for rows that are not done, and where nothing was measured.
        """
        recorded = {candidate.name: candidate.recorded for candidate in candidates}
        return [
            self.found.get(recorded[name], math.nan) if status == "done" else math.nan
            for name, status in zip(results["strategy"], results["status"], strict=True)
        ]


def put_aside(model: TextClassifier, path: Path) -> None:
    """Leave a fitted model to the process that measures; where that fails, nothing.

    The file is one that only this comparison knows, and that is gone at its end.
    """
    try:
        with path.open("wb") as file:
            dump(model, file)  # what joblib sends answers with
    except Exception:
        path.unlink(missing_ok=True)


def take_back(path: Path) -> Any:
    """Open what `put_aside` has left, if it has, and remove the file."""
    try:
        with path.open("rb") as file:
            return pickle.load(file)
    except Exception:
        return None
    finally:
        path.unlink(missing_ok=True)
