"""How many new texts a second a fitted strategy labels, once it is warm.

The folds do not tell: a fold is small, its first call loads and allocates, batches are
not full, and its texts may have been encoded before, by other cores.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib.externals.loky.backend.reduction import dump

from sktransfer.comparison.candidates import Candidate, is_estimator
from sktransfer.comparison.encoding import is_encoder
from sktransfer.comparison.fresh_texts import fresh_texts
from sktransfer.comparison.journal import Journal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SECONDS", "Speeds", "measure_speed", "put_aside", "take_back"]

# What the last call is to take; all of them take twice that at most, unless a single
# text takes longer. With 0 nothing is measured.
SECONDS = 1.0

# Texts and characters of a call: more of them would not tell more.
_MAX_TEXTS = 4096
_MAX_CHARACTERS = 2_000_000

# Texts that fill the batches of networks: calls grow to so many where there is time.
_FULL = 256

# By how much a call may be larger than the one before.
_GROWTH = 8


def measure_speed(model: Any, texts: Iterator[str], most: int = _MAX_TEXTS) -> float:
    """Texts a second of a fitted classifier, from text to label and warm.

    After a first call, calls grow until one takes long enough to go by: batches are
    full then. No text is read twice, and none is kept in a cache.

    Parameters
    ----------
    model : classifier
        Fitted. It is left as it is.
    texts : iterator of str
        Without an end, and without copies, also of what the model has seen.
    most : int
        Texts that a call has at most.

    Returns
    -------
    speed : float
        Texts a second; NaN where the classifier fails on such texts.
    """
    try:
        with _without_cache(model):
            return _measure(model, texts, most)
    except Exception:
        return math.nan


def _measure(model: Any, texts: Iterator[str], most: int) -> float:
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
def _without_cache(model: Any) -> Iterator[None]:
    """Have the encoders in a model keep no vectors for the time being."""
    encoders = [part for part in _parts(model, set()) if is_encoder(part)]
    caches = [encoder.cache for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.cache = None
        yield
    finally:
        for encoder, cache in zip(encoders, caches, strict=True):
            encoder.cache = cache


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Estimators in a fitted one, parameters and attributes, itself among them."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inside: Any = ()
    if isinstance(value, (list, tuple)):
        inside = value
    elif isinstance(value, dict):
        inside = value.values()
    elif is_estimator(value):
        yield value
        inside = list(getattr(value, "__dict__", {}).values())
    for part in inside:
        if not isinstance(part, (str, int, float)):
            yield from _parts(part, seen)


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

    def measure(self, strategy: str, model: Any) -> None:
        """Measure a strategy and put it down.

        Parameters
        ----------
        strategy : str
            Its name in the journal.
        model : classifier or None
            Fitted; None where there is none to be had.
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
        """Texts a second of each row of the results.

        Parameters
        ----------
        results : DataFrame
            With the columns "strategy" and "status".
        candidates : iterable of Candidate
            Its strategies.

        Returns
        -------
        speeds : list of float
            NaN for rows that are not done, and where nothing was measured.
        """
        recorded = {candidate.name: candidate.recorded for candidate in candidates}
        return [
            self.found.get(recorded[name], math.nan) if status == "done" else math.nan
            for name, status in zip(results["strategy"], results["status"], strict=True)
        ]


def put_aside(model: Any, path: Path) -> None:
    """Leave a fitted model to the process that measures; where that fails, nothing.

    Parameters
    ----------
    model : classifier
        Fitted.
    path : pathlib.Path
        A file that only this comparison knows, and that is gone at its end.
    """
    try:
        with path.open("wb") as file:
            dump(model, file)  # what joblib sends answers with
    except Exception:
        path.unlink(missing_ok=True)


def take_back(path: Path) -> Any:
    """Open what `put_aside` has left, and remove the file.

    Parameters
    ----------
    path : pathlib.Path
        As there.

    Returns
    -------
    model : classifier or None
        None where there is none.
    """
    try:
        with path.open("rb") as file:
            return pickle.load(file)
    except Exception:
        return None
    finally:
        path.unlink(missing_ok=True)
