"""What a comparison stands on before a fold is run: its seed, its name, its vectors."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils import check_random_state

from sktransfer.comparison.candidates import Candidate, Source
from sktransfer.comparison.encoding import share_vectors
from sktransfer.comparison.fingerprints import digest_texts
from sktransfer.comparison.journal import recorded_seed
from sktransfer.comparison.plan import Data
from sktransfer.exceptions import (
    CheckpointNotFoundError,
    InvalidInputError,
    InvalidParameterError,
)
from sktransfer.statistics.distances import proxy_a_distance

__all__ = [
    "check_counts",
    "choose_cache",
    "describe_data",
    "draw_seed",
    "least_of_a_class",
    "measure_distance",
    "share_all",
]


def draw_seed(random_state: Any, folder: Path | None) -> int:
    """One seed for everything; a comparison that goes on keeps the one it drew.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Of the user.
    folder : pathlib.Path or None
        Where a journal may be.

    Returns
    -------
    seed : int
    """
    if isinstance(random_state, Integral):
        return int(random_state)
    recorded = recorded_seed(folder) if random_state is None else None
    if recorded is not None:
        return recorded
    return int(check_random_state(random_state).randint(2**31 - 1))


def describe_data(data: Data, source: Source | None) -> dict[str, Any]:
    """What must be the same for finished folds to count.

    Parameters
    ----------
    data : Data
        The target domain and its folds.
    source : Source or None
        The source domain.

    Returns
    -------
    settings : dict of str to str, int or None
    """
    rows = [column for f in data.folds for column in (f.train, f.test)]
    theirs = None
    if source is not None:
        theirs = digest_texts(source.texts, source.labels.tolist())
    return {
        "texts": digest_texts(data.texts),
        "labels": digest_texts(data.labels.tolist()),
        "source": theirs,
        "folds": digest_texts(*rows),
        "train_sizes": str([size.n_texts for size in data.sizes]),
        "scoring": data.scoring.name,
        "random_state": data.seed,
    }


def check_counts(
    groups: Any, n_texts: int, max_source: Any, time_budget: float | None
) -> None:
    """Check what stands beside the texts.

    Parameters
    ----------
    groups, max_source, time_budget : object
        Of the user.
    n_texts : int

    Raises
    ------
    InvalidInputError
        If there is not one group a text.
    InvalidParameterError
        If a number is out of range.
    """
    if groups is not None and len(groups) != n_texts:
        raise InvalidInputError(
            f"X has {n_texts} texts but groups has {len(groups)} entries: pass one "
            "group per text."
        )
    if max_source is not None and (
        not isinstance(max_source, Integral) or max_source < 2
    ):
        raise InvalidParameterError(
            f"max_source={max_source!r}, but None or a number of texts of at least 2 "
            "is expected."
        )
    if time_budget is not None and not time_budget > 0:
        raise InvalidParameterError(
            f"time_budget={time_budget!r}, but None or a positive number of seconds is "
            "expected."
        )


def choose_cache(
    folder: Path | None, n_jobs: int | None, stack: ExitStack
) -> Path | None:
    """Where vectors are kept, so that all who need them find them.

    Parameters
    ----------
    folder : pathlib.Path or None
        Of the comparison.
    n_jobs : int or None
        With several processes and no folder, one is made for the time being.
    stack : contextlib.ExitStack
        Removes it.

    Returns
    -------
    cache : pathlib.Path or None
        None is the memory of this process.
    """
    if folder is not None:
        return folder / "vectors"
    if effective_n_jobs(n_jobs) == 1:
        return None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sktransfer-")))


def share_all(candidates: list[Candidate], cache: Path | None) -> list[Candidate]:
    """Candidates whose encoders keep their vectors in one folder.

    Parameters
    ----------
    candidates : list of Candidate
        Left as they are.
    cache : pathlib.Path or None
        The folder; None is the memory of this process, which they share anyway.

    Returns
    -------
    sharing : list of Candidate
    """
    if cache is None:
        return candidates
    return [
        replace(
            candidate,
            estimator=share_vectors(candidate.estimator, cache),
            teacher=share_vectors(candidate.learns_source(), cache),
        )
        for candidate in candidates
    ]


def least_of_a_class(data: Data) -> int:
    """Texts of the rarest class in the smallest training part.

    Parameters
    ----------
    data : Data

    Returns
    -------
    n_texts : int
    """
    rarest = min(
        np.unique(data.labels[fold.train], return_counts=True)[1].min()
        for fold in data.folds
    )
    return int(min(rarest, data.sizes[0].n_texts // len(data.classes)))


def measure_distance(encoder: Any, data: Data, source: Source | None) -> float | None:
    """Proxy A-distance of the domains, on vectors that were made anyway.

    Parameters
    ----------
    encoder : BertFeaturizer or None
        One that the strategies have in common.
    data : Data
        The target domain.
    source : Source or None
        The source domain.

    Returns
    -------
    distance : float or None
        None without a source, or without an encoder.
    """
    if source is None or encoder is None:
        return None
    try:
        encoder = clone(encoder).fit(data.texts)
        sides = [encoder.transform(texts) for texts in (source.texts, data.texts)]
    except CheckpointNotFoundError:
        return None
    return proxy_a_distance(*sides, random_state=data.seed)
