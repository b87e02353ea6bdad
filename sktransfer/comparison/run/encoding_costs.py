"""Each text once through each frozen encoder, and what that costs each strategy.

Strategies that share an encoder share its vectors, so whichever comes first would seem
slow and the others fast. Here the vectors are made beforehand, timed, and each strategy
is charged for the texts it reads.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from joblib import effective_n_jobs
from sklearn.base import clone

from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.comparison.run.fingerprints import describe_candidate, digest_of
from sktransfer.comparison.setup.candidates import Candidate, inner_estimators

__all__ = [
    "Charge",
    "EncodingCosts",
    "choose_cache",
    "is_encoder",
    "share_all",
    "share_vectors",
    "unshare_vectors",
]

# Texts that are encoded for their time alone, where all vectors were there before.
_N_SAMPLED = 32


@dataclass(frozen=True)
class Charge:
    """Seconds that a text costs a strategy on top of what is measured.

    Attributes
    ----------
    train, test : float
        Seconds a text.
    fixed : float
        Seconds a fit, for texts that every fit reads.
    """

    train: float = 0.0
    test: float = 0.0
    fixed: float = 0.0


@dataclass
class EncodingCosts:
    """Seconds a text of each encoder, measured when its vectors are made.

    Attributes
    ----------
    texts : sequence of str, of length n
        All that any strategy reads.
    by_encoder : dict of str to float
        Digest of an encoder's parameters to seconds a text.
    """

    texts: Sequence[str]
    by_encoder: dict[str, float] = field(default_factory=dict)

    def charge(self, estimator: Any) -> tuple[Charge, dict[str, float]]:
        """Make the vectors that an estimator will read, and tell what they cost.

        Parameters
        ----------
        estimator : estimator
            Its frozen encoders are looked for at any depth.

        Returns
        -------
        charge : Charge
        fresh : dict of str to float
            The entries of `by_encoder` that were measured just now.
        """
        train = test = 0.0
        fresh = {}
        for encoder, tuned in _find_encoders(estimator):
            if encoder.cache is None:
                continue  # it encodes again and again, and is timed at that
            digest = _digest(encoder)
            if digest not in self.by_encoder:
                seconds = _encode(encoder, self.texts)
                self.by_encoder[digest] = fresh[digest] = seconds
            train += self.by_encoder[digest]
            # A tuned encoder reads test texts itself, and is timed at that.
            test += 0.0 if tuned else self.by_encoder[digest]
        n_fixed = len(getattr(estimator, "source_texts", ()))
        return Charge(train, test, train * n_fixed), fresh

    def find_encoder(self, estimators: Iterable[Any]) -> Any:
        """First encoder of several estimators whose vectors were made.

        Parameters
        ----------
        estimators : iterable of estimator

        Returns
        -------
        encoder : BertFeaturizer or None
            Not fitted.
        """
        for estimator in estimators:
            for encoder, _ in _find_encoders(estimator):
                if _digest(encoder) in self.by_encoder:
                    return encoder
        return None


def share_vectors(estimator: Any, cache: Path) -> Any:
    """Clone, with vectors kept in a folder where they were to be kept in memory.

    Parameters
    ----------
    estimator : estimator
        Left as it is. What is frozen in it stays as it is, too.
    cache : pathlib.Path
        The folder.

    Returns
    -------
    sharing : estimator
    """
    sharing = clone(estimator)
    for _, inner in inner_estimators(sharing):
        if is_encoder(inner) and inner.cache == "memory":
            inner.set_params(cache=cache)
    return sharing


def unshare_vectors(fitted: Any, cache: Path) -> Any:
    """Undo `share_vectors` in what was fitted, in place.

    Parameters
    ----------
    fitted : estimator
        It no longer names the folder afterwards.
    cache : pathlib.Path
        The folder.

    Returns
    -------
    fitted : estimator
    """
    for _, inner in inner_estimators(fitted):
        encoders: list[Any] = [inner, getattr(inner, "encoder_", None)]
        for encoder in encoders:
            if is_encoder(encoder) and encoder.cache == cache:
                encoder.set_params(cache="memory")
    return fitted


def _digest(encoder: Any) -> str:
    return digest_of(describe_candidate(Candidate("", "", encoder)))


def is_encoder(estimator: Any) -> bool:
    """Whether an estimator is an encoder that may keep its vectors."""
    return hasattr(estimator, "cache_info") and hasattr(estimator, "transform")


def _find_encoders(estimator: Any) -> list[tuple[Any, bool]]:
    """Encoders that an estimator reads, and whether it tunes a copy of them."""
    found = []
    owners = dict(inner_estimators(estimator))
    for prefix, inner in owners.items():
        if is_encoder(inner):
            parent = owners.get(prefix[:-2].rpartition("__")[0])
            owner = owners.get(prefix.removesuffix("encoder__"), parent)
            strategy = STRATEGIES.get(getattr(owner, "strategy", ""))
            found.append((inner, strategy is not None and strategy.tunes_encoder))
    return found


def _encode(encoder: Any, texts: Sequence[str]) -> float:
    """Have an encoder's cache know all texts; returns the seconds a text took."""
    encoder = clone(encoder)
    first, rest = list(texts[:1]), list(dict.fromkeys(texts))
    # Weights are loaded at the first text, which is no cost of a text.
    encoder.fit(first).transform(first)
    seconds, n_encoded = _time(encoder, rest)
    if n_encoded:
        return seconds / n_encoded
    encoder.set_params(cache=None)
    sample = rest[:_N_SAMPLED]
    seconds, _ = _time(encoder.fit(first), sample)
    return seconds / len(sample)


def _time(encoder: Any, texts: Sequence[str]) -> tuple[float, int]:
    """Seconds that texts take, and how many of them the cache did not know."""
    from sktransfer.encoders.compute.threads import n_texts_encoded

    before, started = n_texts_encoded(), time.perf_counter()
    encoder.transform(texts)
    return time.perf_counter() - started, n_texts_encoded() - before


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
