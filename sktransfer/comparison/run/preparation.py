"""What is made before folds run: models of the source domain, and vectors.

Models that start from the source share the one that was trained on it. Strategies that
share an encoder share its vectors, so whichever comes first would seem slow and the
others fast: so the vectors are made beforehand, timed, and each strategy is charged for
the texts it reads.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs
from sklearn.base import clone

from sktransfer.classifier.data.checks import check_labels
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.comparison.run.evaluation import Charge
from sktransfer.comparison.run.journal import describe_estimator, digest_of
from sktransfer.comparison.setup.candidates import Candidate, Source, seed_estimator
from sktransfer.comparison.setup.folds import nest_rows, text_keys
from sktransfer.estimators import (
    Encoder,
    Estimator,
    TextClassifier,
    Texts,
    inner_estimators,
    is_encoder,
    is_estimator,
    walk,
)
from sktransfer.exceptions import (
    CheckpointNotFoundError,
    InvalidInputError,
    ModelFolderError,
)
from sktransfer.load_times import noting_loads
from sktransfer.persistence import load, save
from sktransfer.statistics.distances import proxy_a_distance
from sktransfer.texts import check_texts

__all__ = [
    "EncodingCosts",
    "SourceFit",
    "SourceModels",
    "check_source",
    "choose_cache",
    "measure_distance",
    "share_vectors",
    "unshare_vectors",
]

# Answers with a fitted model of the source, and the seconds that it took.
SourceFit = Callable[[], tuple[TextClassifier, float]]

# Texts that are encoded for their time alone, where all vectors were there before.
_N_SAMPLED = 32


def check_source(
    source: object, texts: list[str], *, max_source: int | None, seed: int
) -> Source:
    """Check a source domain, and take off what would give the target away.

    Texts that are copies of one of the target's are left out. Of the others at most
    `max_source` are drawn, at random and stratified.
    """
    if not isinstance(source, (tuple, list)) or len(source) != 2:
        raise InvalidInputError(
            f"source is a {type(source).__name__}, but a pair of texts and labels is "
            "expected, as in source=(X_source, y_source)."
        )
    found = check_texts(source[0], name="source's X")
    labels = check_labels(source[1], len(found), name="source's y")
    tested = set(text_keys(texts))
    rows = np.array(
        [row for row, key in enumerate(text_keys(found)) if key not in tested], np.intp
    )
    if len(np.unique(labels[rows])) < 2:
        held = np.unique(labels[rows]).tolist()
        raise InvalidInputError(
            f"source has {len(rows)} texts that are not in X too, and they hold the "
            f"classes {held}, but at least 2 are needed: pass labelled texts of "
            "another domain."
        )
    if max_source is not None and len(rows) > max_source:
        rows = np.sort(nest_rows(labels, rows, seed)[:max_source])
    return Source([found[row] for row in rows], labels[rows])


@dataclass
class SourceModels:
    """Estimators fitted on the source, each once.

    Attributes
    ----------
    source : Source or None
        To learn from.
    classes : ndarray
        Labels of the target domain.
    seed : int
        For whatever is random.
    folder : pathlib.Path or None
        Where fitted models are kept for a run that goes on; None keeps them in memory.
    seconds : dict of str to float
        What each took to fit, by digest, in an earlier run too.
    """

    source: Source | None
    classes: npt.NDArray[Any]
    seed: int
    folder: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _models: dict[str, TextClassifier] = field(default_factory=dict)

    def model(self, candidate: Candidate) -> tuple[TextClassifier, str]:
        """Fitted model of the source that a candidate needs, and its digest.

        It is the same for candidates that learn the source alike.
        """
        for digest, fit in self.missing([candidate]).items():
            self.keep(digest, *fit())
        digest = _digest(candidate.learns_source())
        return self._models[digest], digest

    def missing(self, candidates: Iterable[Candidate]) -> dict[str, SourceFit]:
        """Fits that candidates still need, by digest, to be called in any process."""
        found: dict[str, SourceFit] = {}
        for candidate in candidates:
            assert self.source is not None
            learner = candidate.learns_source()
            digest = _digest(learner)
            if digest in self._models or digest in found:
                continue
            model = self._load(digest)
            if model is None:
                seeded = seed_estimator(learner, self.seed)
                found[digest] = functools.partial(_fit_source, seeded, self.source)
            else:
                self._models[digest] = model
        return found

    def keep(self, digest: str, model: TextClassifier, seconds: float) -> None:
        """Keep a model that was fitted on the source, and what that took."""
        self._models[digest] = model
        self.seconds.setdefault(digest, seconds)
        if self.folder is not None:
            # Not every estimator of a user's can be saved; then it is fitted again.
            with contextlib.suppress(ModelFolderError):
                save(model, self.folder / digest[:16])

    def has(self, candidate: Candidate) -> bool:
        """Whether the model that a candidate needs is there."""
        digest = _digest(candidate.learns_source())
        return digest in self._models or digest in self.seconds

    def check_classes(self) -> None:
        """Raise unless the source's labels are among the target's."""
        assert self.source is not None
        theirs, ours = np.unique(self.source.labels).tolist(), self.classes.tolist()
        if not set(theirs) <= set(ours):
            raise InvalidInputError(
                f"the source has the classes {theirs[:10]} and the target {ours[:10]}, "
                "so a model of the source cannot label the target: name the same "
                "classes alike in both."
            )

    def _load(self, digest: str) -> Any:
        if self.folder is None or digest not in self.seconds:
            return None
        try:
            return load(self.folder / digest[:16])
        except (ModelFolderError, OSError):
            return None


def _fit_source(
    estimator: TextClassifier, source: Source
) -> tuple[TextClassifier, float]:
    started = time.perf_counter()
    model = estimator.fit(source.texts, source.labels)
    return model, time.perf_counter() - started


def _digest(estimator: Estimator) -> str:
    return digest_of(describe_estimator(estimator))


@dataclass
class EncodingCosts:
    """Seconds a text of each encoder, measured when its vectors are made.

    Attributes
    ----------
    texts : sequence of str, of length n
        All that any strategy reads.
    by_encoder : dict of str to float
        Digest of an encoder's parameters to seconds a text, of an earlier run too.
    loads : dict of str to dict
        The same to what was loaded for it, and the seconds that it took.
    """

    texts: Texts
    by_encoder: dict[str, float] = field(default_factory=dict)
    loads: dict[str, dict[str, float]] = field(default_factory=dict)

    def charge(self, estimator: Estimator) -> Charge:
        """Make the vectors that an estimator will read, and tell what they cost."""
        train = test = 0.0
        loads: dict[str, float] = {}
        for encoder, tuned in _find_encoders(estimator):
            if encoder.cache is None:
                continue  # it encodes again and again, and is timed at that
            digest = _digest(encoder)
            if digest not in self.by_encoder:
                with noting_loads() as found:
                    self.by_encoder[digest] = _encode(encoder, self.texts)
                self.loads[digest] = found.used
            loads |= self.loads.get(digest, {})
            train += self.by_encoder[digest]
            # A tuned encoder reads test texts itself, and is timed at that.
            test += 0.0 if tuned else self.by_encoder[digest]
        n_fixed = len(getattr(estimator, "source_texts", ()))
        return Charge(train, test, train * n_fixed, loads)

    def lacks(self, estimator: Estimator) -> bool:
        """Whether vectors that an estimator reads are still to be made."""
        return any(
            encoder.cache is not None and _digest(encoder) not in self.by_encoder
            for encoder, _ in _find_encoders(estimator)
        )

    def find_encoder(self, estimators: Iterable[Estimator]) -> Encoder | None:
        """First encoder of several estimators whose vectors were made, not fitted."""
        for estimator in estimators:
            for encoder, _ in _find_encoders(estimator):
                if _digest(encoder) in self.by_encoder:
                    return encoder
        return None


def _find_encoders(estimator: Estimator) -> list[tuple[Encoder, bool]]:
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


def _encode(encoder: Encoder, texts: Texts) -> float:
    """Have an encoder's cache know all texts; returns the seconds a text took."""
    encoder = clone(encoder)
    first, rest = list(texts[:1]), list(dict.fromkeys(texts))
    # Weights are loaded at the first text, which is no cost of a text; where its vector
    # is there, at the next one.
    encoder.fit(first).transform(first)
    seconds, n_encoded = _time(encoder, rest)
    if n_encoded:
        return seconds / n_encoded
    encoder.set_params(cache=None)
    sample = rest[:_N_SAMPLED]
    seconds, _ = _time(encoder.fit(first), sample)
    return seconds / len(sample)


def _time(encoder: Encoder, texts: Texts) -> tuple[float, int]:
    """Seconds that texts take, and how many of them the cache did not know."""
    from sktransfer.encoders.encoding import n_texts_encoded

    before, started = n_texts_encoded(), time.perf_counter()
    with noting_loads() as loads:
        encoder.transform(texts)
    spent = time.perf_counter() - started - loads.spent
    return spent, n_texts_encoded() - before


def share_vectors(candidates: list[Candidate], cache: Path | None) -> list[Candidate]:
    """Candidates whose encoders keep their vectors in one folder.

    With None that is the memory of this process, which they share anyway. What is
    frozen in them stays as it is.
    """
    if cache is None:
        return candidates
    return [
        replace(
            candidate,
            estimator=_share(candidate.estimator, cache),
            teacher=_share(candidate.learns_source(), cache),
        )
        for candidate in candidates
    ]


def _share(estimator: TextClassifier, cache: Path) -> TextClassifier:
    sharing: TextClassifier = clone(estimator)
    for _, inner in inner_estimators(sharing):
        if is_encoder(inner) and inner.cache == "memory":
            inner.set_params(cache=cache)
    return sharing


def unshare_vectors(fitted: Estimator, cache: Path) -> Any:
    """Undo `share_vectors` in what was fitted, in place; it forgets the folder."""
    # What was fitted stands in attributes, too, such as those of a threshold.
    for part in walk(fitted, is_estimator):
        if is_encoder(part) and part.cache == cache:
            part.set_params(cache="memory")
    return fitted


def choose_cache(
    folder: Path | None, n_jobs: int | None, stack: ExitStack
) -> Path | None:
    """Where vectors are kept, so that all who need them find them.

    That is in the folder of the comparison. Without one, several processes share one
    that the stack removes, and a single process its memory, which is None.
    """
    if folder is not None:
        return folder / "vectors"
    if effective_n_jobs(n_jobs) == 1:
        return None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sktransfer-")))


def measure_distance(
    encoder: Encoder | None, texts: list[str], source: Source | None, seed: int
) -> float | None:
    """Proxy A-distance of the domains, on vectors that were made anyway.

    None without a source, or without an encoder that strategies have in common.
    """
    if source is None or encoder is None:
        return None
    try:
        encoder = clone(encoder).fit(texts)
        sides = [encoder.transform(side) for side in (source.texts, texts)]
    except CheckpointNotFoundError:
        return None
    return proxy_a_distance(*sides, random_state=seed)
